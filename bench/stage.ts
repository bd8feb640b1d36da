import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import type { LoadAsked, LoadDone } from './load.js';
import { appFile, nodeOptionsIn, run, startApp, type Started, startOwn } from './processes.js';

/** How much is measured. */
export interface Size {
  readonly name: string;
  readonly rounds: number;
  /** Of one sample under load. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** People who give consent and are asked about under load. */
  readonly people: number;
  /** Events in the ledgers that questions about everybody are asked of. */
  readonly events: number;
  /** Events of the small ledger that the large one is compared with. */
  readonly fewEvents: number;
  /** Questions of one batch. */
  readonly questions: number;
}

export const SIZES = {
  /** To see that everything works; its figures mean nothing. */
  tiny: size('tiny', 1, 2, 0.2, 50, 500, 200, 200),
  small: size('small', 3, 4, 1, 20_000, 100_000, 10_000, 20_000),
  full: size('full', 5, 8, 2, 50_000, 1_000_000, 10_000, 100_000),
} as const satisfies Record<string, Size>;

function size(
  name: string,
  rounds: number,
  seconds: number,
  warmUpSeconds: number,
  people: number,
  events: number,
  fewEvents: number,
  questions: number,
): Size {
  return { name, rounds, seconds, warmUpSeconds, people, events, fewEvents, questions };
}

const { scripts } = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8'),
) as { scripts: { start: string } };

/** What `npm start` tells node. */
const startOptions = nodeOptionsIn(scripts.start);

/** That the load comes over; so many requests are under way at once. */
export const CONNECTIONS = 64;

/** A server of the product, as `npm start` starts it: all roles in one process, everything on. */
export interface Server {
  readonly url: string;
  readonly key: string;
  readonly pid: number;
  readonly directory: string;
  /** Its own embedded PostgreSQL, as superuser: references measure in databases beside the product's. */
  readonly databaseUrl: string;
  stop(): Promise<void>;
}

/** What rows measure with. Whatever was started here ends with the stage. */
export class Stage {
  private readonly opened: (() => Promise<unknown>)[] = [];
  private generator: Promise<Started<string>> | undefined;

  /** `directory`: ledgers that took long to make are kept there for the next run. */
  constructor(
    readonly size: Size,
    readonly directory: string,
    readonly say: (text: string) => void,
  ) {}

  /**
   * A server on a data directory of this name below the stage's, with what an earlier run has left there; `more`: further
   * settings.
   */
  async server(name: string, more: Readonly<Record<string, string>> = {}): Promise<Server> {
    const directory = join(this.directory, name);
    await mkdir(directory, { recursive: true });
    const environment = { LEDGER_DATA_DIR: directory, PORT: '0', ...more };
    const logFile = join(directory, 'server.log');
    const nodeOptions = [...startOptions, ...(process.env.BENCH_NODE_OPTIONS?.split(' ') ?? [])];
    const started = await startApp<{ url: string; key: string }>('server', {
      environment,
      logFile,
      nodeOptions,
    });
    this.opened.push(() => started.stop());
    const announced = JSON.parse(await readFile(join(directory, 'server.json'), 'utf8')) as {
      databaseUrl: string;
    };
    const { process: child, ready, stop } = started;
    const { databaseUrl } = announced;
    return { ...ready, pid: child.pid as number, directory, databaseUrl, stop };
  }

  /** A server on an empty ledger. */
  async emptyServer(name: string, more?: Readonly<Record<string, string>>): Promise<Server> {
    await rm(join(this.directory, name), { recursive: true, force: true });
    return this.server(name, more);
  }

  /** A server on a ledger of so many events, which is made where it is not there yet. */
  async ledger(events: number): Promise<Server> {
    const name = `ledger-${events}`;
    const seeded = join(this.directory, name, 'seeded');
    const server = await this.server(name);
    if (existsSync(seeded)) return server;
    this.say(`  making a ledger of ${events} events`);
    const { url, key } = server;
    const environment = { LEDGER_URL: url, LEDGER_API_KEY: key };
    await run(appFile('ledgerctl'), ['seed', '--events', String(events)], environment);
    await writeFile(seeded, '');
    return server;
  }

  /** An empty database beside the product's, in the same PostgreSQL. */
  async database(server: Server, name: string): Promise<string> {
    const url = server.databaseUrl.replace('/postgres?', `/${name}?`);
    await sql(server.databaseUrl, `drop database if exists ${name} with (force)`);
    await sql(server.databaseUrl, `create database ${name}`);
    return url;
  }

  /** A process of the bench that ends with the stage. */
  async reference<Ready>(file: string, ...args: readonly string[]): Promise<Started<Ready>> {
    const started = await startOwn<Ready>(join('references', file), { args });
    this.opened.push(() => started.stop());
    return started;
  }

  /**
   * The same for a program with packages of its own, `references/<folder>/<file>`, which are installed
   * beside it where they are not yet.
   */
  async referenceWithPackages<Ready>(
    folder: string,
    file: string,
    ...args: readonly string[]
  ): Promise<Started<Ready>> {
    const cwd = join(import.meta.dirname, 'references', folder);
    if (!existsSync(join(cwd, 'node_modules', '.package-lock.json'))) {
      this.say(`  installing the packages of ${folder}`);
      execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd, stdio: 'ignore' });
    }
    return this.reference(join(folder, file), ...args);
  }

  /** One run of the load generator. */
  async load(
    asked: Pick<LoadAsked, 'url' | 'requests' | 'parameters' | 'status'>,
  ): Promise<LoadDone> {
    this.generator ??= startOwn<string>('load.ts');
    const { process: child } = await this.generator;
    const { seconds, warmUpSeconds } = this.size;
    const connections = CONNECTIONS;
    child.send({ ...asked, connections, seconds, warmUpSeconds } satisfies LoadAsked);
    const [{ done, failed }] = (await once(child, 'message')) as [
      { done?: LoadDone; failed?: string },
    ];
    if (done === undefined) throw new Error(`${asked.url}: ${failed}`);
    return done;
  }

  async close(): Promise<void> {
    await (await this.generator)?.stop();
    for (const one of this.opened.splice(0).reverse()) await one();
  }
}

/** One statement on a session of its own. */
export async function sql<Row extends object>(
  connectionString: string,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end();
  }
}
