import type { Faults } from './faults.js';
import type { ServerLog } from './server-log.js';
import type { User } from './users.js';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** A member of the cluster as every one of them sees it. */
export interface Member {
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly alive: boolean;
  readonly leader: boolean;
}

/** How a filter goes through the log: at most `window` events at a time, each time after `delayMs` milliseconds. */
export interface SlowSearch {
  readonly window: number;
  readonly delayMs: number;
}

/** What the calls of one node need to know of the server around them. */
export interface NodeView {
  readonly log: ServerLog;
  readonly faults: Faults;
  /** Who may sign in; undefined on a server that asks nobody, as one that was started insecure. */
  readonly users: readonly User[] | undefined;
  /** As the server tells it: `24.10.14`. */
  readonly version: string;
  /** Bytes. */
  readonly maxAppendSize: number;
  readonly slowSearch: SlowSearch | undefined;
  members(): readonly Member[];
  isLeader(): boolean;
  leader(): Endpoint;
  /** Cuts the connection whose end at this node is `peer`. */
  cut(peer: string): void;
}
