/**
 * What a client can ask of the server. A `subscribe` is a read without an end; a `search` is a `readAll` from the end of the
 * log that looks for something.
 */
export type Call =
  | 'append'
  | 'batchAppend'
  | 'readStream'
  | 'readAll'
  | 'search'
  | 'subscribe'
  | 'gossip'
  | 'features';

export type FaultKind =
  /** Hears, and is heard no more. */
  | 'silent'
  /** The call ends as if all was said. */
  | 'end'
  /** Every answer comes twice. */
  | 'duplicate'
  /** The call fails and names another node, as one does that is not the leader. */
  | 'not-leader'
  /** The call fails: before it was begun, as while nodes elect a leader; where it is `written`, in the midst of it. */
  | 'unavailable'
  /** The call fails because too few nodes confirmed in time. */
  | 'timeout'
  /** The connection is gone. */
  | 'cut'
  /** The answer comes late. */
  | 'slow';

export interface Fault {
  readonly kind: FaultKind;
  /** The calls it strikes; all where none is named. */
  readonly calls?: readonly Call[];
  /** Only calls about this stream. */
  readonly stream?: string;
  /** How many calls it strikes before it is over. */
  readonly times?: number;
  /** For how many milliseconds from now it strikes. */
  readonly forMs?: number;
  /** Appends: whether what was asked for is written all the same. */
  readonly written?: boolean;
  /** Reads: how many events are delivered before it strikes; none where it says nothing. */
  readonly afterEvents?: number;
  /** How late a slow answer, or an end, is, in milliseconds. */
  readonly delayMs?: number;
}

/** The switches of a fault server: what goes wrong with which calls. */
export class Faults {
  private active: { readonly fault: Fault; left: number; readonly until: number }[] = [];
  /** How many calls were struck. */
  struck = 0;

  /** Strikes calls from now on, after faults that were set before. Gives back what takes it away. */
  set(fault: Fault): () => void {
    const { times = Infinity, forMs = Infinity } = fault;
    const entry = { fault, left: times, until: performance.now() + forMs };
    this.active.push(entry);
    return () => {
      this.active = this.active.filter((other) => other !== entry);
    };
  }

  clear(): void {
    this.active = [];
  }

  /** The fault that strikes this call, if one does. */
  strike(call: Call, stream?: string): Fault | undefined {
    const now = performance.now();
    this.active = this.active.filter(({ left, until }) => left > 0 && now < until);
    const entry = this.active.find(({ fault }) => concerns(fault, call, stream));
    if (entry === undefined) return undefined;
    entry.left--;
    this.struck++;
    return entry.fault;
  }
}

function concerns({ calls, stream }: Fault, call: Call, about: string | undefined): boolean {
  return (calls?.includes(call) ?? true) && (stream === undefined || stream === about);
}
