import type { Event, Fact, Recorded } from './event.js';
import type { WithoutPii } from './pii.js';

/** Written in place of a handler: this event is known and does not matter here. */
export const ignored: unique symbol = Symbol('ignored');
export type Ignored = typeof ignored;

/** For every event of the union a step, or `ignored`: one that is forgotten does not compile. */
export type Evolve<State, E extends Event> = {
  readonly [T in E['type']]:
    Ignored | ((state: State, event: Recorded<Extract<E, { type: T }>>) => State);
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

type AnyStep = (state: unknown, event: unknown) => unknown;

/** The state after `event`; events that the model does not declare belong to other slices and change nothing. */
export function evolve<State, E extends Event>(
  of: Model<State, E>,
  state: State,
  event: Recorded,
): State {
  const step = (of.evolve as Readonly<Record<string, Ignored | AnyStep>>)[event.type];
  return step === undefined || step === ignored ? state : (step(state, event) as State);
}

/** The state after all `events`, which must be one stream's in order of revision. */
export function fold<State, E extends Event>(
  of: Model<State, E>,
  events: Iterable<Recorded>,
  from: State = of.initial,
): State {
  let state = from;
  for (const event of events) state = evolve(of, state, event);
  return state;
}

/** Handlers of a projection or reaction: the same completeness as `Evolve`, over an open context. */
export type Handlers<Context, E extends Event> = {
  readonly [T in E['type']]:
    Ignored | ((context: Context, event: Recorded<Extract<E, { type: T }>>) => void);
};
