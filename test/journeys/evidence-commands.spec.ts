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

  const ledgerctl = (...args: readonly string[]) =>
    run(args, { LEDGER_URL: ledger.url, LEDGER_API_KEY: ledger.key });
  async function run(args: readonly string[], env: NodeJS.ProcessEnv) {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, ...env },
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
      contactPoints: [{ kind: 'email', value: 'jane@linden.example' }],
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
    const events = textOf(await filesIn(readFileSync(file('a.zip'))), EVENTS);
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

  describe('with the receipt of one event', () => {
    const proof = file('receipt.tlog-proof');
    /** Where there is no server: nobody listens there. */
    const offline = (...args: readonly string[]) =>
      run(['verify-proof', ...args], { LEDGER_URL: 'http://127.0.0.1:1', LEDGER_API_KEY: KEY });
    const against = (event: string) => offline(proof, '--event', event, ...known());
    let lines: readonly string[];

    beforeAll(async () => {
      const { text } = await ledger.api.get('/v1/events?category=subject');
      lines = text.split('\n').filter((line) => line.includes(jane));
      const { id } = JSON.parse(lines[1] ?? '') as { id: string };
      const asked = { eventId: id, subjectId: jane };
      const { body } = await ledger.api.post<{ tlogProof: string }>('/v1/log/proofs', asked);
      writeFileSync(proof, body.tlogProof);
      writeFileSync(file('event'), `${lines[1]}\n`);
    });

    test('when the event is as it was recorded, then 0, whether it is the line of the feed or of a bundle', async () => {
      const held = await against(file('event'));
      expect([held.code, held.out]).toEqual([0, expect.stringContaining('byte for byte')]);
      const bundled = textOf(await filesIn(readFileSync(file('a.zip'))), EVENTS);
      writeFileSync(file('stored'), bundled.split('\n')[1] ?? '');
      const { code, out } = await offline(
        ...['--json', proof, '--event', file('stored'), ...known()],
      );
      expect([code, JSON.parse(out)]).toMatchObject([
        0,
        { verdict: 'holds', origin: trusted.origin, index: expect.any(Number) },
      ]);
      writeFileSync(file('ended.tlog-proof'), `${readFileSync(proof, 'utf8')}\n`);
      const ended = await offline(
        ...[file('ended.tlog-proof'), '--event', file('event'), ...known()],
      );
      expect(ended.code).toBe(0);
      expect(readdirSync(folder)).not.toContain('data');
    });

    test('when a byte of the event was changed, or it is another event, then 1', async () => {
      const bytes = readFileSync(file('event'));
      for (const at of [0, 40, bytes.lastIndexOf(',"position"') - 1]) {
        const other = Buffer.from(bytes);
        other[at] = (other[at] as number) ^ 1;
        writeFileSync(file('other'), other);
        const found = await against(file('other'));
        expect([found.code, found.out]).toEqual([1, expect.stringContaining('FAILS')]);
      }
      writeFileSync(file('other'), lines[0] ?? '');
      expect((await against(file('other'))).code).toBe(1);
    });

    test('when a line of the receipt was changed, then 1 and the reason', async () => {
      const text = readFileSync(proof, 'utf8').split('\n');
      for (const at of text.keys()) {
        const line = text[at] ?? '';
        if (line === '') continue;
        const put = (line.startsWith('1') ? '2' : '1') + line.slice(1);
        writeFileSync(file('changed.tlog-proof'), text.with(at, put).join('\n'));
        const found = await offline(
          ...[file('changed.tlog-proof'), '--event', file('event'), ...known()],
        );
        expect([line, found.code]).toEqual([line, 1]);
      }
    });

    test('when the log or the key is another one, then 1', async () => {
      const event = ['--event', file('event')];
      const other = await offline(
        proof,
        ...event,
        '--origin',
        'x.example',
        '--key',
        ...trusted.keys,
      );
      expect([other.code, other.out]).toEqual([1, expect.stringContaining('not of x.example')]);
      const unknown = await offline(proof, ...event, '--origin', trusted.origin, '--key', KEY);
      expect([unknown.code, unknown.out]).toEqual([1, expect.stringContaining('no known key')]);
    });

    test('when something is missing or can not be read, then 2 or 3', async () => {
      const event = ['--event', file('event')];
      expect((await offline(proof, ...event)).code).toBe(2);
      expect((await offline(proof, ...known())).code).toBe(2);
      const malformed = await offline(proof, ...event, '--origin', 'x', '--key', 'x');
      expect([malformed.code, malformed.err]).toEqual([
        2,
        expect.stringContaining('no verifier key'),
      ]);
      expect((await offline(file('none'), ...event, ...known())).code).toBe(3);
      writeFileSync(file('two'), lines.slice(0, 2).join('\n'));
      const two = await against(file('two'));
      expect([two.code, two.err]).toEqual([3, expect.stringContaining('has 2 lines')]);
    });
  });
});

const EVENTS = 'people/0001/events.ndjson';
/** Of a log that nobody has: the example of c2sp.org/signed-note. */
const KEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
