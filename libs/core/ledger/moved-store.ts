import type { StreamName } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { type Position, START } from '#core/kernel/position.js';
import {
  type Appended,
  type AppendRequest,
  type EventStore,
  type Head,
  LedgerCorrupt,
  type Page,
  type ReadAllOptions,
  type ReadOptions,
  type StoredEvent,
} from './port.js';

/** What positions mean now that were given out before a log was moved to the store it is in. */
export interface EarlierPositions {
  /**
   * The last event at or before `position`, which is of an earlier store: where it lies now, and whether
   * it lay at exactly that position. Undefined where the log held nothing yet.
   */
  find(
    position: Position,
  ): Promise<{ readonly now: Position; readonly exact: boolean } | undefined>;
}

/** Positions of one store after the other: so far apart that those of two can not be taken for each other. */
const SPAN = 10n ** 16n;

/** Before the first position of an era; the log's first store is era 0. */
export function positionsFrom(era: number): Position {
  return String(BigInt(era) * SPAN) as Position;
}

/** The era that a position was given out in. */
export function eraOf(position: Position): number {
  return Number(BigInt(position) / SPAN);
}

/** A store's own position as the ledger says it. */
export function shifted(position: Position, from: Position): Position {
  return position === START ? START : (String(BigInt(from) + BigInt(position)) as Position);
}

/** A position that the ledger said as the store, whose positions begin behind `from`, counts. */
export function unshifted(position: Position, from: Position): Position {
  return position === START ? START : (String(BigInt(position) - BigInt(from)) as Position);
}

/**
 * A log that was moved here from another store. Every store counts its positions as it likes, so those of
 * the new one begin above all that were ever given out: a position never means two things, and what is
 * later lies further on, whichever store it was recorded in. Positions from before the move are understood
 * wherever a position is taken, and are never given out again.
 */
export class MovedStore implements EventStore {
  constructor(
    private readonly store: EventStore,
    private readonly from: Position,
    private readonly earlier: EarlierPositions,
  ) {}

  async append(request: AppendRequest): Promise<Appended> {
    const { events, position, ...rest } = await this.store.append(request);
    return {
      ...rest,
      position: this.out(position),
      events: events.map((event) => ({ ...event, position: this.out(event.position) })),
    };
  }

  async read(stream: StreamName, options?: ReadOptions): Promise<readonly StoredEvent[]> {
    return (await this.store.read(stream, options)).map(this.shift);
  }

  remembered(stream: StreamName): readonly StoredEvent[] | undefined {
    return this.store.remembered?.(stream)?.map(this.shift);
  }

  async readMany(
    streams: readonly StreamName[],
    { upTo }: { upTo?: Position } = {},
  ): Promise<ReadonlyMap<StreamName, readonly StoredEvent[]>> {
    const found = await this.store.readMany(
      streams,
      upTo === undefined ? {} : { upTo: await this.within(upTo) },
    );
    return new Map([...found].map(([stream, events]) => [stream, events.map(this.shift)]));
  }

  async readAll(after: Position, options: ReadAllOptions): Promise<Page> {
    const from = await this.within(after);
    return this.translating(async () => this.shiftPage(await this.store.readAll(from, options)));
  }

  async *follow(
    after: Position,
    options: ReadAllOptions & { signal: AbortSignal },
  ): AsyncGenerator<Page, void, undefined> {
    try {
      for await (const page of this.store.follow(await this.within(after), options))
        yield this.shiftPage(page);
    } catch (error) {
      throw this.translated(error);
    }
  }

  async head(): Promise<Head | undefined> {
    const head = await this.store.head();
    return head && { ...head, position: this.out(head.position) };
  }

  async at(position: Position): Promise<StoredEvent | undefined> {
    const now = this.isEarlier(position) ? await this.exactly(position) : position;
    const found = now && (await this.store.at(this.own(now)));
    return found && this.shift(found);
  }

  async positionAt(instant: Instant): Promise<Position> {
    return this.translating(async () => this.out(await this.store.positionAt(instant)));
  }

  async locate(position: Position): Promise<Position> {
    if (position === START || !this.isEarlier(position)) return position;
    return (await this.earlier.find(position))?.now ?? START;
  }

  close(): Promise<void> {
    return this.store.close();
  }

  private isEarlier(position: Position): boolean {
    return BigInt(position) <= BigInt(this.from);
  }

  private async exactly(position: Position): Promise<Position | undefined> {
    const found = await this.earlier.find(position);
    return found?.exact ? found.now : undefined;
  }

  /** As the store counts. */
  private async within(position: Position): Promise<Position> {
    const now = await this.locate(position);
    return this.own(now);
  }

  private own(position: Position): Position {
    return unshifted(position, this.from);
  }

  private out(position: Position): Position {
    return shifted(position, this.from);
  }

  private readonly shift = (event: StoredEvent): StoredEvent => ({
    ...event,
    position: this.out(event.position),
  });

  private shiftPage({ events, scannedTo }: Page): Page {
    return { events: events.map(this.shift), scannedTo: this.out(scannedTo) };
  }

  private async translating<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      throw this.translated(error);
    }
  }

  private translated(error: unknown): unknown {
    if (!(error instanceof LedgerCorrupt)) return error;
    return new LedgerCorrupt(this.out(error.position), error.reason);
  }
}
