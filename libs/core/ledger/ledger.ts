import { randomBytes } from 'node:crypto';
import type { Event, Fact, Occasion, Opened, Recorded } from '#core/kernel/event.js';
import { categoryOf, type EventId, newId, type StreamName } from '#core/kernel/ids.js';
import { BEGINNING, type Instant } from '#core/kernel/instant.js';
import { type Decision, fold, type Model } from '#core/kernel/model.js';
import { type Position, START } from '#core/kernel/position.js';
import { type Evidence, Refused } from '#core/kernel/refused.js';
import type { Turn } from '#core/kernel/requested.js';
import { KeyDestroyed } from '#core/vault/port.js';
import { CannotDecode, type Codec, type Draft } from './codec.js';
import { inTime } from './in-time.js';
import { InTurn } from './in-turn.js';
import { RecentEvents } from './recent-events.js';
import { RecentStreams } from './recent-streams.js';
import {
  type Appended,
  type EventStore,
  type Expected,
  type Head,
  LedgerCorrupt,
  LedgerUnavailable,
  type NewEvent,
  OutcomeUnknown,
  type ReadAllOptions,
  type ReadOptions,
  type StoredEvent,
  WrongExpectedRevision,
} from './port.js';

/** One model and what is decided on it. Steps on the same model share one fold. */
export interface Step {
  readonly model: Model<unknown>;
  decide(state: unknown): readonly Fact[];
}

export function step<State, E extends Event>(
  model: Model<State, E>,
  decision: Decision<State, E>,
): Step {
  return {
    model: model as unknown as Model<unknown>,
    decide: (state) => decision(state as State),
  };
}

/** What must hold for every append to the streams of a category, whoever decides it. */
export interface StreamGuard {
  readonly category: string;
  /**
   * Throws Refused where these facts must not follow this history. `facts` is empty where nothing is to
   * be recorded, and where a decision was refused: what the guard throws then comes first. `models` are
   * those that decided.
   */
  check(history: readonly Recorded[], facts: readonly Fact[], models: readonly string[]): void;
}

export interface TransactOptions {
  /** The caller's revision of the stream (If-Match): another one is refused with `revision-mismatch`. */
  readonly ifRevision?: number;
  /** Work that yields to whoever waits for an answer. */
  readonly bulk?: boolean;
  /** Where the order of appends to different streams matters. */
  readonly turn?: Turn;
  /** The last word on all facts together, whichever step decided them. Pure, as the decisions are. */
  readonly finish?: (facts: readonly Fact[]) => readonly Fact[];
}

/** What a transaction recorded; with `events` empty, where it was decided that there is nothing to record. */
export interface Outcome {
  /** Of the last event; without events the stream's last revision then, -1 for no stream. */
  readonly revision: number;
  readonly position: Position;
  readonly recordedAt: Instant;
  readonly events: readonly OutcomeEvent[];
  /** True where this interaction was recorded before and nothing was decided now. */
  readonly replayed: boolean;
}

export interface OutcomeEvent {
  readonly id: EventId;
  readonly type: string;
  readonly revision: number;
  readonly position: Position;
}

/** `concerns`: streams whose events are wanted; those of others are left out without being decoded. */
export interface ReadRecordedOptions extends ReadAllOptions {
  readonly concerns?: (stream: StreamName) => boolean;
}

export interface RecordedPage {
  readonly events: readonly Recorded[];
  readonly scannedTo: Position;
}

/** How often a conflict with another writer of the stream is decided anew. */
const RETRIES = 3;

/** Milliseconds after which a transaction whose turn has not come is given up. */
const PATIENCE = 10_000;

/**
 * The ledger as the domain sees it: facts in, recorded events out. Its refusals beside the domain's own:
 * conflict `conflict`, precondition `revision-mismatch`, gone `key-destroyed`, unavailable
 * `ledger-unavailable` and `outcome-unknown` (repeat it with the same interaction).
 */
export class Ledger {
  private readonly turns = new InTurn<StreamName>();
  private readonly recent = new RecentEvents();
  /** Of those whose appends take turns in one row: what they appended to a moment ago. */
  private readonly rows = new WeakMap<object, RecentStreams>();

  constructor(
    private readonly store: EventStore,
    private readonly codec: Codec,
    private readonly guards: readonly StreamGuard[] = [],
    /** Throws Refused where nothing may be recorded now, whatever it is. */
    private readonly mayAppend: () => void = () => undefined,
  ) {}

  /**
   * Decides every step on the stream, read once where it is not remembered, and appends all facts together or none. Where the
   * occasion's interaction is recorded already, that is the outcome and nothing is decided. When another
   * writer came in between, everything is decided anew, at most three times.
   */
  async transact(
    stream: StreamName,
    occasion: Occasion,
    steps: readonly Step[],
    options: TransactOptions = {},
  ): Promise<Outcome> {
    const came = performance.now();
    return this.turns.run(stream, () => {
      if (performance.now() - came > PATIENCE)
        throw unavailable('ledger-unavailable', 'too many wait for this stream');
      return answering(() => this.attempt(stream, occasion, steps, options));
    });
  }

  /** One stream, in order, or a piece of it; empty where there is none. */
  async read(stream: StreamName, options?: ReadOptions): Promise<readonly Recorded[]> {
    const found = await answering(() => this.store.read(stream, options));
    return this.decodeStream(found, options?.fromRevision);
  }

  /** Several streams at once, up to and including `upTo` where given; an entry for each. */
  async readMany(
    streams: readonly StreamName[],
    options?: { upTo?: Position },
  ): Promise<ReadonlyMap<StreamName, readonly Recorded[]>> {
    const found = await answering(() => this.store.readMany(streams, options));
    return new Map([...found].map(([stream, events]) => [stream, this.decodeStream(events)]));
  }

  /** A page as the store's port gives it; ends before an event that can not be decoded, and throws at it. */
  async readAll(
    after: Position,
    { concerns, ...options }: ReadRecordedOptions,
  ): Promise<RecordedPage> {
    const page = await answering(() => this.store.readAll(after, options));
    const { events, broken } = this.decodeUntilBroken(page.events, concerns);
    if (broken && events.length === 0) throw broken;
    return { events, scannedTo: broken ? lastOf(events) : page.scannedTo };
  }

  /**
   * The log as it grows, until `signal` aborts. Throws CannotDecode at an event that can not be decoded,
   * after everything before it was delivered.
   */
  async *follow(
    after: Position,
    { concerns, ...options }: ReadRecordedOptions & { signal: AbortSignal },
  ): AsyncGenerator<RecordedPage, void, undefined> {
    for await (const page of this.store.follow(after, options)) {
      const { events, broken } = this.decodeUntilBroken(page.events, concerns);
      if (!broken) yield { events, scannedTo: page.scannedTo };
      else {
        if (events.length > 0) yield { events, scannedTo: lastOf(events) };
        throw broken;
      }
    }
  }

  /** The same events with personal fields clear, or erased. For whoever has the right to look. */
  async open(events: readonly Recorded[]): Promise<Opened[]> {
    return this.codec.open(events);
  }

  async head(): Promise<Head | undefined> {
    return answering(() => this.store.head());
  }

  /** The last position recorded at or before `instant`. */
  async positionAt(instant: Instant): Promise<Position> {
    return answering(() => this.store.positionAt(instant));
  }

  /** Where the log has now what lay at this position when it was given out: see the store's port. */
  async locate(position: Position): Promise<Position> {
    return answering(async () => (await this.store.locate?.(position)) ?? position);
  }

  async at(position: Position): Promise<Recorded | undefined> {
    const stored = await answering(() => this.store.at(position));
    return stored && this.codec.decode(stored);
  }

  private async attempt(
    stream: StreamName,
    occasion: Occasion,
    steps: readonly Step[],
    options: TransactOptions,
  ): Promise<Outcome> {
    const onRemembered = await this.attemptOnRemembered(stream, occasion, steps, options);
    return onRemembered ?? this.attemptOnRead(stream, occasion, steps, options);
  }

  /**
   * On what is remembered of the stream: nothing needs to be read where that is all there is, and the append is
   * refused where it is not. Undefined where nothing was appended: whatever else there is to say must be said of
   * the stream as it is now.
   */
  private async attemptOnRemembered(
    stream: StreamName,
    occasion: Occasion,
    steps: readonly Step[],
    { ifRevision, ...how }: TransactOptions,
  ): Promise<Outcome | undefined> {
    const remembered = how.turn ? this.ofRow(how.turn).of(stream) : this.store.remembered?.(stream);
    if (!remembered) return undefined;
    const revision = remembered.at(-1)?.revision;
    if (ifRevision !== undefined && ifRevision !== revision) return undefined;
    let facts: readonly Fact[];
    try {
      const history = this.decodeStream(remembered);
      if (outcomeOf(history, occasion)) return undefined;
      const decided = this.decide(stream, history, steps);
      facts = how.finish?.(decided) ?? decided;
    } catch {
      return undefined;
    }
    if (facts.length === 0) return undefined;
    try {
      return await this.append(stream, remembered, occasion, facts, how);
    } catch (error) {
      if (error instanceof WrongExpectedRevision || error instanceof KeyDestroyed) return undefined;
      throw error;
    }
  }

  private async attemptOnRead(
    stream: StreamName,
    occasion: Occasion,
    steps: readonly Step[],
    { ifRevision, ...how }: TransactOptions,
  ): Promise<Outcome> {
    const stored = [...(await this.store.read(stream))];
    const history = this.decodeStream(stored);
    for (let retry = 0; ; retry++) {
      const before = outcomeOf(history, occasion);
      if (before) return before;
      const revision = history.at(-1)?.revision;
      if (ifRevision !== undefined && ifRevision !== revision)
        throw revisionMismatch({ expected: ifRevision, actual: revision });
      const decided = this.decide(stream, history, steps);
      const facts = how.finish?.(decided) ?? decided;
      if (facts.length === 0) return nothingRecorded(history);
      try {
        return await this.append(stream, stored, occasion, facts, how);
      } catch (error) {
        const mayPass = error instanceof WrongExpectedRevision || error instanceof KeyDestroyed;
        if (!mayPass) throw error;
        const news = await this.store.read(stream, { fromRevision: history.length });
        // Where a key was destroyed, the stream says so: whoever guards it can then tell more.
        if (retry === RETRIES || (error instanceof KeyDestroyed && news.length === 0))
          throw givenUp(error);
        history.push(...this.decodeStream(news, history.length));
        stored.push(...news);
      }
    }
  }

  private decide(
    stream: StreamName,
    history: readonly Recorded[],
    steps: readonly Step[],
  ): readonly Fact[] {
    const guards = this.guards.filter(({ category }) => category === categoryOf(stream));
    const models = steps.map(({ model }) => model.name);
    const states = new Map<Model<unknown>, unknown>();
    const stateOf = (model: Model<unknown>) => {
      if (!states.has(model)) states.set(model, fold(model, history));
      return states.get(model);
    };
    const guard = (facts: readonly Fact[]) => {
      for (const one of guards) one.check(history, facts, models);
    };
    let facts: readonly Fact[];
    try {
      facts = steps.flatMap(({ model, decide }) => decide(stateOf(model)));
    } catch (error) {
      // That the stream takes nothing any more says more than what stands in the way of this move.
      if (error instanceof Refused) guard([]);
      throw error;
    }
    guard(facts);
    return facts;
  }

  private async append(
    stream: StreamName,
    before: readonly StoredEvent[],
    occasion: Occasion,
    facts: readonly Fact[],
    { bulk, turn }: TransactOptions,
  ): Promise<Outcome> {
    this.mayAppend();
    const revision = before.at(-1)?.revision;
    const drafts = facts.map((fact) => draftOf(stream, occasion, fact));
    const events = (await this.codec.encode(drafts)) as [NewEvent, ...NewEvent[]];
    const expected: Expected =
      revision === undefined ? { kind: 'none' } : { kind: 'exact', revision };
    if (turn) await inTime(turn.come(), PATIENCE, tooLate);
    const appending = this.store.append({ stream, expected, events, bulk });
    turn?.done();
    const appended = await appending;
    if (turn) this.ofRow(turn).keep(stream, [...before, ...placed(stream, events, appended)]);
    return recordedNow(events, appended);
  }

  private ofRow({ row }: Turn): RecentStreams {
    const known = this.rows.get(row) ?? new RecentStreams();
    this.rows.set(row, known);
    return known;
  }

  /** A decision must not be taken on a history with a hole: revisions run on from `first` one by one. */
  private decodeStream(stored: readonly StoredEvent[], first = 0): Recorded[] {
    return stored.map((event, index) => {
      if (event.revision !== first + index)
        throw new LedgerCorrupt(event.position, `${event.stream} has no revision ${first + index}`);
      return this.codec.decode(event);
    });
  }

  private decodeUntilBroken(
    stored: readonly StoredEvent[],
    concerns?: (stream: StreamName) => boolean,
  ): { events: Recorded[]; broken?: CannotDecode } {
    const events: Recorded[] = [];
    try {
      for (const event of stored)
        if (concerns?.(event.stream) ?? true)
          events.push(this.recent.of(event, () => this.codec.decode(event)));
      return { events };
    } catch (broken) {
      if (!(broken instanceof CannotDecode)) throw broken;
      return { events, broken };
    }
  }
}

/** Whoever holds a stream must not wait for others without end: they may wait for that stream. */
function tooLate(): Refused {
  return unavailable('ledger-unavailable', 'the appends before this one take too long');
}

function draftOf(stream: StreamName, occasion: Occasion, { type, data, occurredAt }: Fact): Draft {
  // In the order in which they are written: what is in order need not be sorted.
  return {
    actor: occasion.actor,
    causationId: occasion.causationId,
    correlationId: occasion.correlationId,
    data,
    declaredBy: occasion.declaredBy,
    id: newId('evt'),
    interactionId: occasion.interactionId,
    occurredAt: occurredAt ?? occasion.occurredAt,
    provenance: occasion.provenance,
    receivedAt: occasion.receivedAt,
    salt: randomBytes(16).toString('base64url'),
    source: occasion.source,
    stream,
    type,
  };
}

/** What the interaction recorded when it came first; undefined where it did not come yet. */
function outcomeOf(history: readonly Recorded[], { interactionId }: Occasion): Outcome | undefined {
  const events = history.filter((event) => event.interactionId === interactionId);
  const last = events.at(-1);
  if (!last) return undefined;
  const { revision, position, recordedAt } = last;
  return { revision, position, recordedAt, events: events.map(placeOf), replayed: true };
}

function placeOf({ id, type, revision, position }: Recorded): OutcomeEvent {
  return { id, type, revision, position };
}

function nothingRecorded(history: readonly Recorded[]): Outcome {
  const last = history.at(-1);
  return {
    revision: last?.revision ?? -1,
    position: last?.position ?? START,
    recordedAt: last?.recordedAt ?? BEGINNING,
    events: [],
    replayed: false,
  };
}

/** The events as the store has them now. */
function placed(
  stream: StreamName,
  events: readonly NewEvent[],
  { recordedAt, events: places }: Appended,
): StoredEvent[] {
  return places.map(({ revision, position }, index) => {
    const { content } = events[index] as NewEvent;
    return { stream, revision, position, bytes: content.at(recordedAt, revision) };
  });
}

function recordedNow(events: readonly NewEvent[], appended: Appended): Outcome {
  const { revision, position, recordedAt } = appended;
  return {
    revision,
    position,
    recordedAt,
    events: appended.events.map((place, index) => {
      const { id, type } = events[index] as NewEvent;
      return { id, type, ...place };
    }),
    replayed: false,
  };
}

function lastOf(events: readonly Recorded[]): Position {
  return (events.at(-1) as Recorded).position;
}

/** The store's failures as the refusals that callers know. */
async function answering<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof LedgerUnavailable)
      throw unavailable('ledger-unavailable', 'the ledger can not be reached now', error);
    if (error instanceof OutcomeUnknown)
      throw unavailable('outcome-unknown', 'it may have been recorded: repeat it', error);
    throw error;
  }
}

function unavailable(code: string, detail: string, cause?: Error): Refused {
  const refused = new Refused('unavailable', code, detail);
  refused.cause = cause;
  return refused;
}

function revisionMismatch(evidence: Evidence): Refused {
  const detail = `the present revision is ${evidence.actual ?? 'none'}, not ${evidence.expected}`;
  return new Refused('precondition', 'revision-mismatch', detail, { evidence });
}

function givenUp(error: WrongExpectedRevision | KeyDestroyed): Refused {
  if (error instanceof KeyDestroyed) {
    const { compartment } = error.keyOwner;
    return new Refused('gone', 'key-destroyed', 'its key was destroyed', {
      evidence: { compartment },
    });
  }
  const evidence = { actual: error.actual };
  return new Refused('conflict', 'conflict', 'others keep changing this stream', { evidence });
}
