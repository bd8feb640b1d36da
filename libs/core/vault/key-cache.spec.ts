import { afterEach, describe, expect, test } from '@jest/globals';
import { newDataKey } from './data-key.js';
import { KeyCache } from './key-cache.js';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const anna = { owner: 'sub_a', compartment: 'identity' };
const annasMail = { owner: 'sub_a', compartment: 'cpt_1' };
const ben = { owner: 'sub_b', compartment: 'identity' };

describe('the cache of keys', () => {
  let cache: KeyCache;
  afterEach(() => cache.close());

  test('answers by id and by owner, with bytes that are the caller’s', () => {
    cache = new KeyCache(1_000, 10);
    const key = newDataKey();
    cache.remember(anna, key, cache.ticket());
    const mine = cache.byId(key.id)!;
    expect(mine.bytes).toEqual(key.bytes);
    mine.bytes.fill(0);
    key.bytes.fill(1);
    expect(cache.byOwner(anna)!.bytes).not.toEqual(mine.bytes);
    expect(cache.byOwner(anna)!.bytes).not.toEqual(key.bytes);
    expect(cache.byOwner(annasMail)).toBeUndefined();
  });

  test('forgets when the time is over, counted from when the database was asked', async () => {
    cache = new KeyCache(60, 10);
    const key = newDataKey();
    const ticket = cache.ticket();
    await pause(40);
    cache.remember(anna, key, ticket);
    expect(cache.byId(key.id)).toBeDefined();
    await pause(30);
    expect(cache.byId(key.id)).toBeUndefined();
    expect(cache.byOwner(anna)).toBeUndefined();
    const late = cache.ticket();
    await pause(70);
    cache.remember(anna, key, late);
    expect(cache.byId(key.id)).toBeUndefined();
  });

  test('wipes what it forgets without being asked', async () => {
    cache = new KeyCache(30, 10);
    cache.remember(anna, newDataKey(), cache.ticket());
    expect(cache.length).toBe(1);
    await pause(80);
    expect(cache.length).toBe(0);
  });

  test('forgets an owner, or one compartment, and nothing else', () => {
    cache = new KeyCache(1_000, 10);
    const keys = [newDataKey(), newDataKey(), newDataKey()] as const;
    const fill = () => {
      for (const [i, keyOwner] of [anna, annasMail, ben].entries())
        cache.remember(keyOwner, keys[i]!, cache.ticket());
    };
    const there = () => keys.map(({ id }) => cache.byId(id) !== undefined);
    fill();
    cache.forget('sub_a', 'cpt_1');
    expect(there()).toEqual([true, false, true]);
    fill();
    cache.forget('sub_a');
    expect(there()).toEqual([false, false, true]);
    cache.forgetAll();
    expect(there()).toEqual([false, false, false]);
  });

  test('does not remember what was being loaded when something was forgotten', () => {
    cache = new KeyCache(1_000, 10);
    const [key, other] = [newDataKey(), newDataKey()];
    const ticket = cache.ticket();
    cache.forget('sub_a');
    cache.remember(anna, key, ticket);
    cache.remember(ben, other, ticket);
    expect(cache.byId(key.id)).toBeUndefined();
    expect(cache.byId(other.id)).toBeUndefined();
  });

  test('holds no more keys than it may, the oldest go first', () => {
    cache = new KeyCache(1_000, 3);
    const keys = Array.from({ length: 5 }, newDataKey);
    for (const [i, key] of keys.entries())
      cache.remember({ owner: `sub_${i}`, compartment: 'identity' }, key, cache.ticket());
    expect(cache.length).toBe(3);
    expect(keys.map(({ id }) => cache.byId(id) !== undefined)).toEqual([
      false,
      false,
      true,
      true,
      true,
    ]);
    expect(cache.byOwner({ owner: 'sub_0', compartment: 'identity' })).toBeUndefined();
  });
});
