import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import type { Position } from '#core/kernel/position.js';
import { readConfig } from '#core/platform/config.js';
import { openLog } from '#core/platform/logging.js';
import { type Server, startServer } from '../../apps/server/server.js';
import type { Problem, Receipt } from '../support/answers.js';
import { compiled } from '../support/compiled.js';
import { type FreshDatabase, freshDatabase } from '../support/database.js';
import { Api } from '../support/server.js';
import { until } from '../support/until.js';

// Several servers, one after the other.
jest.setTimeout(240_000);

/**
 * A database that is really put back to what it was an hour ago: a copy of all its files, taken then. What was signed
 * meanwhile is remembered beside the signing key, which no backup of the database brings back.
 */
describe('given a ledger that was put back behind what it had signed', () => {
  const servers: Server[] = [];
  let database: FreshDatabase;
  let directory = '';
  let program = '';
  const bootstrap = `clk_${randomUUID().replaceAll('-', '')}`;

  const settings = (more: Readonly<Record<string, string>> = {}) => ({
    PORT: '0',
    HOST: '127.0.0.1',
    LOG_LEVEL: 'silent',
    DATABASE_URL: database.url,
    LEDGER_DATA_DIR: directory,
    LEDGER_BOOTSTRAP_KEY: bootstrap,
    ...more,
  });
  const start = async (more?: Readonly<Record<string, string>>) => {
    const config = readConfig(settings(more));
    const server = await startServer(config, openLog(config.logLevel));
    servers.push(server);
    return { ...server, api: new Api(server.url ?? '', bootstrap) };
  };
  const stop = async () => {
    for (const server of servers.splice(0)) await server.stop();
  };
  /** As an operator of the database, from another one. */
  const operate = async (...statements: readonly string[]) => {
    const client = new pg.Client({ connectionString: process.env.TEST_POSTGRES_URL });
    await client.connect();
    try {
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
  };
  const backup = () => `${database.name}_backup`;
  const restore = () =>
    operate(
      `drop database ${database.name} with (force)`,
      `create database ${database.name} template ${backup()}`,
    );
  const register = async (api: Api, count: number) => {
    for (let n = 0; n < count; n++)
      expect((await api.post('/v1/subjects', { source: 'web-form' })).status).toBe(201);
  };
  const headOf = async ({ runtime }: Server) => (await runtime.ledger.head())?.position;
  const sealed = (server: Server) =>
    until('everything is sealed', async () => {
      const newest = await server.runtime.proof.log.newest();
      return newest?.position === (await headOf(server));
    });
  const ledgerctl = (...args: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, '--json', ...args], {
      env: { PATH: process.env.PATH, ...settings() },
      encoding: 'utf8',
    });
    return { status, stderr, said: stdout === '' ? {} : (JSON.parse(stdout) as object) };
  };

  beforeAll(async () => {
    program = join(compiled(), 'apps', 'ledgerctl', 'main.js');
    database = await freshDatabase();
    directory = await mkdtemp(join(tmpdir(), 'consent-ledger-restored-'));
    const before = await start();
    await register(before.api, 3);
    await sealed(before);
    await stop();
    await operate(`create database ${backup()} template ${database.name}`);
    const after = await start();
    await register(after.api, 5);
    await sealed(after);
    await stop();
    await restore();
  });
  afterEach(stop);
  afterAll(async () => {
    await operate(`drop database if exists ${backup()} with (force)`);
    await database.drop();
    await rm(directory, { recursive: true, force: true });
  });

  test('then it answers, and neither records nor signs, and says why', async () => {
    const server = await start();
    const { api } = server;
    const head = await headOf(server);
    const refused = await api.post<Problem>('/v1/subjects', { source: 'web-form' });
    expect([refused.status, refused.body.code]).toEqual([503, 'log-behind-checkpoint']);
    expect(refused.headers['retry-after']).toBe('60');
    const lines = await api.lines('/v1/interactions/bulk', [
      { type: 'register', externalRef: { system: 'crm', id: '1' }, source: 'web-form' },
    ]);
    expect(lines.text).toContain('log-behind-checkpoint');
    expect((await api.get('/v1/purposes')).status).toBe(200);
    await until('the sealer has refused', async () => {
      const { body } = await api.get<{ checks: Record<string, object> }>('/health/ready', {
        key: null,
      });
      return JSON.stringify(body.checks.sealing).includes('log-shorter-than-checkpoint');
    });
    const ready = await api.get<{ checks: object }>('/health/ready', { key: null });
    expect([ready.status, ready.body.checks]).toMatchObject([
      503,
      {
        recording: { ok: false, detail: 'nothing is recorded: log-shorter-than-checkpoint' },
        sealing: { ok: false, detail: 'nothing is signed: log-shorter-than-checkpoint' },
      },
    ]);
    expect(await headOf(server)).toBe(head);
  });

  test('then one without a memory beside its key would have recorded: the memory is what it is for', async () => {
    await restore();
    const other = await mkdtemp(join(tmpdir(), 'consent-ledger-forgetful-'));
    await cp(directory, other, { recursive: true });
    await rm(join(other, 'keys', 'signed-checkpoints'), { recursive: true });
    const server = await start({ LEDGER_DATA_DIR: other });
    await register(server.api, 1);
    await stop();
    await rm(other, { recursive: true });
  });

  test('then a witness file remembers as well', async () => {
    await restore();
    const other = await mkdtemp(join(tmpdir(), 'consent-ledger-witnessed-'));
    await cp(directory, other, { recursive: true });
    const memory = join(other, 'keys', 'signed-checkpoints');
    const [newest = ''] = (await readdir(memory)).sort().reverse();
    await cp(join(memory, newest), join(other, 'witness'));
    await rm(memory, { recursive: true });
    const server = await start({
      LEDGER_DATA_DIR: other,
      LEDGER_WITNESS_FILE: join(other, 'witness'),
    });
    const refused = await server.api.post<Problem>('/v1/subjects', { source: 'web-form' });
    expect(refused.body.code).toBe('log-behind-checkpoint');
    await stop();
    await rm(other, { recursive: true });
  });

  test('then an operator is told, accepts the loss, and it goes on under another name', async () => {
    const looked = ledgerctl('doctor');
    expect(looked.status).toBe(1);
    expect(looked.said).toMatchObject({
      findings: expect.arrayContaining([
        expect.objectContaining({ check: 'recording', ok: false }),
      ]),
    });
    const accepted = ledgerctl('sealing', 'accept-loss');
    expect(accepted).toMatchObject({ status: 0, said: { size: expect.any(Number) } });
    const { origin, continuesAs, position } = accepted.said as Record<string, string>;
    expect(continuesAs).toBe(`${origin}/2`);

    const server = await start();
    await until('it records again', async () => {
      const { status } = await server.api.post('/v1/subjects', { source: 'web-form' });
      return status === 201;
    });
    await sealed(server);
    const { proof } = server.runtime;
    expect(proof.origin).toBe(continuesAs);
    expect((await proof.log.newest())?.origin).toBe(continuesAs);
    const ready = await server.api.get('/health/ready', { key: null });
    expect(ready.status).toBe(200);
    const { body: events } = await server.api.get<{ type: string; data: object }[]>(
      `/v1/events?after=${Number(position) - 1}`,
    );
    expect(events[0]).toMatchObject({ type: 'HistoryLost', data: { origin, continuesAs } });
    await stop();
    expect(ledgerctl('verify')).toMatchObject({ status: 0 });
    expect(ledgerctl('sealing', 'accept-loss')).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('there is no loss to accept'),
    });
  });

  test('then a server that was running meanwhile finds out within seconds', async () => {
    const server = await start();
    const { api, runtime } = server;
    await register(api, 1);
    await sealed(server);
    await restore();
    let last: Problem | undefined;
    await until('it refuses', async () => {
      const { body } = await api.post<Problem & Receipt>('/v1/subjects', { source: 'web-form' });
      last = body;
      return body.code === 'log-behind-checkpoint';
    });
    expect(last?.detail).toContain('put back to an earlier state');
    expect(runtime.recording.missing?.code).toMatch(/^(log-shorter-than-checkpoint|other-log)$/);
    expect(await runtime.store.at('1' as Position)).toBeDefined();
  });
});
