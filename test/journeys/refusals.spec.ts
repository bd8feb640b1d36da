import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newId } from '#core/kernel/ids.js';
import type { Problem, Receipt, TimelinePage } from '../support/answers.js';
import { catalogue } from '../support/catalogue.js';
import {
  type Call,
  type Method,
  type Reply,
  type RunningLedger,
  startLedger,
} from '../support/server.js';

/** What a call must be refused with. `at` is a pointer where it begins with a slash or is empty, else a parameter. */
interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly at?: readonly string[];
  readonly headers?: Readonly<Record<string, unknown>>;
  /** Events that are recorded all the same: an attempt that has to be on record. */
  readonly records?: number;
}

type Ask = () => Promise<Reply<Problem>>;

describe('given a person on record', () => {
  let ledger: RunningLedger;
  let person = '';
  let path = '';
  let reader = '';
  let expired = '';
  let revoked = '';
  let expiry = 0;
  let contactPoint = '';

  const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();
  const ref = { system: 'crm', id: 'refused-1' };
  const give = { purpose: 'sales', decision: 'give' };

  const send = (method: Method, to: string, body?: object | string, call?: Call) =>
    ledger.api.send<Problem>(method, to, body, call);
  const interact = (interaction: object, call?: Call) =>
    send('POST', `${path}/interactions`, { source: 'web-form', ...interaction }, call);
  const choose = (...choices: readonly object[]) => interact({ choices });
  const register = (registration: object, call?: Call) =>
    send('POST', '/v1/subjects', { source: 'web-form', ...registration }, call);
  const decide = (question: object, call?: Call) => send('POST', '/v1/decisions', question, call);
  const setBasis = (purpose: string, basis: object, call?: Call) =>
    send('PUT', `${path}/bases/${purpose}`, { source: 'officer', ...basis }, call);
  const raw = (body: string | Buffer, contentType = 'application/json') =>
    send('POST', `${path}/interactions`, body, { headers: { 'content-type': contentType } });

  beforeAll(async () => {
    ledger = await startLedger();
    const { api } = ledger;
    await api.post('/v1/catalogue', catalogue);
    const registered = await api.post<Receipt>('/v1/subjects', {
      source: 'web-form',
      contactPoints: [{ kind: 'email', value: 'refused@linden.example' }],
      externalRefs: [ref],
    });
    person = registered.body.subjectId;
    path = `/v1/subjects/${person}`;
    const page = await api.get<{ identity: { contactPoints: { id: string }[] } }>(path);
    contactPoint = page.body.identity.contactPoints[0]?.id ?? '';
    await api.put(`${path}/bases/newsletter`, {
      basis: 'consent',
      status: 'requested',
      source: 'officer',
    });
    reader = await ledger.keyWith('subjects:read');
    expiry = Date.now() + 1_500;
    const issued = await Promise.all([
      api.post<{ secret: string }>('/v1/api-keys', {
        scopes: ['choices:write'],
        expiresAt: new Date(expiry).toISOString(),
      }),
      api.post<{ secret: string; keyId: string }>('/v1/api-keys', { scopes: ['choices:write'] }),
    ]);
    [expired, revoked] = issued.map(({ body }) => body.secret) as [string, string];
    await register({}, { key: revoked });
    await api.delete(`/v1/api-keys/${issued[1].body.keyId}`);
  }, 60_000);
  afterAll(() => ledger.stop(), 20_000);

  async function refusedSo(ask: Ask, expected: Refusal): Promise<void> {
    const head = await ledger.head();
    const reply = await ask();
    const { status, headers, body } = reply;
    expect([status, body?.code]).toEqual([expected.status, expected.code]);
    expect(headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(body).toMatchObject({
      type: `/problems/${expected.code}`,
      title: expect.stringMatching(/\w/),
      status: expected.status,
      detail: expect.stringMatching(/\w/),
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    const places = (body.errors ?? []).map(({ pointer, parameter }) => pointer ?? parameter);
    expect(places.sort()).toEqual([...(expected.at ?? [])].sort());
    for (const error of body.errors ?? [])
      expect([error.code, error.detail]).toEqual([
        expect.stringMatching(/^[a-z0-9-]+$/),
        expect.stringMatching(/\w/),
      ]);
    expect(headers).toMatchObject(expected.headers ?? {});
    for (const name of ['etag', 'location', 'consistency-token'])
      expect(headers).not.toHaveProperty(name);
    expect(Number(await ledger.head()) - Number(head)).toBe(expected.records ?? 0);
  }

  describe('when a choice can not be recorded, then nothing of it is', () => {
    const evidence = { scan: 'x'.repeat(16 * 1024) };
    const table: [string, Ask, Refusal][] = [
      [
        'an unknown purpose',
        () => choose(give, { purpose: 'nowhere', decision: 'give' }),
        { status: 422, code: 'unknown-purpose', at: ['/choices/1/purpose'] },
      ],
      [
        'a purpose that every object has',
        () => choose({ purpose: 'constructor', decision: 'give' }),
        { status: 422, code: 'unknown-purpose', at: ['/choices/0/purpose'] },
      ],
      [
        'an unknown topic',
        () => choose({ topic: 'nowhere', channel: 'email', decision: 'on' }),
        { status: 422, code: 'unknown-topic', at: ['/choices/0/topic'] },
      ],
      [
        'an objection to an unknown purpose',
        () => choose({ objection: 'nowhere', decision: 'raise' }),
        { status: 422, code: 'unknown-purpose', at: ['/choices/0/objection'] },
      ],
      [
        'a topic without a channel',
        () => choose({ topic: 'new-books', decision: 'on' }),
        { status: 422, code: 'invalid-body', at: ['/choices/0/channel'] },
      ],
      [
        'a decision that a topic does not know',
        () => choose({ topic: 'new-books', channel: 'email', decision: 'give' }),
        { status: 422, code: 'invalid-body', at: ['/choices/0/decision'] },
      ],
      [
        'a choice of two kinds at once',
        () => choose({ purpose: 'sales', topic: 'new-books', channel: 'email', decision: 'on' }),
        { status: 422, code: 'invalid-body', at: ['/choices/0/topic'] },
      ],
      [
        'the same purpose twice',
        () => choose(give, { purpose: 'sales', decision: 'withdraw' }),
        { status: 422, code: 'contradictory-choices', at: ['/choices/1/purpose'] },
      ],
      [
        'the same topic on the same channel twice',
        () =>
          choose(
            { topic: 'readings', channel: 'email', decision: 'on' },
            { topic: 'readings', channel: 'sms', decision: 'on' },
            { topic: 'readings', channel: 'email', decision: 'off' },
          ),
        { status: 422, code: 'contradictory-choices', at: ['/choices/2/topic'] },
      ],
      [
        'the same objection twice',
        () =>
          choose(
            { objection: 'marketing', decision: 'raise' },
            { objection: 'marketing', decision: 'withdraw' },
          ),
        { status: 422, code: 'contradictory-choices', at: ['/choices/1/objection'] },
      ],
      [
        'a purpose that may not rest on consent',
        () => choose({ purpose: 'bookkeeping', decision: 'give' }),
        { status: 422, code: 'basis-not-allowed', at: ['/choices/0/purpose'] },
      ],
      [
        'a version of the notice that was never published',
        () => choose({ purpose: 'newsletter', decision: 'give', noticeVersion: 9 }),
        { status: 422, code: 'unknown-notice-version', at: ['/choices/0/noticeVersion'] },
      ],
      [
        'a confirmation that confirms nothing',
        () => choose({ purpose: 'newsletter', decision: 'confirm' }),
        { status: 422, code: 'required', at: ['/choices/0/confirmation'] },
      ],
      [
        'a confirmation that is still to come',
        () =>
          choose({
            purpose: 'newsletter',
            decision: 'confirm',
            confirmation: { method: 'double-opt-in', at: inAnHour() },
          }),
        { status: 422, code: 'in-the-future', at: ['/choices/0/confirmation/at'] },
      ],
      [
        'a confirmed grant whose confirmation is still to come',
        () =>
          choose({
            purpose: 'newsletter',
            decision: 'give',
            noticeVersion: 1,
            confirmation: { method: 'double-opt-in', at: inAnHour() },
          }),
        { status: 422, code: 'in-the-future', at: ['/choices/0/confirmation/at'] },
      ],
      [
        'a time that is still to come',
        () => interact({ occurredAt: inAnHour(), choices: [give] }),
        { status: 422, code: 'in-the-future', at: ['/occurredAt'] },
      ],
      [
        'a receipt in hand that is still to come',
        () => interact({ receivedAt: inAnHour(), choices: [give] }),
        { status: 422, code: 'in-the-future', at: ['/receivedAt'] },
      ],
      [
        'a time without a zone',
        () => interact({ occurredAt: '2026-01-01T00:00:00', choices: [give] }),
        { status: 422, code: 'invalid-body', at: ['/occurredAt'] },
      ],
      [
        'a day that its month does not have',
        () => interact({ occurredAt: '2026-02-30T00:00:00Z', choices: [give] }),
        { status: 422, code: 'invalid-body', at: ['/occurredAt'] },
      ],
      [
        'an unknown source',
        () => interact({ source: 'hearsay', choices: [give] }),
        { status: 422, code: 'unknown-source', at: ['/source'] },
      ],
      [
        'an unknown source of a contact point',
        () =>
          send('POST', `${path}/contact-points`, {
            kind: 'email',
            value: 'b@linden.example',
            source: 'hearsay',
          }),
        { status: 422, code: 'unknown-source', at: ['/source'] },
      ],
      [
        'an unknown source of a correction',
        () => send('PATCH', `${path}/identity`, { name: 'Ada', source: 'hearsay' }),
        { status: 422, code: 'unknown-source', at: ['/source'] },
      ],
      [
        'nothing to correct',
        () => send('PATCH', `${path}/identity`, {}),
        { status: 422, code: 'invalid-body', at: [''] },
      ],
      [
        'a restriction for an unknown purpose',
        () => send('POST', `${path}/restriction`, { ground: 'unlawful', purposes: ['nowhere'] }),
        { status: 422, code: 'unknown-purpose', at: ['/purposes/0'] },
      ],
      [
        'an unknown field',
        () => interact({ choices: [give], surprise: 1 }),
        { status: 422, code: 'invalid-body', at: ['/surprise'] },
      ],
      [
        'an unknown field deep inside',
        () => choose({ ...give, 'a/b~c': true }),
        { status: 422, code: 'invalid-body', at: ['/choices/0/a~1b~0c'] },
      ],
      [
        'no choice at all',
        () => interact({ choices: [] }),
        { status: 422, code: 'invalid-body', at: ['/choices'] },
      ],
      [
        'more than 100 choices',
        () =>
          choose(
            ...Array.from({ length: 101 }, () => ({ objection: 'marketing', decision: 'raise' })),
          ),
        { status: 422, code: 'invalid-body', at: ['/choices'] },
      ],
      [
        'evidence of more than 16 KiB',
        () => interact({ evidence, choices: [give] }),
        { status: 422, code: 'invalid-body', at: ['/evidence'] },
      ],
      [
        'everything that is wrong, at once',
        () =>
          interact({
            source: 7,
            comment: '',
            language: 'x',
            choices: [{ ...give, noticeVersion: 0 }],
          }),
        {
          status: 422,
          code: 'invalid-body',
          at: ['/source', '/comment', '/language', '/choices/0/noticeVersion'],
        },
      ],
    ];
    test.each(table)('%s', (_, ask, expected) => refusedSo(ask, expected));
  });

  describe('when a legal basis can not be set, then it is not', () => {
    const swap = '2026-01-01T00:00:00Z';
    const table: [string, Ask, Refusal][] = [
      [
        'a basis that the purpose may not rest on',
        () => setBasis('bookkeeping', { basis: 'contract', status: 'established' }),
        { status: 422, code: 'basis-not-allowed', at: ['/basis'] },
      ],
      [
        'a law that is not named',
        () => setBasis('bookkeeping', { basis: 'legal-obligation', status: 'established' }),
        { status: 422, code: 'reference-required', at: ['/reference'] },
      ],
      [
        'a status of another basis',
        () => setBasis('sales', { basis: 'contract', status: 'asserted' }),
        { status: 422, code: 'status-not-of-basis', at: ['/status'] },
      ],
      [
        'an end before the beginning',
        () =>
          setBasis('sales', {
            basis: 'contract',
            status: 'established',
            validUntil: '2020-01-01T00:00:00Z',
          }),
        { status: 422, code: 'ends-before-it-begins', at: ['/validUntil'] },
      ],
      [
        'an unknown purpose',
        () => setBasis('nowhere', { basis: 'contract', status: 'established' }),
        { status: 404, code: 'unknown-purpose' },
      ],
      [
        'a purpose that every object has',
        () => setBasis('__proto__', { basis: 'contract', status: 'established' }),
        { status: 404, code: 'unknown-purpose' },
      ],
      [
        'another basis in the place of consent, and the attempt is recorded',
        () =>
          setBasis('newsletter', { basis: 'contract', status: 'established', occurredAt: swap }),
        { status: 409, code: 'basis-swap-refused', records: 1 },
      ],
      [
        'the same attempt again, which is on record',
        () =>
          setBasis('newsletter', { basis: 'contract', status: 'established', occurredAt: swap }),
        { status: 409, code: 'basis-swap-refused' },
      ],
    ];
    test.each(table)('%s', (_, ask, expected) => refusedSo(ask, expected));

    test('a swap that is repeated with its Idempotency-Key is recorded once', async () => {
      const call = { idempotencyKey: 'swap-1' };
      const basis = { basis: 'legitimate-interests', status: 'asserted' };
      await refusedSo(() => setBasis('newsletter', basis, call), {
        status: 409,
        code: 'basis-swap-refused',
        records: 1,
      });
      await refusedSo(() => setBasis('newsletter', basis, call), {
        status: 409,
        code: 'basis-swap-refused',
      });
      const timeline = await ledger.api.get<TimelinePage>(`${path}/timeline?purpose=newsletter`);
      const types = timeline.body.items.map(({ type }) => type);
      expect(types).toEqual(['ConsentRequested', 'BasisSwapRefused', 'BasisSwapRefused']);
    });
  });

  describe('when a registration can not be made, then nobody is registered', () => {
    const point = (kind: string, value: string) => ({ contactPoints: [{ kind, value }] });
    const table: [string, Ask, Refusal][] = [
      [
        'a malformed e-mail address',
        () => register(point('email', 'ada at linden.example')),
        { status: 422, code: 'malformed-email', at: ['/contactPoints/0/value'] },
      ],
      [
        'a national phone number where no region is set',
        () => register(point('phone', '030 1234567')),
        { status: 422, code: 'malformed-phone', at: ['/contactPoints/0/value'] },
      ],
      [
        'a kind of contact that there is not',
        () => register(point('fax', '+49301234567')),
        { status: 422, code: 'invalid-body', at: ['/contactPoints/0/kind'] },
      ],
      [
        'a reference that belongs to somebody, with their id',
        () => register({ externalRefs: [{ system: 'shop', id: '1' }, ref] }),
        { status: 409, code: 'already-registered', at: ['/externalRefs/1'] },
      ],
      [
        'no source',
        () => send('POST', '/v1/subjects', {}),
        { status: 422, code: 'invalid-body', at: ['/source'] },
      ],
      [
        'a basis for an unknown purpose, and a collection that is still to come',
        () =>
          register({
            bases: [{ purpose: 'nowhere', basis: 'contract', status: 'established' }],
            collection: { from: 'public', collectedAt: inAnHour() },
          }),
        {
          status: 422,
          code: 'in-the-future',
          at: ['/bases/0/purpose', '/collection/collectedAt'],
        },
      ],
      [
        'a basis that must name its law',
        () =>
          register({
            bases: [{ purpose: 'bookkeeping', basis: 'legal-obligation', status: 'established' }],
          }),
        { status: 422, code: 'reference-required', at: ['/bases/0/reference'] },
      ],
    ];
    test.each(table)('%s', (_, ask, expected) => refusedSo(ask, expected));

    test('who is registered already is named in the problem', async () => {
      const { body } = await register({ externalRefs: [ref] });
      expect(body).toMatchObject({ code: 'already-registered', subjectId: person });
    });
  });

  describe('when a question can not be answered, then it is refused', () => {
    const table: [string, Ask, Refusal][] = [
      [
        'an unknown purpose',
        () => decide({ subjectId: person, purpose: 'nowhere' }),
        { status: 422, code: 'unknown-purpose', at: ['/purpose'] },
      ],
      [
        'a topic without a channel',
        () => decide({ subjectId: person, purpose: 'newsletter', topic: 'new-books' }),
        { status: 422, code: 'channel-required', at: ['/channel'] },
      ],
      [
        'a topic of another purpose, among other questions',
        () =>
          decide({
            questions: [
              { subjectId: person, purpose: 'sales' },
              { subjectId: person, purpose: 'newsletter', topic: 'offers', channel: 'email' },
            ],
          }),
        { status: 422, code: 'topic-of-other-purpose', at: ['/questions/1/topic'] },
      ],
      [
        'an unknown topic',
        () =>
          decide({ subjectId: person, purpose: 'newsletter', topic: 'nowhere', channel: 'email' }),
        { status: 422, code: 'unknown-topic', at: ['/topic'] },
      ],
      [
        'nobody named',
        () => decide({ purpose: 'sales' }),
        { status: 422, code: 'invalid-body', at: [''] },
      ],
      [
        'somebody named twice',
        () => decide({ subjectId: person, externalRef: ref, purpose: 'sales' }),
        { status: 422, code: 'invalid-body', at: ['/externalRef'] },
      ],
      [
        'a day without a zone',
        () => decide({ subjectId: person, purpose: 'sales', asOf: '2026-01-01' }),
        { status: 422, code: 'invalid-body', at: ['/asOf'] },
      ],
      [
        'knowledge that is no moment',
        () => decide({ subjectId: person, purpose: 'sales', knownAt: 'position:-1' }),
        { status: 422, code: 'invalid-body', at: ['/knownAt'] },
      ],
      [
        'a malformed e-mail address',
        () => decide({ contactPoint: { kind: 'email', value: 'ada' }, purpose: 'sales' }),
        { status: 422, code: 'malformed-email', at: ['/contactPoint/value'] },
      ],
      [
        'a malformed e-mail address, among other questions',
        () =>
          decide({
            questions: [
              { subjectId: person, purpose: 'sales' },
              { contactPoint: { kind: 'email', value: 'ada' }, purpose: 'sales' },
            ],
          }),
        { status: 422, code: 'malformed-email', at: ['/questions/1/contactPoint/value'] },
      ],
      [
        'an audience of an unknown purpose',
        () => send('POST', '/v1/audiences', { purpose: 'nowhere' }),
        { status: 422, code: 'unknown-purpose', at: ['/purpose'] },
      ],
      [
        'an audience of a topic without a channel',
        () => send('POST', '/v1/audiences', { purpose: 'newsletter', topic: 'new-books' }),
        { status: 422, code: 'channel-required', at: ['/channel'] },
      ],
      [
        'a malformed query',
        () => send('GET', `${path}?asOf=yesterday&reveal=perhaps&colour=red`),
        { status: 400, code: 'invalid-query', at: ['asOf', 'reveal', 'colour'] },
      ],
      [
        'a time whose plus was read as a blank',
        () => send('GET', `${path}/timeline?asOf=2026-01-01T00:00:00+01:00`),
        { status: 400, code: 'invalid-query', at: ['asOf'] },
      ],
      [
        'a parameter that is there twice',
        () => send('GET', `${path}?asOf=2026-01-01T00:00:00Z&asOf=2026-01-02T00:00:00Z`),
        { status: 400, code: 'invalid-query', at: ['asOf'] },
      ],
      [
        'a page that is too long',
        () => send('GET', '/v1/purposes?limit=1000'),
        { status: 400, code: 'invalid-query', at: ['limit'] },
      ],
      [
        'a cursor that nobody gave',
        () => send('GET', '/v1/purposes?cursor=abc'),
        { status: 400, code: 'cursor-malformed', at: ['cursor'] },
      ],
      [
        'a timeline of an unknown purpose',
        () => send('GET', `${path}/timeline?purpose=nowhere`),
        { status: 400, code: 'unknown-purpose', at: ['purpose'] },
      ],
      [
        'a token that nobody gave',
        () =>
          decide(
            { subjectId: person, purpose: 'sales' },
            { headers: { 'consistency-token': '?' } },
          ),
        { status: 400, code: 'consistency-token-malformed', at: ['Consistency-Token'] },
      ],
      [
        'a place beyond the end of the log',
        () => send('GET', '/v1/events?after=999999999'),
        { status: 400, code: 'position-beyond-head', at: ['after'] },
      ],
    ];
    test.each(table)('%s', (_, ask, expected) => refusedSo(ask, expected));

    test('a cursor of other filters', async () => {
      const page = await ledger.api.get<TimelinePage>(`${path}/timeline?limit=1`);
      const cursor = page.body.page.next ?? '';
      expect(cursor).not.toBe('');
      await refusedSo(
        () => send('GET', `${path}/timeline?limit=1&purpose=sales&cursor=${cursor}`),
        {
          status: 400,
          code: 'cursor-mismatch',
          at: ['cursor'],
        },
      );
    });
  });

  describe('when a body can not be read, then it is refused before anything is done', () => {
    const text = (json: string) => Buffer.from(json);
    const comment = (value: string) =>
      text(
        `{"source":"web-form","comment":"${value}","choices":[{"purpose":"sales","decision":"give"}]}`,
      );
    const unsupported = { status: 415, code: 'unsupported-media-type' };
    const table: [string, Ask, Refusal][] = [
      ['broken JSON', () => raw('{"source":'), { status: 400, code: 'malformed-json' }],
      ['no bytes at all', () => raw(''), { status: 400, code: 'body-missing' }],
      [
        'bytes that are no UTF-8',
        () => raw(Buffer.concat([text('{"source":"'), Buffer.from([0xc3, 0x28]), text('"}')])),
        { status: 400, code: 'invalid-utf8' },
      ],
      [
        'a NUL in a text',
        () => raw(comment('a\\u0000b')),
        { status: 422, code: 'invalid-character', at: ['/comment'] },
      ],
      [
        'half a surrogate pair',
        () => raw(comment('\\ud83d')),
        { status: 422, code: 'invalid-character', at: ['/comment'] },
      ],
      [
        'a list in the place of an object',
        () => raw('[]'),
        { status: 422, code: 'invalid-body', at: [''] },
      ],
      [
        'null in the place of an object',
        () => raw('null'),
        { status: 422, code: 'invalid-body', at: [''] },
      ],
      [
        'nesting without an end',
        () => raw(`{"evidence":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}`),
        { status: 422, code: 'nested-too-deeply', at: [`/evidence${'/a'.repeat(31)}`] },
      ],
      [
        'a number that can not be kept',
        () => raw('{"evidence":{"n":1e400}}'),
        { status: 422, code: 'number-out-of-range', at: ['/evidence/n'] },
      ],
      ['a form', () => raw('source=web-form', 'application/x-www-form-urlencoded'), unsupported],
      ['plain text', () => raw('{}', 'text/plain'), unsupported],
      ['another charset', () => raw('{}', 'application/json; charset=utf-16'), unsupported],
      ['lines where one document is meant', () => raw('{}\n', 'application/x-ndjson'), unsupported],
      [
        'one document where lines are meant',
        () => send('POST', '/v1/interactions/bulk', {}),
        unsupported,
      ],
      [
        'one question where lines are meant',
        () => send('POST', '/v1/decisions/batch', {}),
        unsupported,
      ],
      ['no lines at all', () => send('POST', '/v1/interactions/bulk'), unsupported],
      [
        '10 MB',
        () => interact({ evidence: { scan: 'x'.repeat(10_000_000) }, choices: [give] }),
        { status: 413, code: 'body-too-large' },
      ],
    ];
    test.each(table)('%s', (_, ask, expected) => refusedSo(ask, expected));
  });

  describe('when a call lacks what it must say, then it is refused', () => {
    const challenge = { headers: { 'www-authenticate': expect.stringMatching(/^Bearer/) } };
    const table: [string, Ask, Refusal][] = [
      [
        'no Idempotency-Key',
        () => interact({ choices: [give] }, { idempotencyKey: null }),
        { status: 400, code: 'idempotency-key-required', at: ['Idempotency-Key'] },
      ],
      [
        'an Idempotency-Key that is none',
        () => interact({ choices: [give] }, { idempotencyKey: 'ä b' }),
        { status: 400, code: 'idempotency-key-malformed', at: ['Idempotency-Key'] },
      ],
      [
        'a stale If-Match',
        () => interact({ choices: [give] }, { ifMatch: 0 }),
        { status: 412, code: 'revision-mismatch' },
      ],
      [
        'an If-Match that was never given',
        () => interact({ choices: [give] }, { ifMatch: '"never"' }),
        { status: 412, code: 'revision-mismatch' },
      ],
      [
        'a malformed If-Match',
        () => interact({ choices: [give] }, { ifMatch: '1' }),
        { status: 400, code: 'if-match-malformed', at: ['If-Match'] },
      ],
      [
        'a weak If-Match',
        () => interact({ choices: [give] }, { ifMatch: 'W/"1"' }),
        { status: 400, code: 'if-match-malformed', at: ['If-Match'] },
      ],
      [
        'no key',
        () => interact({ choices: [give] }, { key: null }),
        { status: 401, code: 'credentials-missing', ...challenge },
      ],
      [
        'a key that nobody issued',
        () => interact({ choices: [give] }, { key: `clk_${'x'.repeat(43)}` }),
        { status: 401, code: 'credentials-invalid', ...challenge },
      ],
      [
        'a key that is none of ours',
        () => interact({ choices: [give] }, { key: 'ghp_0123456789' }),
        { status: 401, code: 'credentials-invalid', ...challenge },
      ],
      [
        'another scheme',
        () =>
          interact({ choices: [give] }, { key: null, headers: { authorization: 'Basic YTpi' } }),
        { status: 401, code: 'credentials-malformed', ...challenge },
      ],
      [
        'a key that was taken back',
        () => interact({ choices: [give] }, { key: revoked }),
        { status: 401, code: 'credentials-invalid', ...challenge },
      ],
      [
        'a key without the scope',
        () => interact({ choices: [give] }, { key: reader }),
        { status: 403, code: 'scope-missing' },
      ],
    ];
    test.each(table)('%s', (_, ask, expected) => refusedSo(ask, expected));

    const stale: [Method, string, object | undefined][] = [
      ['PUT', 'bases/sales', { basis: 'contract', status: 'established', source: 'officer' }],
      ['POST', 'contact-points', { kind: 'email', value: 'c@linden.example' }],
      ['DELETE', 'contact-points/:contactPoint', undefined],
      ['PATCH', 'identity', { name: 'Ada' }],
      ['POST', 'restriction', { ground: 'unlawful' }],
      ['POST', 'erasure', { ground: 'unlawful' }],
    ];
    test.each(stale)('a stale If-Match for %s %s', (method, part, body) =>
      refusedSo(
        () =>
          send(method, `${path}/${part.replace(':contactPoint', contactPoint)}`, body, {
            ifMatch: 0,
          }),
        { status: 412, code: 'revision-mismatch' },
      ),
    );

    const catalogueCalls: [Method, string, object][] = [
      [
        'PUT',
        '/v1/purposes/sales',
        { ...catalogue.purposes[2], key: undefined, texts: { en: 'S' } },
      ],
      ['POST', '/v1/purposes/sales/retire', {}],
      ['PUT', '/v1/topics/readings', { purpose: 'newsletter', texts: { en: 'R' } }],
      ['POST', '/v1/topics/readings/retire', {}],
      ['PUT', '/v1/defaults', { bases: [] }],
      ['POST', '/v1/sources', { key: 'never-there' }],
      ['POST', '/v1/controllers', { key: 'never-there', name: 'N' }],
      [
        'POST',
        '/v1/notices',
        { purpose: 'newsletter', kind: 'consent', version: 7, language: 'en', text: 'T' },
      ],
    ];
    test.each(catalogueCalls)('a stale If-Match for %s %s', (method, to, body) =>
      refusedSo(() => send(method, to, body, { ifMatch: 77 }), {
        status: 412,
        code: 'revision-mismatch',
      }),
    );

    test('a key whose time has ended', async () => {
      await sleep(Math.max(0, expiry - Date.now()));
      await refusedSo(() => interact({ choices: [give] }, { key: expired }), {
        status: 401,
        code: 'credentials-invalid',
        ...challenge,
      });
    });

    test('an Idempotency-Key of another body', async () => {
      const call = { idempotencyKey: 'one-body' };
      const first = await interact(
        { choices: [{ objection: 'sales', decision: 'withdraw' }] },
        call,
      );
      expect(first.status).toBe(201);
      await refusedSo(() => interact({ choices: [give] }, call), {
        status: 422,
        code: 'idempotency-key-reused',
        at: ['Idempotency-Key'],
      });
    });
  });

  describe('when something is not there, then it is not found', () => {
    const nobody = newId('sub');
    const get = (to: string) => () => send('GET', to);
    const interaction = { source: 'web-form', choices: [give] };
    const unknown = { status: 404, code: 'unknown-subject' };
    const table: [string, Ask, Refusal][] = [
      ['a person', get(`/v1/subjects/${nobody}`), unknown],
      ['a person by what is no id', get('/v1/subjects/ada'), unknown],
      ['a person by an id of another kind', get(`/v1/subjects/${newId('evt')}`), unknown],
      ['a timeline', get(`/v1/subjects/${nobody}/timeline`), unknown],
      ['a person to be revealed', get(`/v1/subjects/${nobody}?reveal=true`), unknown],
      ['a timeline to be revealed', get(`/v1/subjects/${nobody}/timeline?reveal=true`), unknown],
      ...(
        [
          ['POST', 'interactions', interaction],
          ['PUT', 'bases/sales', { basis: 'contract', status: 'established', source: 'officer' }],
          ['POST', 'contact-points', { kind: 'email', value: 'a@linden.example' }],
          ['DELETE', `contact-points/${newId('cpt')}`, undefined],
          ['PATCH', 'identity', { name: 'Nobody' }],
          ['POST', 'restriction', { ground: 'unlawful' }],
          ['DELETE', 'restriction', undefined],
          ['POST', 'erasure', { ground: 'unlawful' }],
          ['POST', 'erasure/approve', undefined],
          ['POST', 'erasure/refuse', { reason: 'archiving' }],
        ] as [Method, string, object | undefined][]
      ).map(([method, part, body]): [string, Ask, Refusal] => [
        `a person for ${method} ${part}`,
        () => send(method, `/v1/subjects/${nobody}/${part}`, body),
        unknown,
      ]),
      [
        'a contact point',
        () => send('DELETE', `${path}/contact-points/${newId('cpt')}`),
        { status: 404, code: 'unknown-contact-point' },
      ],
      [
        "a contact point of somebody else's",
        () => send('DELETE', `/v1/subjects/${nobody}/contact-points/${contactPoint}`),
        unknown,
      ],
      ['a receipt', get(`/v1/receipts/${newId('rcp')}`), { status: 404, code: 'unknown-receipt' }],
      [
        'an operation',
        get(`/v1/operations/${newId('op')}`),
        { status: 404, code: 'unknown-operation' },
      ],
      ['a purpose', get('/v1/purposes/nowhere'), { status: 404, code: 'unknown-purpose' }],
      [
        'a purpose that every object has',
        get('/v1/purposes/toString'),
        { status: 404, code: 'unknown-purpose' },
      ],
      ['a topic', get('/v1/topics/nowhere'), { status: 404, code: 'unknown-topic' }],
      ['a notice', get(`/v1/notices/${newId('ntc')}`), { status: 404, code: 'unknown-notice' }],
      [
        'the words of a hash',
        get(`/v1/notices/by-hash/${'0'.repeat(64)}`),
        { status: 404, code: 'unknown-notice' },
      ],
      ['an API key', get(`/v1/api-keys/${newId('key')}`), { status: 404, code: 'unknown-api-key' }],
      [
        'an API key to be taken back',
        () => send('DELETE', `/v1/api-keys/${newId('key')}`),
        { status: 404, code: 'unknown-api-key' },
      ],
      [
        'a restriction to be lifted',
        () => send('DELETE', `${path}/restriction`),
        { status: 409, code: 'not-restricted' },
      ],
      [
        'an erasure to be approved',
        () => send('POST', `${path}/erasure/approve`),
        { status: 409, code: 'no-erasure-requested' },
      ],
      ['a route', get('/v1/nowhere'), { status: 404, code: 'not-found' }],
      ['a route below a route', get(`${path}/nowhere`), { status: 404, code: 'not-found' }],
      [
        'a method',
        () => send('PATCH', path, {}),
        {
          status: 405,
          code: 'method-not-allowed',
          headers: { allow: expect.stringMatching(/GET/) },
        },
      ],
      [
        'a method of a call that takes lines',
        () => send('PUT', '/v1/interactions/bulk', {}),
        { status: 405, code: 'method-not-allowed', headers: { allow: 'POST' } },
      ],
    ];
    test.each(table)('%s', (_, ask, expected) => refusedSo(ask, expected));
  });

  test('when a caller gives a trace, then the problem carries it', async () => {
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const { body } = await send('GET', '/v1/nowhere', undefined, {
      headers: { traceparent: `00-${trace}-00f067aa0ba902b7-01` },
    });
    expect(body.traceId).toBe(trace);
  });
});
