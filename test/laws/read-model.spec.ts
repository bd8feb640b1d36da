import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { type Kysely, sql, type Transaction } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import { END_OF_TIME, type Instant, instantOf, millisecondsOf } from '#core/kernel/instant.js';
import { fold } from '#core/kernel/model.js';
import type { Position } from '#core/kernel/position.js';
import { rowsEqualFold } from '#core/kernel/spec.js';
import { kyselyOn, openPool } from '#core/platform/database.js';
import type { Projection } from '#core/projector/projection.js';
import { migrations } from '#core/projector/migrations.js';
import { project, rowsOf } from '#core/projector/spec.js';
import { type Answer, answer } from '#domains/consents/domain/answer.js';
import { personFacts } from '#domains/consents/domain/facts.js';
import { personSpans } from '#domains/consents/domain/person.js';
import { type Standing, standingOf } from '#domains/consents/domain/standing.js';
import {
  StandingProjection,
  STILL_KNOWN,
} from '#domains/consents/projections/standing.projection.js';
import {
  type Asked,
  type AudienceAsked,
  audienceSection,
  rangesOfPeople,
  findStandings,
} from '#domains/consents/projections/standing.questions.js';
import { type FreshDatabase, freshDatabase } from '../support/database.js';
import {
  ALL_TIMES,
  MOMENTS,
  PURPOSES,
  type PurposeKey,
  questionsAbout,
  shown,
  topic,
} from './histories.js';
import { historyAt, type Log, log, rulesAt } from './logs.js';
import { mayWe, type Rules, type Topic } from './oracle.js';

/** `LAW_RUNS` asks for more logs than a build has time for. */
const RUNS = Math.ceil(Number(process.env.LAW_RUNS ?? 400) / 10);

jest.setTimeout(60_000 + RUNS * 2_000);

let database: FreshDatabase;
let db: Kysely<unknown>;
beforeAll(async () => {
  database = await freshDatabase();
  db = kyselyOn(
    openPool({
      connectionString: database.url,
      applicationName: 'laws of the read model',
      max: 1,
      plannedOnce: true,
      onError: () => undefined,
    }),
  );
  // The questions ask how far the rows have come, too.
  for (const { up } of migrations) await db.transaction().execute(up);
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

const TIMES = [...ALL_TIMES, END_OF_TIME];
const size = fc.constantFrom(1, 2, 3, 5, 8, 1000);

/** The log as it comes to a projection. */
const events = ({ events: all }: Log) => all as unknown as readonly Recorded[];

const reading = <Rows>(
  projection: Projection,
  of: Log,
  batches: number,
  read: (tx: Transaction<unknown>) => Promise<Rows>,
  apart = false,
): Promise<Rows> => project(db, projection, events(of), read, { batches, apart });

interface Ranges {
  readonly known_from: string;
  readonly known_to: string;
  readonly valid_from: Date;
  readonly valid_to: Date | number;
}
type Row = Ranges & Readonly<Record<string, unknown>>;
interface Tables {
  readonly standings: readonly Row[];
  readonly persons: readonly Row[];
}

async function tables(tx: Transaction<unknown>): Promise<Tables> {
  return {
    standings: await rowsOf<Row>('standings')(tx),
    persons: await rowsOf<Row>('persons')(tx),
  };
}

describe('every row equals the fold of the log', () => {
  const law = fc.asyncProperty(log, size, async (of, batches) => {
    await rowsAreFold(new StandingProjection(), of, batches);
  });

  test('at every known position, in batches of any size', async () => {
    await fc.assert(law, { numRuns: RUNS });
  });

  test('a rebuild in batches of another size gives the same rows', async () => {
    await fc.assert(
      fc.asyncProperty(log, size, size, async (of, one, another) => {
        const first = await reading(new StandingProjection(), of, one, tables);
        const second = await reading(new StandingProjection(), of, another, tables);
        rowsEqualFold(second.standings, first.standings);
        rowsEqualFold(second.persons, first.persons);
      }),
      { numRuns: RUNS },
    );
  });

  test('partitions that are projected one after the other give the same rows', async () => {
    await fc.assert(
      fc.asyncProperty(log, size, async (of, batches) => {
        await rowsAreFold(new StandingProjection(), of, batches, true);
      }),
      { numRuns: RUNS },
    );
  });

  test('what a projection remembers of batches that were rolled back changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(log, log, size, async (other, of, batches) => {
        const projection = new StandingProjection();
        await reading(projection, other, batches, tables);
        await rowsAreFold(projection, of, batches);
      }),
      { numRuns: Math.ceil(RUNS / 4) },
    );
  });

  describe('and a twin that is wrong is caught', () => {
    const caught = async (twin: () => Projection) => {
      const law = fc.asyncProperty(log, size, (of, batches) => rowsAreFold(twin(), of, batches));
      await mustFail(law, /missing|surplus/);
    };

    test('one that lets a grant win a tie with a withdrawal', async () => {
      await caught(() => new Twin((batch) => batch.map(grantsWin)));
    });

    test('one that lets what was known end one position late', async () => {
      await caught(() => new Twin((batch) => batch, endsLate));
    });

    test('one that takes the rules of another partition for those of its own', async () => {
      const law = fc.asyncProperty(log, size, (of, batches) =>
        rowsAreFold(new OthersRules(), of, batches, true),
      );
      await mustFail(law, /missing|surplus/);
    });

    test('one that overlooks that a purpose was revised', async () => {
      await caught(
        () => new Twin((batch) => batch.filter(({ type }) => type !== 'PurposeRevised')),
      );
    });
  });
});

describe('what the read model answers is what the rules say, read a second time', () => {
  test('at any moment, as known at any position', async () => {
    await fc.assert(
      fc.asyncProperty(log, size, topic, fc.nat(), async (of, batches, about, seed) => {
        const questions = sample(of, about, seed, 120);
        await reading(new StandingProjection(), of, batches, async (tx) => {
          const found = await findStandings(
            tx,
            questions.map(({ subject, key, asOf, knownAt }): Asked => ({
              subject,
              purpose: key,
              asOf,
              knownAt,
            })),
          );
          questions.forEach(({ subject, rules, asOf, knownAt, ...more }, index) => {
            const { person, standing } = found[index] as (typeof found)[number];
            const asked = { rules, asOf, channel: more.channel, topic: more.topic };
            const history = historyAt(of, subject, knownAt);
            agree(answer(person, standing, asked), mayWe(history, asked), () =>
              shown(history, asked),
            );
          });
        });
      }),
      { numRuns: RUNS },
    );
  });
});

describe('an audience is everybody who is allowed, and counts everybody who is not', () => {
  const law = (wrong: (asked: AudienceAsked) => AudienceAsked = (asked) => asked) =>
    fc.asyncProperty(
      log,
      size,
      topic,
      fc.nat(),
      fc.boolean(),
      async (of, batches, about, seed, behindErasure) => {
        const questions = sample(of, about, seed, 25);
        await reading(new StandingProjection(), of, batches, async (tx) => {
          for (const { key, rules, asOf, knownAt, channel, topic: asked } of questions) {
            const audience = { rules, channel, topic: asked, asOf, knownAt, behindErasure };
            const expected = await everybody(tx, of, key, audience);
            const { allowed, excluded } = await bySection(tx, wrong(audience));
            const may = [...expected].filter(([, code]) => code === 'allowed');
            const codes = [...expected.values()].filter((code) => code !== 'allowed');
            expect(excluded).toEqual(countsOf(codes));
            expect(allowed).toEqual(may.map(([who]) => who).sort());
          }
        });
      },
    );

  test('for any rules, channel, topic, moment, known position and right to look behind an erasure', async () => {
    await fc.assert(law(), { numRuns: RUNS });
  });

  describe('and one that is wrong is caught', () => {
    const caught = async (wrong: (asked: AudienceAsked) => AudienceAsked) => {
      await mustFail(law(wrong), /toEqual/);
    };

    test('one that looks behind an erasure without the right', async () => {
      await caught((asked) => ({ ...asked, behindErasure: !asked.behindErasure }));
    });

    test('one a millisecond late', async () => {
      await caught((asked) => ({ ...asked, asOf: instantOf(millisecondsOf(asked.asOf) - 1) }));
    });

    test('one that forgets what a confirmation proves', async () => {
      await caught((asked) => ({ ...asked, rules: { ...asked.rules, doubleOptIn: false } }));
    });
  });
});

/** The law does not hold, and for the reason given: not because something broke on the way. */
async function mustFail<Ts>(law: fc.IAsyncProperty<Ts>, reason: RegExp): Promise<void> {
  // Always the same logs: whether a twin is caught must not be a matter of luck.
  const { failed, errorInstance } = await fc.check(law, {
    seed: 1,
    numRuns: 300,
    endOnFailure: true,
  });
  expect([failed, (errorInstance as Error | undefined)?.message]).toEqual([
    true,
    expect.stringMatching(reason),
  ]);
}

/** A projection that is wrong in one way: it reads the log otherwise, or spoils its rows at the end. */
class Twin extends StandingProjection {
  constructor(
    private readonly seen: (batch: readonly Recorded[]) => Recorded[] | readonly Recorded[],
    private readonly spoil: (tx: Transaction<unknown>) => Promise<unknown> = () =>
      Promise.resolve(),
  ) {
    super();
  }

  override async apply(
    batch: readonly Recorded[],
    context: Parameters<StandingProjection['apply']>[1],
  ): Promise<void> {
    await super.apply(this.seen(batch), {
      ...context,
      readStreams: async (streams, upTo) => {
        const read = await context.readStreams(streams, upTo);
        return new Map([...read].map(([stream, all]) => [stream, this.seen(all)]));
      },
    });
    await this.spoil(context.tx);
  }
}

/** A projection that keeps one set of rules, wherever its partitions are in the log. */
class OthersRules extends StandingProjection {
  override async apply(...[batch, context]: Parameters<StandingProjection['apply']>) {
    const { tx, partitions } = context;
    await sql`insert into standing_rules select ${partitions[0]}, purpose, rules from standing_rules
      where partition = 0 on conflict (partition, purpose) do update set rules = excluded.rules`.execute(
      tx,
    );
    await super.apply(batch, context);
  }
}

function grantsWin(event: Recorded): Recorded {
  if (event.type !== 'ConsentWithdrawn') return event;
  return { ...event, occurredAt: instantOf(millisecondsOf(event.occurredAt) - 1) };
}

function endsLate(tx: Transaction<unknown>): Promise<unknown> {
  return sql`update standings set known_to = known_to + 1
    where known_to <> ${STILL_KNOWN}::bigint and known_to % 2 = 1`.execute(tx);
}

/** The rows known at each position are those of the facts and rules known then. */
async function rowsAreFold(
  projection: Projection,
  of: Log,
  batches: number,
  apart = false,
): Promise<void> {
  const rows = await reading(projection, of, batches, tables, apart);
  for (const known of of.positions) {
    rowsEqualFold(
      knownAt(rows.standings, known),
      of.people.flatMap((who) => standingRows(of, who, known)),
    );
    rowsEqualFold(
      knownAt(rows.persons, known),
      of.people.flatMap((who) => personRows(of, who, known)),
    );
  }
}

function knownAt(rows: readonly Row[], known: Position): object[] {
  const [at] = [Number(known)];
  return rows
    .filter((row) => Number(row.known_from) <= at && at < Number(row.known_to))
    .map(({ known_from: _, known_to: _to, ...row }) =>
      Object.fromEntries(Object.entries(row).map(([column, value]) => [column, plain(value)])),
    );
}

/** Dates as instants, what lasts for ever as the end of time, and no difference between nothing and null. */
function plain(value: unknown): unknown {
  if (value instanceof Date) return instantOf(value.getTime());
  if (value === Infinity) return END_OF_TIME;
  return value ?? undefined;
}

function standingRows(of: Log, subject: string, known: Position): object[] {
  const facts = fold(personFacts, historyAt(of, subject, known));
  return PURPOSES.flatMap((purpose) => {
    const rules = rulesAt(of, purpose, known);
    if (!rules || !(purpose in facts.purposes)) return [];
    return spans(standingOf(facts, rules), ({ bases: _, ...decides }: Standing) => decides).map(
      ({ from, to, ...span }) => ({
        subject,
        purpose,
        valid_from: from,
        valid_to: to,
        code: span.code,
        reasons: span.reasons,
        basis: span.basis,
        since: span.since,
        event_id: span.event?.id,
        event_position: span.event?.position,
        confirmed_at: span.confirmedAt,
      }),
    );
  });
}

function personRows(of: Log, subject: string, known: Position): object[] {
  const facts = fold(personFacts, historyAt(of, subject, known));
  return spans(personSpans(facts), (span) => span).map(({ from, to, ...span }) => ({
    subject,
    valid_from: from,
    valid_to: to,
    registered_at: span.registeredAt,
    erased: span.erased,
    objects_to_marketing: span.objectsToMarketing,
    restricted:
      span.restricted === 'all' ? ['*'] : span.restricted.length > 0 ? span.restricted : undefined,
    email: span.reachable.email,
    phone: span.reachable.phone,
    post: span.reachable.post,
    topics: span.topics,
  }));
}

/** Each with its end; neighbours that agree in what the table holds are one. */
function spans<Span extends { readonly from: Instant }, Held extends { readonly from: Instant }>(
  all: readonly Span[],
  held: (span: Span) => Held,
): (Held & { readonly to: Instant })[] {
  const kept = all.map(held).filter((one, index, list) => {
    const before = list[index - 1];
    return (
      !before || JSON.stringify({ ...before, from: '' }) !== JSON.stringify({ ...one, from: '' })
    );
  });
  return kept.map((one, index) => ({ ...one, to: kept[index + 1]?.from ?? END_OF_TIME }));
}

interface Sampled {
  readonly subject: string;
  readonly key: PurposeKey;
  readonly rules: Rules;
  readonly asOf: Instant;
  readonly knownAt: Position;
  readonly channel?: AudienceAsked['channel'];
  readonly topic?: Topic;
}

/** Questions from all over the log, the same ones for the same seed. */
function sample(of: Log, about: Topic, seed: number, count: number): Sampled[] {
  const asked = questionsAbout(about);
  const pick = <T>(list: readonly T[], n: number): T => list[Math.abs(n) % list.length] as T;
  return Array.from({ length: count }, (_, n) => (seed % 99_991) * 7 + n * 7919).flatMap((n) => {
    const knownAt = pick(of.positions, Math.floor(n / 3));
    const key = pick(PURPOSES, n);
    const known = rulesAt(of, key, knownAt);
    // A purpose that was not known then is no matter of rows: nobody is asked about it.
    if (!known) return [];
    const retiredAt = pick(
      [undefined, undefined, undefined, ...MOMENTS.slice(2)],
      Math.floor(n / 7),
    );
    const rules = { ...known, retiredAt };
    const subject = pick([...of.people, 'sub_nobody'], Math.floor(n / 5));
    return [
      {
        subject,
        key,
        rules,
        asOf: pick(TIMES, Math.floor(n / 11)),
        knownAt,
        ...pick(asked, Math.floor(n / 17)),
      },
    ];
  });
}

function agree(
  answered: Answer,
  verdict: { code: string; reasons: readonly string[] },
  story: () => string,
): void {
  const [have, want] = [answered, verdict].map(({ code, reasons }) =>
    JSON.stringify({ code, reasons }),
  );
  if (have !== want) throw new Error(`read model: ${have}\noracle: ${want}\n${story()}`);
}

/** The code for everybody who was known: asked one by one. */
async function everybody(
  tx: Transaction<unknown>,
  of: Log,
  key: PurposeKey,
  { rules, channel, topic: asked, asOf, knownAt: known, behindErasure }: AudienceAsked,
): Promise<ReadonlyMap<string, string>> {
  const people = of.people.filter((who) => historyAt(of, who, known).length > 0);
  const found = await findStandings(
    tx,
    people.map((subject) => ({ subject, purpose: key, asOf, knownAt: known })),
  );
  return new Map(
    people.map((subject, index) => {
      const { person, standing, erasedSince } = found[index] as (typeof found)[number];
      const hidden = person !== undefined && erasedSince && !behindErasure;
      return [
        subject,
        hidden ? 'erased' : answer(person, standing, { rules, channel, topic: asked, asOf }).code,
      ];
    }),
  );
}

function countsOf(codes: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const code of codes) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}

/** Section after section, two people at a time. */
async function bySection(tx: Transaction<unknown>, asked: AudienceAsked) {
  const allowed: string[] = [];
  const excluded: Record<string, number> = {};
  for await (const range of rangesOfPeople(tx, 2)) {
    const section = await audienceSection(tx, asked, range);
    allowed.push(...section.allowed);
    for (const [code, count] of section.excluded) excluded[code] = (excluded[code] ?? 0) + count;
  }
  return { allowed, excluded };
}
