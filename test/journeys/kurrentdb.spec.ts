import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { readConfig } from '#core/platform/config.js';
import { openLog } from '#core/platform/logging.js';
import { startServer } from '../../apps/server/server.js';
import { freshDatabase } from '../support/database.js';
import { FaultServer } from '../support/kurrentdb/fault-server.js';
import { type RunningLedger, startLedger } from '../support/server.js';
import { forgettingAda } from './main.journey.js';

// A server of others, or one in this very process: what is awaited are answers, not times.
jest.setTimeout(60_000);

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

const url = process.env.KURRENTDB_URL;

if (url)
  describe('with the log on the KurrentDB server of KURRENTDB_URL', () => {
    const start: typeof startLedger = (environment) => startOn(url, environment);
    describe('given Ada, who gives her consent and wants to be forgotten', forgettingAda(start));
  });
