import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { newId } from '#core/kernel/ids.js';
import { BEGINNING, END_OF_TIME, instantOf } from '#core/kernel/instant.js';
import { type Position, START } from '#core/kernel/position.js';
import { MemoryTimeMarks } from '#core/ledger/memory/time-marks.js';
import { PostgresTimeMarks } from '#core/ledger/postgres/time-marks.js';
import type { TimeMark, TimeMarks } from '#core/ledger/time-marks.js';
import { ledgerDatabase } from './ledger-database.js';

interface Made {
  readonly marks: TimeMarks;
  cleanup(): Promise<void>;
}

const mark = (position: string, second: number): TimeMark => ({
  position: position as Position,
  eventId: newId('evt'),
  time: instantOf(Date.parse('2026-03-01T12:00:00.007Z') + second * 1_000),
});

/** The port's sentences, for both who keep marks. */
function describeTimeMarks(name: string, make: () => Promise<Made>): void {
  describe(name, () => {
    let made: Made;
    let marks: TimeMarks;
    beforeAll(async () => {
      made = await make();
      marks = made.marks;
    });
    afterAll(() => made.cleanup());

    test('gives the nearest one at or before a time or a position', async () => {
      const [first, second, third] = [mark('70', 1), mark('900', 5), mark('12000', 5)];
      expect(await marks.last()).toBeUndefined();
      expect(await marks.atTime(END_OF_TIME)).toBeUndefined();
      for (const one of [first, second, third]) await marks.add(one);
      await marks.add({ ...second, eventId: newId('evt') });
      expect(await marks.last()).toEqual(third);
      expect(await marks.atTime(BEGINNING)).toBeUndefined();
      expect(await marks.atTime(first.time)).toEqual(first);
      expect(await marks.atTime(mark('1', 4).time)).toEqual(first);
      expect(await marks.atTime(second.time)).toEqual(third);
      expect(await marks.atTime(END_OF_TIME)).toEqual(third);
      expect(await marks.atPosition(START)).toBeUndefined();
      expect(await marks.atPosition('69' as Position)).toBeUndefined();
      expect(await marks.atPosition('11999' as Position)).toEqual(second);
      expect(await marks.atPosition('12000' as Position)).toEqual(third);
      await marks.clear();
      expect(await marks.last()).toBeUndefined();
    });
  });
}

describeTimeMarks('time marks in memory', async () => ({
  marks: new MemoryTimeMarks(),
  cleanup: async () => undefined,
}));

describeTimeMarks('time marks in PostgreSQL', async () => {
  const database = await ledgerDatabase();
  const pool = new pg.Pool({
    connectionString: database.url,
    options: '-c role=ledger_runtime',
    max: 1,
  });
  // What a running ledger may do, and no more.
  return {
    marks: new PostgresTimeMarks(pool),
    cleanup: async () => {
      await pool.end();
      await database.drop();
    },
  };
});
