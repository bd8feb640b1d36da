import net from 'node:net';

interface Pair {
  readonly client: net.Socket;
  readonly server: net.Socket;
}

/** The wire between clients and a node: can be cut, and can hold back whatever is said on it. */
export class Wire {
  private readonly pairs = new Set<Pair>();
  private frozen = false;
  private listener: net.Server | undefined;
  /** Where clients reach the node; kept when it is closed and opened again. */
  port = 0;

  /** `upstream`: the port at which the node itself listens. */
  async open(upstream: number): Promise<void> {
    const listener = net.createServer({ noDelay: true }, (client) => this.join(client, upstream));
    this.listener = listener;
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(this.port, '127.0.0.1', resolve);
    });
    ({ port: this.port } = listener.address() as net.AddressInfo);
  }

  /** Nobody is listening any more, and every connection is gone. */
  async close(): Promise<void> {
    const { listener } = this;
    this.listener = undefined;
    this.frozen = false;
    this.cut();
    if (listener) await new Promise((resolve) => listener.close(resolve));
  }

  /** Connections are accepted and carry nothing, as those of a process that was stopped. */
  freeze(): void {
    this.frozen = true;
    for (const { client, server } of this.pairs) {
      client.unpipe(server);
      server.unpipe(client);
    }
  }

  thaw(): void {
    this.frozen = false;
    for (const { client, server } of this.pairs) {
      client.pipe(server);
      server.pipe(client);
    }
  }

  /** Cuts every connection, or the one whose end at the node is `peer` (`address:port`). */
  cut(peer?: string): void {
    const port = peer?.slice(peer.lastIndexOf(':') + 1);
    for (const { client, server } of this.pairs)
      if (port === undefined || server.localPort === Number(port)) client.resetAndDestroy();
  }

  private join(client: net.Socket, upstream: number): void {
    const server = net.connect({ port: upstream, host: '127.0.0.1', noDelay: true });
    const pair = { client, server };
    this.pairs.add(pair);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('error', () => undefined);
      from.once('close', () => {
        this.pairs.delete(pair);
        to.destroy();
      });
      if (!this.frozen) from.pipe(to);
    }
  }
}
