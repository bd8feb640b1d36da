import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Position, START } from '#core/kernel/position.js';
import {
  type EventWithColumns,
  flawOfColumns,
  ReadWithColumns,
} from '#core/ledger/postgres/columns.js';
import { grown } from '#core/proof/growth.js';
import { leafHash } from '#core/proof/merkle.js';
import { sha256 } from '#core/proof/node-crypto.js';
import { type Fault, verify, type Verified } from '#core/proof/verify.js';
import { type LedgerToVerify, verifyLedger } from '#core/proof/verify-ledger.js';
import { witnessFile } from '#core/proof/witnesses.js';
import { VerifyWorkers } from '#core/runtime/verify-workers.js';
import { ORIGIN, ProofWorld } from './world.js';

/** How many tamperings: a sample, or `npm run test:tamper` for all ten thousand. */
const TAMPERINGS = Number(process.env.TAMPERINGS ?? 200);
jest.setTimeout(120_000 + TAMPERINGS * 1_000);

const EVENTS = 700;
/** Checkpoints are that far apart. */
const APART = 70;

/** Small pages, so that most of them hold whatever is tampered with. */
const PAGE = 256;

let world: ProofWorld;
let path: string;
let workers: VerifyWorkers;
const startWorkers = (entry: string) => new VerifyWorkers(new URL(entry, import.meta.url), 2);

beforeAll(async () => {
  world = await ProofWorld.open();
  workers = startWorkers('verify-worker.mjs');
  path = join(world.directory, 'witness.jsonl');
  const witness = witnessFile(path, ({ error }) => {
    throw error;
  });
  const sealer = world.sealer({ witnesses: [witness] });
  for (let size = 0; size < EVENTS; size += APART) {
    await world.append(APART);
    await sealer.round();
    while (witness.behindSeconds() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await world.owner.query('set session_replication_role = replica');
  for (const table of TABLES) {
    const [schema, name] = table.split('.');
    await world.owner.query(`alter table ${table} disable trigger all`);
    await world.owner.query(`create table public.${schema}_${name} as table ${table}`);
  }
});
afterAll(async () => {
  await workers.close();
  await world.close();
});

const TABLES = ['ledger.events', 'proof.checkpoints', 'proof.tiles', 'proof.leaves'] as const;
type Table = (typeof TABLES)[number];

/** Everything as it was. */
async function undo(tables: readonly Table[]): Promise<void> {
  for (const table of tables) {
    await world.owner.query(`delete from ${table}`);
    await world.owner.query(`insert into ${table} table public.${table.replace('.', '_')}`);
  }
}

type Ledger = LedgerToVerify<EventWithColumns>;

const ledger = (parts: Partial<Ledger> = {}): Ledger => ({
  store: world.store,
  log: new ReadWithColumns(world.pool),
  tables: world.tables,
  signed: world.signed,
  trusted: { origin: ORIGIN, keys: world.keys.verifierKeys(ORIGIN) },
  witnessFile: path,
  // The proof alone has to find everything.
  flawOf: () => undefined,
  ...parts,
});
const besideColumns = { flawBeside: flawOfColumns };

const pagesOf = (some: VerifyWorkers, head: Position) =>
  some.pages({ databaseUrl: world.database.url, positionsFrom: START, head }, PAGE);

/** As `ledgerctl verify` does it, and event by event: what is found must be the same. */
async function verifyBoth(needs?: Partial<Ledger>): Promise<Verified> {
  const byWorkers = { lookedAt: (head: Position) => pagesOf(workers, head) };
  const found = await verifyLedger(ledger({ ...needs, ...byWorkers }));
  expect(found).toEqual(await verifyLedger(ledger(needs)));
  return found;
}

const query = (text: string, values: readonly unknown[] = []) =>
  world.owner.query(text, [...values]);

// A generator of its own, so that a run can be repeated: Park and Miller, 1988.
let state = Number(process.env.TAMPERING_SEED ?? (Date.now() % 2_147_483_646) + 1);
const seed = state;
function below(limit: number): number {
  state = (state * 48_271) % 2_147_483_647;
  return state % limit;
}
const anywhere = () => below(EVENTS) + 1;

/** Bytes of an event as somebody would like to have it, never what it was. */
const REWRITE = `set_byte(bytes, 40, (get_byte(bytes, 40) + 1) % 256)`;

/** The tiles over the events as they are now, as somebody makes them who knows how. */
async function recomputeTiles(): Promise<void> {
  const { rows } = await world.owner.query<{ bytes: Buffer }>(
    'select bytes from ledger.events order by position',
  );
  const leaves = rows.map(({ bytes }) => leafHash(sha256, bytes));
  await query('delete from proof.tiles');
  for (const { level, index, hashes } of grown(sha256, 0, new Map(), leaves))
    await query('insert into proof.tiles values ($1, $2, $3)', [level, index, Buffer.from(hashes)]);
}

interface Tampering {
  readonly what: string;
  readonly touches: readonly Table[];
  /** What has to be looked at beside the proof, where that says nothing of it. */
  readonly needs?: Partial<Ledger>;
  /** Does it, and says what has to be found. */
  run(): Promise<(fault: Fault) => boolean>;
}

const at =
  (position: number, ...codes: Fault['code'][]) =>
  (fault: Fault) =>
    codes.includes(fault.code) && fault.position === String(position);
const within = (position: number) => (fault: Fault) =>
  fault.code === 'range-changed' &&
  Number(fault.position) <= position &&
  position <= Number(fault.upTo) &&
  Number(fault.upTo) - Number(fault.position) < APART;

/** What the table says of an event beside its bytes, as somebody would like to have it. */
const COLUMNS = {
  stream: "stream || 'x'",
  revision: 'revision + 1',
  id: 'gen_random_uuid()',
  type: "'ConsentGiven'",
  recorded_at: "recorded_at - interval '1 day'",
  digest: 'set_bit(digest, 7, 1 - get_bit(digest, 7))',
} as const;

const columns = Object.entries(COLUMNS).map(([column, other]): Tampering => ({
  what: `column ${column} of an event is changed`,
  needs: besideColumns,
  touches: ['ledger.events'],
  run: async () => {
    const position = anywhere();
    await query(`update ledger.events set ${column} = ${other} where position = $1`, [position]);
    return (fault) =>
      at(position, 'column-changed')(fault) && fault.reason.startsWith(`column ${column} says `);
  },
}));

const KINDS: readonly Tampering[] = [
  ...columns,
  {
    what: 'a bit of the stored bytes is flipped',
    touches: ['ledger.events'],
    run: async () => {
      const position = anywhere();
      await query(
        `update ledger.events set bytes = set_bit(bytes, bit, 1 - get_bit(bytes, bit))
           from (select $2::bigint % (8 * length(bytes)) as bit from ledger.events
                  where position = $1) b where position = $1`,
        [position, below(1_000_000)],
      );
      return at(position, 'event-changed');
    },
  },
  {
    what: 'an event is deleted',
    touches: ['ledger.events'],
    run: async () => {
      const position = anywhere();
      await query('delete from ledger.events where position = $1', [position]);
      return at(position, 'event-missing');
    },
  },
  {
    what: 'an event is deleted and the gap closed',
    touches: ['ledger.events'],
    run: async () => {
      const position = anywhere();
      await query('delete from ledger.events where position = $1', [position]);
      await query('update ledger.events set position = -position where position > $1', [position]);
      await query('update ledger.events set position = -position - 1 where position < 0');
      return at(position, position === EVENTS ? 'event-missing' : 'event-changed');
    },
  },
  {
    what: 'an event is put in between',
    touches: ['ledger.events'],
    run: async () => {
      const position = anywhere();
      await query('update ledger.events set position = -position where position >= $1', [position]);
      await query('update ledger.events set position = -position + 1 where position < 0');
      await query(
        `insert into ledger.events
         select $1::bigint, stream || 'x', revision, id, type, recorded_at, digest, ${REWRITE}
           from ledger.events where position = $1::bigint + 1`,
        [position],
      );
      return at(position, 'event-changed');
    },
  },
  {
    what: 'two events change places',
    touches: ['ledger.events'],
    run: async () => {
      const [a, b] = [anywhere(), anywhere()];
      const [one, other] = a === b ? [a, (a % EVENTS) + 1] : [a, b];
      await query('update ledger.events set position = -1 where position = $1', [one]);
      await query('update ledger.events set position = $1 where position = $2', [one, other]);
      await query('update ledger.events set position = $1 where position = -1', [other]);
      return at(Math.min(one, other), 'event-changed');
    },
  },
  {
    what: 'the order of several events is turned round',
    touches: ['ledger.events'],
    run: async () => {
      const first = below(EVENTS - 20) + 1;
      const last = first + 1 + below(18);
      await query(
        'update ledger.events set position = position - $1::bigint - $2::bigint where position between $1 and $2',
        [first, last],
      );
      await query('update ledger.events set position = -position where position <= 0');
      return at(first, 'event-changed');
    },
  },
  {
    what: 'the end of the log is cut off',
    touches: ['ledger.events'],
    run: async () => {
      const position = anywhere();
      await query('delete from ledger.events where position >= $1', [position]);
      return at(position, 'event-missing');
    },
  },
  {
    what: 'the end is cut off, and the tables with it',
    touches: TABLES,
    run: async () => {
      const position = anywhere();
      await query('delete from ledger.events where position >= $1', [position]);
      await query('delete from proof.checkpoints where size >= $1', [position]);
      await query('delete from proof.leaves where bundle * 256 >= $1::bigint - 1', [position]);
      await query(
        'update proof.leaves set positions = substr(positions, 1, $2::int) where bundle = $1',
        [Math.floor((position - 1) / 256), ((position - 1) % 256) * 8],
      );
      await recomputeTiles();
      // Nothing is left that could tell what comes after the last event that is there.
      return at(position - 1, 'event-missing');
    },
  },
  {
    what: 'everything from somewhere on is rewritten',
    touches: ['ledger.events'],
    run: async () => {
      const position = anywhere();
      await query(`update ledger.events set bytes = ${REWRITE} where position >= $1`, [position]);
      return at(position, 'event-changed');
    },
  },
  {
    what: 'everything from somewhere on is rewritten, and the tiles with it',
    touches: ['ledger.events', 'proof.tiles'],
    run: async () => {
      const position = anywhere();
      await query(`update ledger.events set bytes = ${REWRITE} where position >= $1`, [position]);
      await recomputeTiles();
      return within(position);
    },
  },
  {
    what: 'an event is rewritten, the tiles with it, and later checkpoints are removed',
    touches: ['ledger.events', 'proof.tiles', 'proof.checkpoints'],
    run: async () => {
      const position = anywhere();
      await query(`update ledger.events set bytes = ${REWRITE} where position = $1`, [position]);
      await query('delete from proof.checkpoints where size >= $1', [position]);
      await recomputeTiles();
      return within(position);
    },
  },
  {
    what: 'a character of a checkpoint is changed',
    touches: ['proof.checkpoints'],
    run: async () => {
      const size = (below(EVENTS / APART) + 1) * APART;
      await query(
        `update proof.checkpoints
            set note = overlay(note placing chr(ascii(substr(note, c, 1)) # 1) from c)
           from (select 1 + $2::int % length(note) as c from proof.checkpoints where size = $1) b
          where size = $1`,
        [size, below(1_000_000)],
      );
      return at(size, 'checkpoint-invalid');
    },
  },
  {
    what: 'a checkpoint is removed',
    touches: ['proof.checkpoints'],
    run: async () => {
      const size = (below(EVENTS / APART) + 1) * APART;
      await query('delete from proof.checkpoints where size = $1', [size]);
      return at(size, 'checkpoint-missing');
    },
  },
  {
    what: 'a checkpoint is kept as another size',
    touches: ['proof.checkpoints'],
    run: async () => {
      const size = (below(EVENTS / APART) + 1) * APART;
      const other = size - 1 - below(APART - 1);
      await query('update proof.checkpoints set size = $2 where size = $1', [size, other]);
      return at(other, 'checkpoint-invalid');
    },
  },
  {
    what: 'a bit of a leaf in a tile is flipped',
    touches: ['proof.tiles'],
    run: async () => {
      const index = below(EVENTS);
      await query(
        `update proof.tiles set hashes = set_bit(hashes, $2, 1 - get_bit(hashes, $2))
          where level = 0 and index = $1`,
        [Math.floor(index / 256), (index % 256) * 256 + below(256)],
      );
      return at(index + 1, 'tile-changed');
    },
  },
  {
    what: 'a bit of an inner hash is flipped',
    touches: ['proof.tiles'],
    run: async () => {
      const hash = below(Math.floor(EVENTS / 256));
      await query(
        `update proof.tiles set hashes = set_bit(hashes, $1, 1 - get_bit(hashes, $1))
          where level = 1 and index = 0`,
        [hash * 256 + below(256)],
      );
      return ({ code, reason }) =>
        code === 'tile-changed' && reason.startsWith(`tile 1/0 has another hash ${hash} `);
    },
  },
  {
    what: 'a tile is removed or cut',
    touches: ['proof.tiles'],
    run: async () => {
      const index = below(3);
      if (below(2) === 0)
        await query('delete from proof.tiles where level = 0 and index = $1', [index]);
      else
        await query(
          'update proof.tiles set hashes = substr(hashes, 1, 100) where level = 0 and index = $1',
          [index],
        );
      return (fault) =>
        at(index * 256 + 1, 'tile-changed')(fault) || at(index * 256 + 4, 'tile-changed')(fault);
    },
  },
  {
    what: 'a leaf is said to have come from elsewhere',
    touches: ['proof.leaves'],
    run: async () => {
      const index = below(EVENTS);
      const byte = (index % 256) * 8 + 7;
      await query(
        `update proof.leaves set positions = set_byte(positions, $2, get_byte(positions, $2) # 1)
          where bundle = $1`,
        [Math.floor(index / 256), byte],
      );
      return at(index + 1, 'leaf-origin-changed');
    },
  },
  {
    what: 'it is forgotten where leaves came from',
    touches: ['proof.leaves'],
    run: async () => {
      const bundle = below(3);
      await query('delete from proof.leaves where bundle = $1', [bundle]);
      return at(bundle * 256 + 1, 'leaf-origin-changed');
    },
  },
];

test('nothing is found where nothing was changed', async () => {
  const whole = {
    events: EVENTS,
    sealed: EVENTS,
    checkpoints: EVENTS / APART,
    streams: EVENTS,
  };
  expect(await verifyBoth(besideColumns)).toEqual(whole);
  expect(await verifyBoth({ witnessFile: undefined })).toEqual(whole);
});

test('workers vouch for every page where nothing was changed', async () => {
  const pages: number[] = [];
  for await (const { events, vouched } of pagesOf(workers, String(EVENTS) as Position))
    pages.push(vouched === undefined ? 0 : events);
  expect(pages).toEqual([PAGE, PAGE, EVENTS - 2 * PAGE]);
});

test(`${TAMPERINGS} tamperings by a superuser: found, in the right place, no false alarm (seed ${seed})`, async () => {
  const done = new Map<string, number>();
  let [found, located, falseAlarms] = [0, 0, 0];
  for (let n = 0; n < TAMPERINGS; n++) {
    // Each kind in turn first, so that a sample has all of them.
    const kind = KINDS[n < KINDS.length ? n : below(KINDS.length)] as Tampering;
    const isRight = await kind.run();
    const { fault } = await verifyBoth(kind.needs);
    await undo(kind.touches);
    done.set(kind.what, (done.get(kind.what) ?? 0) + 1);
    if (fault !== undefined) found++;
    if (fault !== undefined && isRight(fault)) located++;
    else throw new Error(`${kind.what}: ${JSON.stringify(fault)} (seed ${seed}, number ${n})`);
    if (n % 10 === 0 && (await verifyBoth(besideColumns)).fault) falseAlarms++;
  }
  const tally = [...done].map(([what, times]) => `${String(times).padStart(5)} ${what}`);
  process.stderr.write(
    `${tally.join('\n')}\nfound ${found} of ${TAMPERINGS}, located ${located}, false alarms ${falseAlarms}\n`,
  );
  expect({ found, located, falseAlarms }).toEqual({
    found: TAMPERINGS,
    located: TAMPERINGS,
    falseAlarms: 0,
  });
});

describe('a verifier that leaves something out misses what that is for', () => {
  afterEach(() => undo(TABLES));

  const missed = async (parts: Partial<Ledger>): Promise<Verified> => verifyLedger(ledger(parts));
  const kind = (what: string) => KINDS.find((one) => one.what === what) as Tampering;
  const noneSigned = { all: () => Promise.resolve(new Map<number, string>()) } as never;

  test('without checkpoints: a suffix that was rewritten with its tiles', async () => {
    const { run } = kind('everything from somewhere on is rewritten, and the tiles with it');
    await run();
    const { log: store, tables, trusted, flawOf } = ledger();
    const parts = { store, tables, trusted, flawOf, leaves: EVENTS, known: [] };
    expect(await verify({ ...parts, head: String(EVENTS) as Position })).not.toHaveProperty(
      'fault',
    );
    expect(await verifyLedger(ledger())).toHaveProperty('fault');
  });

  test('without what lies outside the database: a log that was cut off with its tables', async () => {
    const { run } = kind('the end is cut off, and the tables with it');
    await run();
    expect(await missed({ witnessFile: undefined, signed: noneSigned })).not.toHaveProperty(
      'fault',
    );
    expect(await missed({ witnessFile: undefined })).toHaveProperty('fault.code', 'event-missing');
  });

  test('without a witness: a checkpoint that was removed', async () => {
    const { run } = kind('a checkpoint is removed');
    await run();
    expect(await missed({ witnessFile: undefined })).not.toHaveProperty('fault');
  });

  test('a checkpoint that somebody has saved as it was served is a witness', async () => {
    const saved = join(world.directory, 'saved');
    const { note = '' } = (await world.tables.ofSize(ORIGIN, 4 * APART)) ?? {};
    await writeFile(saved, note);
    expect(await missed({ witnessFile: saved })).not.toHaveProperty('fault');
    await query('delete from proof.checkpoints where size = $1', [4 * APART]);
    expect(await missed({ witnessFile: saved })).toMatchObject({
      fault: { code: 'checkpoint-missing', position: String(4 * APART) },
    });
  });

  test('without the tables of the proof: where, but not that', async () => {
    const { run } = kind('a bit of the stored bytes is flipped');
    await run();
    await query('delete from proof.tiles');
    const { log: store, tables, trusted, flawOf } = ledger();
    const notes = world.tables.checkpoints(ORIGIN);
    const known = [{ from: 'ledger', upTo: EVENTS, checkpoints: notes } as const];
    const parts = { store, tables, trusted, flawOf, known };
    const { fault } = await verify({ ...parts, leaves: 0, head: String(EVENTS) as Position });
    expect(fault).toMatchObject({ code: 'range-changed' });
  });

  test('without the columns: an event that is found for another time', async () => {
    const { run } = kind('column recorded_at of an event is changed');
    const isRight = await run();
    expect(await missed({})).not.toHaveProperty('fault');
    const { fault } = await missed(besideColumns);
    expect(fault && isRight(fault)).toBe(true);
  });

  test('with workers that do not compare columns: an event that is found under another id', async () => {
    const careless = startWorkers('careless-verify-worker.mjs');
    const lookedAt = (head: Position) => pagesOf(careless, head);
    try {
      await query('update ledger.events set id = gen_random_uuid() where position = 300');
      expect(await missed({ ...besideColumns, lookedAt })).not.toHaveProperty('fault');
      expect(await verifyBoth(besideColumns)).toMatchObject({
        fault: { code: 'column-changed', position: '300' },
      });
    } finally {
      await careless.close();
    }
  });

  test('whose worker ends: nothing is said to hold', async () => {
    const broken = startWorkers('no-such-worker.mjs');
    const lookedAt = (head: Position) => pagesOf(broken, head);
    await expect(verifyLedger(ledger({ lookedAt }))).rejects.toThrow('no-such-worker');
    await broken.close();
  });

  test('with other keys: everything', async () => {
    const trusted = { origin: ORIGIN, keys: [] };
    const { fault } = await missed({ trusted });
    expect(fault).toMatchObject({ code: 'checkpoint-invalid', position: String(APART) });
  });
});
