import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import type { Runtime } from '#core/runtime/runtime.js';
import { KEYS_CACHED_MS } from '#core/vault/port.js';
import { Installation, type InstallationOptions, type Name } from '../crash/installation.js';
import { compiled } from '../support/compiled.js';
import { until } from '../support/until.js';

jest.setTimeout(240_000);

/** People whose keys are destroyed, one after the other. More of them: DESTROYED_ROUNDS=50. */
const ROUNDS = Number(process.env.DESTROYED_ROUNDS ?? 1);

beforeAll(() => void compiled());

describe('servers that have a key in memory which is destroyed elsewhere', () => {
  let installation: Installation;
  let vault: Runtime;
  let database: pg.Client;

  async function start(options: Partial<InstallationOptions> = {}): Promise<void> {
    installation = await Installation.start({ servers: 2, workers: 1, ...options });
    vault = await installation.open();
    database = new pg.Client({ connectionString: installation.ownerUrl });
    await database.connect();
  }
  afterEach(async () => {
    await database.end();
    await vault.close();
    await installation.stop();
  });

  /** Ends whoever listens through the proxy; how many. */
  async function cutListeners(): Promise<number> {
    const { rowCount } = await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and query like 'listen vault_destroyed%'
          and application_name = 'consent-ledger vault'`,
    );
    return rowCount ?? 0;
  }

  /** Who listens from now on is heard by the database, and never told anything. */
  async function silence(): Promise<void> {
    installation.proxy.set('silent', 'listen vault_destroyed');
    await cutListeners();
    const { servers, workers } = installation;
    const all = servers.length + workers.length;
    await until('nobody hears anything', () => installation.proxy.struck >= all);
  }

  async function someone(name: string): Promise<string> {
    const body = { source: 'web-form', name };
    const answer = await installation.call('server-1', 'POST', '/v1/subjects', body);
    return ((await answer.json()) as { subjectId: string }).subjectId;
  }

  async function shows(server: Name, subjectId: string, name: string): Promise<boolean> {
    const path = `/v1/subjects/${subjectId}?reveal=true`;
    const answer = await installation.call(server, 'GET', path);
    expect(answer.status).toBe(200);
    return (await answer.text()).includes(name);
  }

  /** Milliseconds after its destruction at which each server last opened something with the key. */
  async function lastOpened(patience: number): Promise<readonly number[]> {
    const name = `Grace ${randomUUID()}`;
    const subjectId = await someone(name);
    // In memory everywhere, as late as can be.
    for (const server of installation.servers)
      expect(await shows(server, subjectId, name)).toBe(true);
    await vault.vault.destroy(subjectId);
    const destroyed = performance.now();
    return Promise.all(
      installation.servers.map(async (server) => {
        let last = 0;
        for (
          let asked = performance.now();
          asked < destroyed + patience;
          asked = performance.now()
        ) {
          if (!(await shows(server, subjectId, name))) return last;
          // Whatever the answer took: the key was there when it was asked for, or later.
          last = asked - destroyed;
          await sleep(50);
        }
        return last;
      }),
    );
  }

  async function openNothingLater(): Promise<void> {
    for (let round = 0; round < ROUNDS; round++)
      for (const last of await lastOpened(KEYS_CACHED_MS * 2))
        expect(last).toBeLessThan(KEYS_CACHED_MS);
  }

  test('open nothing with it five seconds later, whatever becomes of notifications', async () => {
    await start();
    let cuts = 0;
    let going = true;
    const cutting = (async () => {
      for (; going; await sleep(20)) cuts += await cutListeners();
    })();
    await openNothingLater();
    going = false;
    await cutting;
    expect(cuts).toBeGreaterThan(installation.servers.length);
    await silence();
    await openNothingLater();
  });

  test('canary: a server that relies on being told has it still', async () => {
    await start({ servers: 1, mutant: { name: 'keys-for-ever', of: 'server' } });
    await silence();
    const last = await lastOpened(KEYS_CACHED_MS + 1_500);
    expect(Math.max(...last)).toBeGreaterThan(KEYS_CACHED_MS);
  });
});
