/**
 * Random logs for the laws of the read models: several people's lives between revisions of the purposes
 * that they are about, at positions with holes in between.
 */
import fc from 'fast-check';
import type { Recorded } from '#core/kernel/event.js';
import { type EventId, streamOf } from '#core/kernel/ids.js';
import { type Position, START } from '#core/kernel/position.js';
import { recorded } from '#core/kernel/spec.js';
import type {
  PurposeDefinition,
  PurposeEvent,
  PurposeId,
} from '#domains/purposes/domain/purposes.events.js';
import {
  anyLife,
  historyOf,
  type Life,
  PURPOSES,
  type PurposeKey,
  rulesOf,
  subjectOf,
} from './histories.js';
import type { History, PersonEvent, Rules } from './oracle.js';

export type LogEvent = Recorded<PersonEvent | PurposeEvent>;

export interface Log {
  readonly events: readonly LogEvent[];
  /** Every position that a question could name: before all, at each event, and in each hole. */
  readonly positions: readonly Position[];
  readonly people: readonly string[];
}

interface Revision {
  readonly rules: Rules;
  /** After how many of the people's events. */
  readonly after: number;
}

/** Which life goes on next, and how far the position moves. */
interface Turn {
  readonly who: number;
  readonly step: number;
}

const revision: fc.Arbitrary<Revision> = fc.record({
  rules: fc.oneof(...PURPOSES.map(rulesOf)),
  after: fc.nat(40),
});

export const log: fc.Arbitrary<Log> = fc
  .record({
    lives: fc.array(anyLife('news'), { minLength: 1, maxLength: 4 }),
    turns: fc.array(fc.record({ who: fc.nat(3), step: fc.integer({ min: 1, max: 3 }) }), {
      minLength: 40,
      maxLength: 40,
    }),
    first: fc.tuple(rulesOf('news'), rulesOf('study')),
    revisions: fc.array(revision, { maxLength: 4 }),
  })
  .map(logOf);

function logOf({
  lives,
  turns,
  first,
  revisions,
}: {
  lives: readonly Life[];
  turns: readonly Turn[];
  first: readonly Rules[];
  revisions: readonly Revision[];
}): Log {
  const left = lives.map((life, who) => [
    ...(historyOf(life, who) as readonly Recorded<PersonEvent>[]),
  ]);
  const events: LogEvent[] = [];
  const positions: Position[] = [START];
  const defined = new Map<PurposeKey, number>();
  let place = 0;
  const append = (event: LogEvent, step: number) => {
    if (step > 1) positions.push(String(place + 1) as Position);
    place += step;
    positions.push(String(place) as Position);
    events.push({ ...event, position: String(place) as Position } as LogEvent);
  };
  const define = (rules: Rules) => append(definition(rules, defined), 1);
  for (const rules of first) define(rules);
  for (let count = 0; left.some(({ length }) => length > 0); count++) {
    for (const { rules } of revisions.filter(({ after }) => after === count)) define(rules);
    const { who, step } = turns[count % turns.length] as Turn;
    // Whoever has nothing left to tell lets the next one speak.
    const order = left.map((_, index) => left[(who + index) % left.length]);
    const next = order.find((one) => one !== undefined && one.length > 0)?.shift();
    if (next) append(next, step);
  }
  return { events, positions, people: lives.map((_, who) => subjectOf(who)) };
}

function definition(rules: Rules, defined: Map<PurposeKey, number>): LogEvent {
  const { retiredAt: _, ...own } = rules;
  const key = rules.key as PurposeKey;
  const number = PURPOSES.indexOf(key);
  const revision = (defined.get(key) ?? -1) + 1;
  defined.set(key, revision);
  const purposeId = `pur_00000000-0000-8000-8000-00000000000${number}` as PurposeId;
  const data: { readonly purposeId: PurposeId } & PurposeDefinition = {
    purposeId,
    texts: {},
    controllers: [],
    allowedBases: [],
    explicitConsent: false,
    dataCategories: [],
    recipients: [],
    ...own,
  };
  return recorded({ type: revision === 0 ? 'PurposeDefined' : 'PurposeRevised', data }, revision, {
    id: `evt_9000000${number}-0000-7000-8000-${String(revision).padStart(12, '0')}` as EventId,
    stream: streamOf('purpose', purposeId),
  }) as unknown as LogEvent;
}

/** What the ledger knew of somebody. */
export function historyAt({ events }: Log, subject: string, known: Position): History {
  return events.filter(
    ({ stream, position }) => stream === `subject-${subject}` && Number(position) <= Number(known),
  ) as unknown as History;
}

/** A purpose's rules as last recorded; undefined where it was not known yet. */
export function rulesAt({ events }: Log, key: PurposeKey, known: Position): Rules | undefined {
  const last = (events as readonly Recorded<PurposeEvent>[]).findLast(
    (event) =>
      (event.type === 'PurposeDefined' || event.type === 'PurposeRevised') &&
      event.data.key === key &&
      Number(event.position) <= Number(known),
  );
  return last?.data as Rules | undefined;
}
