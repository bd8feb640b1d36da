import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readConfig } from '#core/platform/config.js';
import type { EmbeddedPostgres } from '#core/platform/embedded-postgres/server.js';
import { startEmbeddedPostgres } from '#core/platform/embedded-postgres/start.js';
import { openLog } from '#core/platform/logging.js';
import { openRuntime, type Runtime } from '#core/runtime/runtime.js';
import { eventCatalogue, guards } from '#domains/slices.js';
import { catalogue } from '../support/catalogue.js';
import { compiled } from '../support/compiled.js';
import type { FollowerSettings } from './follower-process.js';
import { databaseAt, FaultProxy } from '../support/fault-proxy.js';

/** What is killed apart from the others, as it would be on machines of its own. */
export const PARTS = ['postgres', 'server', 'worker'] as const;
/** Followers are workers of the tests' own: `follower-process.ts`. */
export type Part = (typeof PARTS)[number] | 'follower-1' | 'follower-2';
type Process = Exclude<Part, 'postgres'>;

export interface ProductOptions {
  /** Below it everything lies. */
  readonly directory: string;
  /** Further settings of PostgreSQL. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Who follows the log in place of the worker. */
  readonly followers?: FollowerSettings;
  /** Where PostgreSQL keeps its files. Absent: below `directory`. */
  readonly clusterDirectory?: string;
  /** Further variables of server and worker. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Milliseconds in which a process is there, on a machine that others use as well. */
const PATIENCE = 120_000;

/**
 * The product as it is installed: compiled server and worker in processes of their own, and a PostgreSQL that
 * only a proxy leads to, so that it can be lost and come back elsewhere.
 */
export class Product {
  private readonly children = new Map<Process, Child>();

  private constructor(
    private readonly options: ProductOptions,
    private readonly dist: string,
    private cluster: EmbeddedPostgres,
    readonly proxy: FaultProxy,
    readonly key: string,
    private readonly ports: Ports,
  ) {}

  static async start(options: ProductOptions): Promise<Product> {
    const dist = compiled();
    mkdirSync(options.directory, { recursive: true });
    for (const part of ['server', 'worker'] as const) writeClock(options, part, 0);
    const cluster = await startCluster(options);
    const proxy = await FaultProxy.to(databaseAt(cluster.url));
    const key = `clk_${randomUUID().replaceAll('-', '')}`;
    const ports = { server: await freePort(), worker: await freePort() };
    const product = new Product(options, dist, cluster, proxy, key, ports);
    try {
      await product.bring('server');
      const others = options.followers
        ? (['follower-1', 'follower-2'] as const)
        : (['worker'] as const);
      await Promise.all(others.map((part) => product.bring(part)));
      const applied = await product.call('POST', '/v1/catalogue', catalogue);
      if (!applied.ok) throw new Error(`the catalogue was refused: ${await applied.text()}`);
      return product;
    } catch (error) {
      await product.stop();
      throw error;
    }
  }

  get url(): string {
    return this.urlOf('server');
  }

  urlOf(part: 'server' | 'worker'): string {
    return `http://127.0.0.1:${this.ports[part]}`;
  }

  /** One call of the API with every right. */
  call(method: string, path: string, body?: object): Promise<Response> {
    return fetch(this.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.key}`,
        'idempotency-key': randomUUID(),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  }

  /** Past the proxy, as the owner. */
  get ownerUrl(): string {
    return this.cluster.url;
  }

  isAlive(part: Part): boolean {
    return part === 'postgres'
      ? alive(this.cluster.pid)
      : (this.children.get(part)?.alive ?? false);
  }

  send(part: Process, signal: NodeJS.Signals): void {
    this.children.get(part)?.process.kill(signal);
  }

  /** SIGKILL, also to one that is only about to start. */
  async kill(part: Part): Promise<void> {
    if (part === 'postgres') return this.cluster.kill();
    const child = this.children.get(part);
    child?.process.kill('SIGKILL');
    await child?.ended;
  }

  /** From now on the clock of a process is so many milliseconds ahead of ours; behind it where they are negative. */
  setClock(part: 'server' | 'worker', milliseconds: number): void {
    writeClock(this.options, part, milliseconds);
  }

  /** `ledgerctl` beside it, on the same database. */
  ledgerctl(...words: readonly string[]): ChildProcess {
    return spawn(process.execPath, [join(this.dist, 'apps', 'ledgerctl', 'main.js'), ...words], {
      env: {
        ...bare(),
        ...this.environment('worker'),
        LEDGER_URL: this.url,
        LEDGER_API_KEY: this.key,
      },
      stdio: 'ignore',
    });
  }

  /** Starts what is dead; resolves when it is ready for work. */
  async bring(part: Part): Promise<void> {
    if (part === 'postgres') {
      this.cluster = await startCluster(this.options);
      this.proxy.lead(databaseAt(this.cluster.url));
      return;
    }
    const child = this.spawn(part);
    this.children.set(part, child);
    const until = Date.now() + PATIENCE;
    while (!child.said().includes('is ready')) {
      if (!child.alive) throw new Error(`the ${part} ended at its start:\n${child.said()}`);
      if (Date.now() > until) throw new Error(`the ${part} did not start:\n${child.said()}`);
      await sleep(20);
    }
  }

  /** The same stores opened in this process, to look at what is there. The caller closes it. */
  open(): Promise<Runtime> {
    const config = readConfig({ ...this.environment('server'), DATABASE_URL: this.cluster.url });
    return openRuntime(config, { eventCatalogue, guards }, openLog('silent'));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.children.keys()].map((part) => this.kill(part)));
    await this.proxy.close();
    await this.cluster.stop();
  }

  private spawn(part: Process): Child {
    const clock = { CLOCK_FILE: clockFile(this.options, part) };
    const child = spawn(process.execPath, this.program(part), {
      env: { ...bare(), ...this.environment(part), ...clock },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4_000)));
    const ended = once(child, 'exit');
    return {
      process: child,
      said: () => said,
      ended,
      get alive() {
        return child.exitCode === null && child.signalCode === null;
      },
    };
  }

  private program(part: Process): string[] {
    const here = import.meta.dirname;
    if (part === 'server' || part === 'worker')
      return ['--import', join(here, 'set-clock.mjs'), join(this.dist, 'apps', part, 'main.js')];
    const loader = join(here, '..', 'support', 'typescript.mjs');
    const settings = JSON.stringify(this.options.followers);
    return ['--import', loader, join(here, 'follower-process.ts'), settings];
  }

  private environment(part: Process): Record<string, string> {
    return {
      ...(part === 'server' || part === 'worker' ? { PORT: String(this.ports[part]) } : {}),
      HOST: '127.0.0.1',
      LOG_LEVEL: 'warn',
      DATABASE_URL: `postgres://postgres@127.0.0.1:${this.proxy.port}/postgres`,
      LEDGER_DATA_DIR: join(this.options.directory, 'data'),
      LEDGER_ROLES: part === 'server' ? 'api' : 'projector,sealer,jobs',
      LEDGER_BOOTSTRAP_KEY: this.key,
      ...this.options.environment,
    };
  }
}

interface Ports {
  readonly server: number;
  readonly worker: number;
}

interface Child {
  readonly process: ChildProcess;
  /** The last of what it wrote. */
  readonly said: () => string;
  readonly ended: Promise<unknown>;
  readonly alive: boolean;
}

function clockFile({ directory }: ProductOptions, part: Process): string {
  return join(directory, `${part}.clock`);
}

function writeClock(options: ProductOptions, part: Process, milliseconds: number): void {
  writeFileSync(clockFile(options, part), `${milliseconds}\n`);
}

function startCluster({
  directory,
  clusterDirectory = join(directory, 'cluster'),
  settings,
}: ProductOptions): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ directory: clusterDirectory, settings });
}

/** Settings of whoever runs this must not reach what is started. */
export function bare(): NodeJS.ProcessEnv {
  const ours = /^(PORT|HOST|EVENT_STORE|DATABASE_URL|LEDGER_|VAULT_|KURRENTDB_|NODE_OPTIONS)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
}

/** The same at every start of a part, so that its callers find it again. */
export async function freePort(): Promise<number> {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as net.AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
