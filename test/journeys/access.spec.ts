import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { newId } from '#core/kernel/ids.js';
import { SCOPES } from '#core/kernel/scopes.js';
import { SCOPES_OF } from '#domains/access/domain/access.js';
import type { Problem, Receipt } from '../support/answers.js';
import { catalogue } from '../support/catalogue.js';
import { type DeclaredRoute, declaredRoutes } from '../support/routes.js';
import { EventStream } from '../support/server-events.js';
import {
  type Call,
  type Method,
  type Reply,
  type RunningLedger,
  startLedger,
} from '../support/server.js';
import { until } from '../support/until.js';

interface AuditEvents {
  readonly data: readonly {
    readonly position: string;
    readonly eventId: string;
    readonly recordedAt: string;
    readonly actor: { readonly kind: string; readonly id: string };
    readonly action: string;
    readonly target?: string;
    readonly purpose?: string;
  }[];
  readonly page: { readonly next?: string };
}

interface IssuedKey {
  readonly keyId: string;
  readonly secret: string;
  readonly scopes: readonly string[];
}

describe('given a ledger with everything in it', () => {
  let ledger: RunningLedger;
  let routes: readonly DeclaredRoute[];
  let person = '';
  let ids: Readonly<Record<string, string>> = {};

  const issue = async (asked: object, call?: Call) =>
    ledger.api.post<IssuedKey>('/v1/api-keys', asked, call);
  const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

  beforeAll(async () => {
    ledger = await startLedger();
    routes = declaredRoutes(ledger.nest);
    const { api } = ledger;
    await api.post('/v1/catalogue', catalogue);
    const registered = await api.post<Receipt>('/v1/subjects', {
      source: 'web-form',
      name: 'Hedy Lamarr',
      contactPoints: [{ kind: 'email', value: 'hedy@linden.example' }],
      externalRefs: [{ system: 'crm', id: 'hedy' }],
    });
    person = registered.body.subjectId;
    await api.post(`/v1/subjects/${person}/interactions`, {
      source: 'web-form',
      comment: 'Spoke with Hedy Lamarr',
      choices: [{ purpose: 'sales', decision: 'give' }],
    });
    const officer = await ledger.keyOfRole('officer');
    const erasure = await api.post<{ operationId: string }>(
      `/v1/subjects/${person}/erasure`,
      { ground: 'objected' },
      { key: officer },
    );
    const { body: notices } = await api.get<{ data: { noticeId: string; hash: string }[] }>(
      '/v1/notices',
    );
    const { body: keys } = await api.get<{ data: { keyId: string }[] }>('/v1/api-keys');
    ids = {
      '/v1/subjects/:id': person,
      '/v1/operations/:id': erasure.body.operationId,
      '/v1/receipts/:id': registered.body.receiptId,
      '/v1/notices/:id': notices.data[0]?.noticeId ?? '',
      '/v1/api-keys/:id': keys.data[0]?.keyId ?? '',
      '/v1/notices/by-hash/:hash': notices.data[0]?.hash ?? '',
      '/v1/purposes/:key': 'sales',
      '/v1/topics/:key': 'readings',
      '/v1/log/tile/*': '0/000.p/1',
    };
    await until(
      'something is sealed',
      async () => (await ledger.runtime.proof.log.newest()) !== undefined,
    );
    await ledger.visible(registered.body.receiptId);
  }, 60_000);
  afterAll(() => ledger.stop(), 20_000);

  describe('when somebody calls a route', () => {
    /** A call that the route can not do anything about: nothing that it names is there. */
    const harmless = (route: DeclaredRoute, call: Call) => {
      const path = route.path
        .replace(/:contactPointId/, newId('cpt'))
        .replace(/:(id|key|purpose|hash)|\*$/g, 'nowhere');
      const streams = path.endsWith('/stream') ? '?after=nowhere' : '';
      const body = ['POST', 'PUT', 'PATCH'].includes(route.method) ? {} : undefined;
      return ledger.api.send<Problem>(route.method, path + streams, body, call);
    };
    const scopesOf = ({ access }: DeclaredRoute): readonly string[] =>
      access.kind === 'scopes' ? access.anyOf : [];

    test('then all that are there are known, and only health and the document are open to all', () => {
      expect(routes.length).toBeGreaterThan(45);
      const open = routes.filter(({ access }) => access.kind === 'public').map(({ path }) => path);
      expect(open.sort()).toEqual([
        '/health/live',
        '/health/ready',
        '/metrics',
        '/v1/openapi.json',
      ]);
    });

    test('then without a key it is 401, and with a key for everything else 403', async () => {
      const keys = new Map<string, string>();
      for (const route of routes) {
        const needed = scopesOf(route);
        if (needed.length === 0) {
          expect((await harmless(route, { key: null })).status).toBe(200);
          continue;
        }
        const nobody = await harmless(route, { key: null });
        expect([route, nobody.status, nobody.body.code]).toEqual([
          route,
          401,
          'credentials-missing',
        ]);
        const name = needed.join(' ');
        const others = SCOPES.filter((scope) => !needed.includes(scope));
        const key = keys.get(name) ?? (await ledger.keyWith(...others));
        keys.set(name, key);
        const head = await ledger.head();
        const stranger = await harmless(route, { key });
        expect([route, stranger.status, stranger.body.code]).toEqual([route, 403, 'scope-missing']);
        expect(await ledger.head()).toBe(head);
      }
    }, 30_000);

    test('then each scope opens what declares it and nothing else', async () => {
      for (const scope of SCOPES) {
        const key = await ledger.keyWith(scope);
        const head = await ledger.head();
        const replies = await Promise.all(routes.map((route) => harmless(route, { key })));
        replies.forEach(({ status }, n) => {
          const route = routes[n] as DeclaredRoute;
          const open = route.access.kind === 'public' || scopesOf(route).includes(scope);
          expect([scope, route.path, ![401, 403].includes(status)]).toEqual([
            scope,
            route.path,
            open,
          ]);
          expect(status).toBeLessThan(500);
        });
        expect(await ledger.head()).toBe(head);
      }
    }, 30_000);

    test.each(Object.keys(SCOPES_OF))('then the role %s may what its scopes say', async (role) => {
      const { body } = await issue({ role, expiresAt: inAnHour() });
      const allowed = new Set<string>(SCOPES_OF[role as keyof typeof SCOPES_OF]);
      expect(new Set(body.scopes)).toEqual(allowed);
      const head = await ledger.head();
      const replies = await Promise.all(
        routes.map((route) => harmless(route, { key: body.secret })),
      );
      replies.forEach(({ status }, n) => {
        const route = routes[n] as DeclaredRoute;
        const open =
          route.access.kind === 'public' || scopesOf(route).some((scope) => allowed.has(scope));
        expect([role, route.path, ![401, 403].includes(status)]).toEqual([role, route.path, open]);
        if (role === 'auditor' && status !== 403) expect(['GET', 'POST']).toContain(route.method);
      });
      expect(await ledger.head()).toBe(head);
    });

    test('then every call that may record something asks for an Idempotency-Key', async () => {
      const records = routes.filter(({ method }) =>
        ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method),
      );
      const replies = await Promise.all(
        records.map((route) => harmless(route, { idempotencyKey: null })),
      );
      const without = records.filter(
        (_, n) => replies[n]?.body?.code !== 'idempotency-key-required',
      );
      expect(without.map(({ path }) => path).sort()).toEqual([
        '/v1/audiences',
        '/v1/decisions',
        '/v1/decisions/batch',
        '/v1/evidence',
        '/v1/interactions/bulk',
        '/v1/log/proofs',
        '/v1/subjects/search',
      ]);
    });

    test('then what a body asks for beyond the route needs a right of its own', async () => {
      const key = await ledger.keyWith('choices:write', 'decisions:read', 'subjects:read');
      const bases = [{ purpose: 'sales', basis: 'contract', status: 'established' }];
      const registration = { source: 'web-form', bases };
      const replies = await Promise.all([
        ledger.api.post<Problem>('/v1/subjects', registration, { key }),
        ledger.api.get<Problem>(`/v1/subjects/${person}?reveal=true`, { key }),
        ledger.api.get<Problem>(`/v1/subjects/${person}/timeline?reveal=true`, { key }),
        ledger.api.post<Problem>(
          '/v1/audiences',
          { purpose: 'sales', include: ['contactPoints'] },
          { key },
        ),
      ]);
      for (const { status, body } of replies)
        expect([status, body.code]).toEqual([403, 'scope-missing']);
      const bulk = await ledger.api.lines(
        '/v1/interactions/bulk',
        [{ type: 'register', externalRef: { system: 'crm', id: 'new' }, ...registration }],
        { key },
      );
      expect(bulk.body).toEqual([
        expect.objectContaining({ status: 'rejected', code: 'scope-missing' }),
      ]);
      const asked = await ledger.api.post<{ subjectId: string }>('/v1/subjects', {
        source: 'web-form',
      });
      const erasure = await ledger.api.post<{ status: string }>(
        `/v1/subjects/${asked.body.subjectId}/erasure`,
        { ground: 'child' },
        { key },
      );
      expect(erasure.body.status).toBe('waiting');
    });

    test('then who is refused learns nothing of why a key does not open', async () => {
      const revoked = await issue({ scopes: ['choices:write'] });
      await ledger.api.delete(`/v1/api-keys/${revoked.body.keyId}`);
      await sleep(1_100);
      const replies = await Promise.all(
        [revoked.body.secret, `clk_${'z'.repeat(43)}`, 'nonsense'].map((key) =>
          ledger.api.get<Problem>('/v1/purposes', { key }),
        ),
      );
      const told = replies.map(({ status, body: { traceId: _, ...body } }) => [status, body]);
      expect(told[0]?.[0]).toBe(401);
      for (const one of told) expect(one).toEqual(told[0]);
    });
  });

  describe('when somebody looks at personal data', () => {
    const audit = (query = '', call?: Call) =>
      ledger.api.get<AuditEvents>(`/v1/audit-events${query}`, call);
    let dpo: IssuedKey;

    beforeAll(async () => {
      dpo = (await issue({ name: 'Data protection', role: 'dpo' })).body;
    });

    /** Calls, and the looks that are on record of them, the newest first. */
    async function looks(calls: () => Promise<unknown>) {
      const head = await ledger.head();
      await calls();
      const token = Buffer.from(await ledger.head()).toString('base64url');
      const { body } = await audit('?action=PersonalDataViewed', {
        headers: { 'consistency-token': token },
      });
      return body.data.filter(({ position }) => Number(position) > Number(head));
    }

    test('then who looked, at whom, is on record', async () => {
      const key = dpo.secret;
      const seen = await looks(async () => {
        const page = await ledger.api.get(`/v1/subjects/${person}?reveal=true`, { key });
        expect(page.text).toContain('Hedy Lamarr');
        const told = await ledger.api.get(
          `/v1/subjects/${person}/timeline?reveal=true&purpose=sales`,
          { key },
        );
        expect(told.text).toContain('Spoke with Hedy Lamarr');
        const people = await ledger.api.post(
          '/v1/audiences',
          { purpose: 'sales', include: ['contactPoints'] },
          { key },
        );
        expect(people.text).toContain('hedy@linden.example');
      });
      const actor = { kind: 'officer', id: dpo.keyId };
      expect(seen).toEqual([
        expect.objectContaining({ actor, action: 'PersonalDataViewed', purpose: 'sales' }),
        expect.objectContaining({ actor, target: person, purpose: 'sales' }),
        expect.objectContaining({ actor, target: person }),
      ]);
      const { body: events } = await ledger.api.get<{ id: string; data: object }[]>(
        `/v1/events?after=${Number(seen[0]?.position) - 1}`,
      );
      expect(events[0]?.data).toMatchObject({
        viewed: 'audience',
        purpose: 'sales',
        included: ['contactPoints'],
        asOf: expect.any(String),
        knownAt: expect.any(String),
      });
    });

    test('then a look that shows nothing personal is none, and an audience always is one', async () => {
      const none = await looks(async () => {
        await ledger.api.get(`/v1/subjects/${person}`);
        await ledger.api.get(`/v1/subjects/${person}/timeline`);
        await ledger.api.post('/v1/subjects/search', {
          externalRef: { system: 'crm', id: 'hedy' },
        });
        await ledger.api.post('/v1/decisions', { subjectId: person, purpose: 'sales' });
        const refused = await ledger.api.get(`/v1/subjects/${person}?reveal=true`, {
          key: await ledger.keyWith('subjects:read'),
        });
        expect(refused.status).toBe(403);
      });
      expect(none).toEqual([]);
      const one = await looks(() => ledger.api.post('/v1/audiences', { purpose: 'sales' }));
      expect(one).toHaveLength(1);
    });

    test('then the person is not changed by it', async () => {
      const before = await ledger.api.get(`/v1/subjects/${person}`);
      const revealed = await ledger.api.get(`/v1/subjects/${person}?reveal=true`);
      expect(revealed.headers.etag).toBe(before.headers.etag);
    });

    test('then what can not be recorded is not shown', async () => {
      const owner = new pg.Client({ connectionString: ledger.runtime.databaseUrl });
      await owner.connect();
      try {
        await owner.query(`
          create function refuse_looks() returns trigger language plpgsql as $$
          begin
            if exists (select from added where stream like 'access-%') then
              raise exception 'no space left' using errcode = '53100';
            end if;
            return null;
          end $$;
          create trigger refuse_looks after insert on ledger.events
            referencing new table as added for each statement execute function refuse_looks();
          grant execute on function refuse_looks() to public;`);
        const calls: [Method, string, object?][] = [
          ['GET', `/v1/subjects/${person}?reveal=true`],
          ['GET', `/v1/subjects/${person}/timeline?reveal=true`],
          ['POST', '/v1/audiences', { purpose: 'sales' }],
          ['POST', '/v1/audiences', { purpose: 'sales', include: ['contactPoints'] }],
        ];
        for (const [method, path, body] of calls) {
          const refused = await ledger.api.send<Problem>(method, path, body);
          expect([path, refused.status]).toEqual([path, 503]);
          expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
          expect(/Hedy|hedy@|sub_/.exec(refused.text)?.[0]).toBeUndefined();
        }
        const masked = await ledger.api.get(`/v1/subjects/${person}`);
        expect(masked.status).toBe(200);
      } finally {
        await owner.query(
          'drop trigger refuse_looks on ledger.events; drop function refuse_looks()',
        );
        await owner.end();
      }
      expect((await ledger.api.get(`/v1/subjects/${person}?reveal=true`)).status).toBe(200);
    }, 30_000);

    test('then the record can be searched by who, what, whom and when, a page at a time', async () => {
      const token = Buffer.from(await ledger.head()).toString('base64url');
      const all = await audit('?limit=200', { headers: { 'consistency-token': token } });
      const times = all.body.data.map(({ recordedAt }) => recordedAt);
      expect(times).toEqual(times.toSorted().toReversed());
      const by = await audit(`?actor=${dpo.keyId}&limit=200`);
      expect(by.body.data).toEqual(all.body.data.filter(({ actor }) => actor.id === dpo.keyId));
      const of = await audit(`?target=${person}&limit=200`);
      expect(of.body.data).toEqual(all.body.data.filter(({ target }) => target === person));
      expect(of.body.data.map(({ action }) => action)).toEqual(
        expect.arrayContaining(['PersonalDataViewed', 'ErasureRequested']),
      );
      const keys = await audit('?action=ApiKeyIssued&limit=200');
      expect(new Set(keys.body.data.map(({ action }) => action))).toEqual(
        new Set(['ApiKeyIssued']),
      );
      const [, second] = [all.body.data[0], all.body.data.at(-2)];
      const from = await audit(`?from=${second?.recordedAt ?? ''}&limit=200`);
      expect(from.body.data).toEqual(
        all.body.data.filter(({ recordedAt }) => recordedAt >= (second?.recordedAt ?? '')),
      );
      const paged: object[] = [];
      for (let next: string | undefined, more = true; more;) {
        const cursor: string = next === undefined ? '' : `&cursor=${next}`;
        const { body } = await audit(`?limit=7${cursor}`);
        paged.push(...body.data);
        next = body.page.next;
        more = next !== undefined;
      }
      expect(paged).toEqual(all.body.data);
      expect(/Hedy|hedy@/.exec(all.text)?.[0]).toBeUndefined();
    });
  });

  describe('when keys are given out', () => {
    test('then a key is listed by its name, never with its secret, and opens nothing once it is taken back', async () => {
      const issued = await issue({
        name: 'Till 7',
        scopes: ['subjects:read'],
        expiresAt: inAnHour(),
      });
      expect(issued.status).toBe(201);
      const { keyId, secret } = issued.body;
      expect(issued.headers.location).toBe(`/v1/api-keys/${keyId}`);
      expect((await ledger.api.get('/v1/purposes', { key: secret })).status).toBe(200);
      const one = await ledger.api.get(`/v1/api-keys/${keyId}`);
      expect(one.body).toMatchObject({
        keyId,
        name: 'Till 7',
        scopes: ['subjects:read'],
        status: 'active',
      });
      const list = await ledger.api.get<{ data: { keyId: string }[] }>('/v1/api-keys?limit=200');
      expect(list.body.data[0]).toEqual(one.body);
      expect(/clk_|[0-9a-f]{64}/.exec(list.text + one.text)?.[0]).toBeUndefined();
      const call = { idempotencyKey: 'till-7-back' };
      const revoked = await ledger.api.delete(`/v1/api-keys/${keyId}`, call);
      expect(revoked.status).toBe(204);
      expect((await ledger.api.delete(`/v1/api-keys/${keyId}`, call)).status).toBe(204);
      await sleep(1_100);
      const refused = await ledger.api.get<Problem>('/v1/purposes', { key: secret });
      expect([refused.status, refused.body.code]).toEqual([401, 'credentials-invalid']);
      const gone = await ledger.api.get(`/v1/api-keys/${keyId}`);
      expect(gone.body).toMatchObject({ status: 'revoked', revokedAt: expect.any(String) });
    });

    test('then the secret is shown once', async () => {
      const call = { idempotencyKey: 'shown-once' };
      const first = await issue({ scopes: ['subjects:read'] }, call);
      const again = await issue({ scopes: ['subjects:read'] }, call);
      expect(first.body.secret).toMatch(/^clk_[A-Za-z0-9_]{32,}$/);
      expect(again.headers['idempotency-replayed']).toBe('true');
      expect(again.body).toEqual({ ...first.body, secret: null });
    });

    test.each([
      ['an auditor whose access has no end', { role: 'auditor' }, 422, ['/expiresAt']],
      [
        'an end that has passed',
        { role: 'service', expiresAt: '2020-01-01T00:00:00Z' },
        422,
        ['/expiresAt'],
      ],
      ['neither role nor scopes', {}, 422, ['']],
      [
        'a scope that is not of the role',
        { role: 'service', scopes: ['access:admin'] },
        422,
        ['/scopes/0'],
      ],
      ['a scope that there is not', { scopes: ['everything'] }, 422, ['/scopes']],
      ['a role that there is not', { role: 'king' }, 422, ['/role']],
    ])('then %s is refused', async (_, asked, status, pointers) => {
      const refused = (await issue(asked)) as unknown as Reply<Problem>;
      expect(refused.status).toBe(status);
      const given = (refused.body.errors ?? []).map(({ pointer }) =>
        pointer?.replace(/^\/scopes\/0$/, '/scopes/0'),
      );
      expect(given.map((pointer) => pointers.some((p) => pointer?.startsWith(p)))).toEqual([true]);
    });

    test('then nobody gives away a right that they lack', async () => {
      const key = await ledger.keyWith('access:admin', 'subjects:read');
      const refused = (await issue(
        { scopes: ['choices:write'] },
        { key },
      )) as unknown as Reply<Problem>;
      expect([refused.status, refused.body.code]).toEqual([403, 'scope-missing']);
      const allowed = await issue({ scopes: ['subjects:read'] }, { key });
      expect(allowed.status).toBe(201);
    });
  });

  test('when everything that can be read is read three times, then nothing is recorded but the looks', async () => {
    const get = routes.filter(({ method }) => method === 'GET');
    const links = get.map(({ path }) => {
      const known = Object.entries(ids).find(
        ([start]) => path === start || path.startsWith(`${start}/`),
      );
      const link = known ? path.replace(known[0], known[0].replace(/:\w+|\*$/, known[1])) : path;
      return link.endsWith('/compare')
        ? `${link}?from=2026-01-01T00:00:00Z&to=2026-06-01T00:00:00Z`
        : link;
    });
    expect(links.filter((link) => /\/[:*]/.test(link))).toEqual([]);
    const head = await ledger.head();
    for (let round = 0; round < 3; round++)
      for (const link of links) {
        if (link.endsWith('/stream')) {
          const stream = await EventStream.open(`${ledger.url}${link}?after=${head}`, {
            authorization: `Bearer ${ledger.key}`,
          });
          await stream.next();
          stream.close();
          continue;
        }
        for (const method of ['GET', 'HEAD', 'OPTIONS'] as const) {
          const { status } = await ledger.api.send(method, link);
          expect([method, link, status]).toEqual([method, link, method === 'OPTIONS' ? 405 : 200]);
        }
      }
    expect(await ledger.head()).toBe(head);
    for (const link of [`/v1/subjects/${person}`, `/v1/subjects/${person}/timeline`])
      await ledger.api.get(`${link}?reveal=true`);
    const { body } = await ledger.api.get<{ type: string }[]>(`/v1/events?after=${head}`);
    expect(body.map(({ type }) => type)).toEqual(['PersonalDataViewed', 'PersonalDataViewed']);
  }, 30_000);
});
