import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Member, type Part, shareOut } from './sharing.js';

const PROJECTIONS = { standing: 8, receipts: 1, operations: 1, trail: 1, other: 5 };
const NAMES = Object.keys(PROJECTIONS);
const OWNERS = ['a', 'b', 'c', 'd', 'e'];

/** Every partition, with whoever has it: one of them, one who is no more, nobody. */
const parts: fc.Arbitrary<Part[]> = fc
  .tuple(
    ...Object.entries(PROJECTIONS).flatMap(([name, count]) =>
      Array.from({ length: count }, (_, partition) =>
        fc
          .constantFrom(...OWNERS, 'dead', undefined)
          .map((owner): Part => ({ name, partition, owner })),
      ),
    ),
  )
  .map((all) => [...all]);

const members: fc.Arbitrary<Member[]> = fc
  .subarray(OWNERS, { minLength: 1 })
  .map((owners) => owners.flatMap((owner) => NAMES.map((name) => ({ name, owner }))));

const keepersOf = (all: readonly Part[], shares: ReturnType<typeof shareOut>) =>
  all.map(({ name, partition }) =>
    [...shares].filter(([, share]) => share.get(name)?.has(partition)).map(([owner]) => owner),
  );

/** The partitions as they are once everybody has what is theirs. */
const settled = (all: readonly Part[], shares: ReturnType<typeof shareOut>): Part[] =>
  all.map((part, n) => ({ ...part, owner: keepersOf(all, shares)[n]?.[0] }));

describe('shares', () => {
  test('give each partition to one member, and to each as many as to any other, give or take one', () => {
    fc.assert(
      fc.property(parts, members, (all, present) => {
        const shares = shareOut(all, present);
        for (const keepers of keepersOf(all, shares)) expect(keepers).toHaveLength(1);
        const owners = new Set(present.map(({ owner }) => owner));
        for (const [name, count] of Object.entries(PROJECTIONS))
          for (const owner of owners) {
            const size = shares.get(owner)?.get(name)?.size ?? 0;
            expect(Math.abs(size - count / owners.size)).toBeLessThan(1);
          }
        const totals = [...owners].map((owner) =>
          [...(shares.get(owner)?.values() ?? [])].reduce((sum, own) => sum + own.size, 0),
        );
        expect(Math.max(...totals) - Math.min(...totals)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('stay as they are once everybody has theirs', () => {
    fc.assert(
      fc.property(parts, members, (all, present) => {
        const once = settled(all, shareOut(all, present));
        const again = settled(once, shareOut(once, [...present].reverse()));
        expect(again).toEqual(once);
      }),
    );
  });

  test('move no more than they must when somebody comes or goes', () => {
    const all = Object.entries(PROJECTIONS).flatMap(([name, count]) =>
      Array.from({ length: count }, (_, partition): Part => ({
        name,
        partition,
        owner: undefined,
      })),
    );
    const of = (...owners: string[]) =>
      owners.flatMap((owner) => NAMES.map((name) => ({ name, owner })));
    const alone = settled(all, shareOut(all, of('a')));
    const both = settled(alone, shareOut(alone, of('a', 'b')));
    const standing = ({ name }: Part) => name === 'standing';
    const moved = (before: Part[], after: Part[]) =>
      after.filter((part, n) => part.owner !== before[n]?.owner);
    expect(moved(alone, both).filter(standing)).toHaveLength(4);
    const three = settled(both, shareOut(both, of('a', 'b', 'c')));
    expect(moved(both, three).filter(standing)).toHaveLength(2);
    const dead = settled(three, shareOut(three, of('b', 'c')));
    expect(
      moved(three, dead).every((part) => three.some((p) => p.owner === 'a' || p === part)),
    ).toBe(true);
    expect(moved(three, dead).filter(standing)).toHaveLength(3);
  });

  test('leave alone what nobody can drive', () => {
    const part = { name: 'standing', partition: 0, owner: 'old' };
    expect(shareOut([part], [{ name: 'receipts', owner: 'a' }])).toEqual(new Map());
  });
});
