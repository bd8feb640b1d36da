import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BinaryEventData,
  type ChannelCredentialOptions,
  EventStoreDBClient,
  type SingleNodeOptions,
  WrongExpectedVersionError,
} from '@eventstore/db-client';
import gossipService from '@eventstore/db-client/generated/gossip_grpc_pb.js';
import gossip from '@eventstore/db-client/generated/gossip_pb.js';
import features from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js';
import shared from '@eventstore/db-client/generated/shared_pb.js';
import streamsService from '@eventstore/db-client/generated/streams_grpc_pb.js';
import type { AppendResp, ReadReq } from '@eventstore/db-client/generated/streams_pb.js';
import { appendMessages } from './append-request.js';
import { BadConnectionString, type ConnectionString, type EndPoint } from './connection-string.js';

silenceDebugging();

/** Seconds that one node may take to say who leads, and milliseconds between questions; the client's are 5 and 100. */
const [GOSSIP_TIMEOUT, DISCOVERY_INTERVAL] = [1, 200];
/** Milliseconds in which a node that is said to lead has to say so itself, and how often one is looked for. */
const [LEADER_TIMEOUT, LEADER_TRIES] = [500, 10];

/**
 * The vendor's client, with what 6.2.1 keeps to itself or lacks: reads of every kind that its server
 * offers, with a deadline (its own have none); an end to its connection; and appends of our own, for its
 * batched ones end the process with a late or doubled answer, and its single ones where the connection is closed
 * just before them.
 */
export class LedgerClient extends EventStoreDBClient {
  private readonly user: ConnectionString['user'];
  private ended = false;
  private lastHeard = -Infinity;

  constructor(connection: ConnectionString) {
    const { hosts, discover, options } = connection;
    const [endpoint] = hosts;
    const { tls, tlsCAFile, userCertFile, userKeyFile, ...settings } = options;
    const nodePreference = 'leader' as const;
    const where = discover
      ? { discover: endpoint, nodePreference }
      : hosts.length > 1
        ? { endpoints: [...hosts], nodePreference }
        : { endpoint };
    super(
      {
        connectionName: 'consent-ledger',
        gossipTimeout: GOSSIP_TIMEOUT,
        discoveryInterval: DISCOVERY_INTERVAL,
        ...settings,
        ...where,
        // One constructor for three shapes of settings: TypeScript can not tell which one is meant.
      } as SingleNodeOptions,
      channelCredentials({ tls, tlsCAFile, userCertFile, userKeyFile }),
    );
    this.user = connection.user;
    // It is not awaited, and fails where no other node is found: that would end the process.
    const handleError = this.handleError;
    this.handleError = (client, error) => handleError(client, error).catch(() => undefined);
    const { resolveUri } = this;
    if (!('endpoint' in where)) this.resolveUri = () => this.leaderAmong(resolveUri, connection);
  }

  /** Asks one node, whichever it is, by a client of its own. */
  static async askAlone<T>(
    connection: ConnectionString,
    node: EndPoint,
    ask: (client: LedgerClient) => Promise<T>,
  ): Promise<T> {
    const alone = new LedgerClient({ ...connection, hosts: [node], discover: false });
    try {
      return await ask(alone);
    } finally {
      void alone.end().catch(() => undefined);
    }
  }

  /** When the server last said anything through this client, of `performance.now()`. */
  get heardAt(): number {
    return this.lastHeard;
  }

  /** Whoever has an answer, or a part of one, notes it here. */
  heard(): void {
    this.lastHeard = performance.now();
  }

  /** With the user's name and password, which the client never holds, and from the leader alone. */
  get asking(): { readonly credentials: ConnectionString['user']; readonly requiresLeader: true } {
    return { credentials: this.user, requiresLeader: true };
  }

  /** The answers of a read or of a subscription; `until`: milliseconds since 1970 at which it ends with an error. */
  async open(request: ReadReq, until: number): Promise<Answers> {
    const stream = await this.GRPCStreamCreator(streamsService.StreamsClient, 'read', (client) =>
      client.read(request, ...this.callArguments(this.asking, { deadline: until })),
    )();
    // Also when nobody listens any more: an error without a listener would end the process.
    return stream.on('error', () => undefined);
  }

  /**
   * Appends behind revision `last`; undefined: there must be no stream yet. `until`: as of `open`.
   * @throws WrongExpectedVersionError, and whatever the connection says
   */
  write(
    name: string,
    events: readonly BinaryEventData[],
    last: number | undefined,
    until: number,
  ): Promise<Written> {
    const [metadata, options] = this.callArguments(this.asking, { deadline: until });
    return this.execute(
      streamsService.StreamsClient,
      'append',
      (client) =>
        new Promise((resolve, reject) => {
          const sink = client.append(metadata, options, (error, answer) => {
            if (error) reject(error);
            else if (answer.hasSuccess()) resolve(writtenIn(answer));
            else reject(conflictIn(answer, name, last));
          });
          sink.on('error', reject);
          for (const message of appendMessages(name, events, last)) sink.write(message);
          sink.end();
        }),
    );
  }

  /** The server's version as it says it, `24.10.14`; undefined where it says none: it is older than 21.10. */
  serverVersion(until: number): Promise<string | undefined> {
    const [metadata, options] = this.callArguments(this.asking, { deadline: until });
    return this.execute(
      features.ServerFeaturesClient,
      'version',
      (client) =>
        new Promise((resolve, reject) => {
          client.getSupportedMethods(new shared.Empty(), metadata, options, (error, answer) => {
            if (!error) resolve(answer.getEventStoreServerVersion());
            else if (error.code === UNIMPLEMENTED) resolve(undefined);
            else reject(error);
          });
        }),
    );
  }

  /**
   * Until a node is found that answers and says itself that it leads: for seconds the others take one for their leader
   * that was frozen, and whoever is led there hangs.
   */
  private async leaderAmong(
    find: () => Promise<string>,
    connection: ConnectionString,
  ): Promise<string> {
    for (let tries = 1; ; tries++) {
      const found = await find();
      const [, address = '', port] = /^(.*):(\d+)$/.exec(found) ?? [];
      const node = { address, port: Number(port) };
      const leads = await LedgerClient.askAlone(connection, node, (client) =>
        client.leads(node, Date.now() + LEADER_TIMEOUT),
      ).catch(() => false);
      if (leads || this.ended || tries === LEADER_TRIES) return found;
      await sleep(DISCOVERY_INTERVAL);
    }
  }

  /** Whether the node that this client leads to is `node` and says that it leads. */
  private leads({ address, port }: EndPoint, until: number): Promise<boolean> {
    const [metadata, options] = this.callArguments(this.asking, { deadline: until });
    return this.execute(
      gossipService.GossipClient,
      'gossip',
      (client) =>
        new Promise((resolve, reject) => {
          client.read(new shared.Empty(), metadata, options, (error, answer) => {
            if (error) reject(error);
            else
              resolve(
                answer.getMembersList().some((member) => {
                  const at = member.getHttpEndPoint();
                  const isIt = at?.getAddress() === address && at.getPort() === port;
                  return isIt && member.getState() === gossip.MemberInfo.VNodeState.LEADER;
                }),
              );
          });
        }),
    );
  }

  /** Ends every call and the connection. */
  async end(): Promise<void> {
    this.ended = true;
    void this.dispose();
    (await this.getChannel()).close();
  }
}

/** What a read or a subscription brings. Whoever leaves it before its end must cancel it. */
export type Answers = ReturnType<InstanceType<typeof streamsService.StreamsClient>['read']>;

/** Where the last event of an append lies. */
export interface Written {
  readonly revision: number;
  readonly position: string;
}

function writtenIn(answer: AppendResp): Written {
  const success = answer.getSuccess();
  return {
    revision: Number(success?.getCurrentRevision()),
    position: String(success?.getPosition()?.getCommitPosition()),
  };
}

function conflictIn(
  answer: AppendResp,
  streamName: string,
  last: number | undefined,
): WrongExpectedVersionError {
  const wrong = answer.getWrongExpectedVersion();
  return new WrongExpectedVersionError(null as never, {
    streamName,
    current: wrong?.hasCurrentRevision() ? BigInt(wrong.getCurrentRevision()) : 'no_stream',
    expected: last === undefined ? 'no_stream' : BigInt(last),
  });
}

const UNIMPLEMENTED = 12;

function channelCredentials({
  tls,
  tlsCAFile,
  userCertFile,
  userKeyFile,
}: Pick<
  ConnectionString['options'],
  'tls' | 'tlsCAFile' | 'userCertFile' | 'userKeyFile'
>): ChannelCredentialOptions {
  if (!tls) return { insecure: true };
  return {
    rootCertificate: contentOf('tlsCAFile', tlsCAFile),
    userCertFile: contentOf('userCertFile', userCertFile),
    userKeyFile: contentOf('userKeyFile', userKeyFile),
  };
}

function contentOf(option: string, file: string | undefined): Buffer | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as { code?: string };
    throw new BadConnectionString(`names a ${option} that can not be read (${code}): ${file}`);
  }
}

/** With `DEBUG=esdb:*` the client prints passwords, and what is stored. */
function silenceDebugging(): void {
  const client = createRequire(import.meta.url).resolve('@eventstore/db-client');
  const debug = createRequire(client)('debug') as {
    disable(): string;
    enable(namespaces: string): void;
  };
  const others = debug.disable();
  debug.enable([others, '-esdb', '-esdb:*'].filter((one) => one !== '').join(','));
}
