import net from 'node:net';

export type Fault =
  | 'none'
  /** What the server says next is lost, and the connection with it: it may have committed. */
  | 'cut-reply'
  /** What the client says next is lost, and the connection with it. */
  | 'cut-request'
  /** The server hears everything and is heard no more. */
  | 'silent';

/** Stands between a ledger and its database and breaks connections where a test wants it. */
export class FaultProxy {
  private fault: Fault = 'none';
  private only: string | undefined;
  private readonly sockets = new Set<net.Socket>();
  private readonly clients = new Set<net.Socket>();
  private readonly abandoned = new WeakSet<net.Socket>();
  private readonly server: net.Server;
  /** How often the fault struck. */
  struck = 0;

  private constructor(private readonly upstream: string) {
    this.server = net.createServer((client) => this.connect(client));
  }

  /** `url`: of the database, through a unix socket. */
  static async before(url: string): Promise<{ proxy: FaultProxy; url: string }> {
    const parsed = new URL(url.replace('@/', '@unix/'));
    const proxy = new FaultProxy(`${parsed.searchParams.get('host')}/.s.PGSQL.5432`);
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.server.address() as net.AddressInfo;
    return { proxy, url: `postgres://postgres@127.0.0.1:${port}${parsed.pathname}` };
  }

  /** From the next data on that a client sends, where `only` is given: that has it in it. Cuts strike once. */
  set(fault: Fault, only?: string): void {
    [this.fault, this.only] = [fault, only];
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
    const server = net.connect(this.upstream);
    let fated: Fault = 'none';
    this.clients.add(client);
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        this.sockets.delete(socket);
        this.clients.delete(client);
        if (this.abandoned.has(client)) return;
        client.destroy();
        server.destroy();
      });
    }
    client.on('data', (data) => {
      if (fated === 'none') fated = this.strike(data);
      if (fated === 'cut-request') client.destroy();
      else server.write(data);
    });
    server.on('data', (data) => {
      if (fated === 'none') client.write(data);
      // Time for the server to finish before it notices.
      else if (fated === 'cut-reply') setTimeout(() => client.destroy(), 50);
    });
  }

  private strike(data: Buffer): Fault {
    if (this.fault === 'none' || (this.only && !data.includes(this.only))) return 'none';
    const { fault } = this;
    this.struck++;
    if (fault !== 'silent') this.fault = 'none';
    return fault;
  }
}
