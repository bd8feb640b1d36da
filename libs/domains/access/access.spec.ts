import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Global, Module } from '@nestjs/common';
import { CommandBus, CqrsModule } from '@nestjs/cqrs';
import { pino } from 'pino';
import supertest from 'supertest';
import { joinCatalogues } from '#core/kernel/catalogue.js';
import type { Recorded } from '#core/kernel/event.js';
import { instantOf } from '#core/kernel/instant.js';
import { START } from '#core/kernel/position.js';
import { Codec } from '#core/ledger/codec.js';
import { ensureCreated } from '#core/ledger/created.js';
import { Ledger } from '#core/ledger/ledger.js';
import { ledgerEvents } from '#core/ledger/ledger.events.js';
import { MemoryLedger } from '#core/ledger/memory/memory.ledger.js';
import { LedgerUnavailable } from '#core/ledger/port.js';
import { readConfig } from '#core/platform/config.js';
import { type Application, createApplication } from '#core/platform/http/application.js';
import { AUTHENTICATOR, type Authenticator } from '#core/platform/http/auth.guard.js';
import {
  DIGEST,
  IDEMPOTENCY_STORE,
  type IdempotencyStore,
  type StoredResponse,
} from '#core/platform/http/idempotency.js';
import { READ_MODELS } from '#core/platform/read-models.js';
import { CLOCK, DATABASE } from '#core/platform/tokens.js';
import { derivationUnder } from '#core/vault/derivation.js';
import { MemoryVault } from '#core/vault/memory/vault.js';
import { DERIVATION } from '#core/vault/tokens.js';
import { AccessModule } from './access.module.js';
import { InstallBootstrapKeyHandler } from './commands/install-bootstrap-key.js';
import { InstallBootstrapKey } from './commands/install-bootstrap-key.message.js';
import { RecordLook } from './commands/record-look.message.js';
import { type AccessEvent, accessEvents, SCOPES } from './domain/access.events.js';
import { secretHashOf } from './domain/secret.js';
import { ApiKeyAuthenticator } from './queries/authenticate.js';
import { KnownKeys } from './queries/known-keys.js';

/** Counts how often the log is read for keys. */
class CountingLedger extends MemoryLedger {
  reads = 0;
  failing = false;
  override readAll(...args: Parameters<MemoryLedger['readAll']>) {
    this.reads++;
    if (this.failing) return Promise.reject(new LedgerUnavailable('away'));
    return super.readAll(...args);
  }
  override append(...args: Parameters<MemoryLedger['append']>) {
    if (this.failing) return Promise.reject(new LedgerUnavailable('away'));
    return super.append(...args);
  }
}

const store = new CountingLedger();
const vault = new MemoryVault();
const codec = new Codec(joinCatalogues(ledgerEvents, accessEvents), vault);
const ledger = new Ledger(store, codec);
const derivation = derivationUnder(randomBytes(32));
let ahead = 0;
const clock = { now: () => instantOf(Date.now() + ahead) };

const answers = new Map<string, StoredResponse>();
const idempotency: IdempotencyStore = {
  claim(key) {
    const id = Buffer.from(key).toString('hex');
    const response = answers.get(id);
    return Promise.resolve(response ? { kind: 'done', response } : { kind: 'claimed', lease: 'x' });
  },
  complete(key, _lease, response) {
    answers.set(Buffer.from(key).toString('hex'), response);
    return Promise.resolve();
  },
  release: () => Promise.resolve(),
};

let app: Application;
let http: ReturnType<typeof supertest>;
let root: string;
let commands: CommandBus;

beforeAll(async () => {
  await ensureCreated(ledger);
  const ports = [
    { provide: Ledger, useValue: ledger },
    { provide: IDEMPOTENCY_STORE, useValue: idempotency },
    { provide: DIGEST, useValue: derivation },
    { provide: DERIVATION, useValue: derivation },
    { provide: CLOCK, useValue: clock },
    { provide: DATABASE, useValue: {} },
    { provide: READ_MODELS, useValue: {} },
  ];

  @Global()
  @Module({
    imports: [CqrsModule.forRoot(), AccessModule],
    providers: ports,
    exports: [...ports.map(({ provide }) => provide), AccessModule],
  })
  class SpecModule {}
  app = await createApplication(SpecModule, readConfig({ PORT: '0' }), {
    logger: pino({ level: 'silent' }),
  });
  http = supertest(app.nest.getHttpServer());
  commands = app.nest.get(CommandBus);
});
afterAll(() => app.stop());

const auth = (secret: string) => ({ authorization: `Bearer ${secret}` });
const issue = (body: object, secret = root, key: string = randomUUID()) =>
  http
    .post('/v1/api-keys')
    .set({ ...auth(secret), 'idempotency-key': key })
    .send(body);
const list = (secret: string) => http.get('/v1/api-keys').set(auth(secret));
const events = async (category: string) =>
  (await ledger.readAll(START, { limit: 1_000, categories: [category] }))
    .events as Recorded<AccessEvent>[];

describe('the bootstrap key', () => {
  it('is made at the first start and shown once', async () => {
    const made = await commands.execute(new InstallBootstrapKey());
    expect(made).toMatchObject({
      state: 'installed',
      secret: expect.stringMatching(/^clk_\w{43}$/),
    });
    root = made.secret as string;
    expect((await list(root)).status).toBe(200);
    const [event] = await events('key');
    expect(event?.data).toMatchObject({ scopes: SCOPES });
    expect(JSON.stringify(event)).not.toContain(root.slice(4));
  });

  it('can not be searched for in the log: its digest is keyed', async () => {
    const given = `clk_${'a'.repeat(32)}`;
    const shared = new Ledger(new MemoryLedger(), codec);
    await ensureCreated(shared);
    await new InstallBootstrapKeyHandler(shared, derivation, clock).execute(
      new InstallBootstrapKey(given),
    );
    const { events: stored } = await shared.readAll(START, { limit: 10, categories: ['key'] });
    const text = JSON.stringify(stored);
    expect(text).not.toContain(createHash('sha256').update(given).digest('hex'));
    expect(text).toContain(secretHashOf(given, derivation));
    expect(text).not.toContain(secretHashOf(given, derivationUnder(randomBytes(32))));
    const authenticator = new ApiKeyAuthenticator(new KnownKeys(shared), clock, derivation);
    expect(await authenticator.authenticate(given)).toBeDefined();
  });

  it('is left alone at every later start', async () => {
    const again = await commands.execute(new InstallBootstrapKey());
    expect(again).toMatchObject({ state: 'present' });
    expect(again.secret).toBeUndefined();
    expect(await commands.execute(new InstallBootstrapKey(root))).toMatchObject({
      state: 'present',
    });
    const other = `clk_${'x'.repeat(32)}`;
    expect(await commands.execute(new InstallBootstrapKey(other))).toMatchObject({
      state: 'other',
    });
    expect((await list(other)).status).toBe(401);
    expect(await events('key')).toHaveLength(1);
  });

  it('is one, however many processes start at once', async () => {
    const shared = new MemoryLedger();
    await ensureCreated(new Ledger(shared, codec));
    const starts = await Promise.all(
      Array.from({ length: 5 }, () =>
        new InstallBootstrapKeyHandler(new Ledger(shared, codec), derivation, clock).execute(
          new InstallBootstrapKey(),
        ),
      ),
    );
    expect(starts.filter(({ state }) => state === 'installed')).toHaveLength(1);
    expect(starts.filter(({ secret }) => secret !== undefined)).toHaveLength(1);
    expect(new Set(starts.map(({ keyId }) => keyId)).size).toBe(1);
  });
});

describe('keys', () => {
  it('are issued with a secret that is shown once', async () => {
    const key = randomUUID();
    const first = await issue({ name: 'Web shop', role: 'service' }, root, key);
    expect(first.status).toBe(201);
    const { secret, keyId } = first.body as { secret: string; keyId: string };
    expect(secret).toMatch(/^clk_[A-Za-z0-9_]{43}$/);
    expect(first.headers).toMatchObject({ etag: '"0"', location: `/v1/api-keys/${keyId}` });
    expect(JSON.stringify(first.body)).not.toContain('Web shop');
    const replay = await issue({ name: 'Web shop', role: 'service' }, root, key);
    expect(replay.headers['idempotency-replayed']).toBe('true');
    expect(replay.body).toEqual({ ...(first.body as object), secret: null });

    answers.clear();
    const fromTheLog = await issue({ name: 'Web shop', role: 'service' }, root, key);
    expect(fromTheLog.body).toMatchObject({ keyId, secret: null });

    const stored = JSON.stringify(await events('key'));
    expect(stored).not.toContain(secret);
    expect(stored).not.toContain('Web shop');
    const shown = await http.get(`/v1/api-keys/${keyId}`).set(auth(root));
    expect(shown.body).toMatchObject({
      keyId,
      name: 'Web shop',
      role: 'service',
      status: 'active',
    });
    expect(JSON.stringify(shown.body)).not.toContain('Hash');
  });

  it('open what their scopes say, at once', async () => {
    const { body } = await issue({ scopes: ['access:admin'] });
    expect((await list((body as { secret: string }).secret)).status).toBe(200);
    const service = await issue({ role: 'service' });
    const refused = await list((service.body as { secret: string }).secret);
    expect(refused.body).toMatchObject({ status: 403, code: 'scope-missing' });
  });

  it('give away no right that their issuer lacks', async () => {
    const { body } = await issue({ scopes: ['access:admin', 'audit:read'] });
    const { secret } = body as { secret: string };
    const refused = await issue({ role: 'service' }, secret);
    expect(refused.body).toMatchObject({ status: 403, code: 'scope-missing' });
    expect((await issue({ scopes: ['audit:read'] }, secret)).status).toBe(201);
  });

  it('tell all that is wrong with a request', async () => {
    const shape = await issue({ role: 'king', scopes: ['everything'], expiresAt: 'soon', x: 1 });
    expect(shape.status).toBe(422);
    const { errors } = shape.body as { errors: { pointer: string }[] };
    expect(errors.map(({ pointer }) => pointer).sort()).toEqual([
      '/expiresAt',
      '/role',
      '/scopes/0',
      '/x',
    ]);
    for (const body of [
      {},
      { role: 'auditor' },
      { role: 'admin', expiresAt: '2001-01-01T00:00:00Z' },
    ])
      expect((await issue(body)).status).toBe(422);
  });

  it('are taken back within a second, also in other processes', async () => {
    const other = new ApiKeyAuthenticator(new KnownKeys(ledger), clock, derivation);
    const { body } = await issue({ scopes: ['access:admin'] });
    const { secret, keyId } = body as { secret: string; keyId: string };
    expect((await other.authenticate(secret))?.keyId).toBe(keyId);
    const revoke = () =>
      http.delete(`/v1/api-keys/${keyId}`).set({ ...auth(root), 'idempotency-key': randomUUID() });
    const revoked = await revoke();
    expect(revoked.status).toBe(204);
    expect(revoked.headers['etag']).toBe('"1"');
    await sleep(1_000);
    expect((await list(secret)).status).toBe(401);
    expect(await other.authenticate(secret)).toBeUndefined();
    expect((await revoke()).status).toBe(204);
    const shown = await http.get(`/v1/api-keys/${keyId}`).set(auth(root));
    expect(shown.body).toMatchObject({ status: 'revoked', revokedAt: expect.any(String) });
    for (const id of [
      'key_nowhere',
      'constructor',
      keyId.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
    ]) {
      const nobody = await http
        .delete(`/v1/api-keys/${id}`)
        .set({ ...auth(root), 'idempotency-key': randomUUID() });
      expect(nobody.body).toMatchObject({ status: 404, code: 'unknown-api-key' });
    }
  });

  it('end by the clock', async () => {
    const expiresAt = instantOf(Date.now() + 3_600_000);
    const { body } = await issue({ scopes: ['access:admin'], expiresAt });
    const { secret } = body as { secret: string };
    expect((await list(secret)).status).toBe(200);
    ahead = 3_600_001;
    expect((await list(secret)).status).toBe(401);
    const all = (await list(root)).body as { data: { expiresAt?: string; status: string }[] };
    expect(all.data.find((key) => key.expiresAt === expiresAt)?.status).toBe('expired');
    ahead = 0;
  });

  it('are listed, the newest first, a page at a time', async () => {
    const all = (await http.get('/v1/api-keys?limit=200').set(auth(root))).body as {
      data: { keyId: string; issuedAt: string }[];
    };
    const found: string[] = [];
    for (let cursor = ''; ;) {
      const path = `/v1/api-keys?limit=2${cursor && `&cursor=${cursor}`}`;
      const { body } = await http.get(path).set(auth(root));
      const page = body as { data: { keyId: string }[]; page: { next?: string } };
      found.push(...page.data.map(({ keyId }) => keyId));
      if (!page.page.next) break;
      cursor = page.page.next;
    }
    expect(found).toEqual(all.data.map(({ keyId }) => keyId));
    const times = all.data.map(({ issuedAt }) => issuedAt);
    expect(times).toEqual([...times].sort().reverse());
  });
});

describe('who calls', () => {
  it.each([
    ['service', 'service'],
    ['officer', 'officer'],
    ['dpo', 'officer'],
    ['admin', 'officer'],
  ])('with a key for the role %s is an %s', async (role, kind) => {
    const { body } = await issue({ role });
    const { secret, keyId } = body as { secret: string; keyId: string };
    const authenticator = app.nest.get<Authenticator>(AUTHENTICATOR, { strict: false });
    const principal = await authenticator.authenticate(secret);
    expect(principal).toMatchObject({ kind, id: keyId, keyId });
  });

  it('with scopes only is a service', async () => {
    const { body } = await issue({ scopes: ['events:read'] });
    const authenticator = app.nest.get<Authenticator>(AUTHENTICATOR, { strict: false });
    const principal = await authenticator.authenticate((body as { secret: string }).secret);
    expect(principal?.kind).toBe('service');
    expect(principal?.scopes).toEqual(new Set(['events:read']));
  });

  it('is not asked of the log for every wrong key', async () => {
    const authenticator = new ApiKeyAuthenticator(new KnownKeys(ledger), clock, derivation);
    await authenticator.authenticate(root);
    store.reads = 0;
    const wrong = (n: number) => `clk_${String(n).padStart(43, '0')}`;
    const started = performance.now();
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, n) => authenticator.authenticate(wrong(round * 200 + n))),
      );
      expect(answers.every((answer) => answer === undefined)).toBe(true);
    }
    const spent = performance.now() - started;
    expect(store.reads).toBeLessThanOrEqual(6 + (2 * spent) / 500);
    const before = store.reads;
    for (const nonsense of ['', 'clk_', 'clk_short', 'Bearer x', `ey${'x'.repeat(60)}`])
      expect(await authenticator.authenticate(nonsense)).toBeUndefined();
    expect(store.reads).toBe(before);
  });

  it('is known at once although others try wrong keys', async () => {
    const authenticator = new ApiKeyAuthenticator(new KnownKeys(ledger), clock, derivation);
    await authenticator.authenticate(`clk_${'y'.repeat(43)}`);
    const { body } = await issue({ scopes: ['events:read'] });
    expect(await authenticator.authenticate((body as { secret: string }).secret)).toBeDefined();
  });

  it('is never guessed while the log can not be read', async () => {
    const authenticator = new ApiKeyAuthenticator(new KnownKeys(ledger), clock, derivation);
    expect(await authenticator.authenticate(root)).toBeDefined();
    store.failing = true;
    expect(await authenticator.authenticate(root)).toBeDefined();
    await sleep(1_050);
    await expect(authenticator.authenticate(root)).rejects.toMatchObject({
      code: 'ledger-unavailable',
    });
    store.failing = false;
    expect(await authenticator.authenticate(root)).toBeDefined();
  });
});

describe('a look at personal data', () => {
  const reader = { actor: { kind: 'officer', id: 'key_o' }, correlationId: 'trace' } as const;

  it('is in the log before it may happen', async () => {
    const subjectId = 'sub_01983c5e-8a00-7c3e-9d51-1f0c5a7be001';
    await commands.execute(new RecordLook({ viewed: 'subject', subjectId }, reader));
    const [event] = await events('access');
    expect(event).toMatchObject({
      type: 'PersonalDataViewed',
      actor: reader.actor,
      correlationId: 'trace',
      data: { viewed: 'subject', subjectId },
    });
    expect(event?.stream).toMatch(/^access-\d{4}-\d{2}-\d{2}-/);
  });

  it('fails where it can not be recorded', async () => {
    store.failing = true;
    const looking = commands.execute(new RecordLook({ viewed: 'audience' }, reader));
    await expect(looking).rejects.toMatchObject({ code: 'ledger-unavailable' });
    store.failing = false;
  });

  it('waits for no other', async () => {
    const before = (await events('access')).length;
    await Promise.all(
      Array.from({ length: 50 }, () =>
        commands.execute(new RecordLook({ viewed: 'timeline' }, reader)),
      ),
    );
    const all = await events('access');
    expect(all).toHaveLength(before + 50);
    expect(new Set(all.map(({ stream }) => stream)).size).toBe(before + 50);
  });
});
