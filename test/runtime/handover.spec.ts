import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import { type Caller, startCaller } from '../crash/caller.js';
import { Installation, type Name } from '../crash/installation.js';
import { compiled } from '../support/compiled.js';
import { until } from '../support/until.js';

jest.setTimeout(240_000);

beforeAll(() => void compiled());

describe('while people choose, with two servers and two workers', () => {
  let installation: Installation;
  let caller: Caller;
  let directory: string;
  let database: pg.Client;

  beforeAll(async () => {
    installation = await Installation.start({ servers: 2, workers: 2 });
    directory = await mkdtemp(join(tmpdir(), 'consent-ledger-handover-'));
    caller = startCaller({
      url: installation.urlOf('server-2'),
      key: installation.key,
      file: join(directory, 'acknowledged.ndjson'),
      connections: 8,
      pause: 20,
    });
    database = new pg.Client({ connectionString: installation.ownerUrl });
    await database.connect();
  });
  afterAll(async () => {
    caller.kill();
    await database.end();
    await installation.stop();
    await rm(directory, { recursive: true, force: true });
  });
  afterEach(async () => {
    for (const name of ['server-1', 'worker-1'] as const) await installation.bring(name);
  });

  /** Who drives each partition, as each process says of itself; both have some, and each partition one. */
  async function shared(): Promise<ReadonlyMap<string, readonly Name[]>> {
    let owners: ReadonlyMap<string, readonly Name[]> = new Map();
    await until('the workers share the partitions', async () => {
      owners = await installation.owners();
      const all = [...owners.values()];
      return all.every(({ length }) => length === 1) && new Set(all.flat()).size === 2;
    });
    return owners;
  }

  /** Processes that the database holds for owners of partitions. */
  async function ownersOnRecord(): Promise<readonly string[]> {
    const { rows } = await database.query<{ owner: string }>(
      `select distinct owner from projector.checkpoints
        where kind = 'projection' and owner is not null order by owner`,
    );
    return rows.map(({ owner }) => owner);
  }

  test('a worker that is told to stop gives its partitions back before it ends, and another has them', async () => {
    const before = await shared();
    expect(before.size).toBeGreaterThan(8);
    expect(await ownersOnRecord()).toHaveLength(2);
    installation.send('worker-1', 'SIGTERM');
    expect(await installation.ended('worker-1')).toBe(0);
    // Nothing is left that a lease would have to run out for.
    expect((await ownersOnRecord()).length).toBeLessThan(2);
    await until('the other one has all of them', async () =>
      [...(await installation.owners(['worker-2'])).values()].every(({ length }) => length === 1),
    );
    const served = caller.soFar().acknowledged;
    await until('people are served', () => caller.soFar().acknowledged > served + 50);
    const { rows } = await database.query<{ head: string }>(
      'select max(position) as head from ledger.events',
    );
    await until('what they said is visible', async () => {
      const { rows: behind } = await database.query(
        `select from projector.checkpoints where kind = 'projection' and position < $1`,
        [rows[0]?.head],
      );
      return behind.length === 0;
    });
  });

  test('canary: one that is killed leaves them to its lease', async () => {
    await shared();
    installation.send('worker-1', 'SIGKILL');
    expect(await installation.ended('worker-1')).toBe(null);
    expect(await ownersOnRecord()).toHaveLength(2);
  });

  test('a server that is told to stop answers every call that has begun to arrive, and takes no other', async () => {
    const calls = await Promise.all(Array.from({ length: 20 }, begin));
    installation.send('server-1', 'SIGTERM');
    await until('it takes no connection any more', () =>
      fetch(`${installation.urlOf('server-1')}/health/live`).then(
        ({ status }) => status === 503,
        () => true,
      ),
    );
    expect(await Promise.all(calls.map((finish) => finish()))).toEqual(Array(20).fill(201));
    expect(await installation.ended('server-1')).toBe(0);
  });

  test('canary: one that is killed answers none', async () => {
    const calls = await Promise.all(Array.from({ length: 5 }, begin));
    await installation.kill('server-1');
    expect(await Promise.all(calls.map((finish) => finish()))).toEqual(Array(5).fill('broke'));
  });

  /** Half of a registration is there, and the server waits for the rest. */
  async function begin(): Promise<() => Promise<number | 'broke' | undefined>> {
    const body = JSON.stringify({ source: 'web-form' });
    const call = request(`${installation.urlOf('server-1')}/v1/subjects`, {
      method: 'POST',
      agent: false,
      headers: {
        authorization: `Bearer ${installation.key}`,
        'content-type': 'application/json',
        'content-length': body.length,
        'idempotency-key': crypto.randomUUID(),
      },
    });
    const answer = new Promise<number | 'broke' | undefined>((resolve) => {
      call.on('response', (response) => resolve(response.resume().statusCode));
      call.on('error', () => resolve('broke'));
    });
    call.write(body.slice(0, 5));
    await once(call, 'socket').then(([socket]: unknown[]) =>
      once(socket as NodeJS.Socket, 'connect'),
    );
    await sleep(200);
    return () => {
      call.end(body.slice(5));
      return answer;
    };
  }
});
