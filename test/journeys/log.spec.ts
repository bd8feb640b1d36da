import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newId } from '#core/kernel/ids.js';
import { parseCheckpoint } from '#core/proof/checkpoint.js';
import { fromBase64 } from '#core/proof/encoding.js';
import {
  flawOfConsistency,
  Frontier,
  type Hash,
  leafHash,
  splitHashes,
} from '#core/proof/merkle.js';
import { sha256, verifyEd25519 } from '#core/proof/node-crypto.js';
import { openNote, parseVerifierKey, type VerifierKey } from '#core/proof/note.js';
import { type Tile, tilePath, widthAt } from '#core/proof/tiles.js';
import { openTlogProof } from '#core/proof/tlog-proof.js';
import type { Problem, Receipt } from '../support/answers.js';
import { entriesIn } from '../support/entry-bundle.js';
import { type RunningLedger, startLedger } from '../support/server.js';
import { until } from '../support/until.js';

interface Inclusion {
  readonly index: number;
  readonly position: string;
  readonly leafHash: string;
  readonly size: number;
  readonly root: string;
  readonly hashes: readonly string[];
  readonly checkpoint: string;
  readonly tlogProof: string;
}

interface Growth {
  readonly from: { readonly size: number; readonly root: string };
  readonly to: { readonly size: number; readonly root: string };
  readonly hashes: readonly string[];
  readonly checkpoint: string;
}

const decoded = (text: string) => fromBase64(text) as Uint8Array;

/** Somebody outside has an origin and a key in hand, HTTP, and the published formats. */
describe('given a ledger that seals', () => {
  let ledger: RunningLedger;
  let trusted: { readonly origin: string; readonly keys: readonly VerifierKey[] };
  let earlier: string;

  const bytesOf = async (path: string): Promise<Uint8Array> => {
    const response = await fetch(`${ledger.url}/v1/log/${path}`, {
      headers: { authorization: `Bearer ${ledger.key}` },
    });
    expect([path, response.status]).toEqual([path, 200]);
    return new Uint8Array(await response.arrayBuffer());
  };
  const newest = async () => (await ledger.api.get('/v1/log/checkpoint')).text;
  /** What was signed, by a key that is trusted. */
  const opened = (note: string) => {
    const { text = '' } = openNote(verifyEd25519, note, trusted.keys) as { text?: string };
    const checkpoint = parseCheckpoint(text);
    if (checkpoint?.origin !== trusted.origin) throw new Error(`no checkpoint of ours: ${note}`);
    return checkpoint;
  };
  /** A note that covers everything recorded so far. */
  const sealed = async () => {
    const size = Number(await ledger.head());
    let note = '';
    await until('everything is sealed', async () => {
      note = await newest();
      return note.startsWith(trusted.origin) && opened(note).size >= size;
    });
    return note;
  };
  const register = async (count: number) => {
    const replies = await Promise.all(
      Array.from({ length: count }, () =>
        ledger.api.post<Receipt>('/v1/subjects', { source: 'web-form', name: 'Ada Lovelace' }),
      ),
    );
    return replies.map(({ body }) => body);
  };
  /** Events as the tree has them, by leaf. */
  const entries = async (size: number) => {
    const all: Uint8Array[] = [];
    for (let index = 0; widthAt(size, 0, index) > 0; index++) {
      const tile: Tile = { level: 'entries', index, width: widthAt(size, 0, index) };
      all.push(...(entriesIn(await bytesOf(`tile/${tilePath(tile)}`)) ?? []));
    }
    return all;
  };
  const prove = <Proof>(asked: object) => ledger.api.post<Proof>('/v1/log/proofs', asked);

  beforeAll(async () => {
    ledger = await startLedger();
    const { keys, origin } = ledger.runtime.proof;
    await until('a key signs', () => keys.living(origin).length > 0);
    trusted = { origin, keys: keys.verifierKeys(origin) };
    earlier = await sealed();
    for (let round = 0; round < 4; round++) await register(80);
    await sealed();
  }, 60_000);
  afterAll(() => ledger.stop(), 20_000);

  test('then the checkpoint is signed by the key in hand, and nobody keeps it', async () => {
    const answer = await ledger.api.get('/v1/log/checkpoint');
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'private, no-cache',
    });
    expect(opened(answer.text).size).toBeGreaterThan(320);
  });

  test('then the keys are named, with the time from which on they sign', async () => {
    const { body } = await ledger.api.get<{
      origin: string;
      keys: { verifierKey: string; from: string }[];
    }>('/v1/log/keys');
    expect(body.origin).toBe(trusted.origin);
    expect(body.keys.map(({ verifierKey }) => parseVerifierKey(sha256, verifierKey))).toEqual(
      trusted.keys,
    );
    expect(body.keys).toEqual([{ verifierKey: expect.any(String), from: expect.any(String) }]);
  });

  test('then the bundles of events lead to the signed root, and so do the tiles', async () => {
    const { size, root } = opened(await newest());
    const leaves = (await entries(size)).map((bytes) => leafHash(sha256, bytes));
    const tree = new Frontier(sha256);
    const formed: Hash[] = [];
    for (const leaf of leaves)
      tree.append(leaf, (level, hash) => {
        if (level === 8) formed.push(hash);
      });
    expect(Buffer.from(tree.root())).toEqual(Buffer.from(root));
    const full = await bytesOf('tile/0/000');
    expect(splitHashes(full).map((hash) => Buffer.from(hash))).toEqual(
      leaves.slice(0, 256).map((hash) => Buffer.from(hash)),
    );
    const above = await bytesOf(`tile/1/000.p/${widthAt(size, 1, 0)}`);
    expect(Buffer.from(above)).toEqual(Buffer.concat(formed));
  });

  test('then a tile may be kept for ever, whatever its width, and one that is not there is not found', async () => {
    const call = (path: string) => ledger.api.get<Problem>(`/v1/log/tile/${path}`);
    for (const path of ['0/000', '0/001.p/1', 'entries/000.p/255']) {
      const { status, headers } = await call(path);
      expect([path, status]).toEqual([path, 200]);
      expect(headers).toMatchObject({
        'content-type': 'application/octet-stream',
        'cache-control': 'private, max-age=31536000, immutable',
      });
    }
    expect(await bytesOf('tile/0/001.p/7')).toHaveLength(7 * 32);
    for (const path of [
      '0/001',
      '0/001.p/255',
      '0/x001/000',
      '2/000.p/1',
      '64/000',
      '00/000',
      '0/0',
      '0/000.p/0',
      '0/000.p/256',
      '0/000.p/01',
      'entries/002.p/1',
      'entries',
      '0',
      '0/000/',
      '..%2f..%2fcheckpoint',
    ]) {
      const { status, body, headers } = await call(path);
      expect([path, status, body.code]).toEqual([path, 404, 'unknown-tile']);
      expect(headers['cache-control']).toBe('no-store');
    }
  });

  test('then events are for who may see all of them', async () => {
    const key = await ledger.keyWith('evidence:read', 'events:read');
    const refused = await ledger.api.get<Problem>('/v1/log/tile/entries/000', { key });
    expect([refused.status, refused.body.code]).toEqual([403, 'scope-missing']);
    expect((await ledger.api.get('/v1/log/tile/0/000', { key })).status).toBe(200);
    const both = await ledger.keyWith('evidence:read', 'audit:read');
    expect((await ledger.api.get('/v1/log/tile/entries/000', { key: both })).status).toBe(200);
  });

  test('then an event is proved by its number, its position, and its id, from the line of the feed', async () => {
    const [receipt] = await register(1);
    await sealed();
    const [event] = receipt?.events ?? [];
    const position = receipt?.position ?? '';
    const { text } = await ledger.api.get(`/v1/events?after=${Number(position) - 1}`);
    const line = text.split('\n')[0] ?? '';
    const stored = Buffer.from(line.replace(/,"position":"\d+"\}$/, '}'));
    const { body: byPosition } = await prove<Inclusion>({ position });
    const { index } = byPosition;
    const { body: byIndex } = await prove<Inclusion>({ index, size: byPosition.size });
    const { body: byId } = await prove<Inclusion>({
      eventId: event?.id,
      subjectId: receipt?.subjectId,
      size: byPosition.size,
    });
    expect(byIndex).toEqual(byPosition);
    expect(byId).toEqual(byPosition);
    expect(decoded(byPosition.leafHash)).toEqual(new Uint8Array(leafHash(sha256, stored)));
    const proven = openTlogProof(
      { sha256, verify: verifyEd25519 },
      byPosition.tlogProof,
      stored,
      trusted,
    );
    expect(proven).toMatchObject({ index, checkpoint: { size: byPosition.size } });
    stored[10] = (stored[10] as number) ^ 1;
    expect(
      openTlogProof({ sha256, verify: verifyEd25519 }, byPosition.tlogProof, stored, trusted),
    ).toHaveProperty('flaw');
  });

  test('then the checkpoint that was kept is proved to be the beginning of what there is now', async () => {
    const old = opened(earlier);
    const { body } = await prove<Growth>({ from: old.size });
    const now = opened(body.checkpoint);
    expect([body.from.size, body.to.size]).toEqual([old.size, now.size]);
    const growth = { from: old.size, to: now.size, fromRoot: old.root, toRoot: now.root };
    const proof = body.hashes.map(decoded);
    expect(flawOfConsistency(sha256, { ...growth, proof })).toBeUndefined();
    const other = { ...growth, fromRoot: leafHash(sha256, old.root) };
    expect(flawOfConsistency(sha256, { ...other, proof })).toContain('leads to root');
    const { body: same } = await prove<Growth>({ from: now.size, to: now.size });
    expect(same).toMatchObject({ from: same.to, hashes: [] });
  });

  test.each([
    ['a number that is no leaf yet', { index: 1_000_000 }, '/index', 'not-in-tree'],
    ['a checkpoint that there was not', { index: 0, size: 999_999 }, '/size', 'unknown-checkpoint'],
    ['a position that is none', { position: '999999' }, '/position', 'unknown-event'],
    ['the place before everything', { position: '0' }, '/position', 'unknown-event'],
    ['a size before everything', { from: 0 }, '/from', undefined],
    ['a size that is none yet', { from: 999_999 }, '/from', 'size-beyond-checkpoint'],
    ['a growth to no checkpoint', { from: 1, to: 999_999 }, '/to', 'unknown-checkpoint'],
    ['two questions at once', { index: 0, from: 1 }, undefined, undefined],
    ['no question', {}, undefined, undefined],
  ])('then %s is refused', async (_, asked, pointer, code) => {
    const { status, body } = await prove<Problem>(asked);
    expect(status).toBe(422);
    if (code !== undefined) expect(body.code).toBe(code);
    if (pointer !== undefined) expect(body.errors?.[0]?.pointer).toBe(pointer);
  });

  test('then an event of nobody, and one recorded after the checkpoint, are told apart', async () => {
    const [receipt] = await register(1);
    const asked = { eventId: receipt?.events[0]?.id, subjectId: receipt?.subjectId };
    const unknown = await prove<Problem>({ ...asked, eventId: newId('evt') });
    expect([unknown.status, unknown.body.code]).toEqual([422, 'unknown-event']);
    const size = opened(earlier).size;
    await sealed();
    const refused = await prove<Problem>({ ...asked, size });
    expect([refused.body.code, refused.body.errors?.[0]?.pointer]).toEqual([
      'not-in-tree',
      '/size',
    ]);
  });

  test('then a key that is replaced is named with its end, and what it signed still holds', async () => {
    const { keys, origin, tables } = ledger.runtime.proof;
    const [first] = keys.living(origin);
    const now = new Date().toISOString() as Parameters<typeof keys.add>[1];
    await keys.add(origin, now);
    await keys.retire(origin, Buffer.from(first?.id ?? []).toString('hex'), now);
    await register(1);
    await until(
      'a checkpoint has the new key',
      async () => (await tables.keys(origin)).length === 2,
    );
    const { body } = await ledger.api.get<{ keys: { verifierKey: string; until?: string }[] }>(
      '/v1/log/keys',
    );
    expect(body.keys.map(({ until: end }) => end)).toEqual([now, undefined]);
    expect(opened(earlier).origin).toBe(origin);
    const [, second] = keys.verifierKeys(origin);
    let note = '';
    await until('it signs alone', async () => {
      note = await newest();
      return 'flaw' in openNote(verifyEd25519, note, trusted.keys);
    });
    expect(openNote(verifyEd25519, note, [second as VerifierKey])).toMatchObject({
      signedBy: [second],
    });
  });
});
