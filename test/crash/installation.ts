import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '#core/platform/config.js';
import type { EmbeddedPostgres } from '#core/platform/embedded-postgres/server.js';
import { startEmbeddedPostgres } from '#core/platform/embedded-postgres/start.js';
import { openLog } from '#core/platform/logging.js';
import { openRuntime, type Runtime } from '#core/runtime/runtime.js';
import { eventCatalogue, guards } from '#domains/slices.js';
import { catalogue } from '../support/catalogue.js';
import { compiled } from '../support/compiled.js';
import { databaseAt, FaultProxy } from '../support/fault-proxy.js';
import { until } from '../support/until.js';
import { bare, freePort } from './product.js';

/** `server-1`, `worker-2` */
export type Name = `${'server' | 'worker'}-${number}`;

export interface InstallationOptions {
  readonly servers: number;
  readonly workers: number;
  /** Settings of every process, such as the store that keeps the log. */
  readonly environment?: Readonly<Record<string, string>>;
  /** What is broken on purpose, and in whom: a name in `mutants/preload.mjs`. */
  readonly mutant?: { readonly name: string; readonly of: 'server' | 'worker' };
}

/** Each process has up to 40 sessions; a PostgreSQL as it comes has 100 for all. */
const SESSIONS = { max_connections: '400' };
/** Milliseconds in which a process is there, on a machine that others use as well. */
const PATIENCE = 120_000;

/** Several servers and workers of the compiled product, each a process, on one store. A proxy leads to its database. */
export class Installation {
  readonly key = `clk_${randomUUID().replaceAll('-', '')}`;
  readonly servers: readonly Name[];
  readonly workers: readonly Name[];
  private readonly children = new Map<Name, Child>();

  private constructor(
    private readonly options: InstallationOptions,
    private readonly dist: string,
    private readonly ports: ReadonlyMap<Name, number>,
    private readonly database: EmbeddedPostgres,
    readonly proxy: FaultProxy,
    private readonly directory: string,
  ) {
    const names = [...ports.keys()];
    this.servers = names.filter((name) => name.startsWith('server'));
    this.workers = names.filter((name) => name.startsWith('worker'));
  }

  /** Everything runs, and the example catalogue is there. */
  static async start(options: InstallationOptions): Promise<Installation> {
    const dist = compiled();
    const ports = new Map<Name, number>();
    for (let n = 1; n <= options.servers; n++) ports.set(`server-${n}`, await freePort());
    for (let n = 1; n <= options.workers; n++) ports.set(`worker-${n}`, await freePort());
    const directory = await mkdtemp(join(tmpdir(), 'consent-ledger-installation-'));
    // PostgreSQL runs as another user where this one is root.
    await chmod(directory, 0o711);
    const cluster = { directory: join(directory, 'cluster'), settings: SESSIONS };
    const database = await startEmbeddedPostgres(cluster);
    const proxy = await FaultProxy.to(databaseAt(database.url));
    const installation = new Installation(options, dist, ports, database, proxy, directory);
    try {
      // The first one brings the schemas up to date and makes the keys.
      const [first, ...others] = ports.keys();
      await installation.bring(first as Name);
      await Promise.all(others.map((name) => installation.bring(name)));
      const applied = await installation.call('server-1', 'POST', '/v1/catalogue', catalogue);
      if (!applied.ok) throw new Error(`the catalogue was refused: ${await applied.text()}`);
      return installation;
    } catch (error) {
      await installation.stop();
      throw error;
    }
  }

  urlOf(name: Name): string {
    return `http://127.0.0.1:${this.ports.get(name)}`;
  }

  /** Past the proxy, as the owner. */
  get ownerUrl(): string {
    return this.database.url;
  }

  /** One call with every right. */
  call(
    name: Name,
    method: string,
    path: string,
    body?: object,
    idempotencyKey: string = randomUUID(),
  ): Promise<Response> {
    return fetch(this.urlOf(name) + path, {
      method,
      headers: {
        authorization: `Bearer ${this.key}`,
        'idempotency-key': idempotencyKey,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  }

  /** Of each partition that there is, `standing/3`, who says that it is theirs: what Prometheus would see. */
  async owners(of: readonly Name[] = this.workers): Promise<ReadonlyMap<string, readonly Name[]>> {
    const owners = new Map<string, Name[]>();
    for (const name of of) {
      const metrics = await (await fetch(`${this.urlOf(name)}/metrics`)).text();
      for (const [, projection, partition, owned] of metrics.matchAll(
        /^ledger_partition_owned\{name="([^"]+)",partition="(\d+)"\} (\d)$/gm,
      )) {
        const place = `${projection}/${partition}`;
        owners.set(place, [...(owners.get(place) ?? []), ...(owned === '1' ? [name] : [])]);
      }
    }
    return owners;
  }

  send(name: Name, signal: NodeJS.Signals): void {
    this.children.get(name)?.process.kill(signal);
  }

  /** The exit code of a process that ends; null where a signal ended it. */
  async ended(name: Name): Promise<number | null> {
    const child = this.children.get(name);
    await child?.ended;
    return child?.process.exitCode ?? null;
  }

  isAlive(name: Name): boolean {
    const child = this.children.get(name)?.process;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  async kill(name: Name): Promise<void> {
    this.send(name, 'SIGKILL');
    await this.ended(name);
  }

  /** Starts what is dead; resolves when it is ready for work. */
  async bring(name: Name): Promise<void> {
    if (this.isAlive(name)) return;
    const { mutant } = this.options;
    const part = name.startsWith('server') ? 'server' : 'worker';
    const broken = mutant?.of === part;
    const preload = join(import.meta.dirname, 'mutants', 'preload.mjs');
    const child = spawn(
      process.execPath,
      [...(broken ? ['--import', preload] : []), join(this.dist, 'apps', part, 'main.js')],
      {
        env: {
          ...bare(),
          ...this.environmentOf(name),
          ...(broken ? { CRASH_MUTANT: mutant.name, CRASH_DIST: this.dist } : {}),
        },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    let said = '';
    child.stderr
      .setEncoding('utf8')
      .on('data', (text: string) => (said = (said + text).slice(-4_000)));
    this.children.set(name, { process: child, ended: once(child, 'exit') });
    await until(
      `${name} is ready`,
      () => {
        if (!this.isAlive(name)) throw new Error(`${name} ended at its start:\n${said}`);
        return said.includes('is ready');
      },
      PATIENCE,
    );
  }

  /** The same stores opened in this process, past the proxy. The caller closes it. */
  open(): Promise<Runtime> {
    const environment = { ...this.environmentOf('server-1'), DATABASE_URL: this.ownerUrl };
    return openRuntime(readConfig(environment), { eventCatalogue, guards }, openLog('silent'));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.children.keys()].map((name) => this.kill(name)));
    await this.proxy.close();
    await this.database.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  private environmentOf(name: Name): Record<string, string> {
    return {
      PORT: String(this.ports.get(name)),
      HOST: '127.0.0.1',
      LOG_LEVEL: 'silent',
      DATABASE_URL: `postgres://postgres@127.0.0.1:${this.proxy.port}/postgres`,
      LEDGER_DATA_DIR: join(this.directory, name),
      VAULT_KEY_FILE: join(this.directory, 'keys', 'epoch-keys.json'),
      LEDGER_ROLES: name.startsWith('server') ? 'api' : 'projector,sealer,jobs',
      LEDGER_BOOTSTRAP_KEY: this.key,
      ...this.options.environment,
    };
  }
}

interface Child {
  readonly process: ChildProcess;
  readonly ended: Promise<unknown>;
}
