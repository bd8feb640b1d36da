import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { inTime } from '../in-time.js';
import { LedgerUnavailable } from '../port.js';
import { type ConnectionString, parseConnectionString } from './connection-string.js';
import { failureOf, NotConnected, reasonOf, ServerTooOld, TimedOut } from './failure.js';
import { LedgerClient } from './ledger-client.js';

/** The first long-term version whose reads of a stream say where its events lie in `$all`. */
const OLDEST = [22, 10] as const;

/** Between tries of a call that failed, in milliseconds: the first, and the longest. */
const [FIRST_RETRY, LONGEST_RETRY] = [50, 500];

/**
 * The connection to the cluster: every call through it ends in time, whatever the server and the client
 * do, and a client that left one hanging is replaced, with whatever else hangs in it. One that has answered others
 * meanwhile is not: the call was slow, and the others would end with it.
 */
export class Connection {
  private readonly target: ConnectionString;
  private readonly ending = new AbortController();
  private readonly underway = new Set<() => void>();
  private client: LedgerClient | undefined;
  private versionOf: Promise<string> | undefined;
  /** Why the server could not be asked for its version the last time. */
  private notReached: unknown;

  /**
   * `patience`: milliseconds after which one try of a call is given up.
   * @throws BadConnectionString
   */
  constructor(
    connectionString: string,
    private readonly patience: number,
  ) {
    // Each call that pauses listens, and stops when it goes on: as many as there are callers.
    setMaxListeners(0, this.ending.signal);
    this.target = parseConnectionString(connectionString);
    // Now, so that a certificate that can not be read is said at once.
    this.client = new LedgerClient(this.target);
  }

  /** Aborts when this is closed: nothing is tried any more. */
  get closing(): AbortSignal {
    return this.ending.signal;
  }

  get closed(): boolean {
    return this.closing.aborted;
  }

  /** What the server calls its version. Throws ServerTooOld, or what the call throws. */
  version(): Promise<string> {
    this.versionOf ??= this.askVersion().catch((error: unknown) => {
      this.versionOf = undefined;
      this.notReached = error;
      throw error;
    });
    return this.versionOf;
  }

  /**
   * One try of a call, for at most `milliseconds`. `call` is told when it has to end (milliseconds since
   * 1970). Rejects as the client does, with TimedOut, with NotConnected where the call was not made, or with
   * LedgerUnavailable where this was closed.
   */
  async attempt<T>(
    milliseconds: number,
    call: (client: LedgerClient, until: number) => Promise<T>,
  ): Promise<T> {
    const until = performance.now() + milliseconds;
    const late = () => new NotConnected(this.notReached ?? new TimedOut(Math.round(milliseconds)));
    await inTime(this.connected(), milliseconds, late);
    return this.once(Math.min(until - performance.now(), this.patience), call);
  }

  /**
   * A call that changes nothing, made again until it succeeds.
   * @throws LedgerUnavailable after `deadline` milliseconds, or at once where it would never succeed
   */
  async persist<T>(
    deadline: number,
    call: (client: LedgerClient, until: number) => Promise<T>,
  ): Promise<T> {
    const until = performance.now() + deadline;
    for (const retry = new Retry(until); ;) {
      try {
        return await this.attempt(until - performance.now(), call);
      } catch (error) {
        if (error instanceof LedgerUnavailable) throw error;
        if (failureOf(error) === 'refused' || !(await retry.wait(this.closing)))
          throw new LedgerUnavailable(reasonOf(error), { cause: error });
      }
    }
  }

  /** A client for what goes on for ever: a subscription. */
  async subscribing(): Promise<LedgerClient> {
    await this.connected();
    return this.current();
  }

  /** Leaves a client behind whose calls do not end. */
  replace(client: LedgerClient): void {
    if (this.client === client) this.client = undefined;
    void client.end().catch(() => undefined);
  }

  close(): void {
    this.ending.abort();
    for (const end of [...this.underway]) end();
    if (this.client) this.replace(this.client);
  }

  private current(): LedgerClient {
    if (this.closed) throw new LedgerUnavailable('the ledger is closed');
    this.client ??= new LedgerClient(this.target);
    return this.client;
  }

  private once<T>(
    milliseconds: number,
    call: (client: LedgerClient, until: number) => Promise<T>,
  ): Promise<T> {
    const client = this.current();
    const began = performance.now();
    return new Promise<T>((resolve, reject) => {
      const giveUp = (error: Error) => {
        if (client.heardAt < began) this.replace(client);
        fail(error);
      };
      const onClose = () => fail(new LedgerUnavailable('the ledger is closed'));
      const timer = setTimeout(() => giveUp(new TimedOut(milliseconds)), milliseconds);
      const done = () => {
        clearTimeout(timer);
        this.underway.delete(onClose);
      };
      const fail = (error: unknown) => {
        done();
        reject(error as Error);
      };
      this.underway.add(onClose);
      // It may end much later, when nobody waits for it: that settles nothing any more.
      call(client, Date.now() + milliseconds).then((value) => {
        client.heard();
        done();
        resolve(value);
      }, fail);
    });
  }

  private async connected(): Promise<void> {
    if (this.closed) throw new LedgerUnavailable('the ledger is closed');
    await this.version().catch((error: unknown) => {
      throw new NotConnected(error);
    });
  }

  private async askVersion(): Promise<string> {
    const asking = this.once(this.patience, (client, until) => client.serverVersion(until));
    const version = await asking.catch(async (error: unknown) => {
      throw (await this.whyNoLeader()) ?? error;
    });
    if (version === undefined || isOlder(version))
      throw new ServerTooOld(version, OLDEST.join('.'));
    return version;
  }

  /** Who looks for the leader of a cluster is not told why no node answers; who asks one alone is. */
  private async whyNoLeader(): Promise<unknown> {
    const [node, ...others] = this.target.hosts;
    if (this.closed || (others.length === 0 && !this.target.discover)) return undefined;
    const asking = LedgerClient.askAlone(this.target, node, (client) =>
      client.serverVersion(Date.now() + LONGEST_RETRY),
    );
    return asking.then(
      () => undefined,
      (error: unknown) => error,
    );
  }
}

/** Pauses that grow, with some chance in them, until a moment. */
export class Retry {
  private pause = FIRST_RETRY;

  /** `until`: of `performance.now()`. */
  constructor(private readonly until: number) {}

  /** False, at once, where there is no time left; rejects never. */
  async wait(signal?: AbortSignal): Promise<boolean> {
    const pause = this.pause * (0.5 + Math.random());
    this.pause = Math.min(this.pause * 2, LONGEST_RETRY);
    if (signal?.aborted || performance.now() + pause >= this.until) return false;
    await sleep(pause, undefined, { signal }).catch(() => undefined);
    return !signal?.aborted;
  }
}

/** Versions that do not begin with two numbers are taken to be newer: a build of somebody's own. */
function isOlder(version: string): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined) return false;
  return Number(major) < OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) < OLDEST[1]);
}
