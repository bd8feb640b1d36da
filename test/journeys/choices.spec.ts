import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Decision, Found, PersonPage, Receipt, TimelinePage } from '../support/answers.js';
import { catalogue } from '../support/catalogue.js';
import { type Reply, type RunningLedger, startLedger } from '../support/server.js';

/** Every kind of choice over HTTP, and that decisions, the person's page and audiences can not disagree. */
describe('given people who choose', () => {
  let ledger: RunningLedger;
  /** Everybody who was registered here. */
  const everybody: string[] = [];
  let last: Reply<unknown>;

  const day = (date: string, time = '12:00:00') => `${date}T${time}Z`;
  const born = day('2025-01-01');
  const email = (value: string) => ({ kind: 'email', value });
  const signed = (at: string) => ({ method: 'signed-form', at });

  beforeAll(async () => {
    ledger = await startLedger();
    last = await ledger.api.post('/v1/catalogue', catalogue);
  }, 60_000);
  afterAll(() => ledger.stop(), 20_000);

  async function person(registration: object = {}): Promise<string> {
    const reply = await ledger.api.post<Receipt>('/v1/subjects', {
      source: 'web-form',
      occurredAt: born,
      language: 'en',
      ...registration,
    });
    expect(reply.status).toBe(201);
    last = reply;
    everybody.push(reply.body.subjectId);
    return reply.body.subjectId;
  }

  /** A fact as it is sent: an interaction, or a basis where it names one. */
  async function say(subject: string, fact: object): Promise<Reply<Receipt>> {
    const { purpose, ...basis } = fact as { purpose?: string };
    const reply =
      purpose === undefined
        ? await ledger.api.post<Receipt>(`/v1/subjects/${subject}/interactions`, {
            source: 'web-form',
            ...fact,
          })
        : await ledger.api.put<Receipt>(`/v1/subjects/${subject}/bases/${purpose}`, {
            source: 'officer',
            ...basis,
          });
    expect([reply.status, reply.text]).toEqual([
      purpose === undefined ? 201 : 200,
      expect.anything(),
    ]);
    last = reply;
    return reply;
  }

  async function decide(subjectId: string, question: object): Promise<Decision> {
    const reply = await ledger.api.post<Decision>(
      '/v1/decisions',
      { subjectId, ...question },
      { after: last },
    );
    expect([reply.status, reply.text]).toEqual([200, expect.anything()]);
    return reply.body;
  }
  const code = async (subjectId: string, question: object) =>
    (await decide(subjectId, question)).code;

  const choose = (occurredAt: string, ...choices: readonly object[]) => ({ occurredAt, choices });
  const give = (purpose: string, more: object = {}) => ({ purpose, decision: 'give', ...more });
  const withdraw = (purpose: string) => ({ purpose, decision: 'withdraw' });
  const refuse = (purpose: string) => ({ purpose, decision: 'refuse' });
  const renew = (purpose: string) => ({ purpose, decision: 'renew' });
  const object = { objection: 'marketing', decision: 'raise' };
  const takeBack = { objection: 'marketing', decision: 'withdraw' };

  describe('when a person agrees, refuses and takes back', () => {
    test('then each choice counts from its own time', async () => {
      const ada = await person();
      await say(ada, choose(day('2025-02-01'), give('sales')));
      await say(ada, choose(day('2025-03-01'), withdraw('sales')));
      await say(ada, choose(day('2025-04-01'), give('sales')));
      await say(ada, choose(day('2025-05-01'), refuse('sales')));
      const days = [
        '2024-12-31',
        '2025-01-15',
        '2025-02-01',
        '2025-03-01',
        '2025-04-02',
        '2025-05-01',
      ];
      const codes = await Promise.all(
        days.map((date) => code(ada, { purpose: 'sales', asOf: day(date) })),
      );
      expect(codes).toEqual([
        'unknown-subject',
        'no-basis',
        'allowed',
        'consent-withdrawn',
        'allowed',
        'consent-refused',
      ]);
    });

    test('then what arrives late is recorded, and never overrides what came later', async () => {
      const ada = await person();
      const withdrawn = await say(ada, choose(day('2025-03-10'), withdraw('sales')));
      const late = await say(ada, choose(day('2025-03-01'), give('sales')));
      expect(late.body.events.map(({ type }) => type)).toEqual(['ConsentGiven']);
      const question = { purpose: 'sales' };
      expect(await code(ada, question)).toBe('consent-withdrawn');
      expect(await code(ada, { ...question, asOf: day('2025-03-05') })).toBe('allowed');
      const known = { ...question, knownAt: `position:${withdrawn.body.position}` };
      expect(await code(ada, { ...known, asOf: day('2025-03-05') })).toBe('no-basis');
      const time = { ...question, knownAt: withdrawn.body.recordedAt, asOf: day('2025-03-05') };
      expect(await code(ada, time)).toBe('no-basis');
      const later = { ...question, knownAt: late.body.recordedAt, asOf: day('2025-03-05') };
      expect(await code(ada, later)).toBe('allowed');
      const { body } = await ledger.api.get<TimelinePage>(
        `/v1/subjects/${ada}/timeline?knownAt=${withdrawn.body.recordedAt}`,
      );
      expect(body.items.map(({ type }) => type)).toEqual(['SubjectRegistered', 'ConsentWithdrawn']);
    });

    test('then the more restrictive wins a tie, whichever is heard first', async () => {
      const [ada, ben] = [await person(), await person()];
      const both = [
        choose(day('2025-03-01'), give('sales')),
        choose(day('2025-03-01'), withdraw('sales')),
      ];
      for (const fact of both) await say(ada, fact);
      for (const fact of both.toReversed()) await say(ben, fact);
      expect([
        await code(ada, { purpose: 'sales' }),
        await code(ben, { purpose: 'sales' }),
      ]).toEqual(['consent-withdrawn', 'consent-withdrawn']);
    });

    test('then the same fact twice is recorded once, and another one like it again', async () => {
      const ada = await person();
      const fact = choose(day('2025-02-01'), give('sales'));
      const first = await say(ada, fact);
      const again = await say(ada, fact);
      expect(again.body).toMatchObject({ events: [], revision: first.body.revision });
      const later = await say(ada, choose(day('2025-02-02'), give('sales')));
      expect(later.body.events).toHaveLength(1);
    });

    test('then one interaction is recorded as a whole, with one receipt', async () => {
      const ada = await person({ contactPoints: [email('whole@linden.example')] });
      const { body } = await say(
        ada,
        choose(
          day('2025-02-01'),
          give('sales'),
          give('newsletter', { noticeVersion: 1, confirmation: signed(day('2025-02-01')) }),
          { topic: 'new-books', channel: 'email', decision: 'on' },
          { objection: 'profiling', decision: 'raise' },
        ),
      );
      expect(body.events.map(({ type, revision }) => [type, revision])).toEqual([
        ['ConsentGiven', 2],
        ['ConsentGiven', 3],
        ['TopicSwitchedOn', 4],
        ['ObjectionRaised', 5],
      ]);
      expect(await ledger.visible(body.receiptId)).toEqual({ ...body, visible: true });
      const { body: told } = await ledger.api.get<TimelinePage>(`/v1/subjects/${ada}/timeline`);
      expect(told.items.map(({ id }) => id)).toEqual(
        expect.arrayContaining(body.events.map(({ id }) => id)),
      );
    });
  });

  describe('when a consent has an end', () => {
    test.each([
      ['2025-01-31', '2025-02-28'],
      ['2024-01-31', '2024-02-29'],
      ['2025-02-28', '2025-03-28'],
      ['2025-03-31', '2025-04-30'],
      ['2025-12-31', '2026-01-31'],
    ])('then one of %s ends on %s for every reader alike', async (given, ended) => {
      const ada = await person({ occurredAt: day('2023-01-01') });
      await say(ada, choose(day(given, '08:00:00'), give('profiling')));
      const [before, at] = [`${ended}T07:59:59.999Z`, `${ended}T08:00:00.000Z`];
      for (const [asOf, expected] of [
        [before, 'allowed'],
        [at, 'consent-expired'],
      ] as const) {
        const decision = await decide(ada, { purpose: 'profiling', asOf });
        expect(decision.code).toBe(expected);
        const page = await ledger.api.get<PersonPage>(`/v1/subjects/${ada}?asOf=${asOf}`);
        const shown = page.body.purposes.find(({ purpose }) => purpose === 'profiling');
        expect(shown?.code).toBe(expected);
        expect(await audienceOf({ purpose: 'profiling', asOf })).toEqual(
          expected === 'allowed'
            ? expect.arrayContaining([ada])
            : expect.not.arrayContaining([ada]),
        );
      }
      expect(await decide(ada, { purpose: 'profiling' })).toMatchObject({
        code: 'consent-expired',
        since: at,
      });
    });

    test('then renewing makes a valid one last longer, and does not wake one that has ended', async () => {
      const ada = await person();
      await say(ada, choose(day('2025-02-01'), give('profiling')));
      await say(ada, choose(day('2025-02-20'), renew('profiling')));
      await say(ada, choose(day('2025-06-01'), renew('profiling')));
      expect(await code(ada, { purpose: 'profiling', asOf: day('2025-03-10') })).toBe('allowed');
      expect(await code(ada, { purpose: 'profiling', asOf: day('2025-03-20') })).toBe(
        'consent-expired',
      );
      expect(await code(ada, { purpose: 'profiling', asOf: day('2025-06-02') })).toBe(
        'consent-expired',
      );
    });

    test('then a basis that ends by itself ends on its day', async () => {
      const ada = await person();
      const contract = { basis: 'contract', status: 'established', purpose: 'sales' };
      await say(ada, { ...contract, occurredAt: day('2025-02-01'), validUntil: day('2025-06-01') });
      expect(await code(ada, { purpose: 'sales', asOf: day('2025-05-31') })).toBe('allowed');
      expect(await code(ada, { purpose: 'sales', asOf: day('2025-06-01') })).toBe('basis-ended');
    });
  });

  describe('when a purpose asks for more than a yes', () => {
    test('then a grant waits for its confirmation, and for the words that were shown', async () => {
      const ada = await person({ contactPoints: [email('more@linden.example')] });
      const question = { purpose: 'newsletter', channel: 'email' };
      await say(ada, choose(day('2025-02-01'), give('newsletter')));
      expect(await decide(ada, question)).toMatchObject({
        code: 'evidence-missing',
        reasons: ['evidence-missing', 'confirmation-pending'],
      });
      await say(ada, choose(day('2025-02-02'), give('newsletter', { noticeVersion: 1 })));
      expect(await code(ada, question)).toBe('confirmation-pending');
      await say(
        ada,
        choose(day('2025-02-04'), {
          purpose: 'newsletter',
          decision: 'confirm',
          confirmation: signed(day('2025-02-03')),
        }),
      );
      expect(await decide(ada, question)).toMatchObject({
        allowed: true,
        since: '2025-02-03T12:00:00.000Z',
      });
      expect(await code(ada, { ...question, asOf: day('2025-02-02') })).toBe(
        'confirmation-pending',
      );
    });

    test('then words that were not published in that language are no evidence', async () => {
      const ada = await person({ language: 'de' });
      const confirmation = signed(day('2025-02-02'));
      await say(
        ada,
        choose(day('2025-02-01'), give('newsletter', { noticeVersion: 2, confirmation })),
      );
      expect(await code(ada, { purpose: 'newsletter' })).toBe('evidence-missing');
      await say(ada, {
        ...choose(
          day('2025-02-05'),
          give('newsletter', { noticeVersion: 2, confirmation: signed(day('2025-02-05')) }),
        ),
        language: 'en',
      });
      expect(await code(ada, { purpose: 'newsletter' })).toBe('allowed');
    });

    test('then a no between the grant and its confirmation cancels the grant', async () => {
      const ada = await person();
      const confirm = {
        purpose: 'newsletter',
        decision: 'confirm',
        confirmation: signed(day('2025-02-05')),
      };
      await say(ada, choose(day('2025-02-01'), give('newsletter', { noticeVersion: 1 })));
      await say(ada, choose(day('2025-02-05'), confirm));
      expect(await code(ada, { purpose: 'newsletter' })).toBe('allowed');
      await say(ada, choose(day('2025-02-03'), object));
      expect(await code(ada, { purpose: 'newsletter' })).toBe('objected');
      await say(ada, choose(day('2025-02-10'), takeBack));
      expect(await code(ada, { purpose: 'newsletter' })).toBe('consent-withdrawn');
    });

    test('then a contact point that came later is not proved by it', async () => {
      const ada = await person();
      await say(
        ada,
        choose(
          day('2025-02-01'),
          give('newsletter', { noticeVersion: 1, confirmation: signed(day('2025-02-01')) }),
        ),
      );
      const question = { purpose: 'newsletter', channel: 'email' };
      expect(await code(ada, { purpose: 'newsletter' })).toBe('allowed');
      expect(await code(ada, question)).toBe('no-contact-point');
      last = await ledger.api.post(`/v1/subjects/${ada}/contact-points`, {
        ...email('later@linden.example'),
        source: 'customer-portal',
        occurredAt: day('2025-03-01'),
      });
      expect(last.status).toBe(201);
      expect(await code(ada, question)).toBe('confirmation-pending');
      expect(await audienceOf(question)).not.toContain(ada);
      await say(
        ada,
        choose(
          day('2025-03-02'),
          give('newsletter', { noticeVersion: 1, confirmation: signed(day('2025-03-02')) }),
        ),
      );
      expect(await code(ada, question)).toBe('allowed');
      expect(await audienceOf(question)).toContain(ada);
    });
  });

  describe('when a person chooses topics and channels', () => {
    test('then a topic narrows what the consent covers, and never widens it', async () => {
      const ada = await person({
        contactPoints: [email('topics@linden.example'), { kind: 'phone', value: '+4930987654' }],
      });
      await say(
        ada,
        choose(
          day('2025-02-01'),
          give('newsletter', { noticeVersion: 1, confirmation: signed(day('2025-02-01')) }),
          { topic: 'new-books', channel: 'sms', decision: 'on' },
        ),
      );
      const asked = (topic: string, channel: string) =>
        code(ada, { purpose: 'newsletter', topic, channel });
      expect(await asked('new-books', 'email')).toBe('topic-off');
      expect(await asked('readings', 'email')).toBe('allowed');
      expect(await asked('new-books', 'sms')).toBe('channel-not-covered');
      expect(await asked('readings', 'post')).toBe('channel-not-covered');
      expect(
        await decide(ada, { purpose: 'newsletter', topic: 'new-books', channel: 'post' }),
      ).toMatchObject({
        reasons: ['channel-not-covered', 'topic-off', 'no-contact-point'],
      });
      await say(
        ada,
        choose(day('2025-02-02'), { topic: 'new-books', channel: 'email', decision: 'on' }),
      );
      await say(
        ada,
        choose(day('2025-02-02'), { topic: 'readings', channel: 'email', decision: 'off' }),
      );
      expect(await asked('new-books', 'email')).toBe('allowed');
      expect(await asked('readings', 'email')).toBe('topic-off');
      await say(
        ada,
        choose(day('2025-02-01', '13:00:00'), {
          topic: 'new-books',
          channel: 'email',
          decision: 'off',
        }),
      );
      await say(
        ada,
        choose(day('2025-02-02'), { topic: 'readings', channel: 'email', decision: 'on' }),
      );
      expect(await asked('new-books', 'email')).toBe('allowed');
      expect(await asked('readings', 'email')).toBe('topic-off');
      const page = await ledger.api.get<PersonPage>(`/v1/subjects/${ada}`);
      expect(page.body.topics).toEqual({
        'new-books': { email: 'on', sms: 'on' },
        readings: { email: 'off' },
      });
      for (const topic of ['new-books', 'readings'])
        for (const channel of ['email', 'sms'])
          expect((await audienceOf({ purpose: 'newsletter', topic, channel })).includes(ada)).toBe(
            (await asked(topic, channel)) === 'allowed',
          );
    });

    test('then a contact point that is removed is forgotten, and can not be reached', async () => {
      const value = 'forgotten@linden.example';
      const ada = await person({ contactPoints: [email(value)] });
      await say(
        ada,
        choose(
          day('2025-02-01'),
          give('newsletter', { noticeVersion: 1, confirmation: signed(day('2025-02-01')) }),
        ),
      );
      const question = { purpose: 'newsletter', channel: 'email' };
      expect(await code(ada, question)).toBe('allowed');
      const page = await ledger.api.get<PersonPage>(`/v1/subjects/${ada}`);
      const [point] = page.body.identity?.contactPoints ?? [];
      last = await ledger.api.delete(`/v1/subjects/${ada}/contact-points/${point?.id ?? ''}`);
      expect(last.status).toBe(204);
      expect(await code(ada, question)).toBe('no-contact-point');
      expect(await code(ada, { purpose: 'newsletter' })).toBe('allowed');
      expect(await code(ada, { ...question, asOf: day('2025-03-01') })).toBe('allowed');
      const found = await ledger.api.post<Found>('/v1/subjects/search', {
        contactPoint: email(value),
      });
      expect(found.body).toEqual({ subjects: [] });
      const asked = await ledger.api.post<Decision>('/v1/decisions', {
        contactPoint: email(value),
        ...question,
      });
      expect(asked.body.code).toBe('unknown-subject');
      const told = await ledger.api.get<TimelinePage>(`/v1/subjects/${ada}/timeline?reveal=true`);
      const added = told.body.items.find(({ type }) => type === 'ContactPointAdded');
      expect(added?.data.value).toEqual({ erased: true });
      const past = await ledger.api.get<PersonPage>(
        `/v1/subjects/${ada}?reveal=true&asOf=${day('2025-03-01')}`,
      );
      expect(past.text).not.toContain('forgotten@');
    });

    test('then of several people with one address the most restrictive answer is given', async () => {
      const shared = { contactPoints: [email('family@linden.example')] };
      const [ada, ben] = [await person(shared), await person(shared)];
      await say(ada, choose(day('2025-02-01'), give('sales')));
      await say(ben, choose(day('2025-02-01'), give('sales')));
      const ask = async (asOf?: string) =>
        (
          await ledger.api.post<Decision>(
            '/v1/decisions',
            { contactPoint: email('family@LINDEN.example'), purpose: 'sales', asOf },
            { after: last },
          )
        ).body.code;
      expect(await ask()).toBe('allowed');
      await say(ben, choose(day('2025-03-01'), withdraw('sales')));
      expect(await ask()).toBe('consent-withdrawn');
      expect(await ask(day('2025-02-15'))).toBe('allowed');
    });
  });

  describe('when a person objects', () => {
    test('then marketing ends whatever its basis, and a later consent lifts it for its purpose', async () => {
      const ada = await person();
      await say(ada, {
        purpose: 'profiling',
        basis: 'legitimate-interests',
        status: 'asserted',
        occurredAt: day('2025-02-01'),
      });
      await say(ada, choose(day('2025-03-01'), object));
      expect(await code(ada, { purpose: 'profiling' })).toBe('objected');
      expect(await code(ada, { purpose: 'newsletter' })).toBe('objected');
      expect(await code(ada, { purpose: 'sales' })).toBe('no-basis');
      await say(ada, choose(day('2025-03-01'), give('profiling')));
      expect(await code(ada, { purpose: 'profiling', asOf: day('2025-03-01') })).toBe('objected');
      await say(ada, choose(day('2025-04-01'), give('profiling')));
      expect(await code(ada, { purpose: 'profiling', asOf: day('2025-04-02') })).toBe('allowed');
      expect(await code(ada, { purpose: 'newsletter' })).toBe('objected');
      expect(await code(ada, { purpose: 'profiling', asOf: day('2025-05-02') })).toBe('objected');
    });

    test('then taking it back revives no consent that it ended', async () => {
      const ada = await person();
      await say(
        ada,
        choose(
          day('2025-02-01'),
          give('newsletter', { noticeVersion: 1, confirmation: signed(day('2025-02-01')) }),
        ),
      );
      await say(ada, choose(day('2025-03-01'), object));
      await say(ada, choose(day('2025-04-01'), takeBack));
      expect(await code(ada, { purpose: 'newsletter' })).toBe('consent-withdrawn');
      expect(await code(ada, { purpose: 'newsletter', asOf: day('2025-03-02') })).toBe('objected');
    });

    test('then a purpose that is no marketing stands still until it is overruled with grounds', async () => {
      const ada = await person();
      const interests = { purpose: 'sales', basis: 'legitimate-interests' };
      await say(ada, {
        ...interests,
        status: 'asserted',
        occurredAt: day('2025-02-01'),
        assessment: 'LIA 7',
      });
      await say(ada, choose(day('2025-03-01'), { objection: 'sales', decision: 'raise' }));
      expect(await code(ada, { purpose: 'sales' })).toBe('objected');
      await say(ada, {
        ...interests,
        status: 'upheld',
        occurredAt: day('2025-04-01'),
        assessment: 'Claims are pending',
      });
      expect(await decide(ada, { purpose: 'sales' })).toMatchObject({
        allowed: true,
        basis: 'legitimate-interests',
      });
      expect(await code(ada, { purpose: 'sales', asOf: day('2025-03-15') })).toBe('objected');
      const absolute = await ledger.api.put(`/v1/subjects/${ada}/bases/profiling`, {
        basis: 'legitimate-interests',
        status: 'upheld',
        source: 'officer',
        assessment: 'We would like to',
      });
      expect([absolute.status, absolute.body.code]).toEqual([409, 'objection-absolute']);
    });

    test('then a contract is not touched, and the objection is on record', async () => {
      const ada = await person();
      await say(ada, {
        purpose: 'sales',
        basis: 'contract',
        status: 'established',
        occurredAt: day('2025-02-01'),
      });
      const objected = await say(
        ada,
        choose(day('2025-03-01'), { objection: 'sales', decision: 'raise' }),
      );
      expect(objected.body.events.map(({ type }) => type)).toEqual(['ObjectionRaised']);
      expect(await decide(ada, { purpose: 'sales' })).toMatchObject({
        allowed: true,
        basis: 'contract',
      });
    });
  });

  describe('when officers record', () => {
    test('then every status of a consent has its code', async () => {
      const ada = await person();
      const consent = { purpose: 'sales', basis: 'consent' };
      const said: [string, string, string][] = [
        ['unknown', '2025-02-01', 'consent-unknown'],
        ['given', '2025-02-02', 'allowed'],
        ['requested', '2025-02-03', 'allowed'],
        ['invalidated', '2025-02-04', 'consent-invalidated'],
        ['refused', '2025-02-05', 'consent-refused'],
        ['withdrawn', '2025-02-06', 'consent-withdrawn'],
      ];
      for (const [status, date, expected] of said) {
        await say(ada, { ...consent, status, occurredAt: day(date) });
        expect([status, await code(ada, { purpose: 'sales' })]).toEqual([status, expected]);
      }
      expect(await code(ada, { purpose: 'sales', asOf: day('2025-02-02', '13:00:00') })).toBe(
        'consent-invalidated',
      );
      const ben = await person();
      await say(ben, { ...consent, status: 'requested', occurredAt: day('2025-02-01') });
      expect(await code(ben, { purpose: 'sales' })).toBe('consent-requested');
    });

    test('then a refusal blocks legitimate interests beside it, and a contract goes on', async () => {
      const ada = await person();
      await say(ada, {
        purpose: 'sales',
        basis: 'legitimate-interests',
        status: 'asserted',
        occurredAt: day('2025-02-01'),
      });
      await say(ada, choose(day('2025-03-01'), refuse('sales')));
      expect(await code(ada, { purpose: 'sales' })).toBe('consent-refused');
      const ben = await person();
      await say(ben, {
        purpose: 'sales',
        basis: 'contract',
        status: 'established',
        occurredAt: day('2025-02-01'),
      });
      await say(ben, choose(day('2025-03-01'), refuse('sales')));
      expect(await decide(ben, { purpose: 'sales' })).toMatchObject({
        allowed: true,
        basis: 'contract',
      });
      await say(ben, {
        purpose: 'sales',
        basis: 'contract',
        status: 'ended',
        occurredAt: day('2025-04-01'),
      });
      expect(await decide(ben, { purpose: 'sales' })).toMatchObject({
        allowed: false,
        code: 'consent-refused',
        reasons: ['consent-refused', 'basis-ended'],
      });
    });

    test('then a restriction blocks all but a consent that comes after it, until it is lifted', async () => {
      const ada = await person();
      await say(ada, {
        purpose: 'sales',
        basis: 'contract',
        status: 'established',
        occurredAt: day('2025-02-01'),
      });
      await say(ada, choose(day('2025-02-01'), give('research')));
      const path = `/v1/subjects/${ada}/restriction`;
      last = await ledger.api.post(path, { ground: 'accuracy-contested', note: 'She moved' });
      expect(last.status).toBe(201);
      expect(await code(ada, { purpose: 'sales' })).toBe('restricted');
      expect(await code(ada, { purpose: 'research' })).toBe('restricted');
      expect(await code(ada, { purpose: 'profiling' })).toBe('restricted');
      await say(ada, { choices: [give('research')] });
      expect(await code(ada, { purpose: 'research' })).toBe('allowed');
      expect(await audienceOf({ purpose: 'sales' })).not.toContain(ada);
      const page = await ledger.api.get<PersonPage>(`/v1/subjects/${ada}`);
      expect(page.body.identity?.restriction).toMatchObject({ grounds: ['accuracy-contested'] });
      last = await ledger.api.delete(path);
      expect(last.status).toBe(204);
      expect(await code(ada, { purpose: 'sales' })).toBe('allowed');
      last = await ledger.api.post(path, { ground: 'unlawful', purposes: ['sales'] });
      expect(await code(ada, { purpose: 'sales' })).toBe('restricted');
      expect(await code(ada, { purpose: 'research' })).toBe('allowed');
    });

    test('then a purpose that is retired allows nothing from that day on', async () => {
      const ada = await person();
      await say(ada, choose(day('2025-02-01'), give('research')));
      const ended = new Date(Date.now() + 2_000).toISOString();
      const retired = await ledger.api.post('/v1/purposes/research/retire', { retiredAt: ended });
      expect(retired.status).toBe(200);
      last = retired;
      expect(await code(ada, { purpose: 'research' })).toBe('allowed');
      expect(await decide(ada, { purpose: 'research', asOf: ended })).toMatchObject({
        allowed: false,
        code: 'no-basis',
        reasons: ['no-basis'],
      });
      expect(await audienceOf({ purpose: 'research', asOf: ended })).toEqual([]);
      expect(await audienceOf({ purpose: 'research', asOf: day('2025-03-01') })).toContain(ada);
      const page = await ledger.api.get<PersonPage>(`/v1/subjects/${ada}?asOf=${ended}`);
      expect(page.body.purposes.find(({ purpose }) => purpose === 'research')?.code).toBe(
        'no-basis',
      );
    });
  });

  test('when the same facts are heard in another order, then everybody is told the same', async () => {
    const stories: Record<string, readonly object[]> = {
      sales: [
        choose(day('2025-02-01'), give('sales')),
        choose(day('2025-03-01'), withdraw('sales')),
        choose(day('2025-03-01'), give('sales')),
        choose(day('2025-04-01'), refuse('sales')),
      ],
      newsletter: [
        choose(day('2025-02-01'), give('newsletter', { noticeVersion: 1 })),
        choose(day('2025-02-05'), {
          purpose: 'newsletter',
          decision: 'confirm',
          confirmation: signed(day('2025-02-05')),
        }),
        choose(day('2025-02-03'), { objection: 'newsletter', decision: 'raise' }),
        choose(day('2025-03-01'), { objection: 'newsletter', decision: 'withdraw' }),
      ],
      profiling: [
        choose(day('2025-02-01'), give('profiling')),
        choose(day('2025-02-10'), renew('profiling')),
        choose(day('2025-02-20'), object),
        choose(day('2025-02-25'), give('profiling')),
      ],
    };
    const days = ['02-01', '02-04', '02-15', '02-26', '03-05', '04-01'];
    for (const [purpose, facts] of Object.entries(stories)) {
      const told = await Promise.all(
        ordersOf(facts).map(async (order) => {
          const subjectId = await person();
          for (const fact of order) await say(subjectId, fact);
          return subjectId;
        }),
      );
      for (const date of days) {
        const asOf = day(`2025-${date}`);
        const answers = await ledger.api.post<{ answers: Decision[] }>(
          '/v1/decisions',
          { questions: told.map((subjectId) => ({ subjectId, purpose, asOf })) },
          { after: last },
        );
        const [one, ...others] = answers.body.answers.map(withoutProof);
        for (const other of others) expect([date, other]).toEqual([date, one]);
        const pages = await Promise.all(
          told.map((id) => ledger.api.get<PersonPage>(`/v1/subjects/${id}?asOf=${asOf}`)),
        );
        for (const { body } of pages) {
          const shown = body.purposes.find((p) => p.purpose === purpose);
          expect([date, shown && withoutProof(shown)]).toEqual([date, one]);
          expect(body.objectsToMarketing).toBe(pages[0]?.body.objectsToMarketing);
        }
        const audience = new Set(await audienceOf({ purpose, asOf }));
        expect(told.map((id) => audience.has(id))).toEqual(told.map(() => one?.allowed));
      }
      const timelines = await Promise.all(
        told.map((id) =>
          ledger.api.get<TimelinePage>(`/v1/subjects/${id}/timeline?asOf=${day('2025-02-26')}`),
        ),
      );
      const spoken = timelines.map(({ body }) =>
        body.items.map(({ occurredAt, text }) => `${occurredAt} ${text}`).sort(),
      );
      for (const words of spoken) expect(words).toEqual(spoken[0]);
    }
  }, 60_000);

  test('when anybody is asked about on any day, then decisions, pages and audiences agree', async () => {
    const head = await ledger.head();
    const moments: { asOf?: string; knownAt?: string }[] = [
      {},
      { asOf: day('2024-06-01') },
      { asOf: day('2025-02-04') },
      { asOf: day('2025-03-01') },
      { asOf: day('2025-03-20'), knownAt: `position:${Math.floor(Number(head) / 2)}` },
      { knownAt: `position:${Math.floor((Number(head) * 3) / 4)}` },
      // Beyond the end of the log: all that is known.
      { asOf: day('2025-05-01'), knownAt: 'position:9999999999999999999' },
      { knownAt: '9999-12-31T23:59:59.999Z' },
      { knownAt: 'position:0' },
      { knownAt: day('2025-01-01') },
    ];
    const purposes = catalogue.purposes.map(({ key }) => key);
    const now = new Date().toISOString();
    for (const moment of moments) {
      const when = { asOf: now, ...moment };
      const query = new URLSearchParams(Object.entries(when)).toString();
      const pages = await Promise.all(
        everybody.map((id) => ledger.api.get<PersonPage>(`/v1/subjects/${id}?${query}`)),
      );
      const catalogueKnown = pages[0]?.body.purposes.length === purposes.length;
      const known = !catalogueKnown
        ? 0
        : moment.knownAt === undefined
          ? everybody.length
          : await knownAt(moment.knownAt);
      for (const purpose of purposes) {
        const { body } = await ledger.api.post<{ answers: Decision[] }>(
          '/v1/decisions',
          { questions: everybody.map((subjectId) => ({ subjectId, purpose, ...when })) },
          { after: last },
        );
        const shown = pages.map((page) => page.body.purposes.find((p) => p.purpose === purpose));
        body.answers.forEach((answer, n) => {
          const { asOf, knownAt: _known, position: _position, ...decision } = answer;
          expect(asOf).toBe(new Date(when.asOf).toISOString());
          const {
            purpose: _,
            bases: _bases,
            ...page
          } = shown[n] ?? { purpose, bases: [], ...unknown };
          expect([moment, purpose, page]).toEqual([moment, purpose, decision]);
        });
        const { body: lines } = await ledger.api.post<AudienceLine[]>(
          '/v1/audiences',
          { purpose, ...when, summary: 'full' },
          { after: last },
        );
        const summary = lines.at(-1)?.summary;
        expect(summary).toBeDefined();
        const members = new Set(lines.slice(0, -1).map(({ subjectId }) => subjectId));
        const allowed = everybody.filter((_, n) => body.answers[n]?.allowed);
        expect([moment, purpose, [...members].sort()]).toEqual([moment, purpose, allowed.sort()]);
        const excluded = Object.values(summary?.excluded ?? {}).reduce((sum, n) => sum + n, 0);
        expect([moment, purpose, excluded + allowed.length]).toEqual([moment, purpose, known]);
        const codes = new Map<string, number>();
        for (const { code: c, allowed: yes } of body.answers)
          if (!yes && c !== 'unknown-subject') codes.set(c, (codes.get(c) ?? 0) + 1);
        const { 'unknown-subject': _unknown, ...others } = summary?.excluded ?? {};
        expect(others).toEqual(Object.fromEntries(codes));
      }
    }
  }, 60_000);

  test('when an answer is asked for again as it was known, then it is the same for ever', async () => {
    const ada = await person();
    await say(ada, choose(day('2025-02-01'), give('sales')));
    const question = { purpose: 'sales', asOf: day('2025-03-01') };
    const before = await decide(ada, question);
    expect(before).toMatchObject({ allowed: true, knownAt: `position:${before.position}` });
    const page = await ledger.api.get<PersonPage>(`/v1/subjects/${ada}?asOf=${question.asOf}`);
    const told = await ledger.api.get<TimelinePage>(`/v1/subjects/${ada}/timeline`);
    await say(ada, choose(day('2025-02-15'), withdraw('sales')));
    last = await ledger.api.post('/v1/purposes', { ...catalogue.purposes[2], key: 'surveys' });
    expect(last.status).toBe(201);
    expect(await code(ada, question)).toBe('consent-withdrawn');
    const { knownAt } = before;
    expect(await decide(ada, { ...question, knownAt })).toEqual(before);
    const again = await ledger.api.get<PersonPage>(
      `/v1/subjects/${ada}?asOf=${question.asOf}&knownAt=${page.body.knownAt}`,
    );
    expect(again.body).toEqual({ ...page.body, revision: again.body.revision });
    const retold = await ledger.api.get<TimelinePage>(
      `/v1/subjects/${ada}/timeline?knownAt=position:${told.body.position}`,
    );
    expect(retold.body.items).toEqual(told.body.items);
    // A purpose that nobody knew then makes everybody unknown, and is no error.
    expect(await code(ada, { purpose: 'surveys', knownAt })).toBe('unknown-subject');
    expect(await code(ada, { purpose: 'surveys' })).toBe('no-basis');
  });

  /** How many people the ledger knew. */
  async function knownAt(moment: string | undefined): Promise<number> {
    const query = moment === undefined ? '' : `?knownAt=${moment}`;
    const pages = await Promise.all(
      everybody.map((id) => ledger.api.get<PersonPage>(`/v1/subjects/${id}${query}`)),
    );
    return pages.filter(({ body }) => body.identity !== undefined).length;
  }

  interface AudienceLine {
    readonly subjectId?: string;
    readonly summary?: { readonly allowed: number; readonly excluded?: Record<string, number> };
  }

  const unknown = { allowed: false, code: 'unknown-subject', reasons: ['unknown-subject'] };

  async function audienceOf(question: object): Promise<string[]> {
    const { body, status } = await ledger.api.post<AudienceLine[]>('/v1/audiences', question, {
      after: last,
    });
    expect([status, body.at(-1)?.summary?.allowed]).toEqual([200, body.length - 1]);
    return body.slice(0, -1).map(({ subjectId }) => subjectId ?? '');
  }
});

/** An answer without the event that proves it, which every person has of their own. */
function withoutProof({ allowed, code, reasons, basis, since }: Decision) {
  return { allowed, code, reasons, basis, since };
}

function ordersOf<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, n) =>
    ordersOf([...items.slice(0, n), ...items.slice(n + 1)]).map((rest) => [item, ...rest]),
  );
}
