import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Global, Module } from '@nestjs/common';
import { CommandBus, CqrsModule } from '@nestjs/cqrs';
import { pino } from 'pino';
import supertest from 'supertest';
import { joinCatalogues } from '#core/kernel/catalogue.js';
import { Refused } from '#core/kernel/refused.js';
import { Codec } from '#core/ledger/codec.js';
import { ensureCreated } from '#core/ledger/created.js';
import { Ledger } from '#core/ledger/ledger.js';
import { ledgerEvents } from '#core/ledger/ledger.events.js';
import { MemoryLedger } from '#core/ledger/memory/memory.ledger.js';
import { readConfig } from '#core/platform/config.js';
import { type Application, createApplication } from '#core/platform/http/application.js';
import { AUTHENTICATOR, type Principal } from '#core/platform/http/auth.guard.js';
import {
  DIGEST,
  IDEMPOTENCY_STORE,
  type IdempotencyStore,
} from '#core/platform/http/idempotency.js';
import { openApiOf } from '#core/platform/http/openapi.js';
import { type Scope, SCOPES } from '#core/kernel/scopes.js';
import { READ_MODELS, type ReadModels } from '#core/platform/read-models.js';
import { derivationUnder } from '#core/vault/derivation.js';
import { MemoryVault } from '#core/vault/memory/vault.js';
import { ApplyCatalogue } from './commands/apply-catalogue.js';
import { purposeEvents } from './domain/purposes.events.js';
import { PurposesModule } from './purposes.module.js';

const store = new MemoryLedger();
const ledger = new Ledger(
  store,
  new Codec(joinCatalogues(ledgerEvents, purposeEvents), new MemoryVault()),
);

/** Nothing is kept: a repetition must be recognised by the log itself. */
const forgetful: IdempotencyStore = {
  claim: () => Promise.resolve({ kind: 'claimed', lease: 'x' }),
  complete: () => Promise.resolve(),
  release: () => Promise.resolve(),
};

/** As far behind as a test wants them. */
let lagging = false;
const readModels: ReadModels = {
  waitFor: () =>
    lagging
      ? Promise.reject(new Refused('unavailable', 'projection-lagging', 'behind'))
      : Promise.resolve(),
  mustBeFresh: () => Promise.resolve(),
  visible: () => Promise.resolve(!lagging),
};

const principal = (id: string, ...scopes: readonly Scope[]): Principal => ({
  kind: 'officer',
  id,
  keyId: id,
  scopes: new Set(scopes),
});
const PRINCIPALS: Readonly<Record<string, Principal>> = {
  clk_all: principal('key_all', ...SCOPES),
  clk_reader: principal('key_reader', 'decisions:read'),
  clk_other: principal('key_other', 'choices:write'),
};

let app: Application;
let http: ReturnType<typeof supertest>;

beforeAll(async () => {
  await ensureCreated(ledger);
  const ports = [
    { provide: Ledger, useValue: ledger },
    {
      provide: AUTHENTICATOR,
      useValue: { authenticate: (secret: string) => Promise.resolve(PRINCIPALS[secret]) },
    },
    { provide: IDEMPOTENCY_STORE, useValue: forgetful },
    { provide: DIGEST, useValue: derivationUnder(randomBytes(32)) },
    { provide: READ_MODELS, useValue: readModels },
  ];

  @Global()
  @Module({
    imports: [CqrsModule.forRoot(), PurposesModule],
    providers: ports,
    exports: ports.map(({ provide }) => provide),
  })
  class SpecModule {}
  app = await createApplication(SpecModule, readConfig({ PORT: '0' }), {
    logger: pino({ level: 'silent' }),
  });
  http = supertest(app.nest.getHttpServer());
});
afterAll(() => app.stop());

const auth = (key = 'clk_all') => ({ authorization: `Bearer ${key}` });
const get = (path: string, key?: string) => http.get(`/v1/${path}`).set(auth(key));
const send = (
  method: 'post' | 'put',
  path: string,
  body: object,
  more: Readonly<Record<string, string>> = {},
) =>
  http[method](`/v1/${path}`)
    .set({ ...auth(), 'idempotency-key': randomUUID(), ...more })
    .send(body);
const post = (path: string, body: object, more?: Readonly<Record<string, string>>) =>
  send('post', path, body, more);
const put = (path: string, body: object, more?: Readonly<Record<string, string>>) =>
  send('put', path, body, more);
const head = async () => Number((await ledger.head())?.position);

const purpose = (key: string, more: object = {}) => ({
  key,
  texts: { en: 'Newsletter' },
  controllers: ['acme'],
  marketing: true,
  allowedBases: ['consent'],
  channels: ['email'],
  ...more,
});
const pointers = ({ body }: { body: { errors?: { pointer: string; code: string }[] } }) =>
  (body.errors ?? []).map(({ pointer, code }) => `${pointer} ${code}`);

beforeAll(async () => {
  const acme = { key: 'acme', name: 'Acme GmbH' };
  expect((await post('controllers', acme)).status).toBe(201);
});

describe('purposes', () => {
  it('are defined, with what is not said filled in', async () => {
    const answer = await post('purposes', purpose('letters', { texts: { 'de-at': 'Post' } }));
    expect(answer.status).toBe(201);
    expect(answer.headers).toMatchObject({
      etag: '"0"',
      location: '/v1/purposes/letters',
      'consistency-token': expect.any(String),
    });
    expect(answer.body).toMatchObject({
      purposeId: expect.stringMatching(/^pur_/),
      texts: { 'de-AT': 'Post' },
      minimumEvidence: 'none',
      doubleOptIn: false,
      explicitConsent: false,
      dataCategories: [],
      recipients: [],
      definitionRevision: 0,
      revision: 0,
      position: String(await head()),
    });
    const shown = await get('purposes/letters', 'clk_reader');
    expect(shown.body).toEqual(answer.body);
    expect(shown.headers['etag']).toBe('"0"');
  });

  it('are defined once: the same is 200, another one 409', async () => {
    await post('purposes', purpose('once'));
    const before = await head();
    expect((await post('purposes', purpose('once'))).status).toBe(200);
    const other = await post('purposes', purpose('once', { texts: { en: 'Other' } }));
    expect(other.status).toBe(409);
    expect(other.body).toMatchObject({ code: 'purpose-exists' });
    expect(await head()).toBe(before);
  });

  it('are defined once by one request, whatever became of its answer', async () => {
    const key = { 'idempotency-key': 'the-same' };
    const first = await post('purposes', purpose('again'), key);
    const before = await head();
    const second = await post('purposes', purpose('again'), key);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body).toEqual(first.body);
    expect(await head()).toBe(before);
  });

  it('tell all that is wrong', async () => {
    const shape = await post('purposes', {
      key: 'Not A Key',
      texts: { en: ' ', xx_y: 'Text', de: 7 },
      controllers: [],
      allowedBases: ['consent', 'consent'],
      channels: ['fax'],
      retention: 'P1H',
      surprise: true,
    });
    expect(shape.status).toBe(422);
    expect(pointers(shape).sort()).toEqual([
      '/allowedBases duplicate',
      '/channels/0 not-one-of',
      '/controllers too-few',
      '/key malformed-code',
      '/marketing required',
      '/retention malformed-period',
      '/surprise unknown-field',
    ]);
    const texts = await post(
      'purposes',
      purpose('texts', { texts: { en: ' ', xx_y: 'x', de: 7 } }),
    );
    expect(pointers(texts)).toEqual([
      '/texts/en empty',
      '/texts/xx_y malformed-language',
      '/texts/de not-a-string',
    ]);
    const rules = await post(
      'purposes',
      purpose('marketing', {
        controllers: ['nobody'],
        marketing: false,
        allowedBases: ['contract'],
        doubleOptIn: true,
        minimumEvidence: 'notice',
      }),
    );
    expect(rules.status).toBe(422);
    expect(pointers(rules)).toEqual([
      '/key reserved-key',
      '/controllers/0 unknown-controller',
      '/channels not-marketing',
      '/doubleOptIn consent-not-allowed',
      '/minimumEvidence consent-not-allowed',
    ]);
  });

  it('are revised under the revision that was read', async () => {
    await post('purposes', purpose('revised'));
    const { key: _, ...body } = purpose('revised', { expiresAfter: 'P24M' });
    const stale = await put('purposes/revised', body, { 'if-match': '"7"' });
    expect(stale.status).toBe(412);
    const answer = await put('purposes/revised', body, { 'if-match': '"0"' });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ expiresAfter: 'P24M', revision: 1, definitionRevision: 1 });
    expect(answer.headers['etag']).toBe('"1"');
    const same = await put('purposes/revised', { key: 'revised', ...body });
    expect(same.body).toMatchObject({ revision: 1 });
    const other = await put('purposes/revised', { ...body, key: 'other' });
    expect(pointers(other)).toEqual(['/key not-of-path']);
    for (const key of ['nowhere', 'constructor'])
      expect((await put(`purposes/${key}`, body)).body).toMatchObject({
        status: 404,
        code: 'unknown-purpose',
      });
  });

  it('end, also ahead of time, and tell their history', async () => {
    await post('purposes', purpose('ending'));
    const { key: _, ...other } = purpose('ending', { texts: { en: 'Other' } });
    await put('purposes/ending', other);
    const ahead = await post('purposes/ending/retire', { retiredAt: '2099-01-01T00:00:00Z' });
    expect(ahead.status).toBe(200);
    expect(ahead.body).toMatchObject({
      retiredAt: '2099-01-01T00:00:00.000Z',
      definitionRevision: 1,
      revision: 2,
    });
    const later = await post('purposes/ending/retire', { retiredAt: '2100-01-01T00:00:00Z' });
    expect(later.body).toMatchObject({ status: 409, code: 'purpose-retired' });
    expect((await post('purposes/ending/retire', {})).body).toMatchObject({ revision: 3 });
    expect((await post('purposes/ending/retire', {})).body).toMatchObject({ revision: 3 });
    expect((await put('purposes/ending', other)).status).toBe(200);
    const revised = await put('purposes/ending', { ...other, texts: { en: 'More' } });
    expect(revised.body).toMatchObject({ status: 409, code: 'purpose-retired' });

    const history = await get('purposes/ending/revisions?limit=2');
    expect(history.body).toMatchObject({
      data: [
        {
          revision: 0,
          change: 'defined',
          actor: { kind: 'officer', id: 'key_all' },
          definition: { texts: { en: 'Newsletter' } },
        },
        { revision: 1, change: 'revised', definition: { texts: { en: 'Other' } } },
      ],
    });
    const { next } = (history.body as { page: { next: string } }).page;
    const rest = await get(`purposes/ending/revisions?limit=2&cursor=${next}`);
    expect(rest.body).toMatchObject({
      data: [
        { revision: 2, change: 'retired', retiredAt: '2099-01-01T00:00:00.000Z' },
        { revision: 3, change: 'retired' },
      ],
      page: {},
    });
    expect((await get('purposes/nowhere/revisions')).status).toBe(404);
    expect((await post('purposes/nowhere/retire', {})).status).toBe(404);
  });

  it('are listed by key, a page at a time, also as the ledger knew them', async () => {
    const known = await head();
    await post('purposes', purpose('aaa'));
    const first = await get('purposes?limit=1');
    expect(first.body).toMatchObject({ data: [{ key: 'aaa' }] });
    const { next } = (first.body as { page: { next: string } }).page;
    const second = await get(`purposes?limit=1&cursor=${next}`);
    expect(second.body).toMatchObject({ data: [{ key: 'again' }] });
    expect(second.headers['link']).toContain('rel="next"');
    const then = await get(`purposes?knownAt=position:${known}`);
    expect((then.body as { data: { key: string }[] }).data.map(({ key }) => key)).not.toContain(
      'aaa',
    );
    expect((await get(`purposes/aaa?knownAt=position:${known}`)).status).toBe(404);
    expect((await get('purposes/aaa?knownAt=2001-01-01T00:00:00Z')).status).toBe(404);
    expect((await get('purposes?knownAt=yesterday')).body).toMatchObject({ status: 400 });
    expect((await get(`purposes?cursor=${next}&knownAt=position:1`)).status).toBe(400);
  });

  it('are read and written only by who may', async () => {
    expect((await get('purposes', 'clk_other')).status).toBe(403);
    const answer = await post('purposes', purpose('forbidden'), auth('clk_reader'));
    expect(answer.status).toBe(403);
  });
});

describe('notices', () => {
  const text = 'I agree to receive the newsletter.\nI can withdraw at any time.';
  const hash = createHash('sha256').update(text, 'utf8').digest('hex');
  const notice = { purpose: 'letters', kind: 'consent', version: 1, language: 'EN', text };

  it('are published once, addressed by their hash', async () => {
    const answer = await post('notices', { ...notice, publishedAt: '2024-05-01T02:00:00+02:00' });
    expect(answer.status).toBe(201);
    const { noticeId } = answer.body as { noticeId: string };
    expect(answer.headers['location']).toBe(`/v1/notices/${noticeId}`);
    expect(answer.body).toMatchObject({
      language: 'en',
      hash,
      publishedAt: '2024-05-01T00:00:00.000Z',
      revision: 0,
    });
    const [event] = await ledger.read(`notice-${noticeId}` as Parameters<typeof ledger.read>[0]);
    expect(event?.occurredAt).toBe('2024-05-01T00:00:00.000Z');
    expect((await post('notices', notice)).status).toBe(200);
    const changed = await post('notices', { ...notice, text: 'Other words' });
    expect(changed.body).toMatchObject({
      status: 409,
      code: 'notice-immutable',
      published: hash,
    });
    await post('notices', { ...notice, language: 'de', text: 'Ich willige ein.' });
    await post('notices', { ...notice, version: 2 });

    const shown = await get(`notices/${noticeId}`);
    expect(shown.headers['etag']).toBe('"2"');
    expect(shown.body).toMatchObject({
      purpose: 'letters',
      kind: 'consent',
      versions: [
        { version: 1, language: 'de' },
        { version: 1, language: 'en', text, hash },
        { version: 2, language: 'en', text, hash },
      ],
    });
    const words = await get(`notices/by-hash/${hash}`);
    expect(words.body).toMatchObject({ hash, text, published: [{ version: 1 }, { version: 2 }] });
    expect((await get(`notices/by-hash/${'0'.repeat(64)}`)).status).toBe(404);
    expect((await get('notices/ntc_nowhere')).status).toBe(404);
  });

  it('are listed by purpose, kind and language', async () => {
    await post('notices', { ...notice, purpose: undefined, kind: 'art-13' });
    const count = async (query: string) =>
      ((await get(`notices?${query}`)).body as { data: object[] }).data.length;
    expect(await count('')).toBe(4);
    expect(await count('purpose=letters')).toBe(3);
    expect(await count('purpose=letters&language=de')).toBe(1);
    expect(await count('kind=art-13')).toBe(1);
    expect(await count('limit=3')).toBe(3);
    expect((await get('notices?kind=novel')).status).toBe(400);
  });

  it('tell all that is wrong', async () => {
    const answer = await post('notices', {
      ...notice,
      purpose: 'nowhere',
      publishedAt: '2099-01-01T00:00:00Z',
    });
    expect(pointers(answer)).toEqual(['/purpose unknown-purpose', '/publishedAt in-the-future']);
    const nobodys = await post('notices', { ...notice, purpose: undefined });
    expect(pointers(nobodys)).toEqual(['/purpose required']);
    const shape = await post('notices', { ...notice, text: ' ', version: 0, language: 'x' });
    expect(pointers(shape).sort()).toEqual([
      '/language malformed-language',
      '/text empty',
      '/version too-small',
    ]);
  });

  it('hold the longest text that fits into an event', async () => {
    const long = { ...notice, version: 9, text: 'ß'.repeat(27_000) };
    expect((await post('notices', long)).status).toBe(201);
    expect(pointers(await post('notices', { ...long, text: 'ß'.repeat(28_000) }))).toEqual([
      '/text too-large',
    ]);
  });
});

describe('topics', () => {
  it('are defined, revised, listed and ended', async () => {
    const topic = { key: 'product-news', purpose: 'letters' };
    const created = await post('topics', topic);
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({ unset: 'off', texts: {}, revision: 0 });
    expect((await post('topics', topic)).status).toBe(200);
    expect((await post('topics', { ...topic, unset: 'follows-purpose' })).status).toBe(409);
    const revised = await put('topics/product-news', {
      purpose: 'letters',
      unset: 'follows-purpose',
      texts: { en: 'Product news' },
    });
    expect(revised.body).toMatchObject({ unset: 'follows-purpose', revision: 1 });
    const moved = await put('topics/product-news', { purpose: 'revised' });
    expect(moved.body).toMatchObject({ status: 409, code: 'topic-moved' });
    expect((await put('topics/nowhere', { purpose: 'letters' })).status).toBe(404);
    expect(pointers(await post('topics', { key: 'x', purpose: 'nowhere' }))).toEqual([
      '/purpose unknown-purpose',
    ]);
    expect(pointers(await post('topics', { key: 'x', purpose: 'ending' }))).toEqual([
      '/purpose purpose-retired',
    ]);
    const retired = await post('topics/product-news/retire', {});
    expect(retired.body).toMatchObject({ retiredAt: expect.any(String), revision: 2 });
    expect((await get('topics/product-news')).body).toEqual(retired.body);
    expect((await get('topics?purpose=letters')).body).toMatchObject({
      data: [{ key: 'product-news' }],
    });
    expect((await get('topics?purpose=revised')).body).toMatchObject({ data: [] });
    expect((await get('topics/constructor')).status).toBe(404);
  });
});

describe('settings', () => {
  it('have controllers', async () => {
    const second = { key: 'suedwind', name: 'Südwind AG', contact: 'privacy@suedwind.example' };
    expect((await post('controllers', second)).status).toBe(201);
    const renamed = await post('controllers', { key: 'suedwind', name: 'Südwind SE' });
    expect(renamed.status).toBe(200);
    const list = await get('controllers');
    expect(list.body).toMatchObject({
      data: [{ key: 'acme' }, { key: 'suedwind', name: 'Südwind SE' }],
      revision: 2,
    });
    expect((list.body as { data: object[] }).data[1]).not.toHaveProperty('contact');
    expect(list.headers['etag']).toBe('"2"');
  });

  it('have sources, each kind with a revision of its own', async () => {
    expect((await get('sources')).body).toMatchObject({ page: {} });
    expect((await get('sources')).headers['etag']).toBeUndefined();
    const added = await post('sources', { key: 'trade-fair' });
    expect(added.status).toBe(201);
    expect(added.body).toMatchObject({ key: 'trade-fair', revision: 0 });
    expect((await post('sources', { key: 'trade-fair' })).status).toBe(200);
    expect((await post('sources', { key: 'api' })).status).toBe(200);
    const { data } = (await get('sources')).body as { data: { key: string }[] };
    expect(data.map(({ key }) => key)).toEqual(expect.arrayContaining(['api', 'trade-fair']));
    expect(pointers(await post('sources', { key: 'Trade Fair' }))).toEqual(['/key malformed-code']);
  });

  it('have defaults, which guard the purposes they are for', async () => {
    expect((await get('defaults')).body).toMatchObject({ bases: [] });
    const orders = purpose('deliveries', {
      marketing: false,
      channels: [],
      allowedBases: ['contract', 'legal-obligation'],
    });
    await post('purposes', orders);
    const bases = [
      { purpose: 'deliveries', basis: 'contract', status: 'established' },
      {
        purpose: 'deliveries',
        basis: 'legal-obligation',
        status: 'established',
        reference: '§ 147 AO',
      },
    ];
    const set = await put('defaults', { bases });
    expect(set.status).toBe(200);
    expect(set.body).toMatchObject({ bases, revision: 0 });
    expect((await get('defaults')).body).toEqual(set.body);
    const { key: _, ...body } = { ...orders, allowedBases: ['legal-obligation'] };
    expect(pointers(await put('purposes/deliveries', body))).toEqual([
      '/allowedBases basis-is-default',
    ]);
    expect(
      pointers(
        await put('defaults', {
          bases: [{ purpose: 'deliveries', basis: 'consent', status: 'established' }],
        }),
      ),
    ).toEqual(['/bases/0/basis not-one-of']);
    expect(pointers(await put('defaults', { bases: [{ ...bases[0], purpose: 'x' }] }))).toEqual([
      '/bases/0/purpose unknown-purpose',
    ]);
    expect((await put('defaults', { bases: [] }, { 'if-match': '"9"' })).status).toBe(412);
    expect((await put('defaults', { bases: [] })).body).toMatchObject({ bases: [], revision: 1 });
  });
});

describe('the catalogue file', () => {
  const example = async () =>
    JSON.parse(
      await readFile(join(import.meta.dirname, '../../../examples/catalogue.json'), 'utf8'),
    ) as Record<string, object[]>;
  const unchanged = (n: number) => ({ defined: 0, revised: 0, unchanged: n });
  const defined = (n: number) => ({ defined: n, revised: 0, unchanged: 0 });

  it('is applied in one call, and again without a change', async () => {
    const file = await example();
    const counts = (of: (n: number) => object) => ({
      controllers: of(file['controllers']?.length ?? 0),
      purposes: of(file['purposes']?.length ?? 0),
      notices: of(file['notices']?.length ?? 0),
      topics: of(file['topics']?.length ?? 0),
    });
    const first = await post('catalogue', file);
    expect(first.body).toMatchObject({ ...counts(defined), visible: true });
    expect(first.status).toBe(200);
    expect(first.body).toMatchObject({ position: String(await head()) });
    const before = await head();
    const second = await post('catalogue', file);
    expect(second.body).toMatchObject({ ...counts(unchanged), defaults: unchanged(1) });
    expect(await head()).toBe(before);
    expect(second.body).toMatchObject({ position: (first.body as { position: string }).position });
  });

  it('stands although the read models are behind', async () => {
    lagging = true;
    const answer = await post('catalogue', { sources: ['kiosk'] });
    lagging = false;
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ sources: defined(1), visible: false });
  });

  it('changes what differs', async () => {
    const file = await example();
    const [purposeOfFile] = file['purposes'] as [object];
    const answer = await post('catalogue', {
      purposes: [{ ...purposeOfFile, retention: 'P7Y' }],
      sources: ['call-centre', 'api'],
    });
    expect(answer.body).toMatchObject({
      purposes: { defined: 0, revised: 1, unchanged: 0 },
      sources: { defined: 1, revised: 0, unchanged: 1 },
      topics: unchanged(0),
    });
  });

  it('is refused as a whole, and nothing is written', async () => {
    const before = await head();
    const shape = await post('catalogue', {
      purposes: [purpose('p1'), purpose('p2'), purpose('p3', { channels: ['fax'] })],
      topics: [{ key: 'x' }],
    });
    expect(pointers(shape)).toEqual([
      '/purposes/2/channels/0 not-one-of',
      '/topics/0/purpose required',
    ]);
    const rules = await post('catalogue', {
      purposes: [purpose('p1'), purpose('p2', { controllers: ['nobody'] })],
      topics: [{ key: 'x', purpose: 'nowhere' }],
    });
    expect(rules.status).toBe(422);
    expect(pointers(rules)).toEqual([
      '/purposes/1/controllers/0 unknown-controller',
      '/topics/0/purpose unknown-purpose',
    ]);
    expect(await head()).toBe(before);
  });

  it('goes on where it was cut off', async () => {
    const file = {
      controllers: [],
      sources: [],
      purposes: ['cut-1', 'cut-2', 'cut-3'].map((key) => ({
        key,
        texts: { en: key },
        controllers: ['acme'],
        marketing: false,
        allowedBases: ['contract'] as const,
        channels: [],
        minimumEvidence: 'none' as const,
        doubleOptIn: false,
        explicitConsent: false,
        dataCategories: [],
        recipients: [],
      })),
      notices: [],
      topics: [],
    };
    const requested = {
      actor: { kind: 'system', id: 'spec' },
      receiptId: `rcp_${randomUUID().replace(/^(.{14})4/, '$18')}`,
      correlationId: 'spec',
    } as ConstructorParameters<typeof ApplyCatalogue>[1];
    const commands = app.nest.get(CommandBus);
    const half = { ...file, purposes: file.purposes.slice(0, 2) };
    await commands.execute(new ApplyCatalogue(half, requested));
    const applied = await commands.execute(new ApplyCatalogue(file, requested));
    // The same receipt: what it defined the first time is what it defined.
    expect(applied.purposes).toEqual(defined(3));
    const again = await commands.execute(new ApplyCatalogue(file, requested));
    expect(again).toEqual(applied);
  });
});

describe('the document', () => {
  it('describes every call of the slice', () => {
    const document = openApiOf(app.nest, { title: 'x', version: '1', description: '' }) as {
      paths: Record<
        string,
        Record<string, { summary?: string; responses: Record<string, object> }>
      >;
    };
    const calls = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) => ({ path, method, operation })),
    );
    const ours = calls.filter(({ path }) =>
      /^\/v1\/(purposes|notices|topics|controllers|sources|defaults|catalogue)/.test(path),
    );
    expect(ours).toHaveLength(22);
    for (const { path, method, operation } of ours) {
      expect(operation.summary ?? `${method} ${path}`).not.toContain('/v1/');
      for (const [status, answer] of Object.entries(operation.responses))
        if (status.startsWith('2')) expect(JSON.stringify(answer)).toContain('"example"');
    }
  });
});
