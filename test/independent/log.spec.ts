import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Receipt } from '../support/answers.js';
import { type RunningLedger, startLedger } from '../support/server.js';
import { until } from '../support/until.js';
import {
  type Cut,
  programWithout,
  type Signer,
  signerIn,
  verify,
  workingFolder,
} from './program.js';

// Many processes, on a machine that others use as well.
jest.setTimeout(120_000);

const root = workingFolder();
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** More than two tiles and less than three, so that there are full ones, partial ones, and two levels. */
const PEOPLE = 600;

describe('given a log of several tiles, read over HTTP', () => {
  const directory = join(root, 'data');
  const kept = join(root, 'kept');
  let ledger: RunningLedger;
  let signer: Signer;

  const checkpoint = async () => (await ledger.api.get('/v1/log/checkpoint')).text;
  const check = (prefix: string, more: readonly string[] = [], program?: string) => {
    const trusted = ['--key', signer.verifierKey, '--token', ledger.key];
    return verify(['log', prefix, ...trusted, ...more], program);
  };

  beforeAll(async () => {
    ledger = await startLedger({ LEDGER_DATA_DIR: directory });
    signer = signerIn(directory);
    const people = Array.from({ length: PEOPLE }, (_, n) => ({
      type: 'register',
      source: 'import',
      externalRef: { system: 'shop', id: `${n}` },
    }));
    const { body: lines } = await ledger.api.lines<{ receiptId?: string }>(
      '/v1/interactions/bulk',
      people,
      { idempotencyKey: null },
    );
    expect(lines.flatMap(({ receiptId }) => receiptId ?? [])).toHaveLength(PEOPLE);
    await until('the log is sealed', async () => {
      return Number((await checkpoint()).split('\n')[1]) > PEOPLE;
    });
    writeFileSync(kept, await checkpoint());
    await ledger.api.post<Receipt>('/v1/subjects', { source: 'web-form' });
    const before = await checkpoint();
    await until('the log is sealed again', async () => (await checkpoint()) !== before);
  }, 120_000);
  afterAll(() => ledger.stop(), 20_000);

  test('every event, every tile, the root, and what was kept of it agree', async () => {
    const { code, holds, fails } = await check(`${ledger.url}/v1/log`, ['--against', kept]);
    expect([code, fails]).toEqual([0, {}]);
    expect(Object.keys(holds)).toEqual(['checkpoint', 'tiles', 'root', 'consistency']);
    // Two full tiles and one of level 0, one of level 1.
    expect(holds.tiles).toMatch(/^4 hash tiles are those of the 6\d\d events$/);
  });

  test('a proof of consistency that the ledger gives leads from any size to the newest', async () => {
    const from = Number((await checkpoint()).split('\n')[1]) - 1;
    const { body } = await ledger.api.post<{
      from: { root: string };
      hashes: string[];
      checkpoint: string;
    }>('/v1/log/proofs', { from }, { idempotencyKey: null });
    const sent = join(root, 'sent');
    writeFileSync(sent, [`old ${from}`, ...body.hashes, '', body.checkpoint].join('\n'));
    const earlier = join(root, 'earlier');
    writeFileSync(earlier, signer.sign(`${signer.name}\n${from}\n${body.from.root}\n`));
    const asked = ['--key', signer.verifierKey, '--against', earlier];
    expect(await verify(['checkpoint', sent, ...asked])).toMatchObject({ code: 0, fails: {} });
  });

  test.each([
    ['nobody listens', 'http://127.0.0.1:1/v1/log'],
    ['no log is there', () => `${ledger.url}/v1/elsewhere`],
  ])('where %s, nothing could be checked', async (_, prefix) => {
    const verdict = await check(typeof prefix === 'string' ? prefix : prefix());
    expect(verdict).toMatchObject({ code: 2, holds: {}, fails: {} });
  });

  describe('by way of somebody who changes what it answers', () => {
    type Change = (bytes: Buffer) => Buffer;
    let between: Server | undefined;
    afterEach(async () => {
      between?.closeAllConnections();
      await new Promise((resolve) => (between ? between.close(resolve) : resolve(undefined)));
    });

    const through = async (path: RegExp, change: Change): Promise<string> => {
      between = createServer((asked, answer) => {
        void fetch(ledger.url + asked.url, {
          headers: { authorization: asked.headers.authorization ?? '' },
        }).then(async (found) => {
          const bytes = Buffer.from(await found.arrayBuffer());
          const changes = found.ok && path.test(asked.url ?? '');
          answer.writeHead(found.status).end(changes ? change(bytes) : bytes);
        });
      });
      await new Promise<void>((resolve) => between?.listen(0, '127.0.0.1', resolve));
      return `http://127.0.0.1:${(between?.address() as AddressInfo).port}/v1/log`;
    };
    const flipped = (at: number): Change => {
      return (bytes) => Buffer.from(bytes.map((byte, n) => (n === at ? byte ^ 1 : byte)));
    };

    const TILES: Cut = ['log.mjs', '!found.equals(Buffer.concat(hashes))', 'false'];
    const ROOT: Cut = ['log.mjs', '!roots.last.equals(checkpoint.root)', 'false'];

    test.each<[what: string, path: RegExp, change: Change]>([
      ['a hash of a full tile', /tile\/0\/001$/, flipped(40)],
      ['a hash of a partial tile', /tile\/0\/002\.p/, flipped(0)],
      ['a hash of the level above', /tile\/1\//, flipped(33)],
    ])('%s is found, and by nothing if tiles are not compared', async (_, path, change) => {
      const prefix = await through(path, change);
      const verdict = await check(prefix);
      expect([verdict.code, Object.keys(verdict.fails)]).toEqual([1, ['tiles']]);
      const mutant = programWithout(TILES, root);
      expect(await check(prefix, [], mutant)).toMatchObject({ code: 0, fails: {} });
    });

    test('a letter of an event is found by its tile, and without that by the root', async () => {
      const prefix = await through(/tile\/entries\/001$/, flipped(300));
      expect(await check(prefix)).toMatchObject({ code: 1, fails: { tiles: expect.any(String) } });
      const withoutTiles = programWithout(TILES, root);
      expect(await check(prefix, [], withoutTiles)).toMatchObject({
        code: 1,
        fails: { root: expect.any(String) },
      });
    });

    test('another root under the right key is found by the root alone', async () => {
      const other = Buffer.alloc(32, 1).toString('base64');
      const prefix = await through(/checkpoint$/, (bytes) => {
        const [origin, size] = bytes.toString().split('\n');
        return Buffer.from(signer.sign(`${origin}\n${size}\n${other}\n`));
      });
      const verdict = await check(prefix);
      expect([verdict.code, Object.keys(verdict.fails)]).toEqual([1, ['root']]);
      const mutant = programWithout(ROOT, root);
      expect(await check(prefix, [], mutant)).toMatchObject({ code: 0, fails: {} });
    });

    test('another checkpoint than the one that was kept is found', async () => {
      const [origin, size] = (await checkpoint()).split('\n');
      const other = join(root, 'other');
      const hash = Buffer.alloc(32, 1).toString('base64');
      writeFileSync(other, signer.sign(`${origin}\n${Number(size) - 1}\n${hash}\n`));
      const verdict = await check(`${ledger.url}/v1/log`, ['--against', other]);
      expect([verdict.code, Object.keys(verdict.fails)]).toEqual([1, ['consistency']]);
    });
  });
});
