import type { Actor, Event, Fact, Recorded } from './event.js';
import { type EventId, newId, type ReceiptId, streamOf, type StreamName } from './ids.js';
import type { Instant } from './instant.js';
import { type Decision, fold, type Model } from './model.js';
import type { Position } from './position.js';
import { Refused } from './refused.js';

/** Given/when/then for decisions: exact and in order. */

/** An event for tests, recorded at its place in the list, personal fields sealed under no key. */
export function recorded<E extends Event>(
  fact: Fact<E> | Recorded<E>,
  index = 0,
  from: Partial<Recorded> = {},
): Recorded {
  if ('revision' in fact) return fact as Recorded;
  const at = fact.occurredAt ?? from.occurredAt ?? ('2026-01-01T00:00:00.000Z' as Instant);
  return {
    id: `evt_00000000-0000-7000-8000-${String(index + 1).padStart(12, '0')}` as EventId,
    version: 1,
    stream: streamOf('subject', 'sub_00000000-0000-7000-8000-000000000000') as StreamName,
    revision: index,
    position: String(index + 1) as Position,
    recordedAt: at,
    actor: { kind: 'system', id: 'spec' } satisfies Actor,
    source: 'unknown',
    interactionId:
      `rcp_00000000-0000-7000-8000-${String(index + 1).padStart(12, '0')}` as ReceiptId,
    correlationId: 'spec',
    salt: '',
    ...from,
    occurredAt: at,
    type: fact.type,
    data: fact.data,
  } as Recorded;
}

export interface Then<E extends Event> {
  /** Exactly these facts, in this order; `[]` for nothing to do. */
  then(...facts: readonly Fact<E>[]): void;
  /** Refused with this code, and nothing decided. */
  thenRefused(code: string): void;
}

export function given<State, E extends Event>(
  of: Model<State, E>,
  ...history: readonly (Fact | Recorded)[]
): { when(decide: Decision<State, E>): Then<E> } {
  const events = history.map((fact, index) => recorded(fact, index));
  return {
    when: (decide) => ({
      then(...facts) {
        const decided = decide(fold(of, events));
        if (canonical(decided) !== canonical(facts))
          throw new Error(`expected ${pretty(facts)}\nbut decided ${pretty(decided)}`);
      },
      thenRefused(code) {
        let decided: readonly Fact<E>[];
        try {
          decided = decide(fold(of, events));
        } catch (error) {
          if (error instanceof Refused && error.code === code) return;
          throw error;
        }
        throw new Error(`expected a refusal with ${code}, but decided ${pretty(decided)}`);
      },
    }),
  };
}

/** Law 1: deciding the same again, after its facts were recorded, decides nothing new. */
export function retryDecidesNothingNew<State, E extends Event>(
  of: Model<State, E>,
  history: readonly Recorded[],
  decide: Decision<State, E>,
): void {
  const decided = attempt(() => decide(fold(of, history)));
  if (!Array.isArray(decided)) return;
  const after = [
    ...history,
    ...decided.map((fact: Fact<E>, index) => recorded(fact, history.length + index)),
  ];
  const again = attempt(() => decide(fold(of, after)));
  if (canonical(again) !== '[]')
    throw new Error(`a retry decided ${pretty(again)} after ${pretty(decided)}`);
}

/** Law 2: whether personal fields are sealed, under whatever key, or erased changes no decision. */
export function personalFieldsChangeNoDecision<State, E extends Event>(
  of: Model<State, E>,
  history: readonly Recorded[],
  personal: (type: string) => readonly string[],
  decide: Decision<State, E>,
): void {
  const replaced = (value: object) =>
    history.map((event) => {
      const data: Record<string, unknown> = { ...(event.data as Record<string, unknown>) };
      for (const field of personal(event.type)) if (data[field] !== undefined) data[field] = value;
      return { ...event, data } as Recorded;
    });
  const [sealed, gone] = [{ sealed: newId('evt') }, { erased: true }].map((value) =>
    canonical(attempt(() => decide(fold(of, replaced(value))))),
  );
  const plain = canonical(attempt(() => decide(fold(of, history))));
  if (sealed !== gone || plain !== gone)
    throw new Error(`sealed: ${sealed}\nerased: ${gone}\nas given: ${plain}`);
}

/** Law 3: the rows of a read model are those that the fold of the log gives, no more and no fewer. */
export function rowsEqualFold(rows: readonly object[], folded: readonly object[]): void {
  const [have, want] = [rows, folded].map((list) => list.map(canonical).sort());
  const missing = (want as string[]).filter((row) => !(have as string[]).includes(row));
  const surplus = (have as string[]).filter((row) => !(want as string[]).includes(row));
  if (missing.length || surplus.length || have?.length !== want?.length)
    throw new Error(
      `missing ${pretty(missing.slice(0, 5))}\nsurplus ${pretty(surplus.slice(0, 5))}`,
    );
}

function attempt<T>(decide: () => T): T | { refused: string } {
  try {
    return decide();
  } catch (error) {
    if (error instanceof Refused) return { refused: error.code };
    throw error;
  }
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(
          Object.entries(inner)
            .filter(([, field]) => field !== undefined)
            .sort(([a], [b]) => (a < b ? -1 : 1)),
        )
      : inner,
  );
}

function pretty(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
