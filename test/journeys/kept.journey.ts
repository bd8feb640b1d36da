import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ProvenLog } from '#core/proof/proven-log.js';
import type { Receipt } from '../support/answers.js';
import { catalogue } from '../support/catalogue.js';
import { compiled } from '../support/compiled.js';
import type { RunningLedger } from '../support/server.js';
import { until } from '../support/until.js';

interface Line {
  readonly subjectId?: string;
  readonly summary?: { readonly allowed: number; readonly excluded?: Record<string, number> };
}

const day = (date: string) => `${date}T12:00:00Z`;

/** What officers and auditors do with a ledger, on whatever store keeps its log. */
export const keptAndProved = (start: () => Promise<RunningLedger>) => () => {
  const folder = mkdtempSync(join(tmpdir(), 'consent-ledger-kept-'));
  let ledger: RunningLedger;
  let program = '';
  let people: readonly string[];
  /** When all of them were there, and nobody else. */
  let knownThen = '';
  let last: Awaited<ReturnType<RunningLedger['api']['post']>>;

  const person = async (
    id: string,
    choices: readonly (readonly [string, 'give' | 'withdraw'])[],
  ) => {
    const { body } = await ledger.api.post<Receipt>('/v1/subjects', {
      source: 'web-form',
      occurredAt: day('2026-01-01'),
      externalRefs: [{ system: 'crm', id }],
    });
    for (const [date, decision] of choices)
      last = await ledger.api.post(`/v1/subjects/${body.subjectId}/interactions`, {
        source: 'web-form',
        occurredAt: day(date),
        choices: [{ purpose: 'sales', decision }],
      });
    return body.subjectId;
  };

  async function audience(when: object = {}) {
    const question = { purpose: 'sales', summary: 'full', ...when };
    const { body } = await ledger.api.post<readonly Line[]>('/v1/audiences', question, {
      after: last,
    });
    const allowed = body.flatMap(({ subjectId }) => subjectId ?? []).sort();
    expect(body.at(-1)?.summary?.allowed).toBe(allowed.length);
    return { allowed, excluded: body.at(-1)?.summary?.excluded };
  }

  async function ledgerctl(environment: object, ...args: readonly string[]) {
    const env = { PATH: process.env.PATH, ...environment };
    const child = spawn(process.execPath, [program, '--json', ...args], { cwd: folder, env });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    const code = await new Promise((resolve) => child.once('close', resolve));
    return { code, out, err };
  }
  const overHttp = (...args: readonly string[]) =>
    ledgerctl({ LEDGER_URL: ledger.url, LEDGER_API_KEY: ledger.key }, ...args);
  const onStore = (...args: readonly string[]) => {
    const { eventStore, kurrentdbUrl, kurrentdbStreamPrefix, databaseUrl, dataDirectory } =
      ledger.runtime.config;
    const environment = {
      EVENT_STORE: eventStore,
      KURRENTDB_URL: kurrentdbUrl,
      KURRENTDB_STREAM_PREFIX: kurrentdbStreamPrefix,
      DATABASE_URL: databaseUrl,
      LEDGER_DATA_DIR: dataDirectory,
    };
    return ledgerctl(environment, ...args);
  };

  beforeAll(async () => {
    program = join(compiled(), 'apps', 'ledgerctl', 'main.js');
    ledger = await start();
    await ledger.api.post('/v1/catalogue', catalogue);
    people = [
      await person('ada', [['2026-02-01', 'give']]),
      await person('ben', [
        ['2026-02-01', 'give'],
        ['2026-05-01', 'withdraw'],
      ]),
      await person('eve', []),
    ];
    await sleep(50);
    knownThen = new Date().toISOString();
    await sleep(50);
    people = [...people, await person('joe', [['2026-03-01', 'give']])];
  }, 300_000);
  afterAll(async () => {
    await ledger.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  test('the audience is known for now, for a past day, and as it was known', async () => {
    const [ada = '', ben = '', , joe = ''] = people;
    const now = await audience();
    expect(now.allowed).toEqual([ada, joe].sort());
    expect(now.excluded).toEqual({ 'consent-withdrawn': 1, 'no-basis': 1 });
    const inApril = await audience({ asOf: day('2026-04-01') });
    expect(inApril.allowed).toEqual([ada, ben, joe].sort());
    const asKnown = await audience({ asOf: day('2026-04-01'), knownAt: knownThen });
    expect(asKnown.allowed).toEqual([ada, ben].sort());
    expect(await audience({ asOf: day('2026-01-15') })).toMatchObject({ allowed: [] });
  });

  test('read models that are rebuilt answer the same', async () => {
    const questions = [{}, { asOf: day('2026-04-01') }, { knownAt: knownThen }];
    const before = await Promise.all(questions.map(audience));
    const rebuilt = await onStore('rebuild', '--all');
    expect([rebuilt.code, rebuilt.err]).toEqual([0, expect.not.stringContaining('rror')]);
    expect(await Promise.all(questions.map(audience))).toEqual(before);
    expect(await onStore('replay', '--check')).toMatchObject({ code: 0 });
  });

  test('what was recorded is sealed, and the whole log verifies', async () => {
    const { receiptId } = last.body as Receipt;
    const receipt = async () => (await ledger.api.get<Receipt>(`/v1/receipts/${receiptId}`)).body;
    await until('it is sealed', async () => (await receipt()).sealed, 60_000);
    const verified = await onStore('verify');
    expect([verified.code, JSON.parse(verified.out)]).toMatchObject([0, { ok: true }]);
  });

  test('evidence of a person is proved to whoever knows origin and key', async () => {
    const file = join(folder, 'evidence.zip');
    const asked = await overHttp('evidence', 'crm:ben', '--out', file);
    expect([asked.code, asked.err]).toEqual([0, expect.not.stringContaining('rror')]);
    const { origin, keys } = await ledger.nest.get(ProvenLog).identity();
    const known = ['--origin', origin, '--key', ...keys];
    const checked = await overHttp('verify-bundle', file, ...known);
    expect([checked.code, JSON.parse(checked.out)]).toMatchObject([
      0,
      { verdict: 'holds', origin },
    ]);
    const others = ['--origin', 'x.example', '--key', ...keys];
    expect((await overHttp('verify-bundle', file, ...others)).code).toBe(1);
  });
};
