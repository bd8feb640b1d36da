import type { Event, Fact, Recorded } from './event.js';
import type { WithoutPii } from './pii.js';

/** Written in place of a handler: this event is known and does not matter here. */
export const ignored: unique symbol = Symbol('ignored');
export type Ignored = typeof ignored;

/**
 * Gives a step a list, set or table of its state to change before it is returned in the next one; what it was given
 * MUST NOT be looked at any more. It is a copy where anybody else may hold it, and the thing itself where a `fold`
 * made it: so a fold takes time that grows with the stream, and not with its square.
 */
export interface Own {
  <Item>(list: readonly Item[]): Item[];
  <Item>(set: ReadonlySet<Item>): Set<Item>;
  <Value>(table: Readonly<Record<string, Value>>): Record<string, Value>;
}

/** For every event of the union a step, or `ignored`: one that is forgotten does not compile. */
export type Evolve<State, E extends Event> = {
  readonly [T in E['type']]:
    Ignored | ((state: State, event: Recorded<Extract<E, { type: T }>>, own: Own) => State);
};

/** A slice's private view of a stream: where it starts and what each event makes of it. */
export interface Model<State, E extends Event = Event> {
  readonly name: string;
  readonly initial: State;
  readonly evolve: Evolve<State, E>;
}

/**
 * Declares a model for the events `E`; a state that holds personal data does not compile.
 * Usage: `model<ConsentEvent>()({ name, initial, evolve: { ... } })`.
 */
export function model<E extends Event>() {
  return <State>(definition: {
    name: string;
    initial: State & WithoutPii<State>;
    evolve: Evolve<State, E>;
  }): Model<State, E> => definition;
}

/** What follows from a state: facts, or none where there is nothing to do. Pure: no clock, id or await. */
export type Decision<State, E extends Event> = (state: State) => readonly Fact<E>[];

type AnyStep = (state: unknown, event: unknown, own: Own) => unknown;

/** The state after `event`; events that the model does not declare belong to other slices and change nothing. */
export function evolve<State, E extends Event>(
  of: Model<State, E>,
  state: State,
  event: Recorded,
): State {
  return stepped(of, state, event, copyOf as Own);
}

/** The state after all `events`, which must be one stream's in order of revision. */
export function fold<State, E extends Event>(
  of: Model<State, E>,
  events: Iterable<Recorded>,
  from: State = of.initial,
): State {
  const folding = new Folding(of, from);
  for (const event of events) folding.add(event);
  return folding.state;
}

/** A fold of a stream that is read as it goes on. */
export class Folding<State, E extends Event> {
  /** What no one has seen yet. */
  private made = new Set<object>();

  constructor(
    private readonly of: Model<State, E>,
    private current: State = of.initial,
  ) {}

  add(event: Recorded): void {
    this.current = stepped(this.of, this.current, event, this.own);
  }

  /** After what was added so far; it does not change with what is added later. */
  get state(): State {
    this.made = new Set();
    return this.current;
  }

  private readonly own = ((part: object): object => {
    if (this.made.has(part)) return part;
    const copy = copyOf(part);
    this.made.add(copy);
    return copy;
  }) as Own;
}

function stepped<State, E extends Event>(
  of: Model<State, E>,
  state: State,
  event: Recorded,
  own: Own,
): State {
  const step = (of.evolve as Readonly<Record<string, Ignored | AnyStep>>)[event.type];
  return step === undefined || step === ignored ? state : (step(state, event, own) as State);
}

function copyOf(part: object): object {
  if (Array.isArray(part)) return [...(part as unknown[])];
  if (part instanceof Set) return new Set(part);
  return Object.assign(Object.create(Object.getPrototypeOf(part) as object | null) as object, part);
}

/** Handlers of a projection or reaction: the same completeness as `Evolve`, over an open context. */
export type Handlers<Context, E extends Event> = {
  readonly [T in E['type']]:
    Ignored | ((context: Context, event: Recorded<Extract<E, { type: T }>>) => void);
};
