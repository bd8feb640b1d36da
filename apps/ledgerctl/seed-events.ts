import { createHash } from 'node:crypto';
import { type Instant, instantOf, millisecondsOf } from '#core/kernel/instant.js';

/** Invented people in any number, the same for the same seed: lines of a bulk recording. */

/** A line, and how many events it records. */
export interface SeededLine {
  readonly text: string;
  readonly events: number;
}

/** From here on the notices of the example catalogue are published. */
const FIRST_DAY = millisecondsOf('2025-01-01T00:00:00.000Z' as Instant);
const SECOND_NOTICE = '2025-09-01T00:00:00.000Z';
const [MINUTE, DAY] = [60_000, 86_400_000];
const DAYS = 500;
const CROWD = 500;

const FIRST_NAMES = ['Anna', 'Ben', 'Clara', 'David', 'Elif', 'Finn', 'Greta', 'Hasan'];
const LAST_NAMES = ['Ahrens', 'Berg', 'Cordes', 'Demir', 'Engel', 'Frank', 'Graf', 'Hahn'];
const TOPICS = ['new-bikes', 'workshop-tips', 'tours'];

/** The reference by which the `n`-th person of a seed is found. */
export function seededReference(seed: string, n: number): { system: string; id: string } {
  return { system: 'seed', id: `${seed}-${n}` };
}

/** Of so many events one person asks to be forgotten; more than this do not. */
const [EVENTS_FOR_ERASURE, MOST_ERASURES] = [5_000, 200];

/** How many of the first people are forgotten where there are so many events. */
export function erasuresIn(events: number): number {
  return Math.min(MOST_ERASURES, Math.floor(events / EVENTS_FOR_ERASURE));
}

/**
 * Everything that the first people of a seed do, until at least so many events are recorded. What a person does
 * depends on the seed and their number alone. Like visitors of a shop, some hundred people at a time take turns: first
 * each of them registers, then each makes the first choice.
 */
export function* seededLines(seed: string, events: number): Generator<SeededLine> {
  for (let n = 0, recorded = 0; recorded < events;) {
    const crowd: SeededLine[][] = [];
    for (; crowd.length < CROWD && recorded < events; n++) {
      const lines = [...person(seed, n)];
      recorded += lines.reduce((sum, line) => sum + line.events, 0);
      crowd.push(lines);
    }
    yield* inTurns(crowd);
  }
}

function* inTurns(crowd: readonly (readonly SeededLine[])[]): Generator<SeededLine> {
  const most = Math.max(...crowd.map(({ length }) => length));
  for (let turn = 0; turn < most; turn++)
    for (const { [turn]: line } of crowd) if (line) yield line;
}

function* person(seed: string, n: number): Generator<SeededLine> {
  const random = randomOf(`${seed} ${n}`);
  const externalRef = seededReference(seed, n);
  const language = random.chance(0.7) ? 'de' : 'en';
  let at = FIRST_DAY + random.below(DAYS) * DAY + random.below(1_440) * MINUTE;
  const later = (days: number) => instantOf((at += (1 + random.below(days * 1_440)) * MINUTE));
  const interaction = (choices: readonly object[], more: object = {}): SeededLine => ({
    text: lineOf({
      type: 'interaction',
      externalRef,
      interaction: { occurredAt: later(20), source: 'web-form', language, ...more, choices },
    }),
    events: choices.length,
  });

  const contactPoints = [{ kind: 'email', value: `${seed}-${n}@example.com` }];
  if (random.chance(0.4))
    contactPoints.push({ kind: 'phone', value: `+4930${String(23_000_000 + (n % 1_000_000))}` });
  const bases = random.chance(0.5)
    ? [
        {
          purpose: 'accounting',
          basis: 'legal-obligation',
          status: 'established',
          reference: 'AO § 147',
        },
      ]
    : [];
  const name = `${random.of(FIRST_NAMES)} ${random.of(LAST_NAMES)}`;
  const registration = { externalRef, name, language, contactPoints, bases, source: 'web-form' };
  yield {
    text: lineOf({ type: 'register', ...registration, occurredAt: instantOf(at) }),
    // The registration itself and the basis that the catalogue sets for everybody.
    events: 2 + contactPoints.length + bases.length,
  };

  if (random.chance(0.7)) {
    const given = later(3);
    const noticeVersion = given >= SECOND_NOTICE ? 2 : 1;
    const confirmation = { method: 'double-opt-in', at: given };
    const grant = { purpose: 'newsletter', decision: 'give', noticeVersion, confirmation };
    const topics = TOPICS.filter(() => random.chance(0.4));
    const choices = [
      grant,
      ...topics.map((topic) => ({ topic, channel: 'email', decision: 'on' })),
    ];
    const evidence = { form: 'checkout', address: `192.0.2.${random.below(256)}` };
    yield {
      text: lineOf({
        type: 'interaction',
        externalRef,
        interaction: {
          occurredAt: given,
          source: 'web-form',
          collectionPoint: 'checkout',
          language,
          ...(random.chance(0.5) ? { evidence } : {}),
          choices,
        },
      }),
      events: choices.length,
    };
    if (random.chance(0.25)) yield interaction([{ purpose: 'newsletter', decision: 'withdraw' }]);
  }
  if (random.chance(0.1))
    yield interaction([{ purpose: 'riding-profile', decision: 'give', noticeVersion: 1 }]);
  if (random.chance(0.03)) yield interaction([{ objection: 'marketing', decision: 'raise' }]);
}

function lineOf(line: object): string {
  return `${JSON.stringify(line)}\n`;
}

/** Decisions of chance that are the same each time they are asked for. */
function randomOf(seed: string): {
  below(limit: number): number;
  chance(share: number): boolean;
  of<T>(items: readonly T[]): T;
} {
  let bytes = createHash('sha256').update(seed).digest();
  let used = 0;
  const next = () => {
    if (used + 4 > bytes.length) {
      bytes = createHash('sha256').update(bytes).digest();
      used = 0;
    }
    used += 4;
    return bytes.readUInt32BE(used - 4) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return {
    below,
    chance: (share) => next() < share,
    of: <T>(items: readonly T[]) => items[below(items.length)] as T,
  };
}
