import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { sql, type Transaction } from 'kysely';
import { streamOf } from '#core/kernel/ids.js';
import { recorded } from '#core/kernel/spec.js';
import { checkpointOf } from '#core/projector/checkpoint.js';
import type { Projection } from '#core/projector/projection.js';
import { project, rowsOf } from '#core/projector/spec.js';
import { connect } from '../support/connect.js';
import { foldTally, tally, type TallyRow } from './support/tally.js';
import { freshDatabase } from '../support/database.js';
import { type World, world } from './support/world.js';

jest.setTimeout(30_000);

describe('the helper for specs of projections', () => {
  let w: World;
  beforeAll(async () => void (w = await world()));
  afterAll(() => w.close());

  const events = Array.from({ length: 30 }, (_, n) =>
    recorded({ type: 'Happened', data: {} }, n, {
      stream: streamOf(n % 7 === 6 ? 'access' : 'subject', `sub_${n % 3}`),
    }),
  );

  test.each([1, 4, 30])(
    'gives the rows of events in batches of %d, and leaves nothing',
    async (batches) => {
      const rows = await project(w.db, tally(), events, rowsOf<TallyRow>('tally'), { batches });
      const folded = foldTally(events);
      expect(rows).toHaveLength(folded.length);
      expect(rows).toEqual(
        expect.arrayContaining(folded.map((row) => expect.objectContaining({ ...row }) as unknown)),
      );
      const { rows: schemas } =
        await sql`select from pg_namespace where nspname like 'spec%'`.execute(w.db);
      expect(schemas).toEqual([]);
    },
  );

  test('lets a query be asked that reads rows and checkpoint', async () => {
    const read = async (tx: Transaction<unknown>) =>
      (
        await sql`
        with checkpoint as ${checkpointOf('tally', 1)}
        select position, usable, count(*)::integer as people
          from checkpoint left join read_models.tally on true group by 1, 2`.execute(tx)
      ).rows;
    expect(await project(w.db, tally(), events, read)).toEqual([
      { position: '30', usable: true, people: 3 },
    ]);
  });

  test('needs no migrations where it is the owner that asks', async () => {
    const database = await freshDatabase();
    const db = connect(database.url, { asOwner: true });
    expect(await project(db, tally(), events, rowsOf('tally'))).toHaveLength(3);
    await db.destroy();
    await database.drop();
  });

  test('shows whole streams up to the position asked for', async () => {
    const seen: string[] = [];
    const projection: Projection = {
      ...tally(),
      async apply(batch, { readStreams }) {
        const last = batch.at(-1);
        if (last === undefined) return;
        const streams = await readStreams([last.stream], last.position);
        for (const event of streams.get(last.stream) ?? [])
          seen.push(`${last.position}: ${event.position}`);
      },
    };
    await project(w.db, projection, events.slice(0, 5), () => Promise.resolve(), { batches: 1 });
    expect(seen).toEqual(['1: 1', '2: 2', '3: 3', '4: 1', '4: 4', '5: 2', '5: 5']);
  });

  test('passes on what the projection throws', async () => {
    const poison = recorded({ type: 'Poison', data: {} }, 30);
    const failing = project(w.db, tally(), [poison], rowsOf('tally'));
    await expect(failing).rejects.toThrow('this one can not be applied');
  });
});
