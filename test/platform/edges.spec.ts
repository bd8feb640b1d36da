import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import type { Position } from '#core/kernel/position.js';
import { Batch } from '#core/platform/batch.js';
import { BadConfiguration, readConfig, VARIABLES } from '#core/platform/config.js';
import { decodeCursor, encodeCursor, pageOf } from '#core/platform/http/cursor.js';
import {
  encodeConsistencyToken,
  lastExpected,
  parseConsistencyToken,
  parseIfMatch,
} from '#core/platform/http/preconditions.js';
import { canonicalLanguage } from '#core/platform/http/validators.js';
import { listenPort, PortTaken } from '#core/platform/listen-port.js';

describe('configuration', () => {
  it('has defaults for everything', () => {
    const config = readConfig({ DATABASE_URL: '' });
    expect(config).toMatchObject({
      port: undefined,
      host: '127.0.0.1',
      logLevel: 'info',
      databaseUrl: undefined,
      eventStore: 'postgres',
      kurrentdbStreamPrefix: 'consent-',
      defaultRegion: undefined,
    });
    expect([...config.roles]).toEqual(['api', 'projector', 'sealer', 'jobs']);
    expect(config.dataDirectory).toMatch(/\/data$/);
  });

  it('reads every variable', () => {
    expect(
      readConfig({
        PORT: '0',
        DATABASE_URL: 'postgres://u:p@/ledger?host=/run/postgresql',
        EVENT_STORE: 'kurrentdb',
        KURRENTDB_URL: 'kurrentdb://a:2113,b:2113,c:2113?tls=false',
        KURRENTDB_STREAM_PREFIX: 'test-',
        VAULT_DATABASE_URL: 'postgresql://u:p@vault/vault',
        VAULT_KEY_FILE: '/keys',
        LEDGER_ROLES: 'api, jobs',
        LEDGER_DEFAULT_REGION: 'DE',
        LEDGER_BOOTSTRAP_KEY: `clk_${'a'.repeat(32)}`,
        LEDGER_URL: 'https://ledger.example.org/',
      }),
    ).toMatchObject({
      port: 0,
      host: '0.0.0.0',
      kurrentdbUrl: 'esdb://a:2113,b:2113,c:2113?tls=false',
      roles: new Set(['api', 'jobs']),
      ledgerUrl: 'https://ledger.example.org',
    });
  });

  it('names every bad variable at once, and no value', () => {
    const bad = {
      PORT: '70000',
      DATABASE_URL: 'mysql://u:secret@x',
      LEDGER_ROLES: 'api,secret',
      LEDGER_BOOTSTRAP_KEY: 'clk_secret',
      LEDGER_DEFAULT_REGION: 'Deutschland',
      EVENT_STORE: 'kurrentdb',
      LOG_LEVEL: 'loud',
    };
    let thrown: unknown;
    try {
      readConfig(bad);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(BadConfiguration);
    const { variables, message } = thrown as BadConfiguration;
    expect(variables.map(({ variable }) => variable).sort()).toEqual(
      [...Object.keys(bad).filter((name) => name !== 'EVENT_STORE'), 'KURRENTDB_URL'].sort(),
    );
    expect(message).not.toMatch(/secret|70000|Deutschland|loud/);
  });

  it('is listed whole in .env.example', async () => {
    const listed = (await readFile('.env.example', 'utf8')).matchAll(/^#([A-Z_]+)=/gm);
    expect([...listed].map(([, name]) => name).sort()).toEqual([...VARIABLES].sort());
  });

  it('shows no secret when printed', () => {
    const config = readConfig({ DATABASE_URL: 'postgres://u:secret@x/y' });
    expect(JSON.stringify(config)).not.toContain('secret');
  });
});

describe('the port', () => {
  const on = async (port: number): Promise<ReturnType<typeof createServer>> => {
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    return server;
  };
  const open: ReturnType<typeof createServer>[] = [];
  const listen = async (port: number) => {
    const server = await on(port);
    open.push(server);
    return (server.address() as { port: number }).port;
  };

  it('is the one that was given, or an error that names it', async () => {
    const taken = await on(0);
    const { port } = taken.address() as { port: number };
    await expect(listenPort({ port, host: '127.0.0.1' }, listen)).rejects.toThrow(PortTaken);
    await expect(listenPort({ port, host: '127.0.0.1' }, listen)).rejects.toThrow(`PORT ${port}`);
    taken.close();
  });

  it('is the next free one where none was given', async () => {
    const tried: number[] = [];
    const busy = async (port: number) => {
      tried.push(port);
      await Promise.resolve();
      if (port < 3002) throw Object.assign(new Error('taken'), { code: 'EADDRINUSE' });
      return port;
    };
    const { port, notice } = await listenPort({ port: undefined, host: '127.0.0.1' }, busy);
    expect([port, tried]).toEqual([3002, [3000, 3001, 3002]]);
    expect(notice).toContain('3002');
    for (const server of open) server.close();
  });
});

describe('preconditions', () => {
  it('read If-Match', () => {
    expect(parseIfMatch(undefined)).toBeUndefined();
    expect(parseIfMatch('*')).toEqual({ kind: 'any' });
    expect(parseIfMatch('"12"')).toEqual({ kind: 'one-of', revisions: [12] });
    expect(parseIfMatch('"12" ,"13","other"')).toEqual({ kind: 'one-of', revisions: [12, 13] });
    for (const bad of ['12', 'W/"12"', '', '"12', '"12" "13"', '"12",', '"a b"'])
      expect(() => parseIfMatch(bad)).toThrow('if-match-malformed');
  });

  it('give a command the highest of the revisions', () => {
    expect(
      [parseIfMatch('"1","2"'), parseIfMatch('"x"'), parseIfMatch('*')].map(lastExpected),
    ).toEqual([2, -1, undefined]);
  });

  it('read consistency tokens, and only those', () => {
    const token = encodeConsistencyToken('123' as Position);
    expect(parseConsistencyToken(token)).toBe('123');
    for (const bad of ['', '123', `${token}=`, 'MDEy', Buffer.from('-1').toString('base64url')])
      expect(() => parseConsistencyToken(bad)).toThrow('consistency-token-malformed');
  });
});

describe('cursors', () => {
  it('belong to their list and its filters', () => {
    const cursor = encodeCursor('timeline', { purpose: 'a', asOf: undefined }, ['42']);
    expect(decodeCursor('timeline', { purpose: 'a' }, cursor)).toEqual(['42']);
    expect(decodeCursor('timeline', { purpose: 'a' }, undefined)).toBeUndefined();
    for (const [list, filters] of [
      ['timeline', { purpose: 'b' }],
      ['timeline', {}],
      ['purposes', { purpose: 'a' }],
    ] as const)
      expect(() => decodeCursor(list, filters, cursor)).toThrow('cursor-mismatch');
    for (const bad of ['', 'x', `${cursor}=`, Buffer.from('["a"]').toString('base64url')])
      expect(() => decodeCursor('timeline', {}, bad)).toThrow('cursor-malformed');
  });

  it('are given where there is more', () => {
    const after = (last: number) => `after ${last}`;
    expect(pageOf([1, 2, 3], 2, after)).toEqual({ data: [1, 2], page: { next: 'after 2' } });
    expect(pageOf([1, 2], 2, after)).toEqual({ data: [1, 2], page: {} });
    expect(pageOf([], 2, after)).toEqual({ data: [], page: {} });
  });
});

describe('batches', () => {
  it('gather what comes together, keep equal keys apart and answer in order', async () => {
    const sent: string[][] = [];
    const batch = new Batch<string, string>(
      async (asked) => {
        sent.push([...asked]);
        await Promise.resolve();
        if (asked.includes('bad')) throw new Error('refused');
        return asked.map((one) => one.toUpperCase());
      },
      (asked) => asked,
      3,
    );
    const answers = await Promise.allSettled(
      ['a', 'b', 'a', 'c', 'd', 'bad'].map((one) => batch.add(one)),
    );
    expect(sent).toEqual([
      ['a', 'b', 'c'],
      ['a', 'd', 'bad'],
    ]);
    expect(answers.map((one) => (one.status === 'fulfilled' ? one.value : 'refused'))).toEqual([
      'A',
      'B',
      'refused',
      'C',
      'refused',
      'refused',
    ]);
    expect(await batch.add('x')).toBe('X');
  });
});

it('knows languages', () => {
  expect(
    ['de', 'DE-at', 'zh-hant-tw', 'x', 'de_DE', 'german!', '', 'de-'].map(canonicalLanguage),
  ).toEqual(['de', 'de-AT', 'zh-Hant-TW', undefined, undefined, undefined, undefined, undefined]);
});
