import { randomBytes, randomInt } from 'node:crypto';
import { connect } from 'node:net';
import type { Operation, PersonPage, Receipt } from '../support/answers.js';
import { catalogue } from '../support/catalogue.js';
import { EventStream } from '../support/server-events.js';
import type { Api, Call, Method, Reply } from '../support/server.js';

/**
 * Texts that nobody else writes, for every field that can hold something personal. All begin with the same
 * mark, so that one search finds them; what follows tells the field.
 */
export class Canaries {
  /** Mixed case, and a form of its own in every encoding. */
  readonly mark = `Zq${randomBytes(9).toString('hex').toUpperCase()}x`;
  /** For values that have only digits, and only lower case. */
  readonly digits = String(randomInt(10_000_000, 99_999_999));
  readonly domain = `zq${randomBytes(9).toString('hex')}x`;

  get marks(): readonly string[] {
    return [this.mark, `151${this.digits}`, this.domain];
  }

  in(field: string): string {
    return this.mark + field;
  }

  get email() {
    return { kind: 'email', value: `${this.in('Mailbox')}@${this.domain}.example` };
  }
  get phone() {
    return { kind: 'phone', value: `+49151${this.digits}` };
  }
  get post() {
    return { kind: 'post', value: `${this.in('Street')} 1\n12345 ${this.in('City')}` };
  }
  externalRef(field = 'Ref') {
    return { system: 'crm', id: this.in(field) };
  }
}

/** What is found where personal fields are stored in the clear: the proof that the search can find. */
export const STORED = [
  'Name',
  'Rectified',
  'Origin',
  'Mailbox',
  'Street',
  'City',
  'Ref',
  'EvidenceKey',
  'EvidenceValue',
  'Comment',
  'Note',
  'Reference',
  'Assessment',
  'BasisComment',
  'ConsentReference',
  'UpheldGrounds',
  'EndedReference',
  'SwapReference',
  'RegisteredReference',
  'RegisteredAssessment',
  'RegisteredComment',
  'ErasureNote',
  'RefusalNote',
  'KeyName',
  'BulkName',
  'BulkComment',
  'BulkEvidence',
];

export interface Filled {
  readonly ada: string;
  readonly ben: string;
}

/** Puts a canary into everything that takes a text: fields, look-ups, refused calls, headers, queries and paths. */
export async function fill(
  api: Api,
  url: string,
  key: string,
  canaries: Canaries,
): Promise<Filled> {
  await api.post('/v1/catalogue', catalogue);
  const people = await record(api, canaries);
  await lookUp(api, url, key, canaries, people);
  await refuse(api, canaries, people);
  await mangle(api, url, canaries, people);
  return people;
}

async function record(api: Api, canaries: Canaries): Promise<Filled> {
  const { email, phone, post } = canaries;
  const text = (field: string) => canaries.in(field);
  const { body: registered } = await ok<Receipt>(
    api.post('/v1/subjects', {
      source: 'web-form',
      name: text('Name'),
      contactPoints: [email, phone, post],
      externalRefs: [canaries.externalRef(), { system: 'shop', id: text('Ref') }],
      collection: { from: 'third-party', origin: text('Origin') },
      bases: [
        {
          purpose: 'bookkeeping',
          basis: 'legal-obligation',
          status: 'established',
          reference: text('RegisteredReference'),
          comment: text('RegisteredComment'),
        },
        {
          purpose: 'profiling',
          basis: 'legitimate-interests',
          status: 'asserted',
          assessment: text('RegisteredAssessment'),
        },
      ],
    }),
  );
  const ada = registered.subjectId;
  const path = `/v1/subjects/${ada}`;
  const basis = (purpose: string, body: object) =>
    api.put(`${path}/bases/${purpose}`, { source: 'officer', ...body });
  await ok(api.patch(`${path}/identity`, { name: text('Rectified'), language: 'de' }));
  await ok(
    api.post(`${path}/contact-points`, {
      ...email,
      value: `${text('Mailbox')}2@${canaries.domain}.example`,
    }),
  );
  await ok(api.post(`${path}/contact-points`, { kind: 'post', value: text('Street') }));
  const { body: page } = await api.get<PersonPage>(path);
  await ok(api.delete(`${path}/contact-points/${page.identity?.contactPoints.at(-1)?.id ?? ''}`));
  await ok(
    api.post(`${path}/interactions`, {
      source: 'web-form',
      comment: text('Comment'),
      evidence: {
        [text('EvidenceKey')]: text('EvidenceValue'),
        long: Array.from({ length: 200 }, (_, n) => `${text('EvidenceValue')} ${n}`),
      },
      choices: [
        { purpose: 'newsletter', decision: 'give', noticeVersion: 1 },
        { topic: 'readings', channel: 'email', decision: 'on' },
        { objection: 'marketing', decision: 'raise' },
      ],
    }),
  );
  await ok(
    basis('sales', {
      basis: 'legitimate-interests',
      status: 'asserted',
      reference: text('Reference'),
      assessment: text('Assessment'),
      comment: text('BasisComment'),
    }),
  );
  await ok(
    basis('sales', {
      basis: 'legitimate-interests',
      status: 'upheld',
      assessment: text('UpheldGrounds'),
    }),
  );
  await ok(
    basis('sales', {
      basis: 'legitimate-interests',
      status: 'ended',
      reference: text('EndedReference'),
    }),
  );
  await ok(
    basis('research', { basis: 'consent', status: 'given', reference: text('ConsentReference') }),
  );
  await expected(
    409,
    basis('newsletter', {
      basis: 'contract',
      status: 'established',
      reference: text('SwapReference'),
    }),
  );
  await ok(api.post(`${path}/restriction`, { ground: 'unlawful', note: text('Note') }));
  await ok(api.delete(`${path}/restriction`));

  const { body: verdicts } = await api.lines<{ subjectId: string }>('/v1/interactions/bulk', [
    {
      type: 'register',
      externalRef: canaries.externalRef('BulkRef'),
      name: text('BulkName'),
      source: 'import',
      contactPoints: [{ kind: 'email', value: `${text('Mailbox')}3@${canaries.domain}.example` }],
      idempotencyKey: text('LineKey'),
    },
    {
      type: 'interaction',
      externalRef: canaries.externalRef('BulkRef'),
      interaction: {
        source: 'import',
        comment: text('BulkComment'),
        evidence: { scan: text('BulkEvidence') },
        choices: [{ purpose: 'sales', decision: 'give' }],
      },
    },
    { type: 'register', externalRef: canaries.externalRef('BulkRef'), source: text('Rejected') },
    { type: 'interaction', externalRef: canaries.externalRef('Nobody'), interaction: {} },
    { [text('FieldName')]: text('FieldValue') },
  ]);
  const ben = verdicts[0]?.subjectId ?? '';
  const officer = await ok<{ secret: string }>(
    api.post('/v1/api-keys', {
      name: text('KeyName'),
      role: 'officer',
      expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
    }),
  );
  await ok(
    api.post(
      `/v1/subjects/${ben}/erasure`,
      { ground: 'objected', note: text('ErasureNote') },
      { key: officer.body.secret },
    ),
  );
  await ok(
    api.post(`/v1/subjects/${ben}/erasure/refuse`, {
      reason: 'legal-claims',
      note: text('RefusalNote'),
    }),
  );
  return { ada, ben };
}

/** Everything that reads by a personal value, or shows one. */
async function lookUp(
  api: Api,
  url: string,
  key: string,
  canaries: Canaries,
  { ada, ben }: Filled,
): Promise<void> {
  const references = [
    ...[canaries.email, canaries.phone, canaries.post].map((contactPoint) => ({ contactPoint })),
    { externalRef: canaries.externalRef() },
    { externalRef: canaries.externalRef('NeverHeardOf') },
    { contactPoint: { kind: 'email', value: `${canaries.in('NeverHeardOf')}@linden.example` } },
  ];
  for (const reference of references) {
    await ok(api.post('/v1/subjects/search', reference));
    await ok(api.post('/v1/decisions', { ...reference, purpose: 'sales' }));
  }
  const questions = references.map((reference) => ({ ...reference, purpose: 'newsletter' }));
  await ok(api.post('/v1/decisions', { questions }));
  await ok(api.lines('/v1/decisions/batch', [...questions, { purpose: canaries.in('Purpose') }]));
  for (const person of [ada, ben])
    for (const path of ['', '/timeline'])
      await ok(api.get(`/v1/subjects/${person}${path}?reveal=true`));
  await ok(
    api.post('/v1/audiences', {
      purpose: 'sales',
      include: ['externalRefs', 'contactPoints'],
      summary: 'full',
    }),
  );
  await ok(api.get('/v1/api-keys'));
  for (const path of ['/v1/audit-events', '/metrics', '/health/ready']) {
    const { text } = await ok(api.get(path));
    if (canaries.marks.some((mark) => text.includes(mark))) throw new Error(`${path} tells a name`);
  }
  const stream = await EventStream.open(`${url}/v1/events/stream`, {
    authorization: `Bearer ${key}`,
  });
  await stream.until('caught-up');
  stream.close();
}

/** Bodies that are read and refused. */
async function refuse(api: Api, canaries: Canaries, { ada }: Filled): Promise<void> {
  const text = (field: string) => canaries.in(field);
  const path = `/v1/subjects/${ada}`;
  const bodies: readonly [Method, string, object][] = [
    ['POST', '/v1/subjects', { source: text('Source') }],
    ['POST', '/v1/subjects', { source: 'web-form', [text('Field')]: text('Value') }],
    ['POST', '/v1/subjects', { source: 'web-form', language: text('Language') }],
    [
      'POST',
      '/v1/subjects',
      { source: 'web-form', contactPoints: [{ kind: 'email', value: text('NoMail') }] },
    ],
    [
      'POST',
      '/v1/subjects',
      { source: 'web-form', contactPoints: [{ kind: text('Kind'), value: 'x' }] },
    ],
    ['POST', '/v1/subjects', { source: 'web-form', externalRefs: [canaries.externalRef()] }],
    ['POST', '/v1/subjects', { source: 'web-form', name: text('LongName').repeat(100) }],
    [
      'POST',
      `${path}/interactions`,
      { source: 'web-form', choices: [{ purpose: text('Purpose'), decision: 'give' }] },
    ],
    [
      'POST',
      `${path}/interactions`,
      { source: 'web-form', evidence: { scan: text('Large').repeat(2_000) }, choices: [] },
    ],
    [
      'POST',
      `${path}/interactions`,
      { source: 'web-form', comment: `${text('Nul')}\u0000`, choices: [] },
    ],
    [
      'PUT',
      `${path}/bases/${text('PathPurpose')}`,
      { basis: 'contract', status: 'established', source: 'officer' },
    ],
    [
      'PUT',
      `${path}/bases/bookkeeping`,
      {
        basis: 'contract',
        status: 'established',
        source: 'officer',
        reference: text('NotAllowed'),
      },
    ],
    ['POST', `${path}/contact-points`, { kind: 'phone', value: text('NoPhone') }],
    ['POST', `${path}/restriction`, { ground: text('Ground'), note: text('RefusedNote') }],
    ['POST', `${path}/erasure`, { ground: text('Ground'), note: text('RefusedNote') }],
    ['POST', '/v1/subjects/search', { contactPoint: { kind: 'email', value: text('NoMail') } }],
    ['POST', '/v1/decisions', { externalRef: canaries.externalRef(), purpose: text('Purpose') }],
    ['POST', '/v1/audiences', { purpose: text('Purpose') }],
    ['POST', '/v1/api-keys', { name: text('RefusedName'), role: text('Role') }],
    ['POST', '/v1/interactions/bulk', { name: text('NoLines') }],
  ];
  for (const [method, to, body] of bodies) await failing(canaries, api.send(method, to, body));
  const broken: readonly [string | Buffer, string][] = [
    [`{"source":"${text('Broken')}"`, 'application/json'],
    [`"${text('Text')}"`, 'application/json'],
    [`{"comment":"${text('HalfPair')}\\ud800"}`, 'application/json'],
    [
      Buffer.concat([Buffer.from(`{"name":"${text('Bytes')}`), Buffer.from([0xff, 0x22, 0x7d])]),
      'application/json',
    ],
    [`name=${text('Form')}`, 'application/x-www-form-urlencoded'],
    [text('Plain'), 'text/plain'],
    [text('NoType'), `application/${text('Type')}`],
    [`{"comment":"${text('TooLarge')}${'x'.repeat(1_100_000)}"}`, 'application/json'],
  ];
  for (const [body, type] of broken)
    await failing(
      canaries,
      api.send('POST', `${path}/interactions`, body, { headers: { 'content-type': type } }),
    );
  // Refused because personal fields are sealed, and this is how the ledger writes that one is gone.
  await api.post(`${path}/interactions`, {
    source: 'web-form',
    evidence: { erased: true, note: text('Erased') },
    choices: [{ purpose: 'sales', decision: 'give' }],
  });
  // Refused once it is written: the key was used before.
  const call = { idempotencyKey: text('UsedTwice') };
  const choices = [{ purpose: 'sales', decision: 'withdraw' }];
  await ok(api.post(`${path}/interactions`, { source: 'web-form', choices }, call));
  await failing(
    canaries,
    api.post(`${path}/interactions`, { source: 'web-form', comment: text('Other'), choices }, call),
  );
  await failing(
    canaries,
    api.post(
      `${path}/interactions`,
      { source: 'web-form', comment: text('Stale'), choices },
      { ifMatch: 0 },
    ),
  );
}

/** Headers, queries, paths and what is no HTTP at all. */
async function mangle(api: Api, url: string, canaries: Canaries, { ada }: Filled): Promise<void> {
  const text = (field: string) => canaries.in(field);
  const path = `/v1/subjects/${ada}`;
  const headers = {
    'user-agent': text('UserAgent'),
    traceparent: text('Traceparent'),
    tracestate: text('Tracestate'),
    'x-request-id': text('RequestId'),
    'x-forwarded-for': text('ForwardedFor'),
    referer: `https://${canaries.domain}.example/${text('Referer')}`,
    cookie: `session=${text('Cookie')}`,
    accept: text('Accept'),
    'accept-language': text('AcceptLanguage'),
  };
  await ok(api.get(path, { headers }));
  const choices = [{ objection: 'sales', decision: 'raise' }];
  const said = { source: 'web-form', choices };
  await ok(
    api.post(`${path}/interactions`, said, { headers, idempotencyKey: text('IdempotencyKey') }),
  );
  const calls: readonly Call[] = [
    { ifMatch: `"${text('IfMatch')}"` },
    { ifMatch: text('IfMatch') },
    { key: null, headers: { authorization: text('Authorization') } },
    { key: null, headers: { authorization: `Bearer clk_${text('Authorization')}` } },
    { key: null, headers: { authorization: `Basic ${btoa(text('Authorization'))}` } },
    { headers: { 'content-type': text('ContentType') } },
    { idempotencyKey: `${text('IdempotencyKey')} ü` },
  ];
  for (const call of calls) await failing(canaries, api.post(`${path}/interactions`, said, call));
  await failing(
    canaries,
    api.get('/v1/audit-events', { headers: { 'consistency-token': text('Token') } }),
  );
  await failing(
    canaries,
    api.get('/v1/events/stream', { headers: { 'last-event-id': text('LastEventId') } }),
  );
  const queries = ['asOf', 'knownAt', 'purpose', 'cursor', 'limit', 'reveal', text('FieldOfQuery')];
  for (const name of queries)
    await failing(canaries, api.get(`${path}/timeline?${name}=${text('Query')}`));
  await failing(canaries, api.post(`/v1/interactions/bulk?importId=${text('Query')}`));
  for (const to of [
    `/${text('Path')}`,
    `/v1/subjects/${text('Path')}`,
    `/v1/subjects/${encodeURIComponent(canaries.email.value)}/timeline`,
    `/v1/purposes/${text('Path')}`,
    `/v1/topics/${text('Path')}`,
    `/v1/notices/by-hash/${text('Path')}`,
    `/v1/operations/${text('Path')}`,
    `/v1/receipts/${text('Path')}`,
    `/v1/api-keys/${text('Path')}`,
    `/v1/purposes/${text('Path').repeat(20)}`,
    `/v1/subjects/%${text('Path')}`,
  ])
    for (const method of ['GET', 'DELETE', 'PATCH'] as const)
      await failing(canaries, api.send(method, to));
  await raw(url, `${text('Verb')} /${text('Path')} HTTP/1.1\r\n\r\n`);
  await raw(
    url,
    `GET /v1/purposes HTTP/1.1\r\nhost: x\r\n${text('Header')}\u0001: ${text('Header')}\r\n\r\n`,
  );
  await raw(url, `GET /${text('Path').repeat(2_000)} HTTP/1.1\r\nhost: x\r\n\r\n`);
  await raw(
    url,
    `POST /v1/subjects HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"name":"${text('Cut')}`,
  );
}

/** Bytes as they are, and then the connection is closed. */
async function raw(url: string, bytes: string): Promise<void> {
  const { hostname, port } = new URL(url);
  await new Promise<void>((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.end(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    socket.resume();
    setTimeout(() => socket.destroy(), 500);
  });
}

type Answer<Body> = Promise<{
  readonly status: number;
  readonly body: Body;
  readonly text: string;
}>;

async function ok<Body = unknown>(call: Promise<{ status: number; body: unknown; text: string }>) {
  const reply = await call;
  if (reply.status >= 300) throw new Error(`refused: ${reply.status} ${reply.text}`);
  return reply as Awaited<Answer<Body>>;
}

async function expected(status: number, call: Answer<unknown>): Promise<void> {
  const reply = await call;
  if (reply.status !== status) throw new Error(`not ${status}: ${reply.status} ${reply.text}`);
}

/** A call that is refused, in an answer that repeats nothing but the names of fields. */
async function failing(canaries: Canaries, call: Promise<Reply<unknown>>): Promise<void> {
  const { status, text, headers } = await call;
  if (status < 400 || status >= 500) throw new Error(`not refused: ${status} ${text}`);
  const said = text + JSON.stringify(headers);
  const repeated = canaries.marks.filter((mark) => new RegExp(`${mark}(?!Field)`, 'i').test(said));
  if (repeated.length > 0) throw new Error(`repeats what it refuses: ${said}`);
}

/** Forgets a person; returns when the keys are gone. */
export async function erase(api: Api, subjectId: string, canaries: Canaries): Promise<void> {
  const { headers } = await api.post<Operation>(`/v1/subjects/${subjectId}/erasure`, {
    ground: 'child',
    note: canaries.in('LastNote'),
  });
  const until = Date.now() + 20_000;
  for (let status = ''; status !== 'succeeded';) {
    if (Date.now() > until) throw new Error('the erasure does not end');
    await new Promise((resolve) => setTimeout(resolve, 100));
    ({ status } = (await api.get<Operation>(headers.location ?? '')).body);
  }
}
