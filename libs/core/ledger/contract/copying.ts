import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Instant, instantOf, millisecondsOf } from '#core/kernel/instant.js';
import { type Position, START } from '#core/kernel/position.js';
import { NotNext, type StoredEvents } from '../copying.js';
import { MemoryLedger } from '../memory/memory.ledger.js';
import type { EventStore, StoredEvent } from '../port.js';
import { sampleEvents, sampleStream } from './samples.js';

export interface CopyTargetUnderTest {
  /** Empty. */
  readonly store: EventStore;
  readonly writer: StoredEvents;
  cleanup(): Promise<void>;
}

/** Every MUST of the port that a copy is written through, for any adapter. */
export function describeStoredEvents(name: string, make: () => Promise<CopyTargetUnderTest>): void {
  describe(name, () => {
    let made: CopyTargetUnderTest;
    const source = new MemoryLedger();
    const [one, other] = [sampleStream(), sampleStream('purpose')];
    const [first, second] = [sampleEvents(one, 3), sampleEvents(other, 2)];
    beforeEach(async () => {
      made = await make();
    });
    afterEach(() => made.cleanup());

    const all = async (store: EventStore): Promise<readonly StoredEvent[]> => {
      if ((await source.head()) === undefined) {
        await source.append({ stream: one, expected: { kind: 'none' }, events: first });
        await source.append({ stream: other, expected: { kind: 'none' }, events: second });
        await source.append({
          stream: one,
          expected: { kind: 'any' },
          events: sampleEvents(one, 1),
        });
      }
      return (await store.readAll(START, { limit: 100 })).events;
    };
    const placeless = (events: readonly StoredEvent[]) =>
      events.map(({ stream, revision, bytes }) => ({
        stream,
        revision,
        bytes: Buffer.from(bytes).toString('latin1'),
      }));

    test('streams, revisions, bytes and order are kept', async () => {
      const events = await all(source);
      await made.writer.append(events.slice(0, 2));
      await made.writer.append(events.slice(2));
      expect(placeless(await all(made.store))).toEqual(placeless(events));
      expect(placeless(await made.store.read(one))).toEqual(placeless(await source.read(one)));
    });

    test('the store goes on as if they had been appended there', async () => {
      const events = await all(source);
      await made.writer.append(events);
      const places = (await all(made.store)).map(({ position }) => position);
      const [last] = (await source.readAll(START, { limit: 100 })).events.slice(-1);
      const again = await made.store.append({
        stream: one,
        expected: { kind: 'none' },
        events: first,
      });
      expect(again).toMatchObject({ repeated: true, revision: 2, position: places[2] });
      const next = await made.store.append({
        stream: one,
        expected: { kind: 'exact', revision: 3 },
        events: sampleEvents(one, 1),
      });
      expect(next).toMatchObject({ repeated: false, revision: 4 });
      const at = JSON.parse(Buffer.from((last as StoredEvent).bytes).toString()) as {
        recordedAt: never;
      };
      expect(await made.store.positionAt(at.recordedAt)).toBe(places.at(-1));
      const before = instantOf(millisecondsOf(at.recordedAt) - 60_000);
      expect(await made.store.positionAt(before)).toBe(START);
    });

    test('the time is the latest along the log where writers had clocks of their own', async () => {
      const second = (count: number) => `2026-03-01T12:00:0${count}.000Z` as Instant;
      const stamped = sampleEvents(one, 4).map(({ content }, revision): StoredEvent => {
        const bytes = content.at(second([5, 2, 4, 7][revision] as number), revision);
        return { stream: one, revision, position: String(revision + 1) as Position, bytes };
      });
      await made.writer.append(stamped.slice(0, 2));
      await made.writer.append(stamped.slice(2));
      const stored = await all(made.store);
      expect(placeless(stored)).toEqual(placeless(stamped));
      const places = [START, ...stored.map(({ position }) => position)];
      const at = [4, 5, 6, 7].map((count) => made.store.positionAt(second(count)));
      expect(await Promise.all(at)).toEqual([places[0], places[3], places[3], places[4]]);
    });

    test('what does not follow is refused, and nothing after it is written', async () => {
      const events = await all(source);
      const holed = events.filter(({ stream, revision }) => stream !== one || revision !== 1);
      await expect(made.writer.append(holed)).rejects.toBeInstanceOf(NotNext);
      const written = placeless(await all(made.store));
      expect(written).toEqual(placeless(holed).slice(0, written.length));
      expect(written.length).toBeLessThanOrEqual(1);
      await made.writer.append(events.slice(written.length));
      expect(placeless(await all(made.store))).toEqual(placeless(events));
      // Once more is either refused or changes nothing.
      await made.writer.append(events.slice(-1)).catch((error: unknown) => {
        expect(error).toBeInstanceOf(NotNext);
      });
      expect(placeless(await all(made.store))).toEqual(placeless(events));
    });
  });
}
