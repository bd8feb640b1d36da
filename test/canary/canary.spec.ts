import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CommandBus } from '@nestjs/cqrs';
import pg from 'pg';
import type { EventCatalogue } from '#core/kernel/catalogue.js';
import { readConfig } from '#core/platform/config.js';
import { openLog } from '#core/platform/logging.js';
import { type RunningProcess, startProcess } from '#core/runtime/process.js';
import { InstallBootstrapKey } from '#domains/access/commands/install-bootstrap-key.message.js';
import { eventCatalogue, guards, SERVING } from '#domains/slices.js';
import { AppModule } from '../../apps/server/app.module.js';
import { startServer } from '../../apps/server/server.js';
import { Api } from '../support/server.js';
import { Canaries, erase, fill, type Filled, STORED } from './canaries.js';
import { encodingsOf, scan } from './scan.js';

const KEY = `clk_${'canary'.repeat(6)}`;

/** A machine of its own for a ledger with the embedded database: all that it writes lies below one directory. */
class Machine {
  readonly canaries = new Canaries();
  private log = '';
  private readonly release = [process.stdout, process.stderr].map((stream) => {
    const { write } = stream;
    // What some library says past our log is read as well.
    stream.write = ((chunk: string | Uint8Array, ...rest: never[]) => {
      this.log += Buffer.from(chunk as string).toString('utf8');
      return write.call(stream, chunk, ...rest);
    }) as typeof write;
    return () => (stream.write = write);
  });
  private process: RunningProcess | undefined;
  private readonly temporary = process.env.TMPDIR;

  private constructor(
    private readonly root: string,
    private readonly catalogue: EventCatalogue | undefined,
  ) {}

  /** `catalogue`: of a twin that does otherwise than the product; absent: the product as it is. */
  static async make(catalogue?: EventCatalogue): Promise<Machine> {
    const root = await mkdtemp(join(tmpdir(), 'consent-ledger-canary-'));
    await chmod(root, 0o711);
    await mkdir(join(root, 'tmp'));
    process.env.TMPDIR = join(root, 'tmp');
    return new Machine(root, catalogue);
  }

  async start(): Promise<{ readonly api: Api; readonly url: string }> {
    const config = readConfig({
      PORT: '0',
      LOG_LEVEL: 'trace',
      LEDGER_DATA_DIR: join(this.root, 'data'),
      LEDGER_BOOTSTRAP_KEY: KEY,
    });
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.log += chunk.toString('utf8');
        done();
      },
    });
    const logger = openLog(config.logLevel, sink);
    const { catalogue } = this;
    if (catalogue) {
      const parts = { eventCatalogue: catalogue, guards, serving: SERVING, module: AppModule.over };
      this.process = await startProcess(config, parts, logger, async (nest) => {
        await nest.get(CommandBus).execute(new InstallBootstrapKey(KEY));
      });
    } else this.process = await startServer(config, logger);
    const { url = '' } = this.process;
    return { api: new Api(url, KEY), url };
  }

  /** Everything is written to disk, and nothing writes any more. */
  async stop(): Promise<void> {
    const client = new pg.Client({ connectionString: this.process?.runtime.databaseUrl });
    await client.connect();
    await client.query('checkpoint');
    await client.end();
    await this.process?.stop();
    this.process = undefined;
    await writeFile(join(this.root, 'tmp', 'captured.log'), this.log);
  }

  async search() {
    const { root, canaries } = this;
    return { ...(await scan(root, canaries.marks)), log: this.log };
  }

  async remove(): Promise<void> {
    await this.process?.stop();
    for (const release of this.release) release();
    process.env.TMPDIR = this.temporary;
    await rm(this.root, { recursive: true, force: true });
  }
}

test('given a text in every encoding, when files are searched, then each is found', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'consent-ledger-scan-'));
  try {
    const mark = 'Zq00Ff17Mark';
    const samples: [string, Buffer][] = [
      ['plain', Buffer.from(`...${mark}Field...`)],
      ['lower', Buffer.from(mark.toLowerCase())],
      ['utf16', Buffer.from(mark, 'utf16le')],
      ['hex', Buffer.from(Buffer.from(mark).toString('hex'))],
      ['url', Buffer.from([...Buffer.from(mark)].map((byte) => `%${byte.toString(16)}`).join(''))],
      ...[0, 1, 2].flatMap((n): [string, Buffer][] => [
        [`base64-${n}`, Buffer.from(Buffer.from(`${'-'.repeat(n)}${mark}!`).toString('base64'))],
        [
          `base64url-${n}`,
          Buffer.from(Buffer.from(`${'-'.repeat(n)}${mark}!`).toString('base64url')),
        ],
      ]),
    ];
    for (const [name, bytes] of samples) await writeFile(join(directory, name), bytes);
    await writeFile(join(directory, 'innocent'), mark.slice(0, -1));
    const { findings } = await scan(directory, [mark]);
    expect(new Set(findings.map(({ file }) => file))).toEqual(
      new Set(samples.map(([name]) => name)),
    );
    expect(findings).toContainEqual({ file: 'plain', mark, encoding: 'utf-8', field: 'Field' });
    expect(encodingsOf(mark).size).toBeGreaterThan(15);
  } finally {
    await rm(directory, { recursive: true });
  }
});

describe('given a ledger with the embedded database, and personal data in every field of every call', () => {
  let machine: Machine;
  let people: Filled;

  beforeAll(async () => {
    machine = await Machine.make();
    const { api, url } = await machine.start();
    people = await fill(api, url, KEY, machine.canaries);
    await machine.stop();
  }, 90_000);
  afterAll(() => machine.remove(), 30_000);

  test('when it has stopped, then nothing of it can be read in any file or line of log', async () => {
    const { findings, bytes, files, log } = await machine.search();
    expect(findings).toEqual([]);
    // It was really looked at: a database, its log, and everything that was logged.
    expect(bytes).toBeGreaterThan(30_000_000);
    expect(files).toBeGreaterThan(500);
    expect(log.split('\n').length).toBeGreaterThan(200);
    expect(log).toContain('"level":"debug"');
    expect(log).toContain('"/v1/subjects/:id/interactions"');
  }, 60_000);

  test('when a person is forgotten and the ledger goes on, then still nothing can be read', async () => {
    const { api } = await machine.start();
    await erase(api, people.ada, machine.canaries);
    for (const path of ['', '/timeline'])
      for (const person of [people.ada, people.ben]) {
        const { status } = await api.get(`/v1/subjects/${person}${path}?reveal=true`);
        expect(status).toBe(200);
      }
    const { status } = await api.post('/v1/subjects/search', {
      contactPoint: machine.canaries.email,
    });
    expect(status).toBe(200);
    await machine.stop();
    expect((await machine.search()).findings).toEqual([]);
  }, 90_000);
});

describe('given the same ledger, but for the sealing of personal fields', () => {
  let machine: Machine;

  beforeAll(async () => {
    const unsealed = [...eventCatalogue].map(
      ([type, { sealed: _, ...rest }]) => [type, rest] as const,
    );
    machine = await Machine.make(new Map(unsealed));
    const { api, url } = await machine.start();
    await fill(api, url, KEY, machine.canaries);
    await machine.stop();
  }, 90_000);
  afterAll(() => machine.remove(), 30_000);

  test('when it is searched in the same way, then every one of them is found', async () => {
    const { findings } = await machine.search();
    const fields = new Set(findings.map(({ field }) => field));
    expect(STORED.filter((field) => !fields.has(field))).toEqual([]);
    expect(new Set(findings.map(({ mark }) => mark))).toEqual(new Set(machine.canaries.marks));
    expect(findings).toEqual(
      expect.arrayContaining([expect.objectContaining({ file: expect.stringMatching(/pg_wal/) })]),
    );
  }, 60_000);
});
