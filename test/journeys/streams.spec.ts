import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { newId } from '#core/kernel/ids.js';
import type {
  Decision,
  Found,
  PersonPage,
  Problem,
  Receipt,
  TimelinePage,
} from '../support/answers.js';
import { catalogue } from '../support/catalogue.js';
import { EventStream } from '../support/server-events.js';
import { type Call, type Reply, type RunningLedger, startLedger } from '../support/server.js';

interface Verdict {
  readonly line: number;
  readonly status: 'recorded' | 'rejected' | 'skipped';
  readonly receiptId?: string;
  readonly subjectId?: string;
  readonly position?: string;
  readonly code?: string;
  readonly pointer?: string;
}

interface Envelope {
  readonly id: string;
  readonly type: string;
  readonly stream: string;
  readonly revision: number;
  readonly position: string;
  readonly recordedAt: string;
  readonly interactionId: string;
  readonly actor: { readonly kind: string; readonly id: string };
  readonly provenance?: { readonly importId: string; readonly line: number };
  readonly data: Readonly<Record<string, unknown>>;
}

interface AudienceLine {
  readonly subjectId?: string;
  readonly externalRefs?: readonly object[];
  readonly contactPoints?: readonly { readonly kind: string; readonly value: string }[];
  readonly summary?: {
    readonly allowed: number;
    readonly asOf: string;
    readonly knownAt: string;
    readonly position: string;
    readonly excluded?: Readonly<Record<string, number>>;
  };
}

describe('given a ledger that is written and read in streams', () => {
  let ledger: RunningLedger;

  const ref = (id: string) => ({ system: 'crm', id });
  const day = (n: number) => new Date(Date.UTC(2025, 0, 1, 12) + n * 86_400_000).toISOString();
  const registration = (id: string, more: object = {}) => ({
    type: 'register',
    externalRef: ref(id),
    source: 'import',
    occurredAt: day(0),
    contactPoints: [{ kind: 'email', value: `${id}@linden.example` }],
    ...more,
  });
  const interaction = (id: string, at: number, ...choices: readonly object[]) => ({
    type: 'interaction',
    externalRef: ref(id),
    interaction: { source: 'import', occurredAt: day(at), choices },
  });
  const give = (purpose: string) => ({ purpose, decision: 'give' });
  const withdraw = (purpose: string) => ({ purpose, decision: 'withdraw' });

  const bulk = (body: string | Uint8Array | readonly object[], call?: Call, query = '') =>
    ledger.api.lines<Verdict>(`/v1/interactions/bulk${query}`, body, call);
  const feed = (query = '') => ledger.api.get<Envelope[]>(`/v1/events${query}`);

  /** All read models have come as far as the log. */
  async function settled(): Promise<Reply<unknown>> {
    return ledger.api.get('/v1/events?after=' + (await ledger.head()));
  }

  beforeAll(async () => {
    ledger = await startLedger();
    await ledger.api.post('/v1/catalogue', catalogue);
  }, 60_000);
  afterAll(() => ledger.stop(), 20_000);

  describe('when a file is sent', () => {
    const lines = [
      JSON.stringify(registration('anna')),
      '',
      `  ${JSON.stringify(interaction('anna', 5, give('sales')))}\t`,
      JSON.stringify({ ...registration('bert'), name: '  Bert Brecht ', source: ' import ' }),
      '{"type":"interaction",',
      JSON.stringify(interaction('bert', 3, give('nowhere'))),
      JSON.stringify(interaction('nobody', 3, give('sales'))),
      '   ',
      JSON.stringify(registration('anna', { occurredAt: day(9) })),
      JSON.stringify({ ...interaction('bert', 4, give('sales')), surprise: true }),
      JSON.stringify(
        interaction('bert', 4, withdraw('sales'), { objection: 'marketing', decision: 'raise' }),
      ),
      '"a text"',
      JSON.stringify(interaction('anna', 6, withdraw('sales'))),
    ];
    const verdicts = [
      { line: 1, status: 'recorded' },
      { line: 2, status: 'skipped' },
      { line: 3, status: 'recorded' },
      { line: 4, status: 'recorded' },
      { line: 5, status: 'rejected', code: 'malformed-json' },
      {
        line: 6,
        status: 'rejected',
        code: 'unknown-purpose',
        pointer: '/interaction/choices/0/purpose',
      },
      { line: 7, status: 'rejected', code: 'unknown-subject', pointer: '/externalRef' },
      { line: 8, status: 'skipped' },
      { line: 9, status: 'rejected', code: 'already-registered', pointer: '/externalRefs/0' },
      { line: 10, status: 'rejected', code: 'unknown-field', pointer: '/surprise' },
      { line: 11, status: 'recorded' },
      { line: 12, status: 'rejected', code: 'not-an-object', pointer: '' },
      { line: 13, status: 'recorded' },
    ];
    let first: Verdict[];
    let before: string;

    test('then every line has its verdict, in order, whatever ends the lines', async () => {
      before = await ledger.head();
      const reply = await bulk(`\uFEFF${lines.join('\r\n')}`);
      expect(reply.status).toBe(200);
      expect(reply.headers['content-type']).toMatch(/^application\/x-ndjson/);
      first = reply.body;
      expect(first).toEqual(verdicts.map((verdict) => expect.objectContaining(verdict)));
      for (const verdict of first.filter(({ status }) => status === 'recorded'))
        expect(verdict).toEqual({
          line: verdict.line,
          status: 'recorded',
          receiptId: expect.stringMatching(/^rcp_/),
          subjectId: expect.stringMatching(/^sub_/),
          position: expect.stringMatching(/^\d+$/),
        });
      for (const verdict of first.filter(({ status }) => status === 'rejected'))
        expect(verdict).toMatchObject({ detail: expect.stringMatching(/\w/) });
      expect(first[2]?.subjectId).toBe(first[0]?.subjectId);
      expect(first[10]?.subjectId).toBe(first[3]?.subjectId);
    });

    test('then what was recorded is in the log in the order of the lines', async () => {
      const { body } = await feed(`?after=${before}&category=subject`);
      const order = body.map(({ interactionId }) => interactionId);
      const recorded = first.flatMap(({ receiptId }) => receiptId ?? []);
      expect([...new Set(order)]).toEqual(recorded);
      expect(body.map(({ type }) => type)).toEqual([
        'SubjectRegistered',
        'ContactPointAdded',
        'ConsentGiven',
        'SubjectRegistered',
        'ContactPointAdded',
        'ConsentWithdrawn',
        'ObjectionRaised',
        'ConsentWithdrawn',
      ]);
      const person = await ledger.api.get<PersonPage>(
        `/v1/subjects/${first[3]?.subjectId ?? ''}?reveal=true`,
      );
      expect(person.body.identity?.name).toBe('Bert Brecht');
    });

    test('then the same file gives the same receipts, whoever sends it, and nothing is recorded', async () => {
      const head = await ledger.head();
      const other = await ledger.keyWith('choices:write');
      const afterKey = await ledger.head();
      expect(Number(afterKey)).toBe(Number(head) + 1);
      for (const [call, body] of [
        [{}, lines.join('\n')],
        [{ key: other }, `${lines.join('\n')}\n`],
        [{ key: other }, lines.map((line) => line.trim()).join('\r\n')],
      ] as const) {
        const again = await bulk(body, call);
        expect(again.body.map(({ receiptId, subjectId }) => [receiptId, subjectId])).toEqual(
          first.map(({ receiptId, subjectId }) => [receiptId, subjectId]),
        );
      }
      expect(await ledger.head()).toBe(afterKey);
    });

    test('then its receipts can be shown like any other', async () => {
      const receipt = await ledger.visible(first[10]?.receiptId ?? '');
      expect(receipt).toMatchObject({
        receiptId: first[10]?.receiptId,
        subjectId: first[10]?.subjectId,
        position: first[10]?.position,
        events: [{ type: 'ConsentWithdrawn' }, { type: 'ObjectionRaised' }],
      });
    });
  });

  test('when a line can not even be read, then it alone is rejected', async () => {
    const good = Buffer.from(`${JSON.stringify(registration('carla'))}\n`);
    const body = Buffer.concat([
      Buffer.from('{"source":"'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"}\n'),
      Buffer.from(`{"source":"${'x'.repeat(1024 * 1024)}"}\n`),
      Buffer.from(JSON.stringify(registration('\\u0000')).replace('\\\\', '\\') + '\n'),
      good,
    ]);
    const { body: verdicts } = await bulk(body);
    expect(verdicts.map(({ status, code }) => [status, code])).toEqual([
      ['rejected', 'invalid-utf8'],
      ['rejected', 'line-too-large'],
      ['rejected', 'invalid-character'],
      ['recorded', undefined],
    ]);
  });

  test('when lines name themselves or their import, then they are known again by that', async () => {
    const keyed = { ...registration('dora'), occurredAt: undefined, idempotencyKey: 'line-dora' };
    const placed = { ...registration('emil'), occurredAt: undefined };
    const importId = newId('imp');
    const query = `?importId=${importId}&firstLine=101`;
    const first = await bulk([keyed, placed], {}, query);
    expect(first.body.map(({ line, status }) => [line, status])).toEqual([
      [101, 'recorded'],
      [102, 'recorded'],
    ]);
    const head = await ledger.head();
    const again = await bulk([keyed, placed], {}, query);
    expect(again.body).toEqual(first.body);
    expect(await ledger.head()).toBe(head);
    const { body } = await feed(`?after=${Number(first.body[1]?.position) - 2}`);
    expect(body.at(-1)).toMatchObject({ provenance: { importId, line: 102 } });
    const elsewhere = await bulk([placed], {}, `?importId=${newId('imp')}`);
    expect(elsewhere.body[0]).toMatchObject({ status: 'rejected', code: 'already-registered' });
  });

  test('when a line comes under a name that another line had, then it is not taken for that one', async () => {
    const named = (line: object) => ({ ...line, idempotencyKey: 'line-frieda' });
    const given = named(interaction('frieda', 3, give('sales')));
    const first = await bulk([registration('frieda'), given]);
    expect(first.body.map(({ status }) => status)).toEqual(['recorded', 'recorded']);
    const again = await bulk([given, named(interaction('frieda', 4, withdraw('sales')))]);
    expect(again.body).toEqual([
      { ...first.body[1], line: 1 },
      expect.objectContaining({ line: 2, status: 'rejected', code: 'idempotency-key-reused' }),
    ]);
  });

  test('when thousands of lines come at once, then the log has them in their order', async () => {
    const people = Array.from({ length: 300 }, (_, n) => `many-${n}`);
    const lines: object[] = [
      ...people.map((id) => registration(id)),
      ...people.map((id, n) =>
        interaction(id, 1 + (n % 7), give('sales'), { objection: 'research', decision: 'raise' }),
      ),
      ...people.toReversed().map((id) => interaction(id, 20, withdraw('sales'))),
    ];
    const before = await ledger.head();
    const { body: verdicts } = await bulk(lines);
    expect(verdicts.map(({ line, status }) => [line, status])).toEqual(
      lines.map((_, n) => [n + 1, 'recorded']),
    );
    const { body: events } = await feed(`?after=${before}&category=subject`);
    const order = [...new Set(events.map(({ interactionId }) => interactionId))];
    expect(order).toEqual(verdicts.map(({ receiptId }) => receiptId));
    const positions = verdicts.map(({ position }) => Number(position));
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
  }, 30_000);

  describe('when many questions are asked in one stream', () => {
    test('then each line has its answer, in order, like a question of its own', async () => {
      const after = await settled();
      const questions = Array.from({ length: 600 }, (_, n) => ({
        externalRef: ref(`many-${n % 310}`),
        purpose: n % 2 ? 'sales' : 'profiling',
        ...(n % 3 ? { asOf: day(n % 30) } : {}),
        ...(n % 5 ? {} : { channel: 'email' }),
      }));
      const lines = questions.map((question) => JSON.stringify(question));
      lines.splice(
        100,
        0,
        '{"purpose":"sales"}',
        'not json',
        '',
        '{"externalRef":{"system":"crm","id":"many-1"},"purpose":"nowhere"}',
      );
      const { status, body, headers } = await ledger.api.lines<
        Decision & { line?: number; error?: Problem }
      >('/v1/decisions/batch', lines.join('\n'), { after });
      expect([status, headers['content-type']]).toEqual([
        200,
        expect.stringMatching(/^application\/x-ndjson/),
      ]);
      expect(body).toHaveLength(lines.length);
      expect(body.slice(100, 104)).toEqual([
        {
          line: 101,
          error: expect.objectContaining({ code: 'invalid-body', errors: expect.any(Array) }),
        },
        { line: 102, error: expect.objectContaining({ code: 'malformed-json' }) },
        { line: 103, error: expect.objectContaining({ code: 'blank-line' }) },
        { line: 104, error: expect.objectContaining({ code: 'unknown-purpose' }) },
      ]);
      const single = await ledger.api.post<{ answers: Decision[] }>(
        '/v1/decisions',
        { questions },
        { after },
      );
      const answers = [...body.slice(0, 100), ...body.slice(104)];
      const plain = ({ allowed, code, reasons, basis, since, event }: Decision) => ({
        allowed,
        code,
        reasons,
        basis,
        since,
        event,
      });
      expect(answers.map(plain)).toEqual(single.body.answers.map(plain));
      expect(new Set(answers.map(({ code }) => code))).toEqual(
        new Set(['allowed', 'consent-withdrawn', 'no-basis', 'unknown-subject']),
      );
    });
  });

  describe('when everybody is asked for whom something is allowed', () => {
    const audience = (question: object, call?: Call) =>
      ledger.api.post<AudienceLine[]>('/v1/audiences', question, call);

    test('then the lines are people in order, and the last one counts everybody else', async () => {
      const after = await settled();
      const { status, body, headers } = await audience(
        { purpose: 'sales', asOf: day(10), summary: 'full' },
        { after },
      );
      expect([status, headers['content-type']]).toEqual([
        200,
        expect.stringMatching(/^application\/x-ndjson/),
      ]);
      const people = body.slice(0, -1).map(({ subjectId }) => subjectId);
      const { summary } = body.at(-1) ?? {};
      expect(people).toEqual(people.toSorted());
      expect(new Set(people).size).toBe(301);
      expect(summary).toEqual({
        allowed: 301,
        asOf: day(10),
        knownAt: expect.stringMatching(/^position:/),
        position: expect.any(String),
        // Frieda is beside the many; Anna and Bert took theirs back; Carla said nothing; Dora and Emil came later.
        excluded: { 'consent-withdrawn': 2, 'no-basis': 1, 'unknown-subject': 2 },
      });
      const short = await audience({ purpose: 'sales', asOf: day(10) }, { after });
      expect(short.body.at(-1)?.summary).not.toHaveProperty('excluded');
    });

    test('then an audience as it was known is the same for ever', async () => {
      const { body } = await audience({ purpose: 'sales', asOf: day(10), summary: 'full' });
      const { summary } = body.at(-1) ?? {};
      await bulk([interaction('many-7', 9, withdraw('sales'))]);
      const after = await settled();
      const again = await audience(
        { purpose: 'sales', asOf: summary?.asOf, knownAt: summary?.knownAt, summary: 'full' },
        { after },
      );
      expect(again.body).toEqual(body);
      const now = await audience({ purpose: 'sales', asOf: day(10) }, { after });
      expect(now.body.at(-1)?.summary?.allowed).toBe((summary?.allowed ?? 0) - 1);
    });

    test('then with what they are called and how they are reached, to those who may see it', async () => {
      const after = await settled();
      const question = {
        purpose: 'sales',
        asOf: day(10),
        include: ['externalRefs', 'contactPoints'],
      };
      const { body } = await audience(question, { after });
      for (const { subjectId, externalRefs, contactPoints } of body.slice(0, -1)) {
        const [{ id } = { id: '' }] = (externalRefs ?? []) as { system: string; id: string }[];
        expect(subjectId).toMatch(/^sub_/);
        expect(externalRefs).toEqual([ref(id)]);
        expect(contactPoints).toEqual([{ kind: 'email', value: `${id}@linden.example` }]);
      }
      const key = await ledger.keyWith('decisions:read');
      const refused = (await audience(question, { key })) as unknown as Reply<Problem>;
      expect([refused.status, refused.body.code]).toEqual([403, 'scope-missing']);
      const allowed = await audience({ ...question, include: ['externalRefs'] }, { key });
      expect(allowed.status).toBe(200);
      expect(allowed.body[0]).not.toHaveProperty('contactPoints');
    });
  });

  describe('when the log is read', () => {
    test('then every event is there once, in order, up to the head, and sealed', async () => {
      const head = await ledger.head();
      const { status, body, text, headers } = await feed();
      expect([status, headers['content-type']]).toEqual([
        200,
        expect.stringMatching(/^application\/x-ndjson/),
      ]);
      expect(body.map(({ position }) => position)).toEqual(
        Array.from({ length: Number(head) }, (_, n) => String(n + 1)),
      );
      expect(body[0]?.type).toBe('LedgerCreated');
      expect(new Set(body.map(({ id }) => id)).size).toBe(body.length);
      const times = body.map(({ recordedAt }) => recordedAt);
      expect(times).toEqual(times.toSorted());
      expect(/(anna|bert|many-1)@linden|Bert Brecht|"many-1"/.exec(text)?.[0]).toBeUndefined();
      const token = await ledger.api.post(
        '/v1/decisions',
        { externalRef: ref('anna'), purpose: 'sales' },
        {
          headers: { 'consistency-token': headers['consistency-token'] ?? '' },
        },
      );
      expect(token.status).toBe(200);
    });

    test('then it goes on after any place, and holds no more than was asked for', async () => {
      const head = await ledger.head();
      const last = await feed(`?after=${Number(head) - 3}`);
      expect(last.body.map(({ position }) => Number(position))).toEqual(
        [2, 1, 0].map((n) => Number(head) - n),
      );
      const none = await feed(`?after=${head}`);
      expect([none.status, none.text]).toEqual([200, '']);
      const purposes = await feed('?category=purpose&category=topic');
      expect(new Set(purposes.body.map(({ type }) => type))).toEqual(
        new Set(['PurposeDefined', 'TopicDefined']),
      );
    });
  });

  describe('when the log is followed', () => {
    const open = (query: string, headers: Record<string, string> = {}) =>
      EventStream.open(`${ledger.url}/v1/events/stream${query}`, {
        authorization: `Bearer ${ledger.key}`,
        ...headers,
      });

    test('then all that was is sent, then a word that it was, then what comes', async () => {
      const head = await ledger.head();
      const stream = await open(`?after=${Number(head) - 5}`);
      try {
        expect(stream.response.headers.get('content-type')).toMatch(/^text\/event-stream/);
        const caughtUp = await stream.until('caught-up');
        expect(caughtUp.map(({ id }) => Number(id))).toEqual(
          [4, 3, 2, 1, 0, 0].map((n) => Number(head) - n),
        );
        expect(caughtUp.at(-1)).toEqual({ id: head, event: 'caught-up', data: { position: head } });
        const stored = await feed(`?after=${Number(head) - 5}`);
        expect(caughtUp.slice(0, -1).map(({ data }) => data)).toEqual(stored.body);

        const { body } = await ledger.api.post<Receipt>('/v1/subjects', { source: 'web-form' });
        const news = await stream.next();
        expect(news).toMatchObject({
          id: body.position,
          event: 'SubjectRegistered',
          data: { interactionId: body.receiptId, position: body.position },
        });
      } finally {
        stream.close();
      }
    });

    test('then who lost the connection goes on after the last event that they saw', async () => {
      const head = await ledger.head();
      const { body } = await ledger.api.post<Receipt>('/v1/subjects', {
        source: 'web-form',
        contactPoints: [
          { kind: 'email', value: 'follow@linden.example' },
          { kind: 'post', value: 'Linden 1' },
        ],
      });
      // What the address says gives way to what the client saw.
      const stream = await open('?after=0', { 'last-event-id': body.events[0]?.position ?? head });
      try {
        const rest = await stream.until('caught-up');
        expect(rest.map(({ event }) => event)).toEqual([
          'ContactPointAdded',
          'ContactPointAdded',
          'caught-up',
        ]);
      } finally {
        stream.close();
      }
      const nothing = await open('', { 'last-event-id': body.position });
      try {
        expect(await nothing.next()).toEqual({
          id: body.position,
          event: 'caught-up',
          data: { position: body.position },
        });
      } finally {
        nothing.close();
      }
    });

    test('then only what is wanted is sent, and a follower who wants nonsense is told', async () => {
      const [person] = (
        await ledger.api.post<Found>('/v1/subjects/search', { externalRef: ref('anna') })
      ).body.subjects;
      const stream = await open(
        `?subject=${person?.subjectId ?? ''}&types=ConsentGiven,ConsentWithdrawn`,
      );
      try {
        const events = await stream.until('caught-up');
        expect(events.map(({ event }) => event)).toEqual([
          'ConsentGiven',
          'ConsentWithdrawn',
          'caught-up',
        ]);
        expect(new Set(events.slice(0, -1).map(({ data }) => data.stream))).toEqual(
          new Set([`subject-${person?.subjectId ?? ''}`]),
        );
      } finally {
        stream.close();
      }
      for (const [query, headers, code] of [
        ['?types=Nonsense', {}, 'unknown-event-type'],
        ['', { 'last-event-id': 'x' }, 'last-event-id-malformed'],
        ['', { 'last-event-id': '99999999' }, 'position-beyond-head'],
        ['?after=-1', {}, 'invalid-query'],
      ] as const) {
        const refused = await open(query, headers);
        const problem = (await refused.response.json()) as Problem;
        expect([refused.response.status, problem.code]).toEqual([400, code]);
      }
    });
  });

  test('when a server stops, then a connection on which nothing was asked does not hold it up', async () => {
    const other = await startLedger();
    const stream = await EventStream.open(`${other.url}/v1/events/stream`, {
      authorization: `Bearer ${other.key}`,
    });
    await stream.until('caught-up');
    const { hostname, port } = new URL(other.url);
    const silent = connect(Number(port), hostname);
    await once(silent, 'connect');
    const begun = performance.now();
    await other.stop();
    expect(performance.now() - begun).toBeLessThan(5_000);
    stream.close();
    silent.destroy();
  }, 30_000);

  test('when nothing can be appended for longer than a call may wait, then a stream goes on afterwards', async () => {
    const people = ['late-1', 'late-2', 'late-3'];
    const lines = people.map((id) => `${JSON.stringify(registration(id))}\n`).join('');
    const holder = new pg.Client({ connectionString: ledger.runtime.databaseUrl });
    await holder.connect();
    let verdicts: readonly Verdict[];
    try {
      await holder.query('begin; select from ledger.turn for update');
      // The empty line has its verdict at once, and with it the answer its head.
      const answer = bulk(`\n${lines}`);
      // Its lines are on their way first, so that the calls wait behind them.
      while ((await holder.query('select from pg_locks where not granted')).rowCount === 0)
        await sleep(20);
      // The second call takes lines of the stream along, and they fail with it.
      for (const source of ['web-form', 'officer']) {
        const single = await ledger.api.post<Problem>('/v1/subjects', { source });
        expect(single).toMatchObject({ status: 503, body: { code: 'ledger-unavailable' } });
      }
      await holder.query('commit');
      verdicts = (await answer).body;
      expect(verdicts.map(({ line, status }) => [line, status])).toEqual([
        [1, 'skipped'],
        ...people.map((_, n) => [n + 2, 'recorded']),
      ]);
    } finally {
      await holder.end();
    }
    const head = await ledger.head();
    const again = await bulk(`\n${lines}`);
    expect(again.body).toEqual(verdicts);
    expect(await ledger.head()).toBe(head);
  }, 60_000);

  test('when somebody was erased, then the file that brought them still has its receipts, and brings nobody back', async () => {
    const lines = [registration('gone'), interaction('gone', 3, give('sales'))];
    const first = await bulk(lines);
    const path = `/v1/subjects/${first.body[0]?.subjectId ?? ''}`;
    expect((await ledger.api.post(`${path}/erasure`, { ground: 'child' })).status).toBe(202);
    const until = Date.now() + 5_000;
    for (let types: string[] = []; !types.includes('KeyDestroyed') && Date.now() < until;) {
      const { body } = await ledger.api.get<TimelinePage>(`${path}/timeline`);
      types = body.items.map(({ type }) => type);
    }
    const again = await bulk([...lines, registration('after')]);
    expect(again.body).toEqual([
      first.body[0],
      expect.objectContaining({ status: 'rejected', code: 'unknown-subject' }),
      expect.objectContaining({ status: 'recorded' }),
    ]);
    const found = await ledger.api.post<Found>('/v1/subjects/search', { externalRef: ref('gone') });
    expect(found.body.subjects).toEqual([]);
  });

  test('when one person has many lines after each other, then each is decided after the one before it', async () => {
    const renewal = (id: string, n: number) =>
      interaction(id, n, n % 2 === 0 ? give('sales') : withdraw('sales'));
    const lines = ['row-1', 'row-2', 'row-3'].flatMap((id) => [
      renewal(id, 1),
      registration(id),
      ...Array.from({ length: 8 }, (_, n) => renewal(id, n + 2)),
      interaction(id, 20, give('nowhere')),
      renewal(id, 3),
      registration(id, { occurredAt: day(30) }),
      renewal(id, 21),
    ]);
    const before = await ledger.head();
    const { body: verdicts } = await bulk(lines);
    const codes = verdicts.map(({ status, code }) => code ?? status);
    const ofOne = [
      'unknown-subject',
      ...Array.from({ length: 9 }, () => 'recorded'),
      'unknown-purpose',
      'recorded',
      'already-registered',
      'recorded',
    ];
    expect(codes).toEqual([...ofOne, ...ofOne, ...ofOne]);
    const { body: events } = await feed(`?after=${before}&category=subject`);
    const order = [...new Set(events.map(({ interactionId }) => interactionId))];
    const receipts = verdicts.flatMap(({ receiptId }) => receiptId ?? []);
    expect(order).toEqual([...new Set(receipts)]);
    const again = await bulk(lines);
    // Who was nobody yet is known the second time; all else stands as it was.
    const stood = verdicts.filter(({ code }) => code !== 'unknown-subject');
    expect(again.body.filter(({ line }) => stood.some((one) => one.line === line))).toEqual(stood);
  });

  test('when somebody is erased between two of their lines, then by their reference they are nobody', async () => {
    const lines = async function* (): AsyncGenerator<string> {
      yield `${JSON.stringify(registration('between'))}\n`;
      await erased;
      yield `${JSON.stringify(interaction('between', 3, give('sales')))}\n`;
      yield `${JSON.stringify(registration('beyond'))}\n`;
    };
    let leave = (): void => undefined;
    const erased = new Promise<void>((resolve) => (leave = resolve));
    const call = request(`${ledger.url}/v1/interactions/bulk`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${ledger.key}`,
        'content-type': 'application/x-ndjson',
      },
    });
    const sent = pipeline(Readable.from(lines()), call);
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    const verdicts: Verdict[] = [];
    for await (const line of createInterface(answer)) {
      const verdict = JSON.parse(line) as Verdict;
      verdicts.push(verdict);
      if (verdicts.length > 1) continue;
      const path = `/v1/subjects/${verdict.subjectId ?? ''}`;
      const erasure = await ledger.api.post(`${path}/erasure`, { ground: 'child' });
      expect(erasure.status).toBe(202);
      for (let types: string[] = []; !types.includes('KeyDestroyed');) {
        const { body } = await ledger.api.get<TimelinePage>(`${path}/timeline`);
        types = body.items.map(({ type }) => type);
      }
      leave();
    }
    await sent;
    expect(verdicts.map(({ status, code }) => code ?? status)).toEqual([
      'recorded',
      'unknown-subject',
      'recorded',
    ]);
  }, 30_000);
});
