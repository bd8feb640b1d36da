import { placedIn } from '../content.js';
import { NotNext, type StoredEvents } from '../copying.js';
import { LedgerCorrupt, type StoredEvent } from '../port.js';
import { proposed } from './append.js';
import { Connection, Retry } from './connection.js';
import { failureOf } from './failure.js';

/** All times in milliseconds. */
export interface KurrentStoredEventsOptions {
  readonly connectionString: string;
  readonly streamPrefix: string;
  /** How long an append is tried again, also where the cluster chooses another leader. Default 60,000. */
  readonly deadline?: number;
  /** One try of an append. Default 5,000. */
  readonly patience?: number;
}

/** So many events, and bytes, go in one append at most: the server takes 1 MiB. */
const [MOST_EVENTS, MOST_BYTES] = [200, 800_000];

/**
 * Takes over events of another store, one append after the other: only what was acknowledged is followed,
 * for what is sent side by side can arrive in another order. Events that lie side by side in the log and in
 * one stream travel together. Every append is at its exact revision and carries ids made of the bytes, as
 * those of `Appends` do: an attempt whose answer was lost is made again.
 */
export class KurrentStoredEvents implements StoredEvents {
  private readonly connection: Connection;
  private readonly prefix: string;
  private readonly deadline: number;

  /** @throws BadConnectionString */
  constructor(options: KurrentStoredEventsOptions) {
    this.connection = new Connection(options.connectionString, options.patience ?? 5_000);
    this.prefix = options.streamPrefix;
    this.deadline = options.deadline ?? 60_000;
  }

  async append(events: readonly StoredEvent[]): Promise<void> {
    for (const run of runsOf(events)) await this.appendRun(run);
  }

  close(): Promise<void> {
    this.connection.close();
    return Promise.resolve();
  }

  private async appendRun(run: readonly [StoredEvent, ...StoredEvent[]]): Promise<void> {
    const [first] = run;
    const name = this.prefix + first.stream;
    const last = first.revision === 0 ? undefined : first.revision - 1;
    const data = run.map(({ bytes, position, revision }) => {
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (placedIn(buffer)?.revision !== revision) throw new LedgerCorrupt(position, 'is no event');
      const { type } = JSON.parse(buffer.toString('utf8')) as { type: string };
      return proposed(type, buffer);
    });
    const until = performance.now() + this.deadline;
    for (const retry = new Retry(until); ;) {
      try {
        await this.connection.attempt(until - performance.now(), (client, end) =>
          client.write(name, data, last, end),
        );
        return;
      } catch (error) {
        const failure = failureOf(error);
        if (failure === 'conflict') throw new NotNext(first, actualOf(error));
        if (failure === 'refused' || !(await retry.wait(this.connection.closing))) throw error;
      }
    }
  }
}

function actualOf(error: unknown): number | undefined {
  const { actualVersion } = error as { actualVersion?: unknown };
  return typeof actualVersion === 'bigint' ? Number(actualVersion) : undefined;
}

/** Neighbours of one stream whose revisions run on; each run fits in one append. */
function runsOf(events: readonly StoredEvent[]): readonly [StoredEvent, ...StoredEvent[]][] {
  const runs: [StoredEvent, ...StoredEvent[]][] = [];
  let last: StoredEvent | undefined;
  let bytes = 0;
  for (const event of events) {
    const run = runs.at(-1);
    bytes += event.bytes.length;
    const goesOn =
      run !== undefined &&
      last?.stream === event.stream &&
      last.revision + 1 === event.revision &&
      run.length < MOST_EVENTS &&
      bytes <= MOST_BYTES;
    if (goesOn) run.push(event);
    else {
      runs.push([event]);
      bytes = event.bytes.length;
    }
    last = event;
  }
  return runs;
}
