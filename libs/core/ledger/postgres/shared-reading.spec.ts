import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { categoryOf } from '#core/kernel/ids.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import type { PageAndEnd } from '../follow-log.js';
import type { ReadAllOptions, StoredEvent } from '../port.js';
import { SharedReading } from './shared-reading.js';

interface Reader {
  page(after: Position, options: ReadAllOptions): Promise<PageAndEnd>;
}

const at = (position: number) => String(position) as Position;
const all = { limit: 10 };

/** A log whose readings begin when they are asked for, and end when they are told to. */
class SlowLog {
  readonly events: StoredEvent[] = [];
  readings = 0;
  private held: (() => void)[] | undefined;

  record(...categories: string[]): void {
    for (const category of categories) {
      const position = at(this.events.length + 1);
      const stream = `${category}-a` as StoredEvent['stream'];
      this.events.push({ stream, revision: 0, position, bytes: Buffer.from(position) });
    }
  }

  /** Another log in the place of this one. */
  truncate(length: number): void {
    this.events.length = length;
  }

  hold(): void {
    this.held = [];
  }

  letGo(): void {
    for (const answer of this.held ?? []) answer();
    this.held = undefined;
  }

  async read(after: Position, { limit, categories }: ReadAllOptions): Promise<PageAndEnd> {
    this.readings++;
    const end = at(this.events.length);
    const events = this.events
      .slice(Number(after))
      .filter(({ stream }) => categories?.includes(categoryOf(stream)) ?? true)
      .slice(0, limit);
    const last = events.length === limit ? events.at(-1)?.position : undefined;
    const scannedTo = last ?? (comparePositions(after, end) > 0 ? after : end);
    if (this.held) await new Promise<void>((resolve) => this.held?.push(resolve));
    return { events, scannedTo, end };
  }
}

const readingOf = (log: SlowLog) => new SharedReading((after, options) => log.read(after, options));

/** The twin that takes whatever reading is under way for its own. */
function hasty(log: SlowLog): Reader {
  let underway: Promise<PageAndEnd> | undefined;
  return {
    page: (after, options) =>
      (underway ??= log.read(after, options).finally(() => (underway = undefined))),
  };
}

/** Whether somebody who was woken by an event finds it, though a reading from before it is under way. */
async function findsWhatWokeThem(make: (log: SlowLog) => Reader): Promise<boolean> {
  const log = new SlowLog();
  const reader = make(log);
  log.record('subject');
  await reader.page(START, all);
  log.hold();
  const early = reader.page(at(1), all);
  await new Promise(setImmediate);
  log.record('subject');
  const late = reader.page(at(1), all);
  await new Promise(setImmediate);
  log.letGo();
  await early;
  return (await late).events.length === 1;
}

describe('one reading for all who follow', () => {
  test('what was recorded is read once, of all categories', async () => {
    const log = new SlowLog();
    const reader = readingOf(log);
    log.record('subject', 'purpose');
    await reader.page(START, all);
    log.record('subject', 'purpose', 'subject');
    log.readings = 0;
    const pages = await Promise.all(
      [undefined, ['subject'], ['purpose'], ['topic']].map((categories) =>
        reader.page(at(2), { limit: 10, categories }),
      ),
    );
    expect(pages.map(({ events }) => events.map(({ position }) => position))).toEqual([
      ['3', '4', '5'],
      ['3', '5'],
      ['4'],
      [],
    ]);
    expect(pages.map(({ scannedTo, end }) => [scannedTo, end])).toEqual(Array(4).fill(['5', '5']));
    expect(log.readings).toBe(1);
  });

  test('who was woken finds what woke them; a reading from before it does not count', async () => {
    expect(await findsWhatWokeThem(readingOf)).toBe(true);
    expect(await findsWhatWokeThem(hasty)).toBe(false);
  });

  test('who is behind reads for themselves, and holds up nobody', async () => {
    const log = new SlowLog();
    const reader = readingOf(log);
    log.record('subject');
    await reader.page(START, all);
    for (let n = 0; n < 10; n++) log.record(...Array<string>(1_000).fill('subject'));
    for (let after = at(1); after !== at(10_001);)
      after = (await reader.page(after, { limit: 1_000 })).scannedTo;
    log.readings = 0;
    expect(await reader.page(at(5), { limit: 2 })).toEqual({
      events: log.events.slice(5, 7),
      scannedTo: at(7),
      end: at(10_001),
    });
    expect(log.readings).toBe(1);
  });

  test('a log that ends before what was read says so, and what was read of it is forgotten', async () => {
    const log = new SlowLog();
    const reader = readingOf(log);
    log.record('subject', 'subject');
    await reader.page(START, all);
    log.record('subject');
    await reader.page(at(2), all);
    log.truncate(1);
    expect((await reader.page(at(3), all)).end).toBe(at(1));
    expect((await reader.page(at(2), all)).end).toBe(at(1));
  });

  test('a failure reaches everybody who waited for that reading, and the next one is made', async () => {
    const log = new SlowLog();
    log.record('subject');
    let fails = false;
    const reader = new SharedReading(async (after, options) => {
      if (fails) throw new Error('away');
      return log.read(after, options);
    });
    await reader.page(START, all);
    fails = true;
    const both = await Promise.allSettled([reader.page(at(1), all), reader.page(at(1), all)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    fails = false;
    log.record('subject');
    expect((await reader.page(at(1), all)).events).toHaveLength(1);
  });

  test('everybody is given every event of theirs once, in order, however they come', async () => {
    const category = fc.constantFrom<string>('subject', 'purpose', 'access');
    const followers = fc.array(
      fc.record({
        limit: fc.integer({ min: 1, max: 4 }),
        categories: fc.option(fc.uniqueArray(category, { minLength: 1 }), { nil: undefined }),
      }),
      { minLength: 1, maxLength: 4 },
    );
    const moves = fc.array(fc.oneof(fc.array(category, { maxLength: 5 }), fc.nat({ max: 3 })));
    await fc.assert(
      fc.asyncProperty(followers, moves, async (following, steps) => {
        const log = new SlowLog();
        const reader = readingOf(log);
        const found = following.map((): StoredEvent[] => []);
        const cursors = following.map(() => START);
        const take = async (n: number) => {
          const { events, scannedTo } = await reader.page(cursors[n]!, following[n]!);
          found[n]!.push(...events);
          cursors[n] = scannedTo;
        };
        for (const step of steps)
          if (typeof step === 'number') await take(step % following.length);
          else log.record(...step);
        for (const n of following.keys())
          for (let before; before !== cursors[n];) {
            before = cursors[n];
            await take(n);
          }
        following.forEach(({ categories }, n) =>
          expect(found[n]).toEqual(
            log.events.filter(({ stream }) => categories?.includes(categoryOf(stream)) ?? true),
          ),
        );
      }),
    );
  });
});
