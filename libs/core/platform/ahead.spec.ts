import { describe, expect, test } from '@jest/globals';
import { workAhead } from './ahead.js';

/** A promise that is settled from outside. */
function open<T>() {
  let settle: { resolve(value: T): void; reject(error: Error): void } | undefined;
  const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }));
  return { promise, ...settle! };
}

/** Lets everything go on that waits for nothing. */
const quiet = () => new Promise((resolve) => setImmediate(resolve));

async function* counted(taken: number[], many: number): AsyncGenerator<number> {
  for (let n = 0; n < many; n++) {
    taken.push(n);
    yield await Promise.resolve(n);
  }
}

async function allOf<T>(results: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of results) all.push(one);
  return all;
}

describe('working ahead', () => {
  test('gives results in the order of the items, whichever is done first', async () => {
    const works = [open<string>(), open<string>(), open<string>()];
    const results = workAhead(counted([], 3), (n) => works[n]!.promise);
    const first = results.next();
    works[1]!.resolve('one');
    await quiet();
    works[0]!.resolve('zero');
    expect((await first).value).toBe('zero');
    works[2]!.resolve('two');
    expect(await allOf(results)).toEqual(['one', 'two']);
  });

  test('takes no more items than there is room for', async () => {
    const taken: number[] = [];
    let [underWay, most] = [0, 0];
    const results = workAhead(
      counted(taken, 20),
      async (n) => {
        most = Math.max(most, ++underWay);
        await quiet();
        underWay--;
        return n;
      },
      3,
    );
    expect((await results.next()).value).toBe(0);
    await quiet();
    await quiet();
    // One is out, three are under way or done, and the next is at hand.
    expect(taken.length).toBeLessThanOrEqual(5);
    expect(await allOf(results)).toHaveLength(19);
    expect(most).toBe(3);
  });

  test('does not wait for more items with a result that stands', async () => {
    async function* slow(): AsyncGenerator<number> {
      yield 1;
      await new Promise(() => undefined);
    }
    const results = workAhead(slow(), (n) => Promise.resolve(n));
    expect((await results.next()).value).toBe(1);
  });

  test('ends with the failure of the work, also where the source waits for ever', async () => {
    async function* slow(): AsyncGenerator<number> {
      yield 1;
      await new Promise(() => undefined);
    }
    const results = workAhead(slow(), () => Promise.reject(new Error('no')));
    await expect(results.next()).rejects.toThrow('no');
    expect((await results.next()).done).toBe(true);
  });

  test('ends with the failure of the source', async () => {
    async function* broken(): AsyncGenerator<number> {
      yield await Promise.resolve(1);
      throw new Error('broken');
    }
    const results = workAhead(broken(), (n) => Promise.resolve(n));
    await expect(allOf(results)).rejects.toThrow('broken');
  });

  test('ends its source when nobody wants more', async () => {
    let ended = false;
    async function* endless(): AsyncGenerator<number> {
      try {
        for (let n = 0; ; n++) yield await Promise.resolve(n);
      } finally {
        ended = true;
      }
    }
    const results = workAhead(endless(), (n) => Promise.resolve(n));
    await results.next();
    await results.return(undefined);
    await quiet();
    expect(ended).toBe(true);
  });
});
