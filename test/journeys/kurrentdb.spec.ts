import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { readConfig } from '#core/platform/config.js';
import { openLog } from '#core/platform/logging.js';
import { startServer } from '../../apps/server/server.js';
import { freshDatabase } from '../support/database.js';
import { canMakeCertificates, certificateIn } from '../support/kurrentdb/certificate.js';
import { FaultServer } from '../support/kurrentdb/fault-server.js';
import { type RunningLedger, startLedger } from '../support/server.js';
import { keptAndProved } from './kept.journey.js';
import { forgettingAda } from './forgetting-ada.journey.js';

// A server of others, or one in this very process: what is awaited are answers, not times.
jest.setTimeout(240_000);

const KEY = `clk_${randomUUID().replaceAll('-', '')}`;

const startOn = (
  url: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<RunningLedger> =>
  startLedger({
    EVENT_STORE: 'kurrentdb',
    KURRENTDB_URL: url,
    KURRENTDB_STREAM_PREFIX: `journey-${randomUUID()}-`,
    ...environment,
  });

describe('with the log on KurrentDB, as a server in this process plays it', () => {
  let server: FaultServer;
  beforeAll(async () => {
    server = await FaultServer.start();
  });
  afterAll(() => server.stop());
  const start: typeof startLedger = (environment) => startOn(server.url, environment);

  describe('given Ada, who gives her consent and wants to be forgotten', forgettingAda(start));
  describe('given some people, to those who keep and check the ledger', keptAndProved(start));

  test('a server that is too old is said to be', async () => {
    const old = await FaultServer.start({ version: '21.10.1' });
    await expect(startOn(old.url)).rejects.toThrow(
      'the KurrentDB server has version 21.10.1, 22.10 or newer is needed',
    );
    await old.stop();
  });

  test('a connection string that can not be used is said to be, without its password', async () => {
    const { url, drop } = await freshDatabase();
    const config = readConfig({
      DATABASE_URL: url,
      EVENT_STORE: 'kurrentdb',
      KURRENTDB_URL: 'esdb://ledger:hunter2@localhost:2113?tlsCAFile=/nowhere/ca.crt',
    });
    const starting = startServer(config, openLog('silent'));
    await expect(starting).rejects.toMatchObject({
      name: 'BadConfiguration',
      variables: [{ variable: 'KURRENTDB_URL', rule: expect.stringContaining('/nowhere/ca.crt') }],
    });
    await expect(starting).rejects.not.toThrow(/hunter2/);
    await drop();
  });
});

const secure = canMakeCertificates ? describe : describe.skip;

secure('with the log on a secure cluster (needs openssl to make certificates)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'consent-ledger-secure-'));
  const writer = { name: `writer-${randomUUID()}`, password: randomUUID(), admin: true };
  const reader = { name: `reader-${randomUUID()}`, password: randomUUID(), admin: false };
  let server: FaultServer;
  beforeAll(async () => {
    const certificate = certificateIn(folder);
    server = await FaultServer.start({ nodes: 3, certificate, users: [writer, reader] });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What a server says from its start to its end, where it comes that far, or why it does not. */
  async function saidBy(kurrentdbUrl: string, work?: (url: string) => Promise<void>) {
    const { url: databaseUrl, drop } = await freshDatabase();
    const said: string[] = [];
    const config = readConfig({
      PORT: '0',
      DATABASE_URL: databaseUrl,
      LEDGER_DATA_DIR: mkdtempSync(join(folder, 'data-')),
      LEDGER_BOOTSTRAP_KEY: KEY,
      EVENT_STORE: 'kurrentdb',
      KURRENTDB_URL: kurrentdbUrl,
    });
    try {
      const logger = openLog('trace', { write: (line) => void said.push(line) });
      const { url = '', stop } = await startServer(config, logger);
      await work?.(url);
      await stop();
    } catch (error) {
      said.push((error as Error).message);
    } finally {
      await drop();
    }
    const all = said.join('');
    for (const { name, password } of [writer, reader])
      expect([all.includes(name), all.includes(password)]).toEqual([false, false]);
    return all;
  }

  test('it keeps the log, and neither user nor password is in any line, also where it fails', async () => {
    const said = await saidBy(server.url, async (url) => {
      const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
      const register = () =>
        fetch(`${url}/v1/subjects`, {
          method: 'POST',
          headers: { ...headers, 'idempotency-key': randomUUID() },
          body: JSON.stringify({ source: 'web-form' }),
        });
      expect((await register()).status).toBe(201);
      server.faults.set({ kind: 'silent' });
      expect((await register()).status).toBe(503);
      server.faults.clear();
    });
    expect(said).toContain('24.10.14');
    expect(said).toContain('"status":503');
  });

  const as = (user: { readonly name: string; readonly password: string }) =>
    server.url.replace(/\/\/.*@/, `//${user.name}:${user.password}@`);

  test('an authority that has not signed its certificate is named as the reason', async () => {
    const other = certificateIn(mkdtempSync(join(folder, 'other-')));
    const url = server.url.replace(/tlsCAFile=[^&]*/, `tlsCAFile=${other.file}`);
    const reason = /can not be reached: .*(self.signed certificate|unable to verify)/;
    expect(await saidBy(url)).toMatch(reason);
    expect(await saidBy(url.replace(/,[^?]*/, ''))).toMatch(reason);
  });

  test.each([
    ['a wrong password', () => as({ ...writer, password: randomUUID() })],
    ['a user who may not read the log', () => as(reader)],
    ['no user', () => server.url.replace(/\/\/.*@/, '//')],
  ])('%s is said to be the reason', async (_who, url) => {
    expect(await saidBy(url())).toMatch(/does not let this user do it, or does not know/);
  });
});

const url = process.env.KURRENTDB_URL;

if (url)
  describe('with the log on the KurrentDB server of KURRENTDB_URL', () => {
    const start: typeof startLedger = (environment) => startOn(url, environment);
    describe('given Ada, who gives her consent and wants to be forgotten', forgettingAda(start));
    describe('given some people, to those who keep and check the ledger', keptAndProved(start));
  });
