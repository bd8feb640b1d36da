import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { ProvenLog } from '#core/proof/proven-log.js';
import type { Receipt } from '../support/answers.js';
import { changed, filesIn, textOf } from '../support/bundle.js';
import { catalogue } from '../support/catalogue.js';
import { compiled } from '../support/compiled.js';
import { type RunningLedger, startLedger } from '../support/server.js';

// Several processes a test, on a machine that others use as well.
jest.setTimeout(180_000);

describe('given an auditor at a command line', () => {
  const folder = mkdtempSync(join(tmpdir(), 'consent-ledger-auditor-'));
  const file = (name: string) => join(folder, name);
  let ledger: RunningLedger;
  let program = '';
  let jane = '';
  let trusted: { origin: string; keys: readonly string[] };

  async function ledgerctl(...args: readonly string[]) {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, LEDGER_URL: ledger.url, LEDGER_API_KEY: ledger.key },
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    const code = await new Promise((resolve) => child.once('close', resolve));
    return { code, out, err };
  }
  const check = (name: string, ...more: readonly string[]) =>
    ledgerctl('verify-bundle', file(name), ...more);
  const known = () => ['--origin', trusted.origin, '--key', ...trusted.keys];

  beforeAll(async () => {
    program = join(compiled(), 'apps', 'ledgerctl', 'main.js');
    ledger = await startLedger();
    await ledger.api.post('/v1/catalogue', catalogue);
    const { body } = await ledger.api.post<Receipt>('/v1/subjects', {
      source: 'web-form',
      externalRefs: [{ system: 'crm', id: '7' }],
    });
    jane = body.subjectId;
    trusted = await ledger.nest.get(ProvenLog).identity();
  }, 300_000);
  afterAll(async () => {
    await ledger.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 20_000);

  test('when evidence is asked for by reference, then the file is there once it is whole', async () => {
    const asked = await ledgerctl('evidence', 'crm:7', '--out', file('a.zip'));
    expect([asked.code, asked.err]).toEqual([0, expect.not.stringContaining('rror')]);
    trusted = await ledger.nest.get(ProvenLog).identity();
    const events = textOf(await filesIn(readFileSync(file('a.zip'))), 'people/0001/events.ndjson');
    expect(events).toContain(jane);
    const refused = await ledgerctl('evidence', '--purpose', 'nowhere', '--out', file('b.zip'));
    expect([refused.code, refused.err]).toEqual([3, expect.stringContaining('unknown-purpose')]);
    expect(readdirSync(folder)).toEqual(['a.zip']);
    expect((await ledgerctl('evidence', 'crm:7')).code).toBe(2);
  });

  test('when the bundle is good, then 0 with origin and key, and 1 without', async () => {
    const good = await check('a.zip', ...known());
    expect([good.code, good.out]).toEqual([0, expect.stringContaining('is true to the log')]);
    const unknown = await check('a.zip');
    expect([unknown.code, unknown.out]).toEqual([1, expect.stringContaining('nothing is proved')]);
    const german = await check('a.zip', ...known(), '--language', 'de');
    expect(german.out).toContain('Unterschrift');
    const { code, out } = await ledgerctl('--json', 'verify-bundle', file('a.zip'), ...known());
    expect([code, JSON.parse(out)]).toMatchObject([
      0,
      { verdict: 'holds', origin: trusted.origin },
    ]);
  });

  test('when only a server elsewhere is named, then what works on the store itself makes no store here', async () => {
    const { code, err } = await ledgerctl('sealing', 'status');
    expect([code, err]).toEqual([3, expect.stringContaining('works on the store itself')]);
    expect(readdirSync(folder)).not.toContain('data');
  });

  test('when a byte was changed, the key is another or it is no bundle, then 1 and the reason', async () => {
    const zip = readFileSync(file('a.zip'));
    writeFileSync(file('changed.zip'), await changed(zip, 'people/0001/events.ndjson'));
    const found = await check('changed.zip', ...known());
    expect([found.code, found.out]).toEqual([
      1,
      expect.stringContaining('events.ndjson was changed'),
    ]);
    const other = await check('a.zip', '--origin', 'x.example', '--key', ...trusted.keys);
    expect([other.code, other.out]).toEqual([1, expect.stringContaining('FAILS  trust')]);
    writeFileSync(file('none.zip'), 'no zip');
    const none = await check('none.zip');
    expect([none.code, none.out]).toEqual([1, expect.stringContaining('FAILS  archive')]);
  });

  test('when there is no such file, or no such option, then 3 or 2', async () => {
    expect((await check('nowhere.zip')).code).toBe(3);
    expect((await check('a.zip', '--language', 'fr')).code).toBe(2);
  });

  test('when an earlier checkpoint is kept, then it is compared', async () => {
    const checkpoint = textOf(await filesIn(readFileSync(file('a.zip'))), 'checkpoint');
    writeFileSync(file('checkpoint'), checkpoint);
    const asked = await ledgerctl(
      ...['evidence', jane, '--since', file('checkpoint'), '--out', file('c.zip')],
    );
    expect(asked.code).toBe(0);
    const compared = await check('c.zip', ...known(), '--earlier', file('checkpoint'));
    expect([compared.code, compared.out]).toEqual([
      0,
      expect.stringContaining('the log was only added to'),
    ]);
    expect((await check('a.zip', ...known(), '--earlier', file('checkpoint'))).code).toBe(1);
  });
});
