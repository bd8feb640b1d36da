import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import type { Fact, Recorded } from '#core/kernel/event.js';
import type { ContactPointId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { evolve, fold, Folding, type Model } from '#core/kernel/model.js';
import { recorded } from '#core/kernel/spec.js';
import { personFacts } from '#domains/consents/domain/facts.js';
import { erasure } from '#domains/erasure/domain/erasure.js';
import { switches } from '#domains/preferences/domain/preferences.js';
import { subject } from '#domains/subjects/domain/subjects.js';
import { anyLife, historyOf } from './histories.js';

/** A fold may change what it made itself. Nobody must be able to tell, except by what it costs. */

const RUNS = Number(process.env.LAW_RUNS ?? 200);

jest.setTimeout(60_000 + RUNS * 100);

/** Of a person's stream. */
const MODELS = [personFacts, subject, switches, erasure] as unknown as readonly Model<unknown>[];

describe.each(MODELS.map((model) => [model.name, model] as const))('%s', (_, model) => {
  test('is folded as it evolves, event by event', () => {
    fc.assert(
      fc.property(anyLife('news'), (life) => {
        const history = historyOf(life);
        expect(fold(model, history)).toEqual(evolved(model, history));
      }),
      { numRuns: RUNS },
    );
  });

  test('keeps a state that was handed out, whatever is added later', () => {
    fc.assert(
      fc.property(anyLife('news'), fc.nat(14), (life, length) => {
        const history = historyOf(life);
        const folding = new Folding(model);
        const add = (events: readonly Recorded[]) => events.forEach((event) => folding.add(event));
        add(history.slice(0, length));
        const early = folding.state;
        add(history.slice(length));
        expect(early).toEqual(evolved(model, history.slice(0, length)));
        expect(folding.state).toEqual(evolved(model, history));
        expect(fold(model, history.slice(length), early)).toEqual(folding.state);
        expect(early).toEqual(evolved(model, history.slice(0, length)));
      }),
      { numRuns: RUNS },
    );
  });
});

test('a step that goes on looking at what it asked to own is caught', () => {
  const careless: Model<{ readonly now: readonly string[]; readonly before: readonly string[] }> = {
    name: 'careless',
    initial: { now: [], before: [] },
    evolve: {
      TopicSwitchedOn: ({ now: before }, { id }, own) => {
        const now = own(before);
        now.push(id);
        return { now, before };
      },
    },
  };
  const history = [0, 1].map((n) => recorded({ type: 'TopicSwitchedOn', data: {} }, n));
  expect(fold(careless, history)).not.toEqual(evolved(careless, history));
});

describe.each(longStreams())('of a stream of %s', (_, history) => {
  const [short, long] = [history(200), history(2_000)];

  test.each(MODELS.map((model) => [model.name, model] as const))(
    'the work of %s grows with it',
    (__, model) => {
      const work = (events: readonly Recorded[]) =>
        workOf(model, (counted) => fold(counted, events));
      expect(work(long)).toBeLessThanOrEqual(10 * work(short) + 1_000);
    },
  );

  test('a fold that copies what it holds for each event is caught', () => {
    const work = (events: readonly Recorded[]) =>
      MODELS.map((model) => workOf(model, (counted) => evolved(counted, events)));
    const [few, many] = [work(short), work(long)];
    expect(many.some((one, n) => one > 50 * (few[n] as number))).toBe(true);
  });
});

function evolved<State>(model: Model<State>, history: readonly Recorded[]): State {
  return history.reduce((state, event) => evolve(model, state, event), model.initial);
}

/** How many items of lists, sets and tables were written: all of one that no step has shown before. */
function workOf(model: Model<unknown>, run: (counted: Model<unknown>) => unknown): number {
  let written = 0;
  const shown = new Set<object>();
  const count = (part: unknown): void => {
    if (typeof part !== 'object' || part === null || shown.has(part)) return;
    shown.add(part);
    const items = part instanceof Set ? [...(part as Set<unknown>)] : Object.values(part);
    written += items.length;
    items.forEach(count);
  };
  type Step = (...args: readonly unknown[]) => unknown;
  const steps = Object.entries(model.evolve).map(([type, step]) => [
    type,
    typeof step !== 'function'
      ? step
      : (...args: readonly unknown[]) => {
          const state = (step as Step)(...args);
          count(state);
          return state;
        },
  ]);
  run({ ...model, evolve: Object.fromEntries(steps) as Model<unknown>['evolve'] });
  return written;
}

/** Each holds as much of one kind as there can be. */
function longStreams(): readonly (readonly [string, (length: number) => readonly Recorded[]])[] {
  const of = (kind: string, fact: (n: number) => Fact) =>
    [
      kind,
      (length: number) =>
        Array.from({ length }, (_, n) => recorded({ ...fact(n), occurredAt: momentOf(n) }, n)),
    ] as const;
  const contactPoint = (n: number) => ({
    contactPointId: `cpt_00000000-0000-7000-8000-${String(n).padStart(12, '0')}` as ContactPointId,
    kind: 'email' as const,
  });
  return [
    of('consents', (n) => ({
      type: n % 2 === 0 ? 'ConsentGiven' : 'ConsentWithdrawn',
      data: { purpose: 'news', purposeRevision: 0, noticeEvidence: 'none' },
    })),
    of('objections', (n) => ({
      type: n % 2 === 0 ? 'ObjectionRaised' : 'ObjectionWithdrawn',
      data: n % 3 === 0 ? { scope: 'purpose', purpose: 'news' } : { scope: 'marketing' },
    })),
    of('topics', (n) => ({
      type: n % 2 === 0 ? 'TopicSwitchedOn' : 'TopicSwitchedOff',
      data: { topic: 'weekly', channel: 'email' },
    })),
    of('restrictions', (n) => ({
      type: n % 2 === 0 ? 'ProcessingRestricted' : 'RestrictionLifted',
      data: { ground: 'accuracy' },
    })),
    of('contact points', (n) => ({
      type: n % 2 === 0 ? 'ContactPointAdded' : 'ContactPointVerified',
      data: contactPoint(n - (n % 2)),
    })),
    of('contact points that come and go', (n) => ({
      type: n % 100 < 50 ? 'ContactPointAdded' : 'ContactPointRemoved',
      data: contactPoint(n - (n % 100) + (n % 50)),
    })),
  ];
}

function momentOf(n: number): Instant {
  return new Date(Date.UTC(2026, 0, 1) + n * 60_000).toISOString() as Instant;
}
