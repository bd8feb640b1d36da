import net from 'node:net';

export type Fault =
  | 'none'
  /** What the server says next is lost, and the connection with it: it may have committed. */
  | 'cut-reply'
  /** What the client says next is lost, and the connection with it. */
  | 'cut-request'
  /** As `cut-request`, told to both by a reset (RST) rather than an end. */
  | 'reset'
  /** The server hears everything and is heard no more. */
  | 'silent'
  /** Nobody hears anybody, and nobody is told: as if a cable was pulled. */
  | 'blackhole';

/** What every connection suffers, whatever is said. */
export interface Weather {
  /** Milliseconds by which everything arrives later, either way. */
  readonly latency?: number;
  /** The connection is reset once the server has said so many bytes. */
  readonly byteLimit?: number;
  /** Milliseconds by which each side learns later that the other one ended. */
  readonly slowClose?: number;
}

/** Faults that stay until another is set; the others strike once. */
const LASTING: readonly Fault[] = ['silent', 'blackhole'];

/** Stands between a client and its server, such as a ledger and its database, and breaks connections where a test wants it. */
export class FaultProxy {
  private fault: Fault = 'none';
  private only: string | undefined;
  private readonly sockets = new Set<net.Socket>();
  private readonly clients = new Set<net.Socket>();
  private readonly abandoned = new WeakSet<net.Socket>();
  private readonly server: net.Server;
  /** How often the fault struck. */
  struck = 0;
  weather: Weather = {};

  private constructor(private upstream: net.NetConnectOpts) {
    this.server = net.createServer({ allowHalfOpen: true }, (client) => this.connect(client));
  }

  /** `url`: of the database, through a unix socket. */
  static async before(url: string): Promise<{ proxy: FaultProxy; url: string }> {
    const { pathname } = new URL(url.replace('@/', '@unix/'));
    const proxy = await FaultProxy.to(databaseAt(url));
    return { proxy, url: `postgres://postgres@127.0.0.1:${proxy.port}${pathname}` };
  }

  static async to(upstream: net.NetConnectOpts): Promise<FaultProxy> {
    const proxy = new FaultProxy(upstream);
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  /** From the next data on that a client sends, where `only` is given: that has it in it. Cuts strike once. */
  set(fault: Fault, only?: string): void {
    [this.fault, this.only] = [fault, only];
  }

  /** Where connections lead from now on: the server was started again elsewhere. */
  lead(upstream: net.NetConnectOpts): void {
    this.upstream = upstream;
  }

  /** Cuts every connection to us now; the server is left waiting for one that says nothing any more. */
  cut(): void {
    for (const client of this.clients) {
      this.abandoned.add(client);
      client.destroy();
    }
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private connect(client: net.Socket): void {
    const server = net.connect({ ...this.upstream, allowHalfOpen: true });
    let fated: Fault = this.fault === 'blackhole' && !this.only ? this.strike('') : 'none';
    let said = 0;
    this.clients.add(client);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('end', () => {
        if (fated !== 'blackhole') this.later(() => other.end(), this.weather.slowClose);
      });
      socket.once('close', () => {
        this.sockets.delete(socket);
        this.clients.delete(client);
        if (this.abandoned.has(client) || fated === 'blackhole') return;
        this.later(() => other.destroy(), this.weather.slowClose);
      });
    }
    client.on('data', (data) => {
      if (fated === 'none') fated = this.strike(data);
      switch (fated) {
        case 'none':
        case 'cut-reply':
        case 'silent':
          return this.later(() => server.write(data));
        case 'cut-request':
          return void client.destroy();
        case 'reset':
          return reset(client, server);
        case 'blackhole':
          return undefined;
      }
    });
    server.on('data', (data) => {
      said += data.length;
      if (fated === 'none') this.later(() => client.write(data));
      // Time for the server to finish before it notices.
      else if (fated === 'cut-reply') setTimeout(() => client.destroy(), 50);
      if (said > (this.weather.byteLimit ?? Infinity)) this.later(() => reset(client, server));
    });
  }

  private strike(data: Buffer | string): Fault {
    if (this.fault === 'none' || (this.only && !data.includes(this.only))) return 'none';
    const { fault } = this;
    this.struck++;
    if (!LASTING.includes(fault)) this.fault = 'none';
    return fault;
  }

  /** In the order of the calls: timers of the same length keep it. */
  private later(work: () => unknown, milliseconds = 0): void {
    const delay = milliseconds + (this.weather.latency ?? 0);
    if (delay === 0) work();
    else setTimeout(work, delay);
  }
}

/** The socket that a database in a unix socket's directory listens on. */
export function databaseAt(url: string): net.NetConnectOpts {
  const parsed = new URL(url.replace('@/', '@unix/'));
  return { path: `${parsed.searchParams.get('host')}/.s.PGSQL.5432` };
}

/** A unix socket knows no reset: its end must do. */
function reset(...sockets: readonly net.Socket[]): void {
  for (const socket of sockets)
    if (socket.remoteFamily === undefined) socket.destroy();
    else socket.resetAndDestroy();
}
