import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { ProvenLog } from '#core/proof/proven-log.js';
import type { Receipt } from '../support/answers.js';
import { catalogue } from '../support/catalogue.js';
import { compiled } from '../support/compiled.js';
import { type FreshDatabase, freshDatabase } from '../support/database.js';
import { FaultServer } from '../support/kurrentdb/fault-server.js';
import { type Fields, type Reply, type RunningLedger, startLedger } from '../support/server.js';
import { until } from '../support/until.js';

// Several processes a test, on a machine that others use as well.
jest.setTimeout(240_000);

type Store = 'postgres' | 'kurrentdb';

interface Elsewhere {
  readonly url: string;
  /** How many events of ours came so far; where it is known, copies are killed in their middle. */
  readonly arrived?: (prefix: string) => number;
  stop(): Promise<void>;
}

/** A log is moved to KurrentDB and back while people ask the same questions, which get the same answers. */
const thereAndBack = (open: () => Promise<Elsewhere>) => () => {
  const folder = mkdtempSync(join(tmpdir(), 'consent-ledger-moving-'));
  const file = (name: string) => join(folder, name);
  const prefix = `moving-${randomUUID()}-`;
  const key = `clk_${randomUUID().replaceAll('-', '')}`;
  let elsewhere: Elsewhere;
  let database: FreshDatabase;
  let program = '';
  let ledger: RunningLedger;
  let ada = '';
  let trusted: { origin: string; keys: readonly string[] };
  /** What was answered before anything moved. */
  let before: { position: string; asOf: string; answers: unknown; stored: readonly string[] };

  const environment = (store: Store) => ({
    EVENT_STORE: store,
    KURRENTDB_URL: elsewhere.url,
    KURRENTDB_STREAM_PREFIX: prefix,
    DATABASE_URL: database.url,
    LEDGER_DATA_DIR: file('data'),
    LEDGER_BOOTSTRAP_KEY: key,
  });
  const serve = async (store: Store) => {
    ledger = await startLedger(environment(store));
  };

  function begin(variables: Readonly<Record<string, string>>, args: readonly string[]) {
    const env = { PATH: process.env.PATH, ...variables };
    const child = spawn(process.execPath, [program, '--json', ...args], { cwd: folder, env });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) =>
      child.once('close', (code) => resolve({ code, out, err })),
    );
    return { kill: () => child.kill('SIGKILL'), ended };
  }
  const onStore = (store: Store, ...args: readonly string[]) =>
    begin(environment(store), args).ended;
  const overHttp = (...args: readonly string[]) =>
    begin({ LEDGER_URL: ledger.url, LEDGER_API_KEY: key }, args).ended;

  async function move(from: Store, to: Store, ...more: readonly string[]): Promise<Fields> {
    const { code, out, err } = await onStore(from, 'copy', '--from', from, '--to', to, ...more);
    expect([code, err]).toEqual([0, expect.not.stringContaining('rror')]);
    return JSON.parse(out.split('\n')[0] ?? '') as Fields;
  }
  /** Killed with -9 when a part of what was missing has arrived. */
  async function moveAndDie(...more: readonly string[]): Promise<void> {
    const { arrived } = elsewhere;
    if (arrived === undefined) return;
    const had = arrived(prefix);
    const args = ['copy', '--from', 'postgres', '--to', 'kurrentdb', ...more];
    const copying = begin(environment('postgres'), args);
    await until('a part has arrived', () => arrived(prefix) > had + 20, 60_000);
    copying.kill();
    expect((await copying.ended).code).toBeNull();
  }

  const people = (from: number, count: number) =>
    ledger.api.imported(
      Array.from({ length: count }, (_, n) => from + n).flatMap((n) => {
        const externalRef = { system: 'crm', id: `${n}` };
        const contactPoints = [{ kind: 'email', value: `${n}@linden.example` }];
        const choices = [
          { purpose: 'profiling', decision: n % 3 ? 'give' : 'refuse' },
          { topic: 'offers', channel: 'email', decision: n % 2 ? 'on' : 'off' },
        ];
        return [
          { type: 'register', externalRef, source: 'import', contactPoints },
          { type: 'interaction', externalRef, interaction: { source: 'import', choices } },
        ];
      }),
    );

  /** Everything but where events lie, which is the store's. */
  async function answersAt(position: string, asOf: string): Promise<unknown> {
    const knownAt = `position:${position}`;
    const { api } = ledger;
    const question = { purpose: 'profiling', channel: 'email', asOf, knownAt };
    const query = `?asOf=${asOf}&knownAt=${knownAt}`;
    const answers: Reply<unknown>[] = [
      await api.post('/v1/audiences', { ...question, topic: 'offers', summary: 'full' }),
      await api.post('/v1/decisions', { ...question, subjectId: ada }),
      await api.get(`/v1/subjects/${ada}/timeline${query}`),
      await api.get(`/v1/subjects/${ada}/records${query}`),
      await api.get(`/v1/purposes?knownAt=${knownAt}`),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    return answers.map(({ body }) =>
      JSON.parse(JSON.stringify(body).replaceAll(/"position":"\d+"/g, '"position":"-"')),
    ) as unknown;
  }

  /** The bytes of every event, in order. */
  async function stored(): Promise<readonly string[]> {
    const { text } = await ledger.api.get('/v1/events?after=0');
    const lines = text.split('\n').filter(Boolean);
    return lines.map((line) => line.replace(/,"position":"\d+"}$/, '}'));
  }

  async function bundle(name: string): Promise<void> {
    const { code, err } = await overHttp('evidence', ada, '--out', file(name));
    expect([code, err]).toEqual([0, expect.not.stringContaining('rror')]);
    trusted = await ledger.nest.get(ProvenLog).identity();
    await mustHold(name);
  }
  async function mustHold(name: string): Promise<void> {
    const known = ['--origin', trusted.origin, '--key', ...trusted.keys];
    const { code, out } = await overHttp('verify-bundle', file(name), ...known);
    expect([code, JSON.parse(out)]).toMatchObject([0, { verdict: 'holds' }]);
  }

  /** Of everything that was known before, as this store has it. */
  async function allHolds(store: Store): Promise<void> {
    expect(await answersAt(before.position, before.asOf)).toEqual(before.answers);
    const now = await stored();
    expect(digestOf(now.slice(0, before.stored.length))).toBe(digestOf(before.stored));
    const verified = await onStore(store, 'verify');
    expect([verified.code, JSON.parse(verified.out)]).toMatchObject([0, { ok: true }]);
    expect(await onStore(store, 'replay', '--check')).toMatchObject({ code: 0 });
    await mustHold('before.zip');
    await bundle(`${store}.zip`);
  }

  beforeAll(async () => {
    program = join(compiled(), 'apps', 'ledgerctl', 'main.js');
    [elsewhere, database] = await Promise.all([open(), freshDatabase()]);
    await serve('postgres');
    await ledger.api.post('/v1/catalogue', catalogue);
    const registered = await ledger.api.post<Receipt>('/v1/subjects', {
      source: 'web-form',
      contactPoints: [{ kind: 'email', value: 'ada@linden.example' }],
    });
    ada = registered.body.subjectId;
    await choose('give');
    await people(0, 100);
    const position = await ledger.head();
    const asOf = new Date().toISOString();
    await choose('withdraw');
    await people(100, 50);
    before = { position, asOf, answers: await answersAt(position, asOf), stored: await stored() };
    await bundle('before.zip');
  }, 300_000);
  afterAll(async () => {
    await ledger.stop();
    await elsewhere.stop();
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  const choose = async (decision: string) => {
    const choices = [{ purpose: 'profiling', decision }];
    const path = `/v1/subjects/${ada}/interactions`;
    const { status } = await ledger.api.post(path, { source: 'web-form', choices });
    expect(status).toBe(201);
  };

  test('when it is copied while it serves, and killed, then the next copy goes on', async () => {
    await moveAndDie();
    const copied = await move('postgres', 'kurrentdb');
    expect(copied).toMatchObject({ era: 1, state: 'copying' });
    expect(copied.events).toBeGreaterThanOrEqual(before.stored.length);
    if (elsewhere.arrived) expect(copied.copied).toBeLessThan(copied.events as number);
    const refused = await onStore(
      ...(['postgres', 'copy', '--from', 'postgres', '--to', 'kurrentdb', '--final'] as const),
    );
    expect([refused.code, refused.err]).toEqual([3, expect.stringContaining('must be stopped')]);
  });

  test('when it has stopped and the last copy is killed, then nobody serves until it is finished', async () => {
    await people(150, 30);
    await ledger.stop();
    await moveAndDie('--final');
    if (elsewhere.arrived) await expect(serve('postgres')).rejects.toThrow(/is being moved/);
    expect(await move('postgres', 'kurrentdb', '--final')).toMatchObject({ state: 'moved' });
    await expect(serve('postgres')).rejects.toThrow('the log lies in kurrentdb, not in postgres');
    // Once more, as after a kill while the read models were made, changes nothing.
    expect(await move('postgres', 'kurrentdb', '--final')).toMatchObject({ copied: 0 });
  });

  test('when it serves from KurrentDB, then every question of before has the same answer', async () => {
    await serve('kurrentdb');
    await allHolds('kurrentdb');
  });

  test('when it moves back, then positions of both times are understood', async () => {
    await choose('give');
    const [position, asOf] = [await ledger.head(), new Date().toISOString()];
    await choose('withdraw');
    const [answers, bytes] = [await answersAt(position, asOf), await stored()];
    await ledger.stop();
    const { digest } = await move('kurrentdb', 'postgres', '--final');
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    await serve('postgres');
    expect(await answersAt(position, asOf)).toEqual(answers);
    expect(digestOf((await stored()).slice(0, bytes.length))).toBe(digestOf(bytes));
    await allHolds('postgres');
  });
};

function digestOf(events: readonly string[]): string {
  return createHash('sha256').update(events.join('\n')).digest('hex');
}

describe(
  'given a log that moves to KurrentDB, as a server in this process plays it',
  thereAndBack(async () => {
    const server = await FaultServer.start();
    // So that a kill comes in the middle of a copy.
    server.faults.set({ kind: 'slow', calls: ['append'], delayMs: 5 });
    return {
      url: server.url,
      arrived: (prefix) =>
        server.log.records.filter(({ stream }) => stream.startsWith(prefix)).length,
      stop: () => server.stop(),
    };
  }),
);

const url = process.env.KURRENTDB_URL;

if (url)
  describe(
    'given a log that moves to the KurrentDB server of KURRENTDB_URL',
    thereAndBack(() => Promise.resolve({ url, stop: () => Promise.resolve() })),
  );
