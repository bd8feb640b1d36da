import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Position, START } from '#core/kernel/position.js';
import { type History, type Violation, violationsIn } from '#core/ledger/contract/history.js';
import { HistoryRecorder } from '#core/ledger/contract/history-recorder.js';
import { type EventStore, LedgerUnavailable, OutcomeUnknown } from '#core/ledger/port.js';
import { sampleEvents, sampleStream } from '#core/ledger/contract/samples.js';
import { type LedgerDatabase, ledgerDatabase } from '../../contract/ledger-database.js';
import type { Context, Counts, Scenario } from '../scenario.js';

const WRITERS = 32;
/** Milliseconds of a round. */
const ROUND = 1_000;

export const order: Scenario = {
  name: 'order',
  about:
    '32 writers in two processes pause before they commit, roll back and lose their sessions while readers read on',
  promises: [1, 2, 3, 4, 6],
  rounds: { long: 300, short: 3 },
  run,
  canaries: [
    {
      mutant: 'positions are a sequence, and readers ask for what is above the last one',
      rounds: 3,
      run: naive,
      caught: ({ skipped, acknowledged }) => skipped > acknowledged / 100,
    },
  ],
};

async function run({ rounds, random, progress }: Context): Promise<Counts> {
  const database = await ledgerDatabase();
  const stores = [database.open(), database.open()];
  const reading = [database.open(), database.open()];
  const recorder = new HistoryRecorder();
  let going = true;
  try {
    await pauseBeforeCommit(database);
    const writers = Array.from({ length: WRITERS }, async (_, index) => {
      const store = stores[index % 2] as EventStore;
      while (going) await write(recorder, store);
    });
    const readers = reading.map((store) => readOn(recorder, store, () => going));
    const upsetting = [
      (async () => {
        while (going) {
          await sleep(100 + random() * 900);
          await database.terminate('writer');
        }
      })(),
      rollBack(database, () => going),
    ];
    for (let done = 1; done <= rounds; done++) {
      await sleep(ROUND);
      progress(done, {});
    }
    going = false;
    await Promise.all([...writers, ...readers, ...upsetting]);
    const violations = await recorder.violations(reading[0] as EventStore, true);
    return counted(rounds, recorder.acknowledged, violations);
  } finally {
    going = false;
    await Promise.all([...stores, ...reading].map((store) => store.close()));
    await database.drop();
  }
}

function counted(rounds: number, acknowledged: number, violations: readonly Violation[]): Counts {
  const count = (...kinds: readonly Violation['kind'][]) =>
    violations.filter(({ kind }) => kinds.includes(kind)).length;
  const others = violations.filter(
    ({ kind }) => !['lost', 'moved', 'skipped', 'doubled'].includes(kind),
  );
  return {
    rounds,
    acknowledged,
    lost: count('lost', 'moved'),
    skipped: count('skipped'),
    doubled: count('doubled'),
    findings: others.slice(0, 5).map(({ kind, evidence }) => `${kind}: ${evidence}`),
  };
}

/** Appends to a stream of its own or to one that others append to, and repeats what it knows no outcome of. */
async function write(recorder: HistoryRecorder, store: EventStore): Promise<void> {
  const stream = Math.random() < 0.2 ? SHARED : sampleStream();
  const expected = stream === SHARED ? ({ kind: 'any' } as const) : ({ kind: 'none' } as const);
  const events = sampleEvents(stream, 1 + Math.floor(Math.random() * 3));
  for (;;) {
    try {
      await recorder.append(store, { stream, expected, events });
      return;
    } catch (error) {
      if (error instanceof LedgerUnavailable) return;
      if (!(error instanceof OutcomeUnknown)) throw error;
    }
  }
}

const SHARED = sampleStream();

/** Reads page after page while others write, and on until nothing comes any more. */
async function readOn(
  recorder: HistoryRecorder,
  store: EventStore,
  going: () => boolean,
): Promise<void> {
  let after = START;
  for (;;) {
    const writing = going();
    const { events, scannedTo } = await recorder.page(store, after, 200);
    after = scannedTo;
    if (events.length === 0 && !writing) return;
    if (events.length === 0) await sleep(2);
  }
}

/** Every tenth transaction takes some milliseconds between its last statement and its commit. */
async function pauseBeforeCommit({ owner }: LedgerDatabase): Promise<void> {
  await owner.query(`
    create function public.pause() returns trigger language plpgsql as
      $$ begin if random() < 0.1 then perform pg_sleep(random() * 0.01); end if; return null; end $$;
    create constraint trigger pause after insert on ledger.events
      deferrable initially deferred for each row execute function public.pause()`);
}

/** Appends as another writer would, keeps everybody waiting, and takes it back. */
async function rollBack(database: LedgerDatabase, going: () => boolean): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  while (going()) {
    const stream = sampleStream();
    const [event] = sampleEvents(stream, 1);
    const { digest, head, tail } = event.content;
    const contents = Buffer.concat([digest, head, tail]);
    await client.query('begin');
    await client.query(
      'select verdicts from ledger.append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)',
      [
        ...[randomUUID(), [], [stream], [1], [-1], [1], [event.id.slice(4)], [event.type]],
        ...[[1, 1 + contents.length], [head.length], contents],
      ],
    );
    await sleep(Math.random() * 10);
    await client.query('rollback');
    await sleep(100);
  }
  await client.end();
}

/** The same readers over a table as one would first think of it. */
async function naive({ rounds }: Context): Promise<Counts> {
  const database = await ledgerDatabase();
  await database.owner.query('create table public.naive (position bigserial primary key, id uuid)');
  const pool = new pg.Pool({ connectionString: database.url, max: 14 });
  pool.on('error', () => undefined);
  const appends: History['appends'][number][] = [];
  const pages: History['pages'][number][] = [];
  const stream = SHARED;
  const page = async (after: Position, limit: number) => {
    const { rows } = await pool.query<{ position: Position; id: string }>(
      'select position, id from public.naive where position > $1 order by position limit $2',
      [after, limit],
    );
    return rows.map((row) => ({ ...row, stream, revision: Number(row.position) }));
  };
  const until = performance.now() + rounds * ROUND;
  const writers = Array.from({ length: 12 }, async () => {
    while (performance.now() < until) {
      const id = randomUUID();
      const began = performance.now();
      const client = await pool.connect();
      await client.query('begin');
      const insert = 'insert into public.naive (id) values ($1) returning position';
      const { rows } = await client.query<{ position: Position }>(insert, [id]);
      const position = rows[0]?.position as Position;
      await sleep(Math.random() * 3);
      await client.query('commit');
      client.release();
      const places = [{ position, revision: Number(position) }];
      const told = { kind: 'appended', places } as const;
      const ended = performance.now();
      appends.push({ stream, expected: { kind: 'any' }, ids: [id], told, began, ended });
    }
  });
  const reading = (async () => {
    for (let after = START; performance.now() < until + 200;) {
      const events = await page(after, 100);
      const scannedTo = events.at(-1)?.position ?? after;
      pages.push({ after, events, scannedTo, toEnd: false, began: 0, ended: Infinity });
      after = scannedTo;
    }
  })();
  await Promise.all([...writers, reading]);
  const log = await page(START, 1_000_000);
  await pool.end();
  await database.drop();
  const violations = violationsIn({ appends, pages, readings: [], log, gapless: false });
  return counted(rounds, appends.length, violations);
}
