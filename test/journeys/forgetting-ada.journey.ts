import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import type {
  Decision,
  Found,
  Operation,
  PersonPage,
  Problem,
  Receipt,
  TimelinePage,
} from '../support/answers.js';
import { catalogue } from '../support/catalogue.js';
import type { Call, Reply, RunningLedger } from '../support/server.js';

const DAY = 86_400_000;
const daysAgo = (days: number) => new Date(Date.now() - days * DAY).toISOString();

/** One person from the first word about them to the certificate that they are forgotten, and back again. */
export const forgettingAda = (start: () => Promise<RunningLedger>) => () => {
  let ledger: RunningLedger;
  /** May decide, and see what held before an erasure. */
  let proving: string;
  /** May decide and read, not look behind an erasure. */
  let plain: string;
  let officer: string;
  let dpo: string;

  const email = { kind: 'email', value: 'Ada.Lovelace@Linden.Example' };
  const externalRef = { system: 'crm', id: 'customer-1815' };
  const registration = {
    source: 'web-form',
    name: 'Ada Lovelace',
    language: 'en',
    occurredAt: daysAgo(120),
    contactPoints: [email],
    externalRefs: [externalRef],
    collection: { from: 'third-party', origin: 'Charles Babbage', collectedAt: daysAgo(121) },
    bases: [
      { purpose: 'sales', basis: 'contract', status: 'established', reference: 'Order 1843' },
    ],
  };
  const newsletter = { purpose: 'newsletter', channel: 'email' };
  const lastMonth = daysAgo(40);

  let ada = '';
  let registered: Reply<Receipt>;
  let granted: Reply<Receipt>;
  let withdrawn: Reply<Receipt>;

  const decide = (question: object, call?: Call) =>
    ledger.api.post<Decision>('/v1/decisions', question, call);
  const person = (query = '', call?: Call) =>
    ledger.api.get<PersonPage>(`/v1/subjects/${ada}${query}`, call);
  const timeline = (query = '', call?: Call) =>
    ledger.api.get<TimelinePage>(`/v1/subjects/${ada}/timeline${query}`, call);
  const interact = (interaction: object, call?: Call) =>
    ledger.api.post<Receipt>(`/v1/subjects/${ada}/interactions`, interaction, call);

  beforeAll(async () => {
    ledger = await start();
    [proving, plain, officer, dpo] = await Promise.all([
      ledger.keyWith('decisions:read', 'subjects:read', 'evidence:read', 'events:read'),
      ledger.keyWith('decisions:read', 'subjects:read', 'subjects:reveal'),
      ledger.keyOfRole('officer'),
      ledger.keyOfRole('dpo'),
    ]);
  }, 60_000);
  afterAll(() => ledger.stop(), 20_000);

  test('when the catalogue is applied, then it is visible, and applying it again changes nothing', async () => {
    const first = await ledger.api.post('/v1/catalogue', catalogue);
    expect(first.status).toBe(200);
    expect(first.body).toMatchObject({
      purposes: { defined: 5, unchanged: 0 },
      topics: { defined: 3 },
      notices: { defined: 4 },
      visible: true,
    });
    const again = await ledger.api.post('/v1/catalogue', catalogue);
    expect(again.body).toMatchObject({
      controllers: { defined: 0, revised: 0, unchanged: 1 },
      purposes: { defined: 0, revised: 0, unchanged: 5 },
      topics: { defined: 0, revised: 0, unchanged: 3 },
      notices: { defined: 0, unchanged: 4 },
    });
    expect(again.body.position).toBe(first.body.position);
  });

  test('when she is registered, then she is found, and nothing is allowed but what her contract carries', async () => {
    registered = await ledger.api.post<Receipt>('/v1/subjects', registration, {
      idempotencyKey: 'ada-registered',
    });
    expect(registered.status).toBe(201);
    expect(registered.body).toEqual({
      receiptId: expect.stringMatching(/^rcp_/),
      subjectId: expect.stringMatching(/^sub_/),
      revision: 2,
      position: expect.stringMatching(/^[1-9]\d*$/),
      recordedAt: expect.stringMatching(/Z$/),
      events: [
        { type: 'SubjectRegistered', revision: 0 },
        { type: 'ContactPointAdded', revision: 1 },
        { type: 'LegalBasisEstablished', revision: 2 },
      ].map((event) => expect.objectContaining(event)),
      visible: expect.any(Boolean),
      sealed: false,
    });
    ada = registered.body.subjectId;
    expect(registered.headers).toMatchObject({ location: `/v1/subjects/${ada}`, etag: '"2"' });

    for (const reference of [{ contactPoint: email }, { externalRef }]) {
      const found = await ledger.api.post<Found>('/v1/subjects/search', reference);
      expect(found.body).toEqual({ subjects: [{ subjectId: ada }] });
    }
    const sales = await decide({ subjectId: ada, purpose: 'sales' }, { after: registered });
    expect(sales.body).toMatchObject({ allowed: true, code: 'allowed', basis: 'contract' });
    const letter = await decide({ contactPoint: email, ...newsletter }, { after: registered });
    expect(letter.body).toMatchObject({ allowed: false, code: 'no-basis', reasons: ['no-basis'] });

    expect(await ledger.visible(registered.body.receiptId)).toMatchObject({
      ...registered.body,
      visible: true,
      sealed: expect.any(Boolean),
    });
  });

  test('when she agrees, then the answer waits for her confirmation, and is yes from the confirmation on', async () => {
    const asked = await interact({
      occurredAt: daysAgo(100),
      source: 'customer-portal',
      collectionPoint: 'checkout',
      declaredBy: { kind: 'subject', assurance: 'login' },
      evidence: { form: 'checkout-7', ticked: true },
      comment: 'She asked twice what we would send.',
      choices: [{ ...{ purpose: 'newsletter' }, decision: 'give', noticeVersion: 1 }],
    });
    expect(asked.status).toBe(201);
    const pending = await decide({ subjectId: ada, ...newsletter }, { after: asked });
    expect(pending.body).toMatchObject({ allowed: false, code: 'confirmation-pending' });

    granted = await interact({
      source: 'email',
      occurredAt: daysAgo(99),
      choices: [
        {
          purpose: 'newsletter',
          decision: 'confirm',
          confirmation: { method: 'double-opt-in', at: daysAgo(99) },
        },
      ],
    });
    const allowed = await decide({ subjectId: ada, ...newsletter }, { after: granted });
    const [confirmation] = granted.body.events;
    expect(allowed.body).toMatchObject({
      allowed: true,
      code: 'allowed',
      reasons: [],
      basis: 'consent',
      event: { id: confirmation?.id, position: granted.body.position },
    });
    const between = await decide({ subjectId: ada, ...newsletter, asOf: daysAgo(99.5) });
    expect(between.body).toMatchObject({ allowed: false, code: 'confirmation-pending' });
  });

  test('when she withdraws, then the answer is no at once, and the days before stay as they were', async () => {
    const { headers } = await person();
    expect(headers.etag).toBe(`"${granted.body.revision}"`);
    withdrawn = await interact(
      { source: 'customer-portal', choices: [{ purpose: 'newsletter', decision: 'withdraw' }] },
      { ifMatch: headers.etag },
    );
    expect(withdrawn.status).toBe(201);
    const now = await decide({ externalRef, ...newsletter }, { after: withdrawn });
    expect(now.body).toMatchObject({ allowed: false, code: 'consent-withdrawn' });

    const then = await decide({ subjectId: ada, ...newsletter, asOf: lastMonth });
    expect(then.body).toMatchObject({ allowed: true, basis: 'consent', asOf: lastMonth });
    const known = await decide({
      subjectId: ada,
      ...newsletter,
      knownAt: `position:${granted.body.position}`,
    });
    expect(known.body).toMatchObject({ allowed: true, position: granted.body.position });
    const unknown = await decide({ subjectId: ada, ...newsletter, knownAt: lastMonth });
    expect(unknown.body).toMatchObject({
      allowed: false,
      code: 'unknown-subject',
      knownAt: lastMonth,
    });
  });

  test('when her timeline is read, then every event is in it, in words, and as of any day', async () => {
    const { body } = await timeline();
    expect(body.items.map(({ type, text }) => [type, text])).toEqual([
      ['SubjectRegistered', 'Registered'],
      ['ContactPointAdded', 'Contact point added (e-mail)'],
      [
        'LegalBasisEstablished',
        'Legal basis contract recorded for Sales and service [sales]: established',
      ],
      ['ConsentGiven', 'Consent given for Newsletter [newsletter]'],
      ['ConsentConfirmed', 'Consent confirmed for Newsletter [newsletter]'],
      ['ConsentWithdrawn', 'Consent withdrawn for Newsletter [newsletter]'],
    ]);
    expect(JSON.stringify(body)).not.toMatch(
      /Ada L|Lovelace|Babbage|Order 1843|customer-1815|twice|checkout-7/,
    );
    const past = await timeline(`?asOf=${lastMonth}`);
    expect(past.body.items).toEqual(body.items.slice(0, 5));
    const known = await timeline(`?knownAt=position:${registered.body.position}`);
    expect(known.body.items).toEqual(body.items.slice(0, 3));
    const letters = await timeline('?purpose=newsletter');
    expect(letters.body.items).toEqual(body.items.slice(3));
    const first = await timeline('?limit=4');
    const rest = await timeline(`?limit=4&cursor=${first.body.page.next ?? ''}`);
    expect([...first.body.items, ...rest.body.items]).toEqual(body.items);
    expect(rest.body.page).toEqual({});
  });

  test('when somebody with the right reveals her, then the fields are clear, and for nobody else', async () => {
    const masked = await person();
    expect(JSON.stringify(masked.body)).not.toMatch(/Ada L|Lovelace|Babbage|customer-1815/);
    const clear = await person('?reveal=true');
    expect(clear.body.identity).toMatchObject({
      name: 'Ada Lovelace',
      contactPoints: [{ value: 'Ada.Lovelace@linden.example' }],
      externalRefs: [externalRef],
      collection: { from: 'third-party', origin: 'Charles Babbage' },
    });
    const opened = await timeline('?reveal=true');
    expect(opened.body.items[3]?.data).toMatchObject({
      evidence: { form: 'checkout-7', ticked: true },
      comment: 'She asked twice what we would send.',
      collectionPoint: 'checkout',
      notice: { version: 1, language: 'en', hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    const refused = await person('?reveal=true', { key: proving });
    expect(refused.status).toBe(403);
  });

  describe('when she wants to be forgotten', () => {
    const pastDay = { purpose: 'newsletter', channel: 'email', asOf: lastMonth };
    let before: Reply<Decision>;
    let beforeKnown: Reply<Decision>;
    let operation: Reply<Operation>;
    let certified: Operation;

    test('then an officer asks for it, answers stay the same, and who may not approve can not', async () => {
      [before, beforeKnown] = await Promise.all([
        decide({ subjectId: ada, ...pastDay }, { key: proving }),
        decide(
          { subjectId: ada, ...pastDay, knownAt: `position:${granted.body.position}` },
          { key: proving },
        ),
      ]);
      operation = await ledger.api.post<Operation>(
        `/v1/subjects/${ada}/erasure`,
        {
          ground: 'consent-withdrawn',
          note: 'By telephone, very friendly.',
          receivedAt: daysAgo(1),
        },
        { key: officer },
      );
      expect(operation.status).toBe(202);
      expect(operation.body).toMatchObject({ status: 'waiting', kind: 'erasure', subjectId: ada });
      expect(operation.headers.location).toBe(`/v1/operations/${operation.body.operationId}`);
      const waiting = await ledger.api.get<Operation>(operation.headers.location ?? '');
      expect(waiting.body).toEqual(operation.body);
      const refused = await ledger.api.post<Problem>(
        `/v1/subjects/${ada}/erasure/approve`,
        undefined,
        {
          key: officer,
        },
      );
      expect([refused.status, refused.body.code]).toEqual([403, 'scope-missing']);
      const sales = await decide({ contactPoint: email, purpose: 'sales' }, { after: operation });
      expect(sales.body).toMatchObject({ allowed: true, basis: 'contract' });
    });

    test('then it is approved, and the operation ends with a certificate', async () => {
      const approved = await ledger.api.post<Operation>(
        `/v1/subjects/${ada}/erasure/approve`,
        undefined,
        {
          key: dpo,
        },
      );
      expect(approved.status).toBe(202);
      expect(approved.body.operationId).toBe(operation.body.operationId);
      const write = await interact({
        source: 'web-form',
        choices: [{ purpose: 'newsletter', decision: 'give', noticeVersion: 1 }],
      });
      expect(write.status).toBe(410);

      const until = Date.now() + 20_000;
      for (;;) {
        const { body } = await ledger.api.get<Operation>(operation.headers.location ?? '');
        certified = body;
        if (body.status !== 'running' || Date.now() > until) break;
        await sleep(100);
      }
      expect(certified).toMatchObject({
        status: 'succeeded',
        operationId: operation.body.operationId,
        result: {
          certificate: {
            subjectId: ada,
            ground: 'consent-withdrawn',
            requestedAt: expect.any(String),
            unreadableSince: expect.any(String),
            completedAt: expect.any(String),
          },
        },
      });
    }, 30_000);

    test('then subject and timeline stay, without anything personal', async () => {
      for (const query of [
        '',
        '?reveal=true',
        `?asOf=${lastMonth}`,
        `?asOf=${lastMonth}&reveal=true`,
      ]) {
        const page = await person(query, { key: plain });
        expect(page.status).toBe(200);
        expect(page.body.identity?.name).toBeUndefined();
        expect(page.body.identity?.externalRefs).toBeUndefined();
        expect(page.body.identity?.contactPoints.map(({ kind, value }) => [kind, value])).toEqual([
          ['email', undefined],
        ]);
        expect(page.text).not.toMatch(/Lovelace|linden\.example|Babbage|customer-1815/i);
      }
      const page = await person();
      expect(page.body.erasedAt).toBe(certified.result?.certificate.unreadableSince);
      expect(new Set(page.body.purposes.map(({ code }) => code))).toEqual(new Set(['erased']));

      const told = await timeline('?reveal=true');
      expect(told.status).toBe(200);
      expect(told.body.items.map(({ type }) => type)).toEqual([
        'SubjectRegistered',
        'ContactPointAdded',
        'LegalBasisEstablished',
        'ConsentGiven',
        'ConsentConfirmed',
        'ConsentWithdrawn',
        'ErasureRequested',
        'ErasureApproved',
        'KeyDestroyed',
        'ErasureCompleted',
      ]);
      expect(told.body.items[0]?.data).toMatchObject({ name: { erased: true } });
      expect(told.body.items[3]?.data).toMatchObject({
        evidence: { erased: true },
        comment: { erased: true },
      });
      expect(told.text).not.toMatch(
        /Lovelace|linden\.example|Babbage|customer-1815|Order 1843|telephone|checkout-7/i,
      );
    });

    test('then a question about a past day has the answer it had, to those who may see the proof', async () => {
      const after = await decide({ subjectId: ada, ...pastDay }, { key: proving });
      expect(after.body).toEqual({
        ...before.body,
        position: after.body.position,
        knownAt: after.body.knownAt,
      });
      expect(after.body).toMatchObject({ allowed: true, basis: 'consent' });
      const known = await decide(
        { subjectId: ada, ...pastDay, knownAt: `position:${granted.body.position}` },
        { key: proving },
      );
      expect(known.body).toEqual(beforeKnown.body);
      const now = await decide({ subjectId: ada, ...newsletter }, { key: proving });
      expect(now.body).toMatchObject({ allowed: false, code: 'erased' });
    });

    test('then to everybody else she is erased, for any day', async () => {
      const days: Record<string, string>[] = [
        {},
        { asOf: lastMonth },
        { knownAt: `position:${granted.body.position}` },
      ];
      for (const day of days) {
        const { body } = await decide({ subjectId: ada, ...newsletter, ...day }, { key: plain });
        expect(body).toMatchObject({ allowed: false, code: 'erased', reasons: ['erased'] });
        expect(body).not.toHaveProperty('event');
        const page = await person(`?${new URLSearchParams(day).toString()}`, { key: plain });
        expect(new Set(page.body.purposes.map(({ code }) => code))).toEqual(new Set(['erased']));
      }
      const { body } = await person(`?asOf=${lastMonth}`, { key: proving });
      const shown = body.purposes.find(({ purpose }) => purpose === 'newsletter');
      expect(shown).toMatchObject({ allowed: true, basis: 'consent' });
    });

    test('then by contact point or reference nobody knows her, for any day, whoever asks', async () => {
      const days = [{}, { asOf: lastMonth }, { knownAt: `position:${granted.body.position}` }];
      for (const key of [proving, plain, ledger.key])
        for (const reference of [{ contactPoint: email }, { externalRef }]) {
          for (const day of days) {
            const { body } = await decide({ ...reference, ...newsletter, ...day }, { key });
            expect(body).toMatchObject({ allowed: false, code: 'unknown-subject' });
          }
          const found = await ledger.api.post<Found>('/v1/subjects/search', reference);
          expect(found.body).toEqual({ subjects: [] });
        }
    });

    test('then nothing more is recorded of her: every write is 410', async () => {
      const head = await ledger.head();
      const path = `/v1/subjects/${ada}`;
      const point = (await person()).body.identity?.contactPoints[0]?.id ?? '';
      const writes = [
        interact({ source: 'web-form', choices: [{ objection: 'marketing', decision: 'raise' }] }),
        interact({
          source: 'web-form',
          occurredAt: daysAgo(90),
          choices: [{ purpose: 'newsletter', decision: 'withdraw' }],
        }),
        ledger.api.put(`${path}/bases/sales`, {
          basis: 'contract',
          status: 'ended',
          source: 'officer',
        }),
        ledger.api.post(`${path}/contact-points`, email),
        ledger.api.delete(`${path}/contact-points/${point}`),
        ledger.api.patch(`${path}/identity`, { name: 'Ada King' }),
        ledger.api.post(`${path}/restriction`, { ground: 'legal-claims' }),
        ledger.api.delete(`${path}/restriction`),
      ];
      for (const { status, body } of await Promise.all<Reply<unknown>>(writes))
        expect([status, (body as Problem).code]).toEqual([410, 'subject-erased']);
      const [line] = (
        await ledger.api.lines('/v1/interactions/bulk', [
          {
            type: 'interaction',
            subjectId: ada,
            interaction: {
              source: 'import',
              choices: [{ purpose: 'newsletter', decision: 'give', noticeVersion: 1 }],
            },
          },
        ])
      ).body;
      expect(line).toMatchObject({ status: 'rejected', code: 'subject-erased' });
      expect(await ledger.head()).toBe(head);
    });

    test('then a second erasure is the first one', async () => {
      const head = await ledger.head();
      const again = await ledger.api.post<Operation>(`/v1/subjects/${ada}/erasure`, {
        ground: 'objected',
      });
      expect(again.status).toBe(200);
      expect(again.body).toEqual(certified);
      expect(again.headers.location).toBe(operation.headers.location);
      expect(await ledger.head()).toBe(head);
    });

    test('then repeating what was recorded before still gives the receipt it gave', async () => {
      expect(await ledger.visible(granted.body.receiptId)).toMatchObject({
        ...granted.body,
        visible: true,
        sealed: expect.any(Boolean),
      });
      const head = await ledger.head();
      const again = () =>
        ledger.api.post<Receipt>('/v1/subjects', registration, {
          idempotencyKey: 'ada-registered',
        });
      expect((await again()).body).toEqual(registered.body);
      await sql`delete from platform.idempotency`.execute(ledger.runtime.database);
      // Sealed meanwhile, or not yet.
      expect((await again()).body).toMatchObject({
        ...registered.body,
        visible: true,
        sealed: expect.any(Boolean),
      });
      expect(await ledger.head()).toBe(head);
      for (const reference of [{ contactPoint: email }, { externalRef }]) {
        const found = await ledger.api.post<Found>('/v1/subjects/search', reference);
        expect(found.body).toEqual({ subjects: [] });
      }
    });

    test('then registering her again makes somebody new, of whom nothing was ever said', async () => {
      const anew = await ledger.api.post<Receipt>('/v1/subjects', registration);
      expect(anew.status).toBe(201);
      expect(anew.body.subjectId).not.toBe(ada);
      const found = await ledger.api.post<Found>('/v1/subjects/search', { contactPoint: email });
      expect(found.body).toEqual({ subjects: [{ subjectId: anew.body.subjectId }] });
      const now = await decide({ externalRef, ...newsletter }, { after: anew });
      expect(now.body).toMatchObject({ allowed: false, code: 'no-basis' });
      const old = await decide({ subjectId: ada, ...newsletter });
      expect(old.body.code).toBe('erased');
      const again = await ledger.api.post<Problem>('/v1/subjects', registration);
      expect([again.status, again.body.code, again.body.subjectId]).toEqual([
        409,
        'already-registered',
        anew.body.subjectId,
      ]);
    });
  });

  describe('when an erasure is refused', () => {
    test('then it stays refused, writes go on, and asking again is another operation', async () => {
      await ledger.api.put('/v1/defaults', {
        bases: [
          {
            purpose: 'sales',
            basis: 'legitimate-interests',
            status: 'asserted',
            assessment: 'LIA 1',
          },
          {
            purpose: 'bookkeeping',
            basis: 'legal-obligation',
            status: 'established',
            reference: 'Commercial Code, section 257',
          },
        ],
      });
      const { body } = await ledger.api.post<Receipt>('/v1/subjects', {
        source: 'officer',
        bases: [{ purpose: 'sales', basis: 'contract', status: 'established' }],
      });
      expect(body.events.map(({ type }) => type)).toEqual([
        'SubjectRegistered',
        'LegalBasisEstablished',
        'LegalBasisEstablished',
      ]);
      const path = `/v1/subjects/${body.subjectId}`;
      const { body: page } = await ledger.api.get<PersonPage>(path);
      const basisOf = (key: string) => page.purposes.find(({ purpose }) => purpose === key)?.basis;
      // The default takes the place of what the registration does not name.
      expect([basisOf('sales'), basisOf('bookkeeping')]).toEqual(['contract', 'legal-obligation']);

      const ask = () =>
        ledger.api.post<Operation>(
          `${path}/erasure`,
          { ground: 'no-longer-needed' },
          { key: officer },
        );
      const asked = await ask();
      expect(asked.body).toMatchObject({
        status: 'waiting',
        progress: { step: 'requested', dutiesToRetain: ['bookkeeping'] },
      });
      const twice = await ask();
      expect([twice.status, twice.body]).toEqual([200, asked.body]);
      const refused = await ledger.api.post<Operation>(
        `${path}/erasure/refuse`,
        { reason: 'legal-obligation', note: 'Invoices of this year' },
        { key: dpo },
      );
      expect([refused.status, refused.body.status]).toEqual([200, 'failed']);
      expect(refused.body).toMatchObject({
        problem: { code: 'erasure-refused', reason: 'legal-obligation' },
      });
      const write = await ledger.api.post(`${path}/interactions`, {
        source: 'web-form',
        choices: [{ purpose: 'sales', decision: 'give' }],
      });
      expect(write.status).toBe(201);
      const anew = await ask();
      expect(anew.status).toBe(202);
      expect(anew.body.operationId).not.toBe(asked.body.operationId);
      const first = await ledger.api.get<Operation>(asked.headers.location ?? '');
      expect(first.body).toEqual(refused.body);
    });
  });

  test('when somebody is forgotten while others write, then each write is there or was refused', async () => {
    const { body } = await ledger.api.post<Receipt>('/v1/subjects', { source: 'web-form' });
    const path = `/v1/subjects/${body.subjectId}`;
    const write = (n: number) =>
      ledger.api.post<Receipt>(`${path}/interactions`, {
        source: 'web-form',
        occurredAt: daysAgo(n + 1),
        comment: 'Said in a hurry',
        choices: [{ purpose: 'sales', decision: n % 2 ? 'give' : 'withdraw' }],
      });
    const writes = Array.from({ length: 20 }, (_, n) => write(n));
    const erasure = ledger.api.post(`${path}/erasure`, { ground: 'unlawful' });
    const later = Array.from({ length: 20 }, (_, n) => write(n + 20));
    const replies = await Promise.all([...writes, ...later]);
    expect((await erasure).status).toBe(202);
    const { body: told } = await ledger.api.get<TimelinePage>(`${path}/timeline`);
    const types = told.items.map(({ type }) => type);
    expect(types.slice(types.indexOf('ErasureApproved') + 1)).not.toContain('ConsentGiven');
    expect(types.slice(types.indexOf('ErasureApproved') + 1)).not.toContain('ConsentWithdrawn');
    const recorded = new Set(told.items.map(({ id }) => id));
    for (const { status, body: receipt } of replies) {
      expect([201, 410]).toContain(status);
      if (status === 201) expect(recorded.has(receipt.events[0]?.id ?? '')).toBe(true);
    }
  });
};
