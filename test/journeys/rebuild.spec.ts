import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { newId, type SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { comparePositions, type Position } from '#core/kernel/position.js';
import { Projector } from '#core/projector/projector.js';
import {
  type ReplayedPerson,
  ReplayPeople,
} from '#domains/consents/queries/replay-people.message.js';
import { projections } from '#domains/slices.js';
import type { Decision, Operation, PersonPage, Problem, Receipt } from '../support/answers.js';
import { catalogue } from '../support/catalogue.js';
import { type Reply, type RunningLedger, startLedger } from '../support/server.js';

/** Read models are disposable: dropped and made again from the log they are the same, and nobody notices. */
describe('given read models with a lively history behind them', () => {
  let ledger: RunningLedger;
  let projector: Projector;
  let serial = 0;

  const NAMES = projections().map(({ name }) => name);
  const day = (n: number) => new Date(Date.UTC(2025, 0, 1, 12) + n * 86_400_000).toISOString();
  const ref = (n: number) => ({ system: 'crm', id: `lively-${n}` });

  beforeAll(async () => {
    ledger = await startLedger();
    const { database, ledger: log } = ledger.runtime;
    projector = new Projector({ db: database, log, projections: projections() });
    await ledger.api.post('/v1/catalogue', catalogue);
    await history();
    await settled();
  }, 60_000);
  afterAll(() => ledger.stop(), 20_000);

  /** People who are registered, choose, object, are restricted, change and are forgotten; rules that change. */
  async function history(): Promise<void> {
    const { api } = ledger;
    const from = serial;
    const people = Array.from({ length: 60 }, (_, n) => from + n);
    serial += people.length;
    await api.imported([
      ...people.map((n) => ({
        type: 'register',
        externalRef: ref(n),
        source: 'import',
        occurredAt: day(0),
        contactPoints: [
          {
            kind: n % 2 ? 'email' : 'phone',
            value: n % 2 ? `${n}@linden.example` : `+4930${100_000 + n}`,
          },
        ],
        bases:
          n % 3
            ? []
            : [
                {
                  purpose: 'sales',
                  basis: 'contract',
                  status: 'established',
                  validUntil: day(50 + n),
                },
              ],
      })),
      ...people.flatMap((n) => [
        said(n, 20, withdraw('profiling')),
        said(n, 10, give('profiling')),
      ]),
      ...people.map((n) => said(n, n % 30, give('newsletter', { noticeVersion: 1 + (n % 2) }))),
      ...people.map((n) =>
        said(n, 25 + (n % 5), confirm(25 + (n % 5)), {
          topic: 'readings',
          channel: 'email',
          decision: n % 2 ? 'on' : 'off',
        }),
      ),
      ...people
        .filter((n) => n % 7 === 0)
        .map((n) => said(n, 40, { objection: 'marketing', decision: 'raise' })),
      ...people
        .filter((n) => n % 11 === 0)
        .map((n) => said(n, 45, { objection: 'research', decision: 'raise' }, give('sales'))),
    ]);
    for (const doubleOptIn of [false, true])
      await api.put('/v1/purposes/newsletter', {
        ...catalogue.purposes[0],
        key: undefined,
        doubleOptIn,
      });
    const ids = await Promise.all(people.slice(0, 8).map(idOf));
    for (const [n, id] of ids.entries()) {
      const path = `/v1/subjects/${id}`;
      if (n % 2)
        await api.post(`${path}/restriction`, {
          ground: 'unlawful',
          ...(n % 3 ? {} : { purposes: ['sales'] }),
        });
      if (n % 4 === 3) await api.delete(`${path}/restriction`);
      await api.post(`${path}/contact-points`, {
        kind: 'post',
        value: `Linden ${n}`,
        occurredAt: day(30),
      });
      const { body } = await api.get<PersonPage>(`${path}?reveal=true`);
      await api.delete(`${path}/contact-points/${body.identity?.contactPoints[0]?.id ?? ''}`);
      await api.put(`${path}/bases/sales`, {
        basis: 'legitimate-interests',
        status: 'asserted',
        source: 'officer',
      });
    }
    await api.post('/v1/audiences', { purpose: 'sales' });
    for (const id of ids.slice(0, 2)) {
      const { headers } = await api.post<Operation>(`/v1/subjects/${id}/erasure`, {
        ground: 'objected',
      });
      for (let step = ''; !['destroyed', 'completed'].includes(step); await sleep(20))
        step = (await api.get<Operation>(headers.location ?? '')).body.progress?.step ?? '';
    }
  }

  const give = (purpose: string, more: object = {}) => ({ purpose, decision: 'give', ...more });
  const withdraw = (purpose: string) => ({ purpose, decision: 'withdraw' });
  const confirm = (n: number) => ({
    purpose: 'newsletter',
    decision: 'confirm',
    confirmation: { method: 'double-opt-in', at: day(n) },
  });
  const said = (n: number, at: number, ...choices: readonly object[]) => ({
    type: 'interaction',
    externalRef: ref(n),
    interaction: { source: 'import', language: 'en', occurredAt: day(at), choices },
  });

  async function idOf(n: number): Promise<string> {
    const { body } = await ledger.api.post<{ subjects: { subjectId: string }[] }>(
      '/v1/subjects/search',
      {
        externalRef: ref(n),
      },
    );
    return body.subjects[0]?.subjectId ?? '';
  }

  async function settled(): Promise<void> {
    // The erasure's last event comes some seconds later by itself.
    for (let steps: unknown[] = ['destroyed']; steps.includes('destroyed'); await sleep(100)) {
      const { rows } = await sql<{
        id: string;
      }>`select operation_id as id from read_models.operations`.execute(ledger.runtime.database);
      const all = await Promise.all(
        rows.map(({ id }) => ledger.api.get<Operation>(`/v1/operations/${id}`)),
      );
      steps = all.map(({ body }) => body.progress?.step);
    }
    const head = await ledger.head();
    expect(await projector.waitFor(head, NAMES, { timeoutMs: 10_000 })).toBe(true);
  }

  /** Every row of every table, as text. */
  async function rows(): Promise<Record<string, readonly string[]>> {
    const { database } = ledger.runtime;
    const tables = await sql<{ name: string }>`
      select table_name as name from information_schema.tables where table_schema = 'read_models'
      order by 1`.execute(database);
    const found: Record<string, readonly string[]> = {};
    for (const { name } of tables.rows) {
      const { rows: all } = await sql<{ row: string }>`
        select t::text as row from ${sql.table(`read_models.${name}`)} t order by 1`.execute(
        database,
      );
      found[name] = all.map(({ row }) => row);
    }
    return found;
  }

  /** Asks without a pause while something else is done: every answer must be one, and never an older one. */
  async function asking(work: () => Promise<unknown>): Promise<number> {
    const ids = await Promise.all([20, 21, 22].map(idOf));
    const before = await decisions(ids);
    let done = false;
    let asked = 0;
    const ask = async () => {
      for (let last = '0' as Position; !done; asked++) {
        const answers = await decisions(ids);
        const position = answers[0]?.position as Position;
        expect(comparePositions(position, last)).toBeGreaterThanOrEqual(0);
        last = position;
        expect(answers.map(({ code }) => code)).toEqual(before.map(({ code }) => code));
        const audience = await ledger.api.post<object[]>('/v1/audiences', {
          purpose: 'sales',
          asOf: day(60),
        });
        expect([audience.status, Object.keys(audience.body.at(-1) ?? {})]).toEqual([
          200,
          ['summary'],
        ]);
        const audit = await ledger.api.get('/v1/audit-events?limit=5');
        expect(audit.status).toBe(200);
      }
    };
    const asking = Promise.all([ask(), ask()]);
    try {
      await work();
    } finally {
      done = true;
    }
    await asking;
    return asked;
  }

  async function decisions(ids: readonly string[]): Promise<Decision[]> {
    const questions = ids.flatMap((subjectId) =>
      ['newsletter', 'sales', 'profiling'].map((purpose) => ({
        subjectId,
        purpose,
        asOf: day(60),
      })),
    );
    const reply = await ledger.api.post<{ answers: Decision[] }>('/v1/decisions', { questions });
    expect([reply.status, reply.text]).toEqual([200, expect.anything()]);
    return reply.body.answers;
  }

  test('when they are made again while people ask, then every row is the same, and nobody notices', async () => {
    const before = await rows();
    expect(Object.keys(before)).toEqual(
      expect.arrayContaining([
        'audit_trail',
        'operations',
        'persons',
        'receipts',
        'standing_rules',
        'standings',
      ]),
    );
    for (const [table, all] of Object.entries(before))
      expect([table, all.length > 0]).toEqual([table, true]);
    const counted = before.audit_trail?.length ?? 0;
    const asked = await asking(() => projector.rebuild(NAMES));
    expect(asked).toBeGreaterThan(1);
    await settled();
    const after = await rows();
    // The audiences that were asked for meanwhile are on record.
    const { audit_trail: looks, ...others } = after;
    const { audit_trail: trail, ...rest } = before;
    expect(others).toEqual(rest);
    expect(looks).toEqual(expect.arrayContaining([...(trail ?? [])]));
    expect(looks?.length).toBeGreaterThan(counted);
  }, 60_000);

  test('when they are made again while people choose, then they are what they would have been', async () => {
    await Promise.all([projector.rebuild(NAMES), history()]);
    await settled();
    const live = await rows();
    await projector.rebuild(NAMES, { limit: 7, fromScratch: true });
    await settled();
    expect(await rows()).toEqual(live);
  }, 60_000);

  test('when the log is folded without them, then everybody stands as they say, on any day as known on any', async () => {
    const queries = ledger.nest.get(QueryBus);
    const half = String(Number(await ledger.head()) >> 1) as Position;
    for (const knownAt of [undefined, half])
      for (const asOf of [day(12), day(60)]) {
        const replay = await queries.execute(
          new ReplayPeople({
            asOf: asOf as Instant,
            knownAt: knownAt && { position: knownAt },
          }),
        );
        const people: ReplayedPerson[] = [];
        for await (const page of replay.pages()) people.push(...page);
        for (const { key } of catalogue.purposes) {
          const asked = { purpose: key, asOf, knownAt: replay.knownAt };
          const { body } = await ledger.api.post<object[]>('/v1/audiences', asked);
          const allowed = people.filter(({ purposes }) =>
            purposes.some(({ purpose, code }) => purpose === key && code === 'allowed'),
          );
          expect(allowed.map(({ subjectId }) => ({ subjectId })).sort(bySubject)).toEqual(
            body.slice(0, -1),
          );
          const questions = people.slice(0, 100).map(({ subjectId }) => ({ ...asked, subjectId }));
          const answers = await ledger.api.post<{ answers: Decision[] }>('/v1/decisions', {
            questions,
          });
          expect(answers.body.answers.map(stated)).toEqual(
            people
              .slice(0, 100)
              .map(({ purposes }) => stated(purposes.find(({ purpose }) => purpose === key))),
          );
        }
      }
    const subjectId = await idOf(20);
    const one = await queries.execute(new ReplayPeople({ subjectId: subjectId as SubjectId }));
    for await (const [person, ...others] of one.pages()) {
      const { body } = await ledger.api.get<PersonPage>(`/v1/subjects/${subjectId}`);
      expect([person?.revision, others]).toEqual([body.revision, []]);
      expect(person?.purposes.map(stated)).toEqual(body.purposes.map(stated));
    }
  }, 60_000);

  const bySubject = (a: { subjectId: string }, b: { subjectId: string }) =>
    a.subjectId < b.subjectId ? -1 : 1;
  const stated = (answer?: Partial<Decision>) => ({
    code: answer?.code,
    reasons: answer?.reasons,
    basis: answer?.basis,
    since: answer?.since,
    event: answer?.event,
  });

  test('when a receipt is asked for, then it is where it was', async () => {
    const { body } = await ledger.api.post<Receipt>('/v1/subjects', { source: 'web-form' });
    await ledger.visible(body.receiptId);
    await projector.rebuild(['receipts']);
    const shown = await ledger.api.get<Receipt>(`/v1/receipts/${body.receiptId}`);
    expect(shown.body).toEqual({ ...body, visible: true });
  });

  test('when nobody follows the log, then who asks is told so, and pages go on', async () => {
    const silent = await startLedger({ LEDGER_ROLES: 'api' });
    try {
      await silent.api.post('/v1/catalogue', catalogue);
      const { body } = await silent.api.post<Receipt>('/v1/subjects', { source: 'web-form' });
      expect(body.visible).toBe(false);
      const question = { subjectId: body.subjectId, purpose: 'sales' };
      const answers = await Promise.all([
        silent.api.post('/v1/decisions', question),
        silent.api.post('/v1/audiences', { purpose: 'sales' }),
        silent.api.lines('/v1/decisions/batch', [question]),
        silent.api.get('/v1/audit-events'),
        silent.api.get(`/v1/receipts/${body.receiptId}`),
        silent.api.get(`/v1/operations/${newId('op')}`),
      ]);
      for (const { status, headers, body: problem } of answers as unknown as Reply<Problem>[]) {
        expect([status, problem.code]).toEqual([503, 'read-model-stale']);
        expect(Number(headers['retry-after'])).toBeGreaterThan(0);
      }
      const page = await silent.api.get<PersonPage>(`/v1/subjects/${body.subjectId}`);
      expect(page.body.purposes.find(({ purpose }) => purpose === 'sales')?.code).toBe('no-basis');
      const ready = await silent.api.get('/health/ready', { key: null });
      expect(ready.status).toBe(503);
      expect((await silent.api.get('/health/live', { key: null })).status).toBe(200);
    } finally {
      await silent.stop();
    }
  }, 40_000);
});
