import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import type {
  Found,
  Operation,
  PersonPage,
  Problem,
  Receipt,
  TimelinePage,
} from '../support/answers.js';
import { catalogue } from '../support/catalogue.js';
import {
  type Another,
  type Call,
  type Reply,
  type RunningLedger,
  startLedger,
} from '../support/server.js';

/** Whatever is recorded is recorded once, however often it is sent. */
describe('given a caller who repeats what they sent', () => {
  let ledger: RunningLedger;
  let person = '';
  let path = '';
  let serial = 0;

  const register = (body: object, call?: Call) =>
    ledger.api.post<Receipt>('/v1/subjects', { source: 'web-form', ...body }, call);
  const interact = (choices: readonly object[], call?: Call) =>
    ledger.api.post<Receipt>(`${path}/interactions`, { source: 'web-form', choices }, call);
  const withdraw = [{ purpose: 'newsletter', decision: 'withdraw' }];
  const freshKey = () => `repeat-${++serial}`;

  async function forget(): Promise<void> {
    await sql`delete from platform.idempotency`.execute(ledger.runtime.database);
  }

  /** The answer without what tells that it is a later one: `visible` may have become true meanwhile. */
  function firstAnswer({ status, body, headers }: Reply<Receipt>) {
    const { etag, location } = headers;
    // What becomes true by itself, within seconds, is of the moment and not of the call.
    const ofTheMoment = { visible: undefined, sealed: undefined, checkpoint: undefined };
    return { status, body: body && { ...body, ...ofTheMoment }, etag, location };
  }

  beforeAll(async () => {
    ledger = await startLedger();
    await ledger.api.post('/v1/catalogue', catalogue);
  }, 60_000);
  afterAll(() => ledger.stop(), 20_000);
  beforeEach(async () => {
    person = (await register({})).body.subjectId;
    path = `/v1/subjects/${person}`;
  });

  test('when an interaction is repeated, then the answer is the first one, word for word', async () => {
    const call = { idempotencyKey: freshKey() };
    const first = await interact(withdraw, call);
    expect(first.headers).not.toHaveProperty('idempotency-replayed');
    const head = await ledger.head();
    const again = await interact(withdraw, call);
    expect(again.headers['idempotency-replayed']).toBe('true');
    expect([again.status, again.text]).toEqual([201, first.text]);
    expect(again.headers.etag).toBe(first.headers.etag);
    expect(again.headers['consistency-token']).toBe(first.headers['consistency-token']);
    const quoted = await interact(withdraw, { idempotencyKey: `"${call.idempotencyKey}"` });
    expect(quoted.text).toBe(first.text);
    expect(await ledger.head()).toBe(head);
  });

  test('when a body is the same but for the order of its fields, then it is the same call', async () => {
    const call = { idempotencyKey: freshKey() };
    const to = `${path}/interactions`;
    const first = await ledger.api.send<Receipt>(
      'POST',
      to,
      '{"source":"web-form","choices":[{"purpose":"sales","decision":"give"}]}',
      call,
    );
    const again = await ledger.api.send<Receipt>(
      'POST',
      to,
      '{ "choices": [ {"decision":"give", "purpose":"sales"} ], "source": "web-form" }',
      call,
    );
    expect(again.text).toBe(first.text);
    expect(again.headers['idempotency-replayed']).toBe('true');
  });

  test('when another key, path or caller uses the same Idempotency-Key, then it is another call', async () => {
    const call = { idempotencyKey: freshKey() };
    const other = await ledger.keyWith('choices:write');
    const receipts = [
      await interact(withdraw, call),
      await interact(withdraw, { ...call, key: other }),
      await register({}, call),
      await register({}, { ...call, key: other }),
    ];
    expect(receipts.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
    expect(new Set(receipts.map(({ body }) => body.receiptId)).size).toBe(4);
    for (const reply of receipts) expect(reply.headers).not.toHaveProperty('idempotency-replayed');
  });

  describe('when everything that was kept of the calls is lost', () => {
    test('then an interaction has the receipt that it had, and nothing is recorded', async () => {
      const call = { idempotencyKey: freshKey() };
      const first = await interact([{ purpose: 'sales', decision: 'give' }], call);
      await interact([{ purpose: 'sales', decision: 'withdraw' }]);
      const head = await ledger.head();
      await forget();
      const again = await interact([{ purpose: 'sales', decision: 'give' }], call);
      expect(firstAnswer(again)).toEqual(firstAnswer(first));
      expect(await ledger.head()).toBe(head);
    });

    test('then a registration has the id that it had', async () => {
      const call = { idempotencyKey: freshKey() };
      const body = {
        name: 'Grace Hopper',
        contactPoints: [{ kind: 'email', value: 'grace@linden.example' }],
        externalRefs: [
          { system: 'crm', id: 'grace' },
          { system: 'shop', id: 'grace' },
        ],
      };
      const first = await register(body, call);
      await forget();
      const head = await ledger.head();
      const again = await register(body, call);
      expect(firstAnswer(again)).toEqual(firstAnswer(first));
      expect(await ledger.head()).toBe(head);
      const [contactPoint] = body.contactPoints;
      const found = await ledger.api.post<Found>('/v1/subjects/search', { contactPoint });
      expect(found.body.subjects).toEqual([{ subjectId: first.body.subjectId }]);
    });

    test('then every other call has the answer that it had', async () => {
      const { api } = ledger;
      const point = { kind: 'phone', value: '+4930123456' };
      const calls: ((call: Call) => Promise<Reply<unknown>>)[] = [
        (call) => api.post(`${path}/contact-points`, point, call),
        (call) => api.patch(`${path}/identity`, { name: 'Grace', language: 'de' }, call),
        (call) => api.post(`${path}/restriction`, { ground: 'unlawful', note: 'as told' }, call),
        (call) => api.delete(`${path}/restriction`, call),
        (call) =>
          api.put(
            `${path}/bases/sales`,
            { basis: 'contract', status: 'established', source: 'officer' },
            call,
          ),
        (call) => api.post('/v1/sources', { key: `source-${call.idempotencyKey}` }, call),
        (call) =>
          api.post(
            '/v1/topics',
            { key: `topic-${call.idempotencyKey}`, purpose: 'newsletter' },
            call,
          ),
        (call) =>
          api.post(
            '/v1/notices',
            { purpose: 'sales', kind: 'art-13', version: 1, language: 'en', text: 'We sell.' },
            call,
          ),
        (call) => api.post('/v1/catalogue', { sources: [`file-${call.idempotencyKey}`] }, call),
        (call) => api.post(`${path}/erasure`, { ground: 'unlawful' }, call),
      ];
      for (const send of calls) {
        const call = { idempotencyKey: freshKey() };
        const first = await send(call);
        expect(first.status).toBeLessThan(300);
        const head = await ledger.head();
        await forget();
        const again = await send(call);
        const replies = [first, again].map(({ status, body }) => ({
          status: Math.floor(status / 100),
          body: body && {
            ...(body as object),
            visible: undefined,
            progress: undefined,
            status: undefined,
          },
        }));
        if (send !== calls[8]) expect(replies[1]).toEqual(replies[0]);
        const appended = Number(await ledger.head()) - Number(head);
        // The erasure goes on meanwhile.
        if (send !== calls.at(-1)) expect(appended).toBe(0);
      }
    });

    test('then a contact point that was removed is still removed', async () => {
      const added = await ledger.api.post<Receipt & { contactPointId: string }>(
        `${path}/contact-points`,
        { kind: 'email', value: 'gone@linden.example' },
      );
      const call = { idempotencyKey: freshKey() };
      const to = `${path}/contact-points/${added.body.contactPointId}`;
      const first = await ledger.api.delete(to, call);
      await forget();
      const again = await ledger.api.delete(to, call);
      expect([first.status, again.status]).toEqual([204, 204]);
      expect(again.headers.etag).toBe(first.headers.etag);
      const anew = await ledger.api.delete<Problem>(to);
      expect([anew.status, anew.body.code]).toEqual([404, 'unknown-contact-point']);
    });

    test('then a contact point that was removed does not come back with what added it', async () => {
      const points = ['registered@linden.example', 'added@linden.example'].map((value) => ({
        kind: 'email',
        value,
      }));
      const [registering, adding] = [freshKey(), freshKey()];
      const registerAgain = () =>
        register({ contactPoints: points.slice(0, 1) }, { idempotencyKey: registering });
      const registered = await registerAgain();
      const to = `/v1/subjects/${registered.body.subjectId}`;
      const addAgain = () =>
        ledger.api.post<Receipt>(`${to}/contact-points`, points[1], { idempotencyKey: adding });
      const added = await addAgain();
      const { body: page } = await ledger.api.get<PersonPage>(to);
      for (const { id } of page.identity?.contactPoints ?? [])
        expect((await ledger.api.delete(`${to}/contact-points/${id}`)).status).toBe(204);
      await forget();
      expect(firstAnswer(await registerAgain())).toEqual(firstAnswer(registered));
      expect(firstAnswer(await addAgain())).toEqual(firstAnswer(added));
      for (const contactPoint of points) {
        const found = await ledger.api.post<Found>('/v1/subjects/search', { contactPoint });
        expect(found.body.subjects).toEqual([]);
      }
    });

    test('then a fact that was on record already has a receipt without events once more', async () => {
      const at = '2026-02-03T04:05:06Z';
      const said = { source: 'web-form', occurredAt: at, choices: withdraw };
      const fact = await ledger.api.post<Receipt>(`${path}/interactions`, said);
      const call = { idempotencyKey: freshKey() };
      const nothing = await ledger.api.post<Receipt>(`${path}/interactions`, said, call);
      expect(nothing.status).toBe(201);
      expect(nothing.body).toMatchObject({
        events: [],
        revision: fact.body.revision,
        position: fact.body.position,
        subjectId: person,
      });
      const shown = await ledger.api.get<Receipt>(`/v1/receipts/${nothing.body.receiptId}`);
      expect(shown.body).toMatchObject({ receiptId: nothing.body.receiptId, events: [] });
      const head = await ledger.head();
      await forget();
      const again = await ledger.api.post<Receipt>(`${path}/interactions`, said, call);
      expect(again.body).toMatchObject({ receiptId: nothing.body.receiptId, events: [] });
      expect(await ledger.head()).toBe(head);
    });

    test('then a key that was issued is not issued again, and its secret not shown', async () => {
      const call = { idempotencyKey: freshKey() };
      const body = { name: 'Till', scopes: ['decisions:read'] };
      const first = await ledger.api.post<{ keyId: string; secret: string | null }>(
        '/v1/api-keys',
        body,
        call,
      );
      expect(first.body.secret).toMatch(/^clk_/);
      const kept = await ledger.api.post('/v1/api-keys', body, call);
      expect(kept.body).toEqual({ ...first.body, secret: null });
      const head = await ledger.head();
      await forget();
      const again = await ledger.api.post('/v1/api-keys', body, call);
      expect(again.body).toEqual({ ...first.body, secret: null });
      expect(await ledger.head()).toBe(head);
    });
  });

  test('when it is sent twenty times at once, then it is recorded once', async () => {
    const call = { idempotencyKey: freshKey() };
    const head = Number(await ledger.head());
    const replies = await Promise.all(Array.from({ length: 20 }, () => interact(withdraw, call)));
    const settled = replies.filter(({ status }) => status === 201);
    const waiting = replies.filter(({ status }) => status !== 201) as unknown as Reply<Problem>[];
    expect(new Set(settled.map(({ body }) => body.receiptId)).size).toBe(1);
    for (const { status, body, headers } of waiting) {
      expect([status, body.code]).toEqual([409, 'idempotency-in-flight']);
      expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    }
    expect(Number(await ledger.head()) - head).toBe(1);
    const timeline = await ledger.api.get<TimelinePage>(`${path}/timeline`);
    expect(timeline.body.items.map(({ type }) => type)).toEqual([
      'SubjectRegistered',
      'ConsentWithdrawn',
    ]);
  });

  test('when a registration is sent twenty times at once with keys of their own, then one comes first', async () => {
    const externalRefs = [{ system: 'crm', id: 'many-1' }];
    const replies = await Promise.all(Array.from({ length: 20 }, () => register({ externalRefs })));
    const made = replies.filter(({ status }) => status === 201);
    expect(made).toHaveLength(1);
    const refused = replies.filter(({ status }) => status === 409) as unknown as Reply<Problem>[];
    expect(refused).toHaveLength(19);
    for (const { body } of refused)
      expect([body.code, body.subjectId]).toEqual(['already-registered', made[0]?.body.subjectId]);
  });

  test('when twenty callers choose at once, then every choice is recorded, one after the other', async () => {
    const days = Array.from(
      { length: 20 },
      (_, n) => `2026-03-${String(n + 1).padStart(2, '0')}T12:00:00Z`,
    );
    const replies = await Promise.all(
      days.map((occurredAt) =>
        ledger.api.post<Receipt>(`${path}/interactions`, {
          source: 'web-form',
          occurredAt,
          choices: withdraw,
        }),
      ),
    );
    expect(replies.map(({ status }) => status)).toEqual(days.map(() => 201));
    const revisions = replies.map(({ body }) => body.revision).sort((a, b) => a - b);
    expect(revisions).toEqual(days.map((_, n) => n + 1));
  });

  test('when the first call is still under way, then the second is told to come back', async () => {
    const call = { idempotencyKey: freshKey() };
    const { pool } = ledger.runtime;
    const session = await pool.connect();
    try {
      // Nothing can be appended while somebody holds the end of the log.
      await session.query('begin');
      await session.query('reset role');
      await session.query('lock table ledger.events in exclusive mode');
      const first = interact(withdraw, call);
      await sleep(200);
      const second = (await interact(withdraw, call)) as unknown as Reply<Problem>;
      expect([second.status, second.body.code]).toEqual([409, 'idempotency-in-flight']);
      expect(Number(second.headers['retry-after'])).toBeGreaterThan(0);
      const other = (await interact(
        [{ purpose: 'sales', decision: 'give' }],
        call,
      )) as unknown as Reply<Problem>;
      expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused']);
      await session.query('rollback');
      const done = await first;
      expect(done.status).toBe(201);
      expect((await interact(withdraw, call)).text).toBe(done.text);
    } finally {
      await session.query('rollback');
      session.release(true);
    }
  });

  test('when a call was refused, then its key can be used again for what is right', async () => {
    const call = { idempotencyKey: freshKey() };
    const refused = await interact([{ purpose: 'nowhere', decision: 'give' }], call);
    expect(refused.status).toBe(422);
    const right = await interact(withdraw, call);
    expect(right.status).toBe(201);
    expect(right.headers).not.toHaveProperty('idempotency-replayed');
  });

  test('when a repetition comes with a revision that has passed, then it still has its answer', async () => {
    const call = { idempotencyKey: freshKey(), ifMatch: 0 };
    const first = await interact(withdraw, call);
    expect(first.status).toBe(201);
    await forget();
    const again = await interact(withdraw, call);
    expect(firstAnswer(again)).toEqual(firstAnswer(first));
  });

  test('when an erasure is repeated, then it is the operation that it was', async () => {
    const call = { idempotencyKey: freshKey() };
    const first = await ledger.api.post<Operation>(`${path}/erasure`, { ground: 'unlawful' }, call);
    expect(first.status).toBe(202);
    const again = await ledger.api.post<Operation>(`${path}/erasure`, { ground: 'unlawful' }, call);
    expect([again.status, again.text]).toEqual([202, first.text]);
    await forget();
    const later = await ledger.api.post<Operation>(`${path}/erasure`, { ground: 'unlawful' }, call);
    expect(later.status).toBe(202);
    expect(later.body.operationId).toBe(first.body.operationId);
  });

  describe('when two processes serve one ledger', () => {
    let other: Another;

    beforeAll(async () => {
      other = await ledger.another();
    }, 30_000);
    afterAll(() => other.stop(), 20_000);

    test('then a call that reaches both is recorded once, and has one answer', async () => {
      const call = { idempotencyKey: freshKey() };
      const body = { source: 'web-form', externalRefs: [{ system: 'crm', id: 'both' }] };
      const replies = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          (n % 2 ? ledger : other).api.post<Receipt>('/v1/subjects', body, call),
        ),
      );
      const made = replies.filter(({ status }) => status === 201);
      expect(new Set(made.map(({ body: { subjectId } }) => subjectId)).size).toBe(1);
      for (const { status } of replies) expect([201, 409]).toContain(status);
      const again = await other.api.post<Receipt>('/v1/subjects', body, call);
      expect(again.body.subjectId).toBe(made[0]?.body.subjectId);
    });

    test('then writers of one person do not lose what the other wrote', async () => {
      const days = Array.from({ length: 16 }, (_, n) => `2026-04-${String(n + 10)}T12:00:00Z`);
      const replies = await Promise.all(
        days.map((occurredAt, n) =>
          (n % 2 ? ledger : other).api.post<Receipt>(`${path}/interactions`, {
            source: 'web-form',
            occurredAt,
            choices: withdraw,
          }),
        ),
      );
      const recorded = replies.filter(({ status }) => status === 201);
      for (const reply of replies.filter(({ status }) => status !== 201))
        expect([reply.status, (reply as unknown as Reply<Problem>).body.code]).toEqual([
          409,
          'conflict',
        ]);
      const { body } = await other.api.get<TimelinePage>(`${path}/timeline`);
      expect(body.items).toHaveLength(1 + recorded.length);
    });

    test('then what one was told, the other knows: keys, people, answers', async () => {
      const issued = await ledger.api.post<{ keyId: string; secret: string }>('/v1/api-keys', {
        scopes: ['decisions:read'],
      });
      const { secret: key, keyId } = issued.body;
      const given = await ledger.api.post<Receipt>(`${path}/interactions`, {
        source: 'web-form',
        choices: [{ purpose: 'sales', decision: 'give' }],
      });
      const question = { subjectId: person, purpose: 'sales' };
      const asked = await other.api.post('/v1/decisions', question, { key, after: given });
      expect(asked.body).toMatchObject({ allowed: true });
      await other.api.delete(`/v1/api-keys/${keyId}`);
      await sleep(1_100);
      const refused = await ledger.api.post('/v1/decisions', question, { key });
      expect(refused.status).toBe(401);
    });
  });
});
