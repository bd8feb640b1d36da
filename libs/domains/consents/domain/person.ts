import type { Instant } from '#core/kernel/instant.js';
import type { Channel } from '#domains/purposes/domain/purposes.events.js';
import type { ContactKind } from '#domains/subjects/domain/subjects.events.js';
import type { PersonFacts } from './facts.js';

/** What holds for a person as such, whatever the purpose, from a moment on until the next span's. */
export interface PersonSpan {
  readonly from: Instant;
  readonly registeredAt: Instant;
  readonly erased: boolean;
  readonly objectsToMarketing: boolean;
  /** Purpose keys, or all; empty where nothing is restricted. */
  readonly restricted: 'all' | readonly string[];
  /** For each kind that can be reached: since when the longest-known contact point of it is on record. */
  readonly reachable: Readonly<Partial<Record<ContactKind, Instant>>>;
  /** What the person chose; what is missing was never chosen. */
  readonly topics: Readonly<Record<string, Readonly<Partial<Record<Channel, 'on' | 'off'>>>>>;
}

const KINDS: readonly ContactKind[] = ['email', 'phone', 'post'];

type Change = { readonly at: Instant; readonly rank: number; make(): void };

/** Whether facts bear on the person as such that did not before; else their spans are the same. */
export function personChanged(before: PersonFacts, after: PersonFacts): boolean {
  return BEARING.some((part) => before[part] !== after[part]);
}

const BEARING = [
  'registered',
  'erased',
  'marketing',
  'restrictions',
  'contactPoints',
  'topics',
] as const satisfies readonly (keyof PersonFacts)[];

/** All spans in order of time, the first from registration on; none for a person who was not registered. */
export function personSpans(facts: PersonFacts): PersonSpan[] {
  const { registered } = facts;
  if (!registered) return [];
  let erased = false;
  let objectsToMarketing = false;
  let restricted: PersonSpan['restricted'] = [];
  const present = new Map<string, { kind: ContactKind; from: Instant }>();
  let topics: PersonSpan['topics'] = {};

  const changes: Change[] = [{ at: registered.at, rank: 0, make: () => undefined }];
  const change = (at: Instant, rank: number, make: () => void) => changes.push({ at, rank, make });

  // At one moment the more restrictive has the last word: what opens comes before what closes.
  for (const [id, { kind, from, to }] of Object.entries(facts.contactPoints)) {
    change(from, 1, () => present.set(id, { kind, from }));
    if (to !== undefined) change(to, 5, () => present.delete(id));
  }
  for (const { kind, at } of facts.marketing) {
    const raised = kind === 'raised';
    change(at, raised ? 5 : 1, () => (objectsToMarketing = raised));
  }
  for (const { kind, at, purposes } of facts.restrictions)
    if (kind === 'lifted') change(at, 1, () => (restricted = []));
    else
      change(at, 5, () => {
        restricted =
          restricted === 'all' || !purposes
            ? 'all'
            : [...new Set([...restricted, ...purposes])].sort();
      });
  for (const { kind, at, topic, channel } of facts.topics)
    change(at, kind === 'on' ? 1 : 5, () => {
      topics = { ...topics, [topic]: { ...topics[topic], [channel]: kind } };
    });
  if (facts.erased) change(facts.erased.at, 6, () => (erased = true));

  changes.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0) || a.rank - b.rank);
  const spans: PersonSpan[] = [];
  for (let i = 0; i < changes.length;) {
    const at = (changes[i] as Change).at;
    for (; i < changes.length && (changes[i] as Change).at === at; i++)
      (changes[i] as Change).make();
    if (at < registered.at) continue;
    const reachable: Partial<Record<ContactKind, Instant>> = {};
    for (const kind of KINDS) {
      const known = [...present.values()].filter((point) => point.kind === kind);
      const first = known.map(({ from }) => from).sort()[0];
      if (first !== undefined) reachable[kind] = first;
    }
    const span: PersonSpan = {
      from: at,
      registeredAt: registered.at,
      erased,
      objectsToMarketing,
      restricted,
      reachable,
      topics,
    };
    const last = spans.at(-1);
    if (!last || !samePerson(last, span)) spans.push(span);
    // Nothing changes any more, also where somebody's clock was ahead of the destruction.
    if (erased) break;
  }
  return spans;
}

export function personAt(spans: readonly PersonSpan[], asOf: Instant): PersonSpan | undefined {
  return spans.findLast((span) => span.from <= asOf);
}

export function samePerson(a: PersonSpan, b: PersonSpan): boolean {
  return JSON.stringify({ ...a, from: '' }) === JSON.stringify({ ...b, from: '' });
}
