import { describe, expect, test } from '@jest/globals';
import { BEGINNING, END_OF_TIME, type Instant, instantOf } from '#core/kernel/instant.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import { MemoryTimeMarks } from '../memory/time-marks.js';
import type { StoredEvent } from '../port.js';
import { sampleEvent, sampleStream } from '../contract/samples.js';
import { LedgerTime, type TimedLog } from './ledger-time.js';

/** A log whose writers' clocks differ: the n-th event at position 10 n + 7. */
class Log implements TimedLog {
  readonly events: StoredEvent[] = [];
  read = 0;

  append(recordedAt: Instant): Position {
    const stream = sampleStream();
    const position = String(this.events.length * 10 + 17) as Position;
    const bytes = sampleEvent(stream).content.at(recordedAt, 0);
    this.events.push({ stream, revision: 0, position, bytes });
    return position;
  }

  async readAll(after: Position, { limit }: { limit: number }) {
    const later = this.events.filter(({ position }) => comparePositions(position, after) > 0);
    const events = later.slice(0, limit);
    this.read += events.length;
    return { events, scannedTo: events.at(-1)?.position ?? after };
  }

  async *follow(after: Position, { limit }: { limit: number }) {
    for (let from = after; ;) {
      const page = await this.readAll(from, { limit });
      if (page.events.length === 0) return;
      yield page;
      from = page.scannedTo;
    }
  }

  async at(position: Position) {
    return this.events.find((event) => event.position === position);
  }
}

const second = (n: number) => instantOf(Date.parse('2026-03-01T12:00:00.000Z') + n * 1_000);

/** Sets marks over the log as it is. */
async function mark(time: LedgerTime, log: Log): Promise<void> {
  const stop = new AbortController();
  const follow = log.follow.bind(log);
  log.follow = async function* (after, options) {
    yield* follow(after, options);
    stop.abort();
  };
  await time.keepMarks(stop.signal);
  log.follow = follow;
}

describe("the ledger's time", () => {
  test('is the latest along the log', async () => {
    const log = new Log();
    const [a, b, c, d] = [1, 5, 3, 6].map((n) => log.append(second(n))) as [
      Position,
      Position,
      Position,
      Position,
    ];
    const time = new LedgerTime(log, new MemoryTimeMarks());
    expect(await time.positionAt(BEGINNING)).toBe(START);
    expect(await time.positionAt(second(0))).toBe(START);
    expect(await time.positionAt(second(1))).toBe(a);
    // What was stamped 3 came after what was stamped 5: at 4 it was not known.
    expect(await time.positionAt(second(4))).toBe(a);
    expect(await time.positionAt(second(5))).toBe(c);
    expect(b).not.toBe(c);
    expect(await time.positionAt(END_OF_TIME)).toBe(d);
  });

  test('is found from the nearest mark on', async () => {
    const log = new Log();
    for (let n = 0; n < 5_000; n++) log.append(second(n % 7 === 0 ? n : n - 3));
    const marks = new MemoryTimeMarks();
    const time = new LedgerTime(log, marks);
    const plain = new LedgerTime(log, new MemoryTimeMarks());
    await mark(time, log);
    expect(time.latest).toBe(second(4_998));
    for (const n of [0, 999, 1_000, 2_345, 4_997, 4_999]) {
      const wanted = await plain.positionAt(second(n));
      log.read = 0;
      expect(await time.positionAt(second(n))).toBe(wanted);
      expect(log.read).toBeLessThanOrEqual(2_000);
    }
    expect(await time.startBefore('20010' as Position)).toBe('20007');
  });

  test('does not believe marks of another log', async () => {
    const [log, other] = [new Log(), new Log()];
    const marks = new MemoryTimeMarks();
    for (let n = 0; n < 1_500; n++) other.append(second(n));
    await mark(new LedgerTime(other, marks), other);
    expect(await marks.last()).toBeDefined();
    const position = log.append(second(700));
    const time = new LedgerTime(log, marks);
    expect(await time.positionAt(second(1_400))).toBe(position);
    expect(await marks.last()).toBeUndefined();
  });
});
