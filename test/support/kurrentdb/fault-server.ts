import { randomUUID } from 'node:crypto';
import type { Server } from '@grpc/grpc-js';
import { ServerCredentials } from '@grpc/grpc-js';
import type { Certificate } from './certificate.js';
import { Faults } from './faults.js';
import { listen } from './grpc-node.js';
import type { Endpoint, Member, NodeView, SlowSearch } from './node-view.js';
import { ServerLog } from './server-log.js';
import { writeEpoch, writeFirstSystemEvents } from './system-events.js';
import type { User } from './users.js';
import { Wire } from './wire.js';

export interface FaultServerOptions {
  /** How many nodes the cluster has; all share one log, the first one leads. */
  readonly nodes?: number;
  /** With it, connections are encrypted. */
  readonly certificate?: Certificate;
  /** With it, clients have to sign in; they do so on encrypted connections only. */
  readonly users?: readonly User[];
  readonly version?: string;
  /** Bytes. */
  readonly maxAppendSize?: number;
  /** With it, a search takes long, as in a long log. */
  readonly slowSearch?: SlowSearch;
}

/**
 * A KurrentDB server for tests: in this process, its log in memory, and with switches for what can go wrong. It serves
 * what the client calls for appends, reads, catch-up subscriptions to `$all` and discovery; persistent subscriptions,
 * projections, deletions, links and access lists it does not have. Followers have everything the leader has, at once.
 *
 * It stands in for no real server in any claim. That it behaves like one where both are comparable is shown by
 * `fault-server.spec.ts`, which runs against a real server too.
 */
export class FaultServer {
  readonly log = new ServerLog();
  readonly faults = new Faults();
  private leading = 0;

  private constructor(
    private readonly nodes: readonly FaultNode[],
    private readonly options: FaultServerOptions,
  ) {}

  static async start(options: FaultServerOptions = {}): Promise<FaultServer> {
    const nodes = Array.from({ length: options.nodes ?? 1 }, () => new FaultNode());
    const server = new FaultServer(nodes, options);
    writeEpoch(server.log);
    writeFirstSystemEvents(server.log);
    for (const index of nodes.keys()) await server.startNode(index);
    return server;
  }

  /** For a client that knows every node. */
  get url(): string {
    return this.urlOf('esdb', this.nodes);
  }

  /** For a client that knows one node and asks it for the others. */
  get discoveryUrl(): string {
    return this.urlOf('esdb+discover', this.nodes.slice(0, 1));
  }

  /** The wire to a node: to cut it and to freeze it. */
  wire(index = this.leading): Wire {
    return this.node(index).wire;
  }

  /** Whoever was leading is a follower from now on. */
  elect(index: number): void {
    this.leading = index;
    writeEpoch(this.log);
  }

  /** As a killed process: connections are reset, nobody listens, and the log is kept. */
  async stopNode(index = this.leading): Promise<void> {
    await this.node(index).stop();
  }

  async startNode(index = this.leading): Promise<void> {
    this.log.forgetRecentIds();
    await this.node(index).start(this.viewOf(index), this.options.certificate);
  }

  async restartNode(index = this.leading): Promise<void> {
    await this.stopNode(index);
    await this.startNode(index);
  }

  async stop(): Promise<void> {
    this.faults.clear();
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  private node(index: number): FaultNode {
    const node = this.nodes[index];
    if (!node) throw new RangeError(`there is no node ${index}`);
    return node;
  }

  private urlOf(protocol: string, nodes: readonly FaultNode[]): string {
    const hosts = nodes.map(({ endpoint: { address, port } }) => `${address}:${port}`).join(',');
    const { certificate, users: [user] = [] } = this.options;
    const signedIn = user ? `${user.name}:${user.password}@` : '';
    const tls = certificate
      ? `tls=true&tlsCAFile=${encodeURIComponent(certificate.file)}`
      : 'tls=false';
    return `${protocol}://${signedIn}${hosts}?${tls}`;
  }

  private viewOf(index: number): NodeView {
    const { log, faults, options } = this;
    return {
      log,
      faults,
      users: options.users,
      version: options.version ?? '24.10.14',
      maxAppendSize: options.maxAppendSize ?? 1024 * 1024,
      slowSearch: options.slowSearch,
      members: () => this.nodes.map((node, other) => node.member(other === this.leading)),
      isLeader: () => index === this.leading,
      leader: () => this.node(this.leading).endpoint,
      cut: (peer) => this.node(index).wire.cut(peer),
    };
  }
}

/** One process of the cluster. */
class FaultNode {
  readonly wire = new Wire();
  private readonly id = randomUUID();
  private server: Server | undefined;

  get endpoint(): Endpoint {
    return { address: '127.0.0.1', port: this.wire.port };
  }

  member(leader: boolean): Member {
    return { id: this.id, endpoint: this.endpoint, alive: this.server !== undefined, leader };
  }

  async start(view: NodeView, certificate: Certificate | undefined): Promise<void> {
    const credentials = certificate
      ? ServerCredentials.createSsl(null, [
          { private_key: certificate.key, cert_chain: certificate.certificate },
        ])
      : ServerCredentials.createInsecure();
    const { server, port } = await listen(view, credentials);
    this.server = server;
    await this.wire.open(port);
  }

  async stop(): Promise<void> {
    await this.wire.close();
    this.server?.forceShutdown();
    this.server = undefined;
  }
}
