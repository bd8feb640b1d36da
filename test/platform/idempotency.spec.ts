import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Delete, Global, HttpCode, Module, Post } from '@nestjs/common';
import { IsInt, IsOptional, IsString } from 'class-validator';
import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import supertest from 'supertest';
import type { Position } from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
import type { Requested } from '#core/kernel/requested.js';
import { kyselyOn, openPool, RUNTIME_ROLE } from '#core/platform/database.js';
import { Answer, Answering } from '#core/platform/http/answer.js';
import { Asked } from '#core/platform/http/asked.js';
import { Requires } from '#core/platform/http/auth.guard.js';
import {
  DIGEST,
  Idempotent,
  IDEMPOTENCY_STORE,
  IdempotencyKey,
  type InteractionRequest,
  parseIdempotencyKey,
} from '#core/platform/http/idempotency.js';
import { PostgresIdempotencyStore } from '#core/platform/idempotency.postgres.js';
import { migrate } from '#core/platform/migrate.js';
import { platformMigrations } from '#core/platform/migrations.js';
import { freshDatabase, type FreshDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { bearer, type Sample, sample } from './sample.js';

class Work {
  @IsOptional() @IsString() note?: string;
  @IsOptional() @IsInt() wait?: number;
  @IsOptional() @IsString() fail?: string;
}

const done: InteractionRequest[] = [];
const asked: Requested[] = [];
let paused: Promise<void> | undefined;

@Controller('v1/work')
class WorkController {
  @Post()
  @Requires('choices:write')
  @Idempotent({ secrets: ['secret'] })
  async work(
    @Body() body: Work,
    @IdempotencyKey() request: InteractionRequest,
    @Asked() requested: Requested,
    @Answering() answer: Answer,
  ): Promise<object> {
    await paused;
    done.push(request);
    asked.push(requested);
    if (body.fail === 'refused') throw new Refused('conflict', 'sample', 'As asked.');
    if (body.fail === 'broken') throw new Error('broken');
    answer
      .revision(7)
      .position('42' as Position)
      .location('/v1/work/1');
    return { receipt: done.length, secret: 'clk_shown_once', nested: { secret: 'x' } };
  }

  @Delete()
  @HttpCode(204)
  @Requires('choices:write')
  @Idempotent()
  remove(@IdempotencyKey() request: InteractionRequest): void {
    done.push(request);
  }
}

let database: FreshDatabase;
let owner: Kysely<unknown>;
let db: Kysely<unknown>;
let store: PostgresIdempotencyStore;
let app: Sample;

beforeAll(async () => {
  database = await freshDatabase();
  const onError = () => undefined;
  const at = { connectionString: database.url, applicationName: 'test', onError };
  owner = kyselyOn(openPool(at));
  await migrate(owner, { platform: platformMigrations });
  db = kyselyOn(openPool({ ...at, role: RUNTIME_ROLE }));
  store = new PostgresIdempotencyStore(db);
  @Global()
  @Module({
    providers: [
      { provide: IDEMPOTENCY_STORE, useValue: store },
      {
        provide: DIGEST,
        useValue: {
          digest: (use: string, ...parts: string[]) =>
            createHmac('sha256', use).update(JSON.stringify(parts)).digest(),
        },
      },
    ],
    exports: [IDEMPOTENCY_STORE, DIGEST],
  })
  class Stores {}
  app = await sample({ imports: [Stores], controllers: [WorkController] });
  // One listening server for all: supertest would open one for each request, and concurrent ones collide.
  await app.listen();
});
afterAll(async () => {
  await app.stop();
  await db.destroy();
  await owner.destroy();
  await database.drop();
});

const work = (key: string | undefined, body: object = {}, as = 'clk_all') =>
  supertest(app.nest.getHttpServer())
    .post('/v1/work')
    .set(bearer(as))
    .set(key === undefined ? {} : { 'idempotency-key': key })
    .send(body);

const rows = async () =>
  (await sql<{ response: string | null }>`SELECT * FROM platform.idempotency`.execute(owner)).rows;

describe('idempotency', () => {
  it('must be asked for with a key', async () => {
    const missing = await work(undefined);
    expect(missing).toMatchObject({
      status: 400,
      body: {
        code: 'idempotency-key-required',
        errors: [{ parameter: 'Idempotency-Key', code: 'idempotency-key-required' }],
      },
    });
    for (const bad of ['a b', 'ü', 'x'.repeat(256), '"', '"a'])
      expect(
        await work(encodeURI(bad) === bad ? bad : Buffer.from(bad).toString('latin1')),
      ).toMatchObject({
        status: 400,
        body: { code: 'idempotency-key-malformed' },
      });
    expect(done).toEqual([]);
  });

  it('reads bare and quoted keys alike', () => {
    expect(parseIdempotencyKey('abc')).toBe('abc');
    expect(parseIdempotencyKey('"abc"')).toBe('abc');
    expect(parseIdempotencyKey('"a\\"b\\\\c"')).toBe('a"b\\c');
  });

  it('repeats the first answer word for word, but no secret', async () => {
    const first = await work('k1', { note: 'Erika' });
    expect(first).toMatchObject({ status: 201, body: { receipt: 1, secret: 'clk_shown_once' } });
    expect(first.headers['idempotency-replayed']).toBeUndefined();
    const again = await work('"k1"', { note: 'Erika' });
    expect(again).toMatchObject({
      status: 201,
      body: { receipt: 1, secret: null, nested: { secret: null } },
    });
    expect(again.headers).toMatchObject({
      'idempotency-replayed': 'true',
      etag: '"7"',
      location: '/v1/work/1',
      'consistency-token': first.headers['consistency-token'],
    });
    expect(done).toEqual([{ apiKeyId: 'key_all', method: 'POST', path: '/v1/work', key: 'k1' }]);
    expect(JSON.stringify(await rows())).not.toMatch(/Erika|k1|clk_|key_all/);
  });

  it('takes the order of fields for nothing, other contents for another call', async () => {
    await work('k2', { note: 'a', wait: 1 });
    expect((await work('k2', { wait: 1, note: 'a' })).headers['idempotency-replayed']).toBe('true');
    expect(await work('k2', { note: 'b', wait: 1 })).toMatchObject({
      status: 422,
      body: { code: 'idempotency-key-reused' },
    });
  });

  it('keeps the keys of callers and of calls apart', async () => {
    expect((await work('k3')).status).toBe(201);
    expect((await work('k3', {}, 'clk_other')).headers['idempotency-replayed']).toBeUndefined();
    const remove = () =>
      supertest(app.nest.getHttpServer())
        .delete('/v1/work')
        .set({ ...bearer('clk_all'), 'idempotency-key': 'k3' });
    expect(await remove()).toMatchObject({ status: 204, text: '' });
    const again = await remove();
    expect(again).toMatchObject({ status: 204, text: '' });
    expect(again.headers['idempotency-replayed']).toBe('true');
  });

  it('tells a command who asks, under which receipt and at which revision', async () => {
    asked.length = 0;
    await work('k9').set('if-match', '"12"');
    await work('k10', { fail: 'refused' });
    await work('k10', { fail: 'refused' }, 'clk_other');
    await work('k10', { fail: 'refused' });
    expect(asked[0]).toMatchObject({
      actor: { kind: 'service', id: 'svc_all' },
      receiptId: expect.stringMatching(/^rcp_/),
      correlationId: expect.stringMatching(/^[0-9a-f]{32}$/),
      ifRevision: 12,
    });
    const [first, second, other, again] = asked.map(({ receiptId }) => receiptId);
    expect(again).toBe(second);
    expect(new Set([first, second, other]).size).toBe(3);
    expect(await work('k11').set('if-match', '12')).toMatchObject({
      status: 400,
      body: { code: 'if-match-malformed' },
    });
  });

  it('keeps no failure', async () => {
    for (const [key, body, status] of [
      ['k4', { fail: 'refused' }, 409],
      ['k5', { fail: 'broken' }, 500],
      ['k6', { unknown: 1 }, 422],
    ] as const) {
      expect((await work(key, body)).status).toBe(status);
      const corrected = await work(key, {});
      expect(corrected.status).toBe(201);
      expect(corrected.headers['idempotency-replayed']).toBeUndefined();
    }
  });

  it('lets one of many through, and tells the others to wait', async () => {
    let go = () => undefined as void;
    paused = new Promise((resolve) => (go = resolve));
    const before = done.length;
    const first = work('k7').then((answer) => answer);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const others = await Promise.all(Array.from({ length: 10 }, () => work('k7')));
    for (const other of others) {
      expect(other).toMatchObject({ status: 409, body: { code: 'idempotency-in-flight' } });
      expect(other.headers['retry-after']).toBe('1');
    }
    expect(await work('k7', { note: 'other' })).toMatchObject({ status: 422 });
    go();
    paused = undefined;
    expect((await first).status).toBe(201);
    expect(done.length).toBe(before + 1);
    expect((await work('k7')).headers['idempotency-replayed']).toBe('true');
  });

  it('lets exactly one of many simultaneous claims have the key', async () => {
    const claims = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        store.claim(Buffer.from(`s${i % 5}`), Buffer.from('f')),
      ),
    );
    expect(claims.filter(({ kind }) => kind === 'claimed')).toHaveLength(5);
    expect(claims.filter(({ kind }) => kind === 'in-flight')).toHaveLength(95);
  });

  it('gives a key on when its holder has died, and ignores a holder who comes back', async () => {
    const [key, print] = [Buffer.from('dead'), Buffer.from('f')];
    const first = await store.claim(key, print);
    await sql`UPDATE platform.idempotency SET leased_until = now() - interval '1 s' WHERE key = ${key}`.execute(
      owner,
    );
    expect(await store.claim(key, Buffer.from('other'))).toEqual({ kind: 'reused' });
    const second = await store.claim(key, print);
    expect([first.kind, second.kind]).toEqual(['claimed', 'claimed']);
    const response = (status: number) => ({ status, headers: {}, body: null });
    await store.complete(key, first.kind === 'claimed' ? first.lease : '', response(201));
    expect((await store.claim(key, print)).kind).toBe('in-flight');
    await store.complete(key, second.kind === 'claimed' ? second.lease : '', response(200));
    expect(await store.claim(key, print)).toEqual({ kind: 'done', response: response(200) });
  });

  it('forgets after 30 days', async () => {
    const [key, print] = [Buffer.from('old'), Buffer.from('f')];
    await store.claim(key, print);
    const age = () =>
      sql`UPDATE platform.idempotency SET created_at = now() - interval '31 days' WHERE key = ${key}`.execute(
        owner,
      );
    await age();
    expect((await store.claim(key, Buffer.from('g'))).kind).toBe('claimed');
    await age();
    expect(await store.purge()).toBe(1);
    expect((await store.claim(key, print)).kind).toBe('claimed');
  });

  it('keeps an answer where its claim lies, with no new entry in any index', async () => {
    const updates = async () => {
      const { rows } = await sql<{ all: number; hot: number }>`
        SELECT n_tup_upd::int AS all, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables
        WHERE schemaname = 'platform' AND relname = 'idempotency'`.execute(owner);
      return rows[0] as { all: number; hot: number };
    };
    const before = await updates();
    // As long as a receipt.
    const body = { receipt: 'x'.repeat(600), events: [{}] };
    const answer = async (n: number) => {
      const key = Buffer.from(`hot ${n}`);
      const claim = await store.claim(key, Buffer.alloc(32));
      if (claim.kind !== 'claimed') throw new Error(claim.kind);
      await store.complete(key, claim.lease, { status: 201, headers: {}, body });
    };
    for (let n = 0; n < 200; n += 20)
      await Promise.all(Array.from({ length: 20 }, (_, i) => answer(n + i)));
    const counted = () => updates().then(({ all }) => all - before.all >= 200);
    await until('the database has counted them', counted, 20_000);
    const after = await updates();
    expect(after.hot - before.hot).toBeGreaterThan(160);
  });

  it('answers although the store has failed after the work was done', async () => {
    const complete = store.complete.bind(store);
    store.complete = () => Promise.reject(new Error('away'));
    try {
      expect((await work('k8')).status).toBe(201);
    } finally {
      store.complete = complete;
    }
    expect(app.logged()).toContain('idempotency store failed');
  });
});
