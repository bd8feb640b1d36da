import { comparePositions, type Position, START } from '#core/kernel/position.js';
import type { Expected } from '../port.js';

/** When a call began and ended, in milliseconds of one clock that never goes back. */
export interface Interval {
  readonly began: number;
  /** Infinity: never, or nobody was told. */
  readonly ended: number;
}

/** One call of `append`, and what its caller was told. */
export interface Appending extends Interval {
  readonly stream: string;
  readonly expected: Expected;
  /** Of its events, in order. The same ids again are a retry. */
  readonly ids: readonly string[];
  readonly told:
    /** `repeated`: what an earlier call had written, whatever this one expected. */
    | { readonly kind: 'appended'; readonly places: readonly Place[]; readonly repeated?: boolean }
    /** WrongExpectedRevision; `actual`: the revision that was found, -1 where there was no stream. */
    | { readonly kind: 'conflict'; readonly actual: number }
    /** LedgerUnavailable: nothing was written. */
    | { readonly kind: 'refused' }
    /** OutcomeUnknown, or the caller is gone. */
    | { readonly kind: 'unknown' };
}

export interface Place {
  readonly revision: number;
  readonly position: Position;
}

export interface Seen extends Place {
  readonly stream: string;
  readonly id: string;
}

/** A page of the whole log, as some reader got it. */
export interface Paging extends Interval {
  readonly after: Position;
  readonly events: readonly Seen[];
  readonly scannedTo: Position;
  /** Whether it was scanned to the log's end, as of some moment of the call. */
  readonly toEnd: boolean;
}

/** One stream from its first event on, as some reader got it. */
export interface StreamReading extends Interval {
  readonly stream: string;
  readonly ids: readonly string[];
}

export type ViolationKind =
  /** Told to be recorded, and not in the log. */
  | 'lost'
  /** In the log more than once. */
  | 'doubled'
  /** In the log elsewhere than its writer was told. */
  | 'moved'
  /** Of events appended together some are in the log and some are not, or not side by side. */
  | 'half'
  /** In the log although its writer was told that nothing was written. */
  | 'phantom'
  /** In the log, and nobody appended it. */
  | 'foreign'
  /** Positions or revisions of the log do not run on. */
  | 'hole'
  /** A reader passed over an event. */
  | 'skipped'
  /** A reader was given events in another order or place than the log has. */
  | 'reordered'
  /** No order of the calls explains what was told: a revision that can not have been there at that time. */
  | 'not-linearizable';

export interface Violation {
  readonly kind: ViolationKind;
  /** Which, in ids and numbers. */
  readonly evidence: string;
}

export interface History {
  readonly appends: readonly Appending[];
  readonly pages: readonly Paging[];
  readonly readings: readonly StreamReading[];
  /** The log at the end, when nobody writes any more, after `from`. */
  readonly log: readonly Seen[];
  /** Where the log ended when the history began. Absent: at its beginning. */
  readonly from?: Position;
  /** Whether positions are to run on one by one. */
  readonly gapless: boolean;
}

/**
 * Whether appends and reads, as their callers saw them, can be of one log: nothing lost, doubled or reordered, every
 * append whole, every reader given all there was, and each stream's expected revisions linearizable (Herlihy and Wing,
 * 1990): there is one order of all calls that respects which of them ended before another began. As the log gives
 * the order of what was written, it is enough to place every other call between two of those. Empty: it can.
 */
export function violationsIn(history: History): readonly Violation[] {
  const log = indexed(history.log);
  return [
    ...wholeness(history),
    ...history.appends.flatMap((append) => [...kept(append, history.appends, log)]),
    ...history.pages.flatMap((page) => [...complete(page, history.log)]),
    ...linearity(history, log),
  ];
}

type Log = ReadonlyMap<string, Seen>;

function indexed(log: readonly Seen[]): Log {
  return new Map(log.map((event) => [event.id, event]));
}

/** The log by itself. */
function* wholeness({ log, from = START, gapless, appends }: History): Iterable<Violation> {
  const appended = new Set(appends.flatMap(({ ids }) => ids));
  const seen = new Set<string>();
  const revisions = new Map<string, number>();
  let last = from;
  for (const { id, position, stream, revision } of log) {
    if (seen.has(id)) yield { kind: 'doubled', evidence: `${id} again at ${position}` };
    seen.add(id);
    if (!appended.has(id)) yield { kind: 'foreign', evidence: `${id} at ${position}` };
    if (comparePositions(position, last) <= 0)
      yield { kind: 'reordered', evidence: `${position} after ${last}` };
    else if (gapless && BigInt(position) !== BigInt(last) + 1n)
      yield { kind: 'hole', evidence: `position ${position} after ${last}` };
    const next = (revisions.get(stream) ?? -1) + 1;
    if (revision !== next)
      yield { kind: 'hole', evidence: `${stream}: revision ${revision} in place of ${next}` };
    revisions.set(stream, revision);
    last = position;
  }
}

/** What the writers of these events were told, against what is there. */
function* kept(
  { ids, told, stream }: Appending,
  appends: readonly Appending[],
  log: Log,
): Iterable<Violation> {
  const there = ids.filter((id) => log.has(id));
  if (there.length > 0 && there.length < ids.length && told.kind !== 'appended')
    yield { kind: 'half', evidence: `${there.join(', ')} of ${ids.join(', ')}` };
  if (told.kind === 'refused' || told.kind === 'conflict') {
    // Who repeats what was refused may be served: only where nobody did is it a phantom.
    const elsewhere = appends.some(
      (other) => couldHaveWritten(other) && other.ids.includes(there[0] ?? ''),
    );
    if (there.length > 0 && !elsewhere)
      yield { kind: 'phantom', evidence: `${there.join(', ')}: ${told.kind}` };
  }
  if (told.kind !== 'appended') return;
  for (const [index, id] of ids.entries()) {
    const event = log.get(id);
    const place = told.places[index];
    if (!event) yield { kind: 'lost', evidence: id };
    else if (
      event.stream !== stream ||
      event.position !== place?.position ||
      event.revision !== place.revision
    )
      yield { kind: 'moved', evidence: `${id} is at ${event.position}, told ${place?.position}` };
  }
}

function couldHaveWritten({ told }: Appending): boolean {
  return told.kind === 'appended' || told.kind === 'unknown';
}

/** A page has every event of the log between where it begins and where it was scanned to, and no other. */
function* complete(
  { after, events, scannedTo }: Paging,
  log: readonly Seen[],
): Iterable<Violation> {
  const within = log.slice(countUpTo(log, after), countUpTo(log, scannedTo));
  const wanted = new Map(within.map(({ id, position }) => [id, position]));
  const given = new Set<string>();
  let last = after;
  for (const { id, position } of events) {
    const evidence = `${id} at ${position} after ${after}`;
    if (!wanted.has(id)) yield { kind: 'foreign', evidence };
    else if (given.has(id)) yield { kind: 'doubled', evidence };
    else if (wanted.get(id) !== position || comparePositions(position, last) <= 0)
      yield { kind: 'reordered', evidence };
    given.add(id);
    last = position;
  }
  for (const { id, position } of within)
    if (!given.has(id)) yield { kind: 'skipped', evidence: `${id} at ${position} after ${after}` };
}

/** How many events of a log lie at or before this position. */
function countUpTo(log: readonly Seen[], position: Position): number {
  let [low, high] = [0, log.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comparePositions((log[middle] as Seen).position, position) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A call that must have happened while exactly so many of the ordered writes had. */
interface Observation extends Interval {
  readonly state: number;
  readonly evidence: string;
}

interface Write extends Interval {
  readonly evidence: string;
}

function* linearity(history: History, log: Log): Iterable<Violation> {
  const events = byStream(history.log);
  const readings = byStream(history.readings);
  for (const [stream, appends] of byStream(history.appends))
    yield* streamLinearity(events.get(stream) ?? [], appends, readings.get(stream) ?? [], log);
  const ends = history.pages.filter(({ toEnd }) => toEnd);
  yield* explained(
    writesOf(history.log, history.appends),
    ends.map(({ began, ended, scannedTo }) => ({
      began,
      ended,
      state: countUpTo(history.log, scannedTo),
      evidence: `the log read to its end at ${scannedTo}`,
    })),
  );
}

function byStream<T extends { readonly stream: string }>(all: readonly T[]): Map<string, T[]> {
  const streams = new Map<string, T[]>();
  for (const one of all) {
    const some = streams.get(one.stream);
    if (some) some.push(one);
    else streams.set(one.stream, [one]);
  }
  return streams;
}

function* streamLinearity(
  events: readonly Seen[],
  appends: readonly Appending[],
  readings: readonly StreamReading[],
  log: Log,
): Iterable<Violation> {
  const observations: Observation[] = [];
  for (const { began, ended, told, expected, ids, stream } of appends) {
    const evidence = `${stream}: ${ids[0]} ${told.kind} at ${expected.kind}`;
    if (told.kind === 'conflict') {
      observations.push({ began, ended, state: told.actual + 1, evidence });
      if (isMet(expected, told.actual)) yield { kind: 'not-linearizable', evidence };
    }
    const first = log.get(ids[0] ?? '');
    if (told.kind !== 'appended' || told.repeated || !first) continue;
    if (!isMet(expected, first.revision - 1))
      yield { kind: 'not-linearizable', evidence: `${evidence} became ${first.revision}` };
  }
  for (const { began, ended, ids, stream } of readings) {
    const evidence = `${stream} read: ${ids.length} events`;
    observations.push({ began, ended, state: ids.length, evidence });
    if (ids.some((id, index) => events[index]?.id !== id)) yield { kind: 'reordered', evidence };
  }
  yield* explained(writesOf(events, appends), observations);
}

export function isMet(expected: Expected, last: number): boolean {
  switch (expected.kind) {
    case 'any':
      return true;
    case 'none':
      return last < 0;
    case 'exists':
      return last >= 0;
    case 'exact':
      return last === expected.revision;
  }
}

/** When each event can have been written: after somebody first sent it, before anybody was told that it is there. */
function writesOf(events: readonly Seen[], appends: readonly Appending[]): readonly Write[] {
  const sent = new Map<string, { began: number; ended: number }>();
  for (const append of appends.filter(couldHaveWritten)) {
    const ended = append.told.kind === 'appended' ? append.ended : Infinity;
    for (const id of append.ids) {
      const known = sent.get(id);
      sent.set(id, {
        began: Math.min(append.began, known?.began ?? Infinity),
        ended: Math.min(ended, known?.ended ?? Infinity),
      });
    }
  }
  return events.map(({ id, position }) => ({
    ...(sent.get(id) ?? { began: 0, ended: Infinity }),
    evidence: `${id} at ${position}`,
  }));
}

/**
 * Gives every write, in order, and every observation between two of them the earliest moment it can have. Where that
 * is after its end no order of the calls explains it, since any other choice would only be later.
 */
function* explained(
  writes: readonly Write[],
  observations: readonly Observation[],
): Iterable<Violation> {
  const byState = new Map<number, Observation[]>();
  for (const observation of observations)
    byState.set(observation.state, [...(byState.get(observation.state) ?? []), observation]);
  let now = -Infinity;
  for (let state = 0; state <= writes.length; state++) {
    const write = writes[state - 1];
    if (write) {
      now = Math.max(now, write.began);
      if (now > write.ended) yield { kind: 'not-linearizable', evidence: write.evidence };
    }
    let latest = now;
    for (const { began, ended, evidence } of byState.get(state) ?? []) {
      if (Math.max(now, began) > ended) yield { kind: 'not-linearizable', evidence };
      latest = Math.max(latest, began);
    }
    now = latest;
    byState.delete(state);
  }
  for (const [state, some] of byState)
    for (const { evidence } of some)
      yield { kind: 'not-linearizable', evidence: `${evidence}: ${state} events never were` };
}
