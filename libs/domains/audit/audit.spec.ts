import { once } from 'node:events';
import http from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Global, Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { type Kysely, sql } from 'kysely';
import { pino } from 'pino';
import supertest from 'supertest';
import { joinCatalogues } from '#core/kernel/catalogue.js';
import type { Fact, Occasion, Recorded } from '#core/kernel/event.js';
import {
  type ContactPointId,
  newId,
  type ReceiptId,
  type StreamName,
  streamOf,
} from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { START } from '#core/kernel/position.js';
import { Codec } from '#core/ledger/codec.js';
import { Ledger, type Outcome } from '#core/ledger/ledger.js';
import { MemoryLedger } from '#core/ledger/memory/memory.ledger.js';
import { type Receipt, receiptOf, Receipts } from '#core/ledger/receipt.js';
import { readConfig } from '#core/platform/config.js';
import { kyselyOn, openPool } from '#core/platform/database.js';
import { type Application, createApplication } from '#core/platform/http/application.js';
import { AUTHENTICATOR, type Principal } from '#core/platform/http/auth.guard.js';
import { DIGEST, IDEMPOTENCY_STORE } from '#core/platform/http/idempotency.js';
import { type Scope, SCOPES } from '#core/kernel/scopes.js';
import { READ_MODELS, type ReadModels } from '#core/platform/read-models.js';
import { SEALS, type Seals } from '#core/platform/seals.js';
import { DATABASE } from '#core/platform/tokens.js';
import { MemoryVault } from '#core/vault/memory/vault.js';
import { RecordLookHandler } from '#domains/access/commands/record-look.js';
import { type AccessEvent, accessEvents } from '#domains/access/domain/access.events.js';
import { ProofTables } from '#core/proof/postgres/proof-tables.js';
import { ProvenLog } from '#core/proof/proven-log.js';
import { type ConsentEvent, consentEvents } from '#domains/consents/domain/consents.events.js';
import { type ErasureEvent, erasureEvents } from '#domains/erasure/domain/erasure.events.js';
import {
  type PreferenceEvent,
  preferenceEvents,
} from '#domains/preferences/domain/preferences.events.js';
import { type PurposeEvent, purposeEvents } from '#domains/purposes/domain/purposes.events.js';
import { AnswerPrivacyCentre } from '#domains/purposes/queries/privacy-centre.js';
import { type SubjectEvent, subjectEvents } from '#domains/subjects/domain/subjects.events.js';
import { type FreshDatabase, freshDatabase } from '../../../test/support/database.js';
import {
  AuditModule,
  EVENT_CATALOGUE,
  RECORDED_RECEIPTS,
  type RecordedReceipts,
  STORED_EVENTS,
} from './audit.module.js';
import { ReceiptsProjection } from './projections/receipts.projection.js';

type AnyEvent =
  AccessEvent | ConsentEvent | ErasureEvent | PreferenceEvent | PurposeEvent | SubjectEvent;

const catalogue = joinCatalogues(
  accessEvents,
  consentEvents,
  erasureEvents,
  preferenceEvents,
  purposeEvents,
  subjectEvents,
);
const vault = new MemoryVault();
const store = new MemoryLedger({ now: () => clock });
const ledger = new Ledger(store, new Codec(catalogue, vault));
let clock = '2026-03-01T12:00:00.000Z' as Instant;

let database: FreshDatabase;
let db: Kysely<unknown>;
let app: Application;
let port: number;

/** The read model, as far behind as a test wants it. */
let projected = START;
const readModels: ReadModels = {
  async waitFor(position) {
    const { events } = await ledger.readAll(projected, { limit: 1_000, categories: ['subject'] });
    await db.transaction().execute(async (tx) => {
      await sql`set local search_path = read_models`.execute(tx);
      const readStreams = () => Promise.resolve(new Map());
      if (events.length > 0)
        await new ReceiptsProjection().apply(events, { tx, partitions: [0], readStreams });
    });
    projected = position;
  },
  mustBeFresh: () => Promise.resolve(),
  visible: (position) => Promise.resolve(Number(position) <= Number(projected)),
};

/** As far as a test wants it. */
let sealedTo = START;
const seals: Seals = {
  of: (position) =>
    Promise.resolve(
      Number(position) <= Number(sealedTo)
        ? { origin: 'ledger.example', size: Number(sealedTo), root: 'AAAA' }
        : undefined,
    ),
};

const ofNothing = new Map<ReceiptId, Receipt>();

function principal(id: string, ...scopes: readonly Scope[]): Principal {
  return { kind: 'officer', id, keyId: `key_${id}`, scopes: new Set(scopes) };
}
const PRINCIPALS: Readonly<Record<string, Principal>> = {
  clk_all: principal('usr_all', ...SCOPES),
  clk_reader: principal('usr_reader', 'subjects:read'),
  clk_writer: principal('usr_writer', 'choices:write'),
  clk_feed: principal('usr_feed', 'events:read'),
};

beforeAll(async () => {
  database = await freshDatabase();
  const pool = openPool({
    connectionString: database.url,
    applicationName: 'audit spec',
    onError: () => undefined,
  });
  db = kyselyOn(pool);
  await sql`create schema read_models`.execute(db);
  await db.transaction().execute(async (tx) => {
    await sql`set local search_path = read_models`.execute(tx);
    await new ReceiptsProjection().create(tx);
  });

  const ports = [
    { provide: Ledger, useValue: ledger },
    { provide: STORED_EVENTS, useValue: store },
    { provide: ProvenLog, useValue: new ProvenLog(new ProofTables(db), store, 'ledger.example') },
    { provide: EVENT_CATALOGUE, useValue: catalogue },
    { provide: DATABASE, useValue: db },
    { provide: READ_MODELS, useValue: readModels },
    { provide: SEALS, useValue: seals },
    { provide: Receipts, useValue: new Receipts(readModels, seals) },
    {
      provide: RECORDED_RECEIPTS,
      useValue: { find: (id) => Promise.resolve(ofNothing.get(id)) } satisfies RecordedReceipts,
    },
    {
      provide: AUTHENTICATOR,
      useValue: { authenticate: (secret: string) => Promise.resolve(PRINCIPALS[secret]) },
    },
    { provide: IDEMPOTENCY_STORE, useValue: {} },
    { provide: DIGEST, useValue: {} },
  ];

  @Global()
  @Module({
    imports: [CqrsModule.forRoot(), AuditModule],
    providers: [...ports, RecordLookHandler, AnswerPrivacyCentre],
    exports: ports.map(({ provide }) => provide),
  })
  class SpecModule {}
  app = await createApplication(SpecModule, readConfig({ PORT: '0' }), {
    logger: pino({ level: 'silent' }),
  });
  ({ port } = await app.listen());
});
afterAll(async () => {
  await app.stop();
  await store.close();
  await db.destroy();
  await database.drop();
});

/** Records facts in one go, as one interaction. */
async function record(
  stream: StreamName,
  facts: readonly Fact<AnyEvent>[],
  more: Partial<Occasion> = {},
): Promise<Outcome & { readonly receiptId: ReceiptId }> {
  const receiptId = newId('rcp');
  const occasion: Occasion = {
    occurredAt: clock,
    actor: { kind: 'service', id: 'key_x' },
    source: 'api',
    interactionId: receiptId,
    correlationId: 'spec',
    ...more,
  };
  const decide = () => facts as readonly Fact[];
  const outcome = await ledger.transact(stream, occasion, [
    { model: { name: 'spec', initial: undefined, evolve: {} }, decide },
  ]);
  return { ...outcome, receiptId };
}

async function registered(name = 'Erika Mustermann') {
  const subjectId = newId('sub');
  const stream = streamOf('subject', subjectId);
  const receipt = await record(stream, [{ type: 'SubjectRegistered', data: { subjectId, name } }]);
  return { subjectId, stream, receipt };
}

async function purpose(key: string, marketing: boolean, texts: Record<string, string>) {
  const purposeId = newId('pur');
  const definition = {
    key,
    texts,
    controllers: [],
    marketing,
    allowedBases: ['consent'],
    channels: [],
    minimumEvidence: 'none',
    doubleOptIn: false,
    explicitConsent: false,
    dataCategories: [],
    recipients: [],
  } as const;
  const type = 'PurposeDefined';
  await record(streamOf('purpose', purposeId), [{ type, data: { purposeId, ...definition } }]);
}

const given = (key: string) =>
  ({ purpose: key, purposeRevision: 0, noticeEvidence: 'none' }) as const;

interface Item {
  type: string;
  text: string;
  position: string;
  data: Record<string, unknown>;
}
interface Body {
  items: Item[];
  page: { next?: string };
  asOf: string;
  knownAt?: string;
  position: string;
  code: string;
  errors: { parameter: string; code: string }[];
}

async function get(path: string, status = 200, key = 'clk_all') {
  const answer = await supertest(app.nest.getHttpServer())
    .get(path)
    .set('authorization', `Bearer ${key}`);
  expect(answer.status).toBe(status);
  return {
    headers: answer.headers as Record<string, string>,
    body: answer.body as Body,
    text: answer.text,
  };
}

const typesOf = ({ items }: Body) => items.map(({ type }) => type);

describe('GET /v1/subjects/{id}/timeline', () => {
  let person: Awaited<ReturnType<typeof registered>>;
  const at = (day: number) => `2026-02-${String(day).padStart(2, '0')}T00:00:00.000Z` as Instant;
  let path: string;
  let late: Outcome;

  beforeAll(async () => {
    await purpose('e-marketing', true, { en: 'E-marketing', de: 'Werbung per E-Mail' });
    await purpose('billing', false, { en: 'Billing' });
    person = await registered();
    path = `/v1/subjects/${person.subjectId}/timeline`;
    await record(person.stream, [
      {
        type: 'ConsentGiven',
        data: { ...given('e-marketing'), comment: 'said so at the till' },
        occurredAt: at(10),
      },
      { type: 'ConsentGiven', data: given('billing'), occurredAt: at(11) },
    ]);
    clock = '2026-03-02T12:00:00.000Z' as Instant;
    late = await record(person.stream, [
      {
        type: 'ConsentRefused',
        data: { purpose: 'e-marketing', purposeRevision: 0 },
        occurredAt: at(5),
      },
    ]);
  });

  it('tells every event in words and data, in the order of the log', async () => {
    const { body, headers } = await get(path);
    expect(body.items.map(({ type, text }) => [type, text])).toEqual([
      ['SubjectRegistered', 'Registered'],
      ['ConsentGiven', 'Consent given for E-marketing [e-marketing]'],
      ['ConsentGiven', 'Consent given for Billing [billing]'],
      ['ConsentRefused', 'Consent refused for E-marketing [e-marketing]'],
    ]);
    expect(body).toMatchObject({ subjectId: person.subjectId, page: {}, position: late.position });
    expect(body.knownAt).toBe(`position:${late.position}`);
    expect(headers['etag']).toBe(`"${late.revision}"`);
    const { items: german } = (await get(`${path}?language=de`)).body;
    expect(german[1]?.text).toBe('Einwilligung erteilt: Werbung per E-Mail [e-marketing]');
  });

  it('asOf: what had happened then', async () => {
    const { body } = await get(`${path}?asOf=2026-02-10T00:00:00Z`);
    expect(typesOf(body)).toEqual(['ConsentGiven', 'ConsentRefused']);
    expect(body.asOf).toBe(at(10));
  });

  it('knownAt: what was known then, by time or by position', async () => {
    const known = await get(`${path}?knownAt=2026-03-02T11:00:00%2B01:00`);
    expect(typesOf(known.body)).toEqual(['SubjectRegistered', 'ConsentGiven', 'ConsentGiven']);
    expect(known.body).toMatchObject({ knownAt: '2026-03-02T10:00:00.000Z' });
    expect(Number(known.body.position)).toBe(Number(late.position) - 1);
    const { position } = person.receipt;
    const first = (await get(`${path}?knownAt=position:${position}`)).body;
    expect(typesOf(first)).toEqual(['SubjectRegistered']);
    expect(first).toMatchObject({ knownAt: `position:${position}`, position });
    const both = await get(`${path}?knownAt=2026-03-02T10:00:00Z&asOf=2026-02-10T00:00:00Z`);
    expect(typesOf(both.body)).toEqual(['ConsentGiven']);
    expect(typesOf((await get(`${path}?knownAt=position:1`)).body)).toEqual([]);
  });

  it('never says to know more than there is', async () => {
    const head = (await ledger.head())?.position;
    const { body } = await get(`${path}?knownAt=position:9999999`);
    expect([body.knownAt, body.position]).toEqual(['position:9999999', head]);
    expect(body.items).toHaveLength(4);
  });

  it('purpose: what bears on it', async () => {
    const { body } = await get(`${path}?purpose=e-marketing`);
    expect(typesOf(body)).toEqual(['ConsentGiven', 'ConsentRefused']);
    const refused = await get(`${path}?purpose=typo`, 400);
    expect(refused.body.errors).toMatchObject([{ parameter: 'purpose', code: 'unknown-purpose' }]);
  });

  it('comes in pages that fit together, for the same question only', async () => {
    const types: string[] = [];
    for (let next: string | undefined = ''; next !== undefined;) {
      const { body, headers } = await get(`${path}?limit=3${next && `&cursor=${next}`}`);
      types.push(...typesOf(body));
      ({ next } = body.page);
      expect(headers['link'] !== undefined).toBe(next !== undefined);
    }
    expect(types).toEqual(['SubjectRegistered', 'ConsentGiven', 'ConsentGiven', 'ConsentRefused']);
    const { next } = (await get(`${path}?limit=1`)).body.page;
    const other = await get(`${path}?limit=1&purpose=billing&cursor=${next}`, 400);
    expect(other.body.code).toBe('cursor-mismatch');
    expect((await get(`${path}?cursor=nonsense`, 400)).body.code).toBe('cursor-malformed');
  });

  it.each([
    ['asOf=yesterday', 'asOf'],
    ['knownAt=position:-1', 'knownAt'],
    ['language=fr', 'language'],
    ['limit=0', 'limit'],
    ['reveal=maybe', 'reveal'],
    ['unheard=of', 'unheard'],
  ])('refuses %s', async (query, parameter) => {
    const { body } = await get(`${path}?${query}`, 400);
    expect(body.errors).toMatchObject([{ parameter }]);
  });

  it('does not know who was never registered', async () => {
    for (const id of [newId('sub'), 'sub_x', newId('rcp')])
      expect((await get(`/v1/subjects/${id}/timeline`, 404)).body.code).toBe('unknown-subject');
  });

  async function looks(): Promise<Recorded[]> {
    const { events } = await ledger.readAll(START, { limit: 1_000, categories: ['access'] });
    return [...events];
  }

  it('shows no personal field, and records no look', async () => {
    const { text, body } = await get(path, 200, 'clk_reader');
    expect(text).not.toMatch(/Erika|till|sealed/);
    expect(body.items[0]?.data).toEqual({ subjectId: person.subjectId });
    expect(await looks()).toEqual([]);
  });

  it('reveals to those who may look, and records it first', async () => {
    const { body } = await get(`${path}?reveal=true&purpose=e-marketing`);
    expect(body.items[0]?.data['comment']).toBe('said so at the till');
    const [look, ...others] = await looks();
    expect(others).toEqual([]);
    expect(look).toMatchObject({
      type: 'PersonalDataViewed',
      actor: { kind: 'officer', id: 'usr_all' },
      data: { viewed: 'timeline', subjectId: person.subjectId, purpose: 'e-marketing' },
    });
  });

  it('reveals nothing to others', async () => {
    const before = await looks();
    expect((await get(`${path}?reveal=true`, 403, 'clk_reader')).body.code).toBe('scope-missing');
    expect(await looks()).toEqual(before);
  });

  it('stays when the person is erased, and says what can not be read any more', async () => {
    const gone = await registered('Max Muster');
    const contactPointId: ContactPointId = newId('cpt');
    const contact = { contactPointId, kind: 'email' } as const;
    await record(gone.stream, [
      { type: 'ContactPointAdded', data: { ...contact, value: 'max@muster.example' } },
    ]);
    const goneTimeline = `/v1/subjects/${gone.subjectId}/timeline`;
    await vault.destroy(gone.subjectId, `contact-${contactPointId}`);
    const removed = (await get(goneTimeline)).body.items;
    expect(removed.map(({ data }) => data)).toEqual([
      { subjectId: gone.subjectId },
      { ...contact, value: { erased: true } },
    ]);
    await vault.destroy(gone.subjectId);
    for (const reveal of [false, true]) {
      const [first, second] = (await get(`${goneTimeline}?reveal=${reveal}`)).body.items;
      expect(first?.data).toEqual({ subjectId: gone.subjectId, name: { erased: true } });
      expect(second?.data).toEqual({ ...contact, value: { erased: true } });
    }
  });
});

describe('GET /v1/receipts/{id}', () => {
  it('gives the present state of what was recorded', async () => {
    const { subjectId, stream } = await registered();
    const outcome = await record(stream, [
      { type: 'ConsentGiven', data: given('billing') },
      { type: 'ConsentWithdrawn', data: { purpose: 'billing', purposeRevision: 0 } },
    ]);
    await record(stream, [{ type: 'RestrictionLifted', data: {} }]);
    const path = `/v1/receipts/${outcome.receiptId}`;
    // The read model has not come to it, and is waited for.
    const { body } = await get(path, 200, 'clk_writer');
    expect(body).toEqual(receiptOf(outcome, subjectId, outcome.receiptId, { visible: true }));
    expect((await get(path, 200, 'clk_reader')).body).toEqual(body);
  });

  it('gives one that decided nothing from where it was kept', async () => {
    const { subjectId, receipt } = await registered();
    const receiptId = newId('rcp');
    const kept = receiptOf({ ...receipt, events: [] }, subjectId, receiptId, {
      visible: false,
    });
    ofNothing.set(receiptId, kept);
    expect((await get(`/v1/receipts/${receiptId}`)).body).toEqual({ ...kept, visible: true });
  });

  it('waits for nothing where the read model has come to it', async () => {
    const { receipt } = await registered();
    await readModels.waitFor(receipt.position, []);
    const { receipt: later } = await registered();
    const { body } = await get(`/v1/receipts/${receipt.receiptId}`);
    expect(body).toMatchObject({ position: receipt.position, visible: true, sealed: false });
    expect(await readModels.visible(later.position)).toBe(false);
  });

  it('names the checkpoint that covers it, once one does', async () => {
    const { receipt } = await registered();
    const path = `/v1/receipts/${receipt.receiptId}`;
    expect((await get(path)).body).not.toHaveProperty('checkpoint');
    sealedTo = receipt.position;
    const checkpoint = { origin: 'ledger.example', size: Number(sealedTo), root: 'AAAA' };
    expect((await get(path)).body).toMatchObject({ sealed: true, checkpoint });
  });

  it('does not know others', async () => {
    for (const id of [newId('rcp'), 'rcp_1'])
      expect((await get(`/v1/receipts/${id}`, 404)).body.code).toBe('unknown-receipt');
  });
});

const request = (path: string, headers: Record<string, string> = {}) =>
  fetch(`http://127.0.0.1:${port}/v1/events${path}`, {
    headers: { authorization: 'Bearer clk_all', ...headers },
  });

describe('GET /v1/events', () => {
  const linesIn = (text: string) =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  it('gives every envelope after a position, personal fields sealed', async () => {
    const { receipt, subjectId } = await registered('Erika Gabler');
    const after = Number(receipt.position) - 1;
    const answer = await request(`?after=${after}`);
    expect(answer.headers.get('content-type')).toBe('application/x-ndjson');
    const text = await answer.text();
    expect(text).not.toContain('Gabler');
    expect(linesIn(text)).toEqual([
      expect.objectContaining({
        type: 'SubjectRegistered',
        stream: `subject-${subjectId}`,
        revision: 0,
        position: receipt.position,
        data: { subjectId, name: { sealed: expect.any(String) } },
      }),
    ]);
    expect(linesIn(await (await request('')).text())).toHaveLength(Number(receipt.position));
    expect(await (await request(`?after=${receipt.position}`)).text()).toBe('');
  });

  it('gives some categories only', async () => {
    const all = linesIn(await (await request('?category=purpose')).text());
    expect(all.map(({ type }) => type)).toEqual(['PurposeDefined', 'PurposeDefined']);
  });

  it('leaves out keys, users and looks for who may not see the audit trail', async () => {
    const keyId = newId('key');
    const revoked = await record(streamOf('key', keyId), [
      { type: 'ApiKeyRevoked', data: { keyId } },
    ]);
    await registered();
    const after = `?after=${Number(revoked.position) - 1}`;
    const types = async (path: string, key: string) => {
      const answer = await request(path, { authorization: `Bearer ${key}` });
      return linesIn(await answer.text()).map(({ type }) => type);
    };
    expect(await types(after, 'clk_all')).toEqual(['ApiKeyRevoked', 'SubjectRegistered']);
    expect(await types(after, 'clk_feed')).toEqual(['SubjectRegistered']);
    expect(await types(`${after}&category=key`, 'clk_all')).toEqual(['ApiKeyRevoked']);
    expect(await types(`${after}&category=key`, 'clk_feed')).toEqual([]);
  });

  it.each([
    ['?after=x', 'after', 'malformed-position'],
    ['?after=-1', 'after', 'malformed-position'],
    ['?after=9999999999999999999', 'after', 'position-beyond-head'],
    ['?category=UPPER', 'category', 'malformed-category'],
    ['?limit=1', 'limit', 'unknown-parameter'],
    ['/stream?after=', 'after', 'malformed-position'],
    ['/stream?after=1000000', 'after', 'position-beyond-head'],
    ['/stream?types=Nothing', 'types', 'unknown-event-type'],
    ['/stream?subject=me', 'subject', 'malformed-id'],
  ])('refuses %s', async (query, parameter, code) => {
    const answer = await request(query);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ errors: [{ parameter, code }] });
  });

  it('needs its scope', async () => {
    for (const path of ['', '/stream'])
      expect((await request(path, { authorization: 'Bearer clk_reader' })).status).toBe(403);
  });
});

describe('GET /v1/events/stream', () => {
  interface Told {
    id: string;
    event: string;
    data: Record<string, unknown>;
  }

  /** Listens until `count` events came; `meanwhile` runs once the first one has. */
  async function listen(
    path: string,
    headers: Record<string, string>,
    count: number,
    meanwhile: () => Promise<unknown> = () => Promise.resolve(),
  ): Promise<Told[]> {
    // Not by fetch: after a stream is left it opens a connection that it never uses, and stopping waits for that.
    const asked = http.get(`http://127.0.0.1:${port}/v1/events/stream${path}`, {
      agent: false,
      headers: { authorization: 'Bearer clk_all', ...headers },
    });
    const [answer] = (await once(asked, 'response')) as [http.IncomingMessage];
    expect(answer.headers['content-type']).toMatch('text/event-stream');
    let text = '';
    let told: Told[] = [];
    const decoder = new TextDecoder();
    for await (const chunk of answer as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      const before = told.length;
      told = text
        .split('\n\n')
        .slice(0, -1)
        .filter((one) => one.startsWith('id'))
        .map(toldIn);
      if (told.length >= count) break;
      if (before === 0 && told.length > 0) await meanwhile();
    }
    asked.destroy();
    return told;
  }

  function toldIn(text: string): Told {
    const parts = new Map(
      text.split('\n').map((line) => line.split(/: (.*)/s) as [string, string]),
    );
    return {
      id: parts.get('id') as string,
      event: parts.get('event') as string,
      data: JSON.parse(parts.get('data') as string) as Told['data'],
    };
  }
  const inShort = (told: readonly Told[]) => told.map(({ id, event }) => `${id} ${event}`);
  const headNow = async () => Number((await ledger.head())?.position ?? 0);

  it('tells what came after, that it has caught up, and what comes', async () => {
    const { receipt, stream } = await registered();
    const { position } = receipt;
    const more = () => record(stream, [{ type: 'RestrictionLifted', data: {} }]);
    const told = await listen(`?after=${Number(position) - 1}`, {}, 3, more);
    expect(inShort(told)).toEqual([
      `${position} SubjectRegistered`,
      `${position} caught-up`,
      `${Number(position) + 1} RestrictionLifted`,
    ]);
    expect(told[0]?.data).toMatchObject({
      stream,
      position,
      data: { name: { sealed: expect.any(String) } },
    });
  });

  it('goes on after the last event that was received, whatever the query says', async () => {
    await registered();
    const head = await headNow();
    const told = await listen('?after=1', { 'last-event-id': String(head - 1) }, 2);
    expect(inShort(told)).toEqual([`${head} SubjectRegistered`, `${head} caught-up`]);
    const bad = await request('/stream', { 'last-event-id': String(head + 1) });
    expect(bad.status).toBe(400);
    expect(await bad.json()).toMatchObject({ errors: [{ parameter: 'Last-Event-ID' }] });
  });

  it('leaves out keys, users and looks for who may not see the audit trail', async () => {
    const keyId = newId('key');
    const revoked = await record(streamOf('key', keyId), [
      { type: 'ApiKeyRevoked', data: { keyId } },
    ]);
    const { position } = (await registered()).receipt;
    const after = `?after=${Number(revoked.position) - 1}`;
    const feed = await listen(after, { authorization: 'Bearer clk_feed' }, 2);
    expect(inShort(feed)).toEqual([`${position} SubjectRegistered`, `${position} caught-up`]);
    const all = await listen(after, {}, 3);
    expect(inShort(all)[0]).toBe(`${revoked.position} ApiKeyRevoked`);
  });

  it('tells of one person and of some types only', async () => {
    const { subjectId, stream, receipt } = await registered();
    await registered();
    await record(stream, [{ type: 'ConsentGiven', data: given('billing') }]);
    const head = await headNow();
    const of = await listen(`?subject=${subjectId}`, {}, 3);
    expect(inShort(of)).toEqual([
      `${receipt.position} SubjectRegistered`,
      `${head} ConsentGiven`,
      `${head} caught-up`,
    ]);
    const types = await listen(`?subject=${subjectId}&types=ConsentGiven,ConsentRefused`, {}, 2);
    expect(inShort(types)).toEqual([`${head} ConsentGiven`, `${head} caught-up`]);
  });
});

describe('the OpenAPI document', () => {
  it('describes every call of the slice, with an example', async () => {
    const { paths } = (await get('/v1/openapi.json')).body as unknown as {
      paths: Record<string, { get: { summary: string; responses: Record<string, object> } }>;
    };
    for (const path of [
      '/v1/subjects/{id}/timeline',
      '/v1/events',
      '/v1/events/stream',
      '/v1/receipts/{id}',
    ]) {
      const call = paths[path]?.get;
      expect(call?.summary).toMatch(/\w/);
      expect(JSON.stringify(call?.responses['200'])).toContain('"example"');
    }
  });
});
