import { describe, expect, test } from '@jest/globals';
import { InTurn } from './in-turn.js';

const tick = () => new Promise(setImmediate);

describe('in turn', () => {
  test('callers of one key pass one after the other, in the order they came', async () => {
    const turns = new InTurn<string>();
    const log: string[] = [];
    const work = (name: string) => async () => {
      log.push(`${name} in`);
      await tick();
      log.push(`${name} out`);
    };
    await Promise.all(['a', 'b', 'c'].map((name) => turns.run('key', work(name))));
    expect(log).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out']);
  });

  test('callers of other keys do not wait', async () => {
    const turns = new InTurn<string>();
    const never = turns.run('one', () => new Promise<never>(() => undefined));
    expect(await turns.run('two', async () => 'done')).toBe('done');
    void never;
  });

  test('one who fails lets the next pass, and nothing is kept', async () => {
    const turns = new InTurn<string>();
    const failing = turns.run('key', () => Promise.reject(new Error('no')));
    const next = turns.run('key', async () => 'yes');
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('yes');
    expect(turns.size).toBe(0);
  });
});
