import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newId } from '#core/kernel/ids.js';
import { checkpointText } from '#core/proof/checkpoint.js';
import { base64 } from '#core/proof/encoding.js';
import { publicKeyOfSeed, sha256, signEd25519 } from '#core/proof/node-crypto.js';
import { formatNote, formatVerifierKey, verifierKey } from '#core/proof/note.js';
import { ProvenLog } from '#core/proof/proven-log.js';
import type { Operation, Problem, Receipt } from '../support/answers.js';
import {
  changed,
  failing,
  filesIn,
  forged,
  linesOf,
  textOf,
  tools,
  verdictsOf,
  verified,
  zipped,
} from '../support/bundle.js';
import { catalogue } from '../support/catalogue.js';
import { type RunningLedger, startLedger } from '../support/server.js';

interface Envelope {
  readonly id: string;
  readonly type: string;
  readonly stream: string;
  readonly revision: number;
  readonly data: Readonly<Record<string, unknown>>;
}

const day = (n: number) => new Date(Date.UTC(2026, 0, 1) + n * 86_400_000).toISOString();
const PART = 'people/0001';

describe('given Ida, who gave consent and took it back, and others beside her', () => {
  let ledger: RunningLedger;
  let ida = '';
  let other = '';
  let trusted: { origin: string; keys: readonly string[] };
  /** Without and with personal fields. */
  let sealed: Uint8Array;
  let opened: Uint8Array;

  async function ask(body: object, key = ledger.key): Promise<Response> {
    return fetch(`${ledger.url}/v1/evidence`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }
  async function bundle(body: object): Promise<Uint8Array> {
    const response = await ask(body);
    if (response.status !== 200) throw new Error(await response.text());
    return new Uint8Array(await response.arrayBuffer());
  }
  async function refused(body: object, key?: string) {
    const response = await ask(body, key);
    const { code, errors } = (await response.json()) as Problem;
    return { status: response.status, code, pointer: errors?.[0]?.pointer };
  }
  const register = async (name: string) => {
    const { body } = await ledger.api.post<Receipt>('/v1/subjects', {
      source: 'web-form',
      occurredAt: day(1),
      language: 'de',
      name,
      contactPoints: [{ kind: 'email', value: `${name.split(' ')[0]}@linden.example` }],
    });
    return body.subjectId;
  };
  const interact = async (subject: string, occurredAt: string, choice: object) => {
    const reply = await ledger.api.post<Receipt>(`/v1/subjects/${subject}/interactions`, {
      source: 'web-form',
      language: 'de',
      occurredAt,
      evidence: { form: 'footer' },
      choices: [choice],
    });
    if (reply.status !== 201) throw new Error(reply.text);
    return reply.body;
  };
  const looks = async () => {
    const { body } = await ledger.api.get<Envelope[]>('/v1/events?category=access');
    return body.map(({ data }) => data);
  };

  beforeAll(async () => {
    ledger = await startLedger();
    await ledger.api.post('/v1/catalogue', catalogue);
    ida = await register('Ida Räder');
    other = await register('Otto Anders');
    const confirmation = { method: 'double-opt-in', at: day(2) };
    const newsletter = { purpose: 'newsletter', decision: 'give', noticeVersion: 1, confirmation };
    await interact(ida, day(2), newsletter);
    await interact(ida, day(3), { purpose: 'profiling', decision: 'give' });
    await interact(other, day(2), newsletter);
    await interact(ida, day(9), { purpose: 'newsletter', decision: 'withdraw' });
    sealed = await bundle({ subjects: [ida] });
    opened = await bundle({ subjects: [ida], reveal: true });
    trusted = await ledger.nest.get(ProvenLog).identity();
  }, 90_000);
  afterAll(() => ledger.stop(), 20_000);

  test('then her bundle is proved, by nothing but an origin and a key', async () => {
    const report = await verified(sealed, trusted);
    expect(failing(report)).toEqual([]);
    expect(report.verdict).toBe('holds');
    expect(verdictsOf(report)).toEqual({
      archive: 'holds',
      files: 'holds',
      trust: 'holds',
      signature: 'holds',
      events: 'holds',
      streams: 'holds',
      notices: 'holds',
      consistency: 'open',
      keys: 'holds',
    });
    for (const { says } of report.findings) expect(says.de).not.toBe(says.en);
  });

  test('with the key that came in it alone nothing is called proved', async () => {
    const report = await verified(sealed, {});
    expect(report.verdict).toBe('open');
    expect(verdictsOf(report)).toMatchObject({ trust: 'open', signature: 'open', events: 'holds' });
    expect(report.findings.find(({ check }) => check === 'trust')?.says.en).toContain(
      'Not compared yet',
    );
  });

  test('it has her events byte for byte, the words she was shown, records and timelines', async () => {
    const files = await filesIn(sealed);
    expect([...files.keys()]).toEqual([
      'checkpoint',
      'verify.html',
      `${PART}/events.ndjson`,
      `${PART}/proofs.ndjson`,
      `${PART}/keys.json`,
      `${PART}/records.jsonld`,
      `${PART}/timeline.de.html`,
      `${PART}/timeline.de.pdf`,
      `${PART}/timeline.en.html`,
      `${PART}/timeline.en.pdf`,
      'catalogue/events.ndjson',
      'catalogue/proofs.ndjson',
      expect.stringMatching(/^notices\/[0-9a-f]{64}\.txt$/),
      'manifest.json',
      'manifest.json.sha256',
    ]);
    const feed = (await ledger.api.get('/v1/events?category=subject')).text;
    const stored = feed
      .split('\n')
      .filter((line) => line.includes(ida))
      .map((line) => line.replace(/,"position":"\d+"\}$/, '}'));
    expect(textOf(files, `${PART}/events.ndjson`)).toBe(`${stored.join('\n')}\n`);
    const [notice] = [...files.keys()].filter((path) => path.startsWith('notices/'));
    expect(textOf(files, notice as string)).toBe(
      'Ich bin mit dem Rundbrief per E-Mail einverstanden.',
    );
    expect(textOf(files, `${PART}/timeline.de.html`)).toContain(
      'Einwilligung erteilt: Rundbrief [newsletter]',
    );
    expect(textOf(files, `${PART}/timeline.en.html`)).toContain('Consent withdrawn for Newsletter');
    const pdf = Buffer.from(files.get(`${PART}/timeline.de.pdf`) as Uint8Array).toString('latin1');
    expect(pdf).toMatch(/^%PDF-1\.7/);
    expect(pdf).toContain('/Marked true');
    expect(pdf).toContain('/Lang (de)');
    expect(JSON.parse(textOf(files, `${PART}/records.jsonld`))).toMatchObject({
      '@graph': expect.arrayContaining([
        expect.objectContaining({ '@type': 'dpv:ConsentRecord' }),
        expect.objectContaining({ '@type': 'dpv:ConsentReceipt' }),
      ]),
    });
  });

  test('nobody else is in it, and nothing personal unless it was asked for', async () => {
    const everything = async (zip: Uint8Array) =>
      [...(await filesIn(zip))].map(([, bytes]) => Buffer.from(bytes).toString('utf8')).join('\n');
    const [closed, open] = [await everything(sealed), await everything(opened)];
    for (const text of [closed, open]) {
      expect(text).not.toContain(other);
      expect(text).not.toMatch(/Otto|Anders/);
    }
    expect(closed).not.toMatch(/Räder|Ida@/);
    expect(open).toMatch(/Räder/);
    const lines = linesOf<{ data: Record<string, unknown> }>(
      await filesIn(opened),
      `${PART}/opened.ndjson`,
    );
    expect(lines.map(({ data }) => data)).toEqual(
      expect.arrayContaining([
        { name: 'Ida Räder' },
        { value: 'Ida@linden.example' },
        { evidence: { form: 'footer' } },
      ]),
    );
    expect((await verified(opened, trusted)).verdict).toBe('holds');
  });

  test('with one byte changed in each file in turn, each is found, and named', async () => {
    for (const path of (await filesIn(opened)).keys()) {
      const report = await verified(await changed(opened, path), trusted);
      expect([path, report.verdict]).toEqual([path, 'fails']);
      const files = failing(report).find(({ check }) => check === 'files');
      expect(files?.says.en).toContain(path.replace('.sha256', ''));
    }
  });

  test('a forger who makes the manifest fit is found by what can not be forged', async () => {
    const flip = (path: string, find: string, put: string) =>
      forged(sealed, (files) => {
        const text = textOf(files, path);
        expect(text).toContain(find);
        files.set(path, Buffer.from(text.replace(find, put)));
      });
    const found = async (zip: Promise<Uint8Array>) =>
      failing(await verified(await zip, trusted)).map(({ check }) => check);
    const events = `${PART}/events.ndjson`;
    expect(await found(flip(events, 'ConsentWithdrawn', 'ConsentWithdrawm'))).toEqual(['events']);
    expect(await found(flip(events, '"revision":1,', '"revision":7,'))).toEqual([
      'events',
      'streams',
    ]);
    expect(await found(flip(`${PART}/proofs.ndjson`, '"index":', '"index":1'))).toContain('events');
    const notice = [...(await filesIn(sealed)).keys()].find((path) => path.startsWith('notices/'));
    expect(await found(flip(notice as string, 'einverstanden', 'nicht einverstanden'))).toEqual([
      'notices',
    ]);
    expect(await found(flip('checkpoint', '\n\n', '0\n\n'))).toContain('signature');
    const destroyed =
      '"status": "destroyed", "destroyedAt": "2026-01-01T00:00:00.000Z", "epoch": 1';
    expect(await found(flip(`${PART}/keys.json`, '"status": "held"', destroyed))).toEqual(['keys']);
    const shorter = forged(sealed, (files, { events: count }) => {
      for (const path of [events, `${PART}/proofs.ndjson`]) {
        const lines = textOf(files, path).split('\n');
        files.set(path, Buffer.from([...lines.slice(0, 1), ...lines.slice(2)].join('\n')));
      }
      return { events: count - 1 };
    });
    expect(await found(shorter)).toContain('streams');
    const without = forged(sealed, (files) => void files.delete('checkpoint'));
    expect(await found(without)).toEqual(['trust', 'signature', 'events']);
    const unlisted = zipped((await filesIn(sealed)).set('people/0001/extra.txt', Buffer.from('x')));
    expect(await found(unlisted)).toEqual(['files']);
  });

  test('a signature that is not checked would be noticed here', async () => {
    const unsigned = await forged(sealed, (files) => {
      const lines = textOf(files, 'checkpoint').split('\n');
      const last = lines.findLastIndex((line) => line.startsWith('—'));
      const [dash, name, encoded = ''] = (lines[last] as string).split(' ');
      const bytes = Buffer.from(encoded, 'base64');
      bytes[40] = (bytes[40] as number) ^ 1;
      lines[last] = [dash, name, base64(bytes)].join(' ');
      files.set('checkpoint', Buffer.from(lines.join('\n')));
    });
    expect((await verified(unsigned, trusted)).verdict).toBe('fails');
    const careless = { ...tools, verify: () => true };
    expect((await verified(unsigned, trusted, careless)).verdict).toBe('holds');
  });

  test('another key, another origin and no key at all are refused', async () => {
    const mine = formatVerifierKey(verifierKey(sha256, trusted.origin, publicKeyOfSeed(SEED)));
    for (const wrong of [
      { ...trusted, keys: [mine] },
      { ...trusted, origin: 'another.example/log' },
      { ...trusted, keys: ['nonsense'] },
    ])
      expect(verdictsOf(await verified(sealed, wrong))).toMatchObject({ trust: 'fails' });
    expect((await verified(sealed, { keys: trusted.keys })).verdict).toBe('open');
  });

  test('a signed checkpoint of nothing, and one of another log, prove nothing', async () => {
    const key = verifierKey(sha256, trusted.origin, publicKeyOfSeed(SEED));
    const keys = [formatVerifierKey(key)];
    const signed = (size: number, root: Uint8Array) => {
      const text = checkpointText({ origin: trusted.origin, size, root });
      const bytes = signEd25519(SEED, Buffer.from(text));
      return formatNote({ text, signatures: [{ name: key.name, id: key.id, bytes }] });
    };
    const sealedBy = (size: number, root: Uint8Array) =>
      forged(sealed, (files) => {
        files.set('checkpoint', Buffer.from(signed(size, root)));
        return { size, keys };
      });
    const nothing = await verified(await sealedBy(0, sha256(new Uint8Array())), {
      ...trusted,
      keys,
    });
    expect(failing(nothing).map(({ check }) => check)).toEqual(['signature', 'events']);
    const elsewhere = await sealedBy(1_000, sha256(Buffer.from('another log')));
    const report = await verified(elsewhere, { ...trusted, keys });
    expect(verdictsOf(report)).toMatchObject({
      trust: 'holds',
      signature: 'holds',
      events: 'fails',
    });
    expect(failing(report)[0]?.says.en).toContain('is not in the signed log');
  });

  test('a bit that flips anywhere in the zip is found, or changes no file', async () => {
    const before = await filesIn(sealed);
    let found = 0;
    for (let n = 0; n < 200; n++) {
      const zip = Uint8Array.from(sealed);
      const at = Math.floor((n * sealed.length) / 200) + (n % 7);
      zip[at] = (zip[at] as number) ^ (1 << (n % 8));
      const { verdict } = await verified(zip, trusted);
      if (verdict === 'fails') found++;
      else expect(await filesIn(zip)).toEqual(before);
    }
    expect(found).toBeGreaterThan(190);
    for (const cut of [0, 21, sealed.length - 1])
      expect((await verified(sealed.subarray(0, cut), trusted)).verdict).toBe('fails');
  });

  test('for a purpose: whom it concerns, and nothing of other purposes', async () => {
    const zip = await bundle({ purpose: 'newsletter' });
    const files = await filesIn(zip);
    const events = linesOf<Envelope>(files, `${PART}/events.ndjson`);
    expect(new Set(events.map(({ stream }) => stream))).toEqual(
      new Set([`subject-${ida}`, `subject-${other}`]),
    );
    expect(textOf(files, `${PART}/events.ndjson`)).not.toContain('profiling');
    const report = await verified(zip, trusted);
    expect(report.verdict).toBe('holds');
    expect(verdictsOf(report)).toMatchObject({ streams: 'open', events: 'holds' });
  });

  test('for a period: nothing that was recorded later', async () => {
    const to = new Date().toISOString();
    const late = await register('Spät Gekommen');
    await sleep(5);
    const zip = await bundle({ period: { to } });
    const text = textOf(await filesIn(zip), `${PART}/events.ndjson`);
    expect(text).toContain(ida);
    expect(text).not.toContain(late);
    expect((await verified(zip, trusted)).verdict).toBe('holds');
    const since = await bundle({ period: { from: to } });
    const later = textOf(await filesIn(since), `${PART}/events.ndjson`);
    expect(later).toContain(late);
    expect(later).not.toContain(ida);
  });

  test('that it was handed out is recorded first, for each person by name', async () => {
    const before = await looks();
    await bundle({ subjects: [other, ida], reveal: true });
    await bundle({ purpose: 'newsletter' });
    const since = (await looks()).slice(before.length);
    const named = since.slice(0, 2);
    expect(named.map(({ subjectId }) => subjectId).sort()).toEqual([ida, other].sort());
    for (const look of named)
      expect(look).toMatchObject({ viewed: 'evidence', included: ['opened'] });
    expect(since.slice(2)).toMatchObject([{ viewed: 'evidence', purpose: 'newsletter' }]);
  });

  test('what can not be asked is refused, and nothing is recorded', async () => {
    const before = await looks();
    const reader = await ledger.keyWith('evidence:read');
    const stranger = await ledger.keyWith('subjects:read');
    const nobody = newId('sub');
    expect(await refused({})).toEqual({ status: 422, code: 'scope-required', pointer: '' });
    expect(await refused({ subjects: [ida, nobody] })).toEqual({
      status: 422,
      code: 'unknown-subject',
      pointer: '/subjects/1',
    });
    expect(await refused({ purpose: 'nowhere' })).toMatchObject({ code: 'unknown-purpose' });
    expect(await refused({ subjects: [ida], since: 'x' })).toMatchObject({
      code: 'malformed-checkpoint',
      pointer: '/since',
    });
    expect(await refused({ subjects: ['ida'] })).toMatchObject({ pointer: '/subjects/0' });
    expect(await refused({ subjects: [ida] }, stranger)).toMatchObject({ status: 403 });
    expect(await refused({ subjects: [ida], reveal: true }, reader)).toMatchObject({ status: 403 });
    expect(await looks()).toEqual(before);
    expect((await ask({ subjects: [ida] }, reader)).status).toBe(200);
  });

  test('an earlier checkpoint: the log was only added to since, and whoever changed it is told', async () => {
    const since = textOf(await filesIn(sealed), 'checkpoint');
    const zip = await bundle({ subjects: [ida], since });
    const report = await verified(zip, { ...trusted, earlier: since });
    expect(failing(report)).toEqual([]);
    expect(verdictsOf(report)).toMatchObject({ consistency: 'holds' });
    for (const path of ['consistency', 'earlier-checkpoint']) {
      const broken = await verified(await changed(zip, path), trusted);
      expect(verdictsOf(broken)).toMatchObject({ files: 'fails', consistency: 'fails' });
    }
    // The holder's own checkpoint counts, whatever the bundle brings.
    const other = textOf(await filesIn(zip), 'checkpoint');
    const compared = await verified(zip, { ...trusted, earlier: other });
    expect(verdictsOf(compared)).toMatchObject({ consistency: 'fails' });
    expect(verdictsOf(await verified(sealed, { ...trusted, earlier: since }))).toMatchObject({
      consistency: 'fails',
    });
    // A history that this ledger never had.
    const [origin, size, , ...rest] = since.split('\n');
    const root = base64(sha256(Buffer.from('another history')));
    const rewritten = [origin, size, root, ...rest].join('\n');
    expect(await refused({ subjects: [ida], since: rewritten })).toMatchObject({
      status: 409,
      code: 'checkpoint-differs',
    });
    const beyond = [origin, '99999999', root, ...rest].join('\n');
    expect(await refused({ subjects: [ida], since: beyond })).toMatchObject({
      code: 'checkpoint-beyond-log',
    });
    expect(
      await refused({ subjects: [ida], since: ['x.example', size, root, ...rest].join('\n') }),
    ).toMatchObject({ code: 'checkpoint-of-other-log' });
  });

  test('when she is erased, then the old bundle still holds, and a new one shows what was kept', async () => {
    const idaErasedAfter = new Date().toISOString();
    await sleep(5);
    const asked = await ledger.api.post<Operation>(`/v1/subjects/${ida}/erasure`, {
      ground: 'consent-withdrawn',
    });
    for (let { status } = asked.body; status !== 'succeeded'; await sleep(50)) {
      const path = `/v1/operations/${asked.body.operationId}`;
      ({ status } = (await ledger.api.get<Operation>(path)).body);
    }
    expect((await verified(sealed, trusted)).verdict).toBe('holds');
    expect((await verified(opened, trusted)).verdict).toBe('holds');

    const since = textOf(await filesIn(opened), 'checkpoint');
    const zip = await bundle({ subjects: [ida], reveal: true, since });
    const report = await verified(zip, { ...trusted, earlier: since });
    expect(failing(report)).toEqual([]);
    expect(report.verdict).toBe('holds');
    const [before, after] = [await filesIn(opened), await filesIn(zip)];
    const events = `${PART}/events.ndjson`;
    expect(textOf(after, events).startsWith(textOf(before, events))).toBe(true);
    const personal = linesOf<{ data: object }>(after, `${PART}/opened.ndjson`);
    for (const { data } of personal)
      for (const value of Object.values(data)) expect(value).toEqual({ erased: true });
    const keys = JSON.parse(textOf(after, `${PART}/keys.json`)) as Record<string, unknown>[];
    expect(keys).toMatchObject([{ subjectId: ida, status: 'destroyed', epoch: 1 }]);
    expect(keys[0]).not.toHaveProperty('unreadableInEveryCopySince');
    expect(textOf(after, `${PART}/timeline.de.html`)).toContain(
      'Gelöscht: Schlüssel vernichtet am',
    );

    // Keys are as they are when a bundle is made, whatever day it is about: the event came after that day.
    const then = await bundle({
      subjects: [ida, other],
      reveal: true,
      period: { to: idaErasedAfter },
    });
    const earlier = await filesIn(then);
    expect(textOf(earlier, events)).not.toContain('KeyDestroyed');
    expect(JSON.parse(textOf(earlier, `${PART}/keys.json`))).toEqual(
      expect.arrayContaining([keys[0], { subjectId: other, status: 'held' }]),
    );
    const erasures = linesOf<Envelope>(earlier, `${PART}/erasures/events.ndjson`);
    expect(erasures.map(({ type, stream }) => [type, stream])).toEqual([
      ['KeyDestroyed', `subject-${ida}`],
    ]);
    expect(failing(await verified(then, trusted))).toEqual([]);
    const denied = await forged(then, (files) => {
      const text = textOf(files, `${PART}/keys.json`);
      const held = text.replace(/"destroyed",[^}]*/, '"held" ');
      files.set(`${PART}/keys.json`, Buffer.from(held));
    });
    const unlisted = await forged(then, (files) => {
      files.set(
        `${PART}/keys.json`,
        Buffer.from(JSON.stringify([{ subjectId: other, status: 'held' }])),
      );
    });
    const unproved = await forged(then, (files) => {
      files.delete(`${PART}/erasures/events.ndjson`);
      files.delete(`${PART}/erasures/proofs.ndjson`);
    });
    for (const lie of [denied, unlisted, unproved])
      expect(failing(await verified(lie, trusted)).map(({ check }) => check)).toEqual(['keys']);

    await ledger.runtime.vault.rotate();
    const later = JSON.parse(
      textOf(await filesIn(await bundle({ subjects: [ida] })), `${PART}/keys.json`),
    ) as Record<string, unknown>[];
    expect(later[0]).toHaveProperty('unreadableInEveryCopySince');
  });
});

/** Of a key that nobody trusts. */
const SEED = Buffer.alloc(32, 7);
