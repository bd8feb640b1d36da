import { describe, expect, test } from '@jest/globals';
import { Batcher } from './batcher.js';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('group commit', () => {
  test('collects what is asked while a call is under way, and answers each caller its own', async () => {
    const calls: (readonly number[])[] = [];
    const batcher = new Batcher<number, string>(async (items) => {
      calls.push(items);
      await pause(5);
      return items.map((item) => `<${item}>`);
    }, 100);
    const first = batcher.ask([1, 2]);
    await pause(1);
    const rest = [batcher.ask([3]), batcher.ask([]), batcher.ask([4, 5])];
    expect(await first).toEqual(['<1>', '<2>']);
    expect(await Promise.all(rest)).toEqual([['<3>'], [], ['<4>', '<5>']]);
    expect(calls).toEqual([
      [1, 2],
      [3, 4, 5],
    ]);
    expect(await batcher.ask([6])).toEqual(['<6>']);
  });

  test('keeps to its limit, but a caller stays together', async () => {
    const sizes: number[] = [];
    const batcher = new Batcher<number, number>(async (items) => {
      sizes.push(items.length);
      return items;
    }, 3);
    await Promise.all([[1, 2], [3], [4], [5, 6, 7, 8, 9], [10]].map((items) => batcher.ask(items)));
    expect(sizes).toEqual([3, 1, 5, 1]);
  });

  test('a call that fails fails for those in it and for nobody after', async () => {
    const batcher = new Batcher<number, number>(async (items) => {
      await pause(2);
      if (items.includes(2)) throw new Error('no');
      return items;
    }, 10);
    const first = batcher.ask([1]);
    await pause(1);
    const second = [batcher.ask([2]), batcher.ask([3])];
    const settled = await Promise.allSettled([first, ...second]);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(await batcher.ask([4])).toEqual([4]);
  });
});
