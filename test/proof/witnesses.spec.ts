import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '#core/proof/checkpoint.js';
import { flawOfConsistency, type Hash } from '#core/proof/merkle.js';
import { sha256, verifyEd25519 } from '#core/proof/node-crypto.js';
import { ProvenLog } from '#core/proof/proven-log.js';
import type { PublishedCheckpoint } from '#core/proof/published.js';
import { timestampAuthority } from '#core/proof/timestamps.js';
import {
  httpWitness,
  type Witness,
  witnessedNotes,
  witnessFile,
  type WitnessNotice,
} from '#core/proof/witnesses.js';
import { ORIGIN, ProofWorld } from './world.js';

jest.setTimeout(60_000);

let world: ProofWorld;
let directory: string;
let servers: Server[];
let failures: WitnessNotice[];
const failed = (notice: WitnessNotice) => failures.push(notice);

beforeEach(async () => {
  world = await ProofWorld.open();
  directory = await mkdtemp(join(tmpdir(), 'witness-'));
  servers = [];
  failures = [];
});
afterEach(async () => {
  for (const server of servers) server.close();
  await world.close();
  await rm(directory, { recursive: true, force: true });
});

/** A server on a free port; its answer by what it was sent. */
async function serve(
  answer: (request: IncomingMessage, body: Buffer) => { status: number; body?: string | Buffer },
): Promise<string> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { status, body } = answer(request, Buffer.concat(chunks));
      response.writeHead(status).end(body);
    });
  });
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function sealed(count: number, witness: Witness): Promise<void> {
  await world.append(count);
  await world.sealer({ witnesses: [witness] }).round();
}

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function notesIn(path: string): Promise<string[]> {
  const notes: string[] = [];
  for await (const note of witnessedNotes(path)) notes.push(note);
  return notes;
}

describe('a witness file', () => {
  test('has every checkpoint that was published, and the newest is found', async () => {
    const path = join(directory, 'below', 'checkpoints.jsonl');
    const witness = witnessFile(path, failed);
    expect(await witness.newest()).toBeUndefined();
    for (const count of [3, 300]) {
      await sealed(count, witness);
      await until(() => witness.behindSeconds() === 0);
    }
    const published: string[] = [];
    for await (const { note } of world.tables.checkpoints(ORIGIN)) published.push(note);
    expect(await notesIn(path)).toEqual(published);
    expect(await witness.newest()).toBe(published[1]);
  });

  test('a line that a crash tore is passed over', async () => {
    const path = join(directory, 'checkpoints.jsonl');
    const witness = witnessFile(path, failed);
    await sealed(3, witness);
    await until(() => witness.behindSeconds() === 0);
    const [note] = await notesIn(path);
    await appendFile(path, '\n{"checkpoint":"ledger.exam');
    expect(await witness.newest()).toBe(note);
    await sealed(3, witness);
    await until(() => witness.behindSeconds() === 0);
    expect(await notesIn(path)).toHaveLength(2);
  });

  test('a single note as it is served is one as well', async () => {
    await sealed(3, witnessFile(join(directory, 'other'), failed));
    const { note } = (await world.tables.newest(ORIGIN)) as PublishedCheckpoint;
    await writeFile(join(directory, 'checkpoint'), note);
    expect(await notesIn(join(directory, 'checkpoint'))).toEqual([note]);
    expect(await notesIn(join(directory, 'nothing'))).toEqual([]);
  });

  test('that can not be written holds nothing up, and says so until it can', async () => {
    const path = join(directory, 'checkpoints.jsonl');
    await mkdir(path);
    const witness = witnessFile(path, failed);
    await sealed(3, { ...witness, offer: witness.offer.bind(witness), newest: nothing });
    expect(await world.audited()).toMatchObject({ sealed: 3 });
    await until(() => failures.length > 0);
    expect(failures[0]).toMatchObject({ witness: 'file', size: 3 });
    expect(witness.behindSeconds()).toBeGreaterThan(0);
    await rm(path, { recursive: true });
    await until(() => witness.behindSeconds() === 0);
    expect(await notesIn(path)).toHaveLength(1);
  });
});

const nothing = () => Promise.resolve(undefined);

describe('a witness that is spoken to (c2sp.org/tlog-witness)', () => {
  /** As the specification has it, in memory. */
  function referenceWitness(state: { size: number; root: Hash }) {
    return (request: IncomingMessage, body: Buffer) => {
      if (request.method !== 'POST' || request.url !== '/add-checkpoint') return { status: 404 };
      const text = body.toString('utf8');
      const split = text.indexOf('\n\n');
      const [old, ...lines] = text.slice(0, split).split('\n');
      const trusted = { origin: ORIGIN, keys: world.keys.verifierKeys(ORIGIN) };
      const opened = openCheckpoint(verifyEd25519, text.slice(split + 2), trusted);
      if ('flaw' in opened) return { status: 403 };
      const { size, root } = opened.checkpoint;
      if (old !== `old ${state.size}`) return { status: 409, body: `${state.size}\n` };
      const proof = lines.map((line) => Buffer.from(line, 'base64'));
      const step = { from: state.size, to: size, fromRoot: state.root, toRoot: root, proof };
      const flaw = state.size === 0 ? lines[0] : flawOfConsistency(sha256, step);
      if (flaw !== undefined) return { status: 422 };
      Object.assign(state, { size, root });
      return { status: 200, body: '— witness AAAA\n' };
    };
  }

  const proofs = () => {
    const log = new ProvenLog(world.tables, world.store, ORIGIN);
    return async (from: number, to: number) =>
      log.consistency(
        (await log.ofSize(from)) as PublishedCheckpoint,
        (await log.ofSize(to)) as PublishedCheckpoint,
      );
  };

  test('is given each checkpoint with the proof that it extends the last', async () => {
    const state = { size: 0, root: new Uint8Array(0) };
    const witness = httpWitness(await serve(referenceWitness(state)), proofs(), failed);
    for (const size of [3, 303, 304]) {
      await sealed(size - state.size, witness);
      await until(() => state.size === size);
    }
    // Another process does not know how far the witness is, and asks.
    const restarted = httpWitness(await serve(referenceWitness(state)), proofs(), failed);
    await sealed(5, restarted);
    await until(() => state.size === 309);
    expect(failures).toEqual([]);
  });

  const ahead = { name: 'SealingRefused', code: 'witness-ahead' };
  /** One that is not asked, as if it could not be: it is given checkpoints all the same. */
  const unasked = (witness: Witness): Witness => ({
    name: witness.name,
    newest: witness.newest,
    ask: nothing,
    seen: () => 0,
    offer: witness.offer.bind(witness),
    behindSeconds: witness.behindSeconds.bind(witness),
    stop: witness.stop.bind(witness),
  });

  test.each([
    ['a log that has nothing signed', 0],
    ['a log that was put back', 3],
  ])('that has seen more than %s is asked first, and nothing is signed', async (_, before) => {
    if (before > 0) {
      await world.append(before);
      await world.sealer().round();
    }
    const state = { size: 1_000, root: new Uint8Array(32) };
    const url = await serve(referenceWitness(state));
    const witness = httpWitness(url, proofs(), failed);
    await world.append(2);
    const sealer = world.sealer({ witnesses: [witness] });
    for (let round = 0; round < 2; round++)
      await expect(sealer.round()).rejects.toMatchObject({
        ...ahead,
        reason: expect.stringContaining(
          `witness http has seen size 1000, the newest checkpoint known here is of size ${before}`,
        ),
      });
    expect(sealer.status().refusal).toMatchObject({ code: 'witness-ahead' });
    expect(await world.audited()).toMatchObject({ sealed: before });
    expect([state.size, failures]).toEqual([1_000, []]);

    // Its twin that asks nobody signs, and learns it too late.
    const careless = unasked(httpWitness(url, proofs(), failed));
    await world.sealer({ witnesses: [careless] }).round();
    expect(await world.audited()).toMatchObject({ sealed: before + 2 });
    await until(() => failures.length > 0);
    expect(failures[0]).toMatchObject({ size: before + 2, error: { status: 409, size: 1_000 } });
    await careless.stop();
  });

  test('that turns out to be ahead when it is given a checkpoint stops the next signature', async () => {
    const state = { size: 0, root: new Uint8Array(0) };
    const witness = httpWitness(await serve(referenceWitness(state)), proofs(), failed);
    await world.append(3);
    const sealer = world.sealer({ witnesses: [witness] });
    await sealer.round();
    await until(() => state.size === 3);
    // Another ledger under our key, which we do not know of.
    Object.assign(state, { size: 50, root: new Uint8Array(32) });
    await world.append(1);
    await sealer.round();
    await until(() => failures.length > 0);
    await world.append(1);
    await expect(sealer.round()).rejects.toMatchObject(ahead);
    expect(await world.audited()).toMatchObject({ events: 5, sealed: 4 });
    // Looked at and put right: it goes on by itself.
    const { root } = (await world.tables.newest(ORIGIN)) as PublishedCheckpoint;
    Object.assign(state, { size: 4, root });
    await sealer.round();
    expect(await world.audited()).toMatchObject({ sealed: 5 });
    await until(() => state.size === 5);
    await witness.stop();
  });

  test('that can not be reached holds nothing up', async () => {
    const witness = httpWitness('http://127.0.0.1:1', proofs(), failed);
    await sealed(3, witness);
    expect(await world.audited()).toMatchObject({ sealed: 3 });
    expect(failures[0]).toMatchObject({ witness: 'http', size: 0 });
    await witness.stop();
  });
});

const openssl = spawnSync('openssl', ['version']).status === 0;
/** Without OpenSSL's own timestamp authority there is nothing that could answer. */
(openssl ? describe : describe.skip)('a timestamp authority (RFC 3161)', () => {
  const run = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });

  beforeEach(async () => {
    const config = `
[req]
distinguished_name = name
[name]
[tsa_extensions]
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = tsa_config
[tsa_config]
serial = ./serial
signer_cert = ./cert.pem
signer_key = ./key.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
`;
    await writeFile(join(directory, 'tsa.cnf'), config);
    await writeFile(join(directory, 'serial'), '01\n');
    const request = '-x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2';
    const name = ['-subj', '/CN=tsa', '-config', 'tsa.cnf', '-extensions', 'tsa_extensions'];
    run('req', ...request.split(' '), ...name);
  });

  const authority = () =>
    serve(({ headers }, body) => {
      if (headers['content-type'] !== 'application/timestamp-query') return { status: 415 };
      execFileSync('sh', ['-c', 'cat > query.tsq'], { cwd: directory, input: body });
      run('ts', '-reply', '-config', 'tsa.cnf', '-queryfile', 'query.tsq', '-out', 'reply.tsr');
      return { status: 200, body: execFileSync('cat', ['reply.tsr'], { cwd: directory }) };
    });

  const keep = (size: number, token: Uint8Array) => world.tables.addTimestamp(ORIGIN, size, token);

  test('stamps a checkpoint so that anybody can verify it', async () => {
    const witness = timestampAuthority(await authority(), keep, failed);
    await sealed(3, witness);
    await until(() => witness.behindSeconds() === 0);
    const { rows } = await world.owner.query<{ size: string; token: Buffer }>(
      'select size, token from proof.timestamps',
    );
    expect(rows.map(({ size }) => size)).toEqual(['3']);
    const { note } = (await world.tables.newest(ORIGIN)) as PublishedCheckpoint;
    await writeFile(join(directory, 'note'), note);
    await writeFile(join(directory, 'token'), rows[0]?.token ?? '');
    const verify = ['ts', '-verify', '-data', 'note', '-in', 'token', '-CAfile', 'cert.pem'];
    expect(spawnSync('openssl', verify, { cwd: directory }).status).toBe(0);
    await writeFile(join(directory, 'note'), `${note} `);
    expect(spawnSync('openssl', verify, { cwd: directory }).status).not.toBe(0);
    // One an hour is enough.
    await sealed(3, witness);
    expect(witness.behindSeconds()).toBe(0);
  });

  test('an answer for something else, or a refusal, is none', async () => {
    const real = await authority();
    let other = Buffer.alloc(0);
    await sealed(3, timestampAuthority(real, keep, failed));
    await until(async () => {
      other = await readFile(join(directory, 'reply.tsr')).catch(() => other);
      return other.length > 0;
    });
    await world.owner.query('alter table proof.timestamps disable trigger all');
    await world.owner.query('delete from proof.timestamps');
    const witness = timestampAuthority(
      await serve(() => ({ status: 200, body: other })),
      keep,
      failed,
    );
    await sealed(3, witness);
    await until(() => failures.length > 0);
    expect(failures[0]).toMatchObject({ size: 6, error: { name: 'TimestampRefused' } });
    await witness.stop();
    const { rowCount } = await world.owner.query('select from proof.timestamps where size = 6');
    expect(rowCount).toBe(0);
  });
});
