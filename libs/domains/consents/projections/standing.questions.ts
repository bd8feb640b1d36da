import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely';
import { type EventId, streamOf } from '#core/kernel/ids.js';
import { type Instant, instantOf } from '#core/kernel/instant.js';
import { partitionOf } from '#core/kernel/partition.js';
import type { Position } from '#core/kernel/position.js';
import type { Channel, LegalBasis } from '#domains/purposes/domain/purposes.events.js';
import {
  type AnsweringRules,
  type AnsweringTopic,
  contactKindOf,
  type StandingThen,
} from '../domain/answer.js';
import type { PersonSpan } from '../domain/person.js';
import type { Code } from '../domain/consents.vocabulary.js';
import { STANDING_PARTITIONS, STILL_KNOWN } from './standing.projection.js';

/** The questions that the read model `standing` answers. No other file reads its tables. */

export type Database = Kysely<unknown>;

export interface Asked {
  readonly subject: string;
  readonly purpose: string;
  readonly asOf: Instant;
  /** Absent: as far as the read model has come. */
  readonly knownAt?: Position;
}

export interface Found {
  readonly person?: PersonSpan;
  readonly standing?: StandingThen;
  /** Whether the person's keys are destroyed, whatever day was asked about. */
  readonly erasedSince: boolean;
  /** How far the read model had come, or `knownAt` where that lies before. */
  readonly position: Position;
}

/** Times as text: a batch has many, and the driver would make an object of each. */
interface FoundRow {
  n: string;
  position: Position;
  valid_from: string | null;
  registered_at: string;
  erased: boolean;
  objects_to_marketing: boolean;
  restricted: string[] | null;
  email: string | null;
  phone: string | null;
  post: string | null;
  topics: PersonSpan['topics'];
  code: Code | null;
  reasons: Code[];
  basis: LegalBasis | null;
  since: string | null;
  event_id: EventId | null;
  event_position: Position | null;
  confirmed_at: string | null;
  erased_since: boolean | null;
}

/**
 * Everything asked, in one statement that reads rows and checkpoints together, in the order asked. Each
 * answer is as far as the person's own partition has come. `offset 0` keeps what is found for each question apart: it
 * is looked for by index, whatever the tables seem to hold, and never by reading all of them.
 */
export async function findStandings(database: Database, asked: readonly Asked[]): Promise<Found[]> {
  const { rows } = await sql<FoundRow>`
    select q.n, known.position, p.*, s.*,
      (select true from read_models.persons e where e.subject = q.subject
        and e.known_to = ${STILL_KNOWN}::bigint and e.erased limit 1) as erased_since
    from unnest(${asked.map((q) => q.subject)}::text[], ${asked.map((q) => q.purpose)}::text[],
        ${asked.map((q) => q.asOf)}::timestamptz[], ${asked.map((q) => q.knownAt)}::bigint[],
        ${asked.map((q) => partitionOf(streamOf('subject', q.subject), STANDING_PARTITIONS))}::int[])
        with ordinality as q(subject, purpose, as_of, known_at, partition, n)
      left join projector.checkpoints c on c.name = 'standing' and c.partition = q.partition
      cross join lateral (
        select least(q.known_at, coalesce(c.position, 0)) as position offset 0) known
      left join lateral (
        select valid_from::text, registered_at::text, erased, objects_to_marketing, restricted,
          email::text, phone::text, post::text, topics
        from read_models.persons where subject = q.subject
          and known_to > known.position and known_from <= known.position
          and valid_from <= q.as_of and valid_to > q.as_of offset 0) p on true
      left join lateral (
        select code, reasons, basis, since::text, event_id, event_position, confirmed_at::text
        from read_models.standings where subject = q.subject and purpose = q.purpose
          and known_to > known.position and known_from <= known.position
          and valid_from <= q.as_of and valid_to > q.as_of offset 0) s on true`.execute(database);
  const found: Found[] = [];
  for (const row of rows) found[Number(row.n) - 1] = foundIn(row);
  return found;
}

function foundIn(row: FoundRow): Found {
  return {
    person: row.valid_from === null ? undefined : personOf(row, row.valid_from),
    standing: row.code === null ? undefined : standingOf(row, row.code),
    erasedSince: row.erased_since ?? false,
    position: row.position,
  };
}

function personOf(row: FoundRow, validFrom: string): PersonSpan {
  const { restricted } = row;
  return {
    from: storedInstant(validFrom),
    registeredAt: storedInstant(row.registered_at),
    erased: row.erased,
    objectsToMarketing: row.objects_to_marketing,
    restricted: restricted?.[0] === '*' ? 'all' : (restricted ?? []),
    reachable: { email: optional(row.email), phone: optional(row.phone), post: optional(row.post) },
    topics: row.topics,
  };
}

function standingOf(row: FoundRow, code: Code): StandingThen {
  const { event_id: id, event_position: position } = row;
  return {
    code,
    reasons: row.reasons,
    basis: row.basis ?? undefined,
    since: optional(row.since),
    event: id !== null && position !== null ? { id, position } : undefined,
    confirmedAt: optional(row.confirmed_at),
  };
}

const STORED = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\+00$/;

/** Reads a moment as PostgreSQL writes it for a session in UTC: `2026-03-01 12:00:00.5+00`. */
function storedInstant(text: string): Instant {
  const [, day, time, fraction = ''] = STORED.exec(text) ?? [];
  if (day === undefined) throw new RangeError(`${text} is no time in UTC`);
  return `${day}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}Z` as Instant;
}

const optional = (text: string | null): Instant | undefined =>
  text === null ? undefined : storedInstant(text);

export interface AudienceAsked {
  readonly rules: AnsweringRules;
  readonly topic?: AnsweringTopic;
  readonly channel?: Channel;
  readonly asOf: Instant;
  readonly knownAt: Position;
  /** Whether people erased since count as they did on the day asked about. */
  readonly behindErasure: boolean;
}

/**
 * The first code that applies, per person: `answer` (domain/answer.ts) in SQL, for the whole table at
 * once. A property test holds the two against each other.
 */
function codeOf(
  { rules, topic, channel, asOf }: AudienceAsked,
  erasedSince: RawBuilder<boolean>,
): RawBuilder<string> {
  const retired = rules.retiredAt !== undefined && asOf >= rules.retiredAt;
  const kind = channel && contactKindOf(channel);
  const known = kind && sql.ref(`p.${kind}`);
  const uncovered = channel !== undefined && rules.marketing && !rules.channels.includes(channel);
  const topicOff =
    topic?.retiredAt !== undefined && asOf >= topic.retiredAt
      ? sql`true`
      : topic && channel
        ? sql`coalesce(p.topics -> ${topic.key} ->> ${channel},
            ${topic.unset === 'follows-purpose' ? 'on' : 'off'}) = 'off'`
        : sql`false`;
  return sql<string>`case
    when p.erased or ${erasedSince} then 'erased'
    when s.code in ('restricted', 'objected') then s.code
    when s.code is null and (p.restricted[1] = '*' or ${rules.key} = any(p.restricted)) then 'restricted'
    when s.code is null and ${rules.marketing} and p.objects_to_marketing then 'objected'
    when s.code is null or ${retired} then 'no-basis'
    when s.code <> 'allowed' then s.code
    when ${
      rules.doubleOptIn && known
        ? sql`s.basis = 'consent' and ${known} is not null
      and ${known} > p.registered_at and ${known} > coalesce(s.confirmed_at, '-infinity')`
        : sql`false`
    }
      then 'confirmation-pending'
    when ${uncovered ? sql`s.basis = 'consent'` : sql`false`} then 'channel-not-covered'
    when ${topicOff} then 'topic-off'
    when ${known ? sql`${known} is null` : sql`false`} then 'no-contact-point'
    else 'allowed' end`;
}

/** People between two ids, without the first and with the last. */
export interface Range {
  readonly after: string;
  readonly upTo: string;
}

/** Everybody whom the read model has, in the order of ids; each range has at most so many rows of people. */
export async function* rangesOfPeople(database: Database, most: number): AsyncGenerator<Range> {
  for (let after = ''; ;) {
    const { rows } = await sql<{ subject: string | null }>`
      select max(subject) as subject from (
        select subject from read_models.persons where subject > ${after}
        order by subject limit ${most}) as people`.execute(database);
    const upTo = rows[0]?.subject;
    if (typeof upTo !== 'string') return;
    yield { after, upTo };
    after = upTo;
  }
}

/** How a question is answered for the people of a range. */
export interface AudienceSection {
  /** In the order of ids. */
  readonly allowed: readonly string[];
  /** How many are not, by the code that says why; `unknown-subject` where they were known, but not yet on that day. */
  readonly excluded: ReadonlyMap<string, number>;
}

/**
 * Rows known at one position never change: sections agree. People and standings are taken between two ids, by index, so
 * that a section costs the same in a ledger of any size, and are joined in one pass. How they are joined is set for the
 * transaction.
 */
export async function audienceSection(
  tx: Transaction<unknown>,
  asked: AudienceAsked,
  { after, upTo }: Range,
): Promise<AudienceSection> {
  // To look up the standing of each person by itself takes longer than to sort those of the range.
  await sql`select set_config('enable_nestloop', 'off', true),
    set_config('enable_mergejoin', 'on', true)`.execute(tx);
  const { rules, asOf, knownAt, behindErasure } = asked;
  const people = sql`p.subject > ${after} and p.subject <= ${upTo}`;
  const known = sql`p.known_to > ${knownAt}::bigint and p.known_from <= ${knownAt}::bigint`;
  // Looked at once, not for each of them.
  const erasedSince = behindErasure
    ? sql<boolean>`false`
    : sql<boolean>`p.subject in (select p.subject from read_models.persons p
        where ${people} and p.known_to = ${STILL_KNOWN}::bigint and p.erased)`;
  const { rows } = await sql<{ code: string; count: string; subjects: string | null }>`
    with answered as (
      select p.subject, ${codeOf(asked, erasedSince)} as code
      from read_models.persons p
      left join read_models.standings s on s.subject = p.subject and s.purpose = ${rules.key}
        and s.subject > ${after} and s.subject <= ${upTo}
        and s.known_to > ${knownAt}::bigint and s.known_from <= ${knownAt}::bigint
        and s.valid_from <= ${asOf}::timestamptz and s.valid_to > ${asOf}::timestamptz
      where ${people} and ${known}
        and p.valid_from <= ${asOf}::timestamptz and p.valid_to > ${asOf}::timestamptz)
    select code, count(*) as count,
      string_agg(subject, ' ' order by subject) filter (where code = 'allowed') as subjects
    from answered group by code
    union all
    select 'unknown-subject', count(distinct p.subject) - (select count(*) from answered), null
    from read_models.persons p where ${people} and ${known}`.execute(tx);
  return {
    allowed: rows.flatMap(({ subjects }) => subjects?.split(' ') ?? []),
    excluded: new Map(
      rows
        .filter(({ code, count }) => code !== 'allowed' && count !== '0')
        .map(({ code, count }) => [code, Number(count)]),
    ),
  };
}

/** How far the read model has come for everybody: where its last partition is. */
export async function standingPosition(database: Database): Promise<Position> {
  const { rows } = await sql<{ position: Position | null }>`
    select min(position) as position from projector.checkpoints where name = 'standing'`.execute(
    database,
  );
  return rows[0]?.position ?? ('0' as Position);
}

export interface ExpiredConsent {
  readonly subject: string;
  readonly purpose: string;
  /** The event that the consent rested on. */
  readonly grant: EventId;
  readonly expiredAt: Instant;
}

/** A page of the consents that ended by themselves after `since` and at or before `until`, in order of person. */
export async function expiredBetween(
  database: Database,
  since: Instant,
  until: Instant,
  after: { readonly subject: string; readonly purpose: string },
  limit: number,
): Promise<ExpiredConsent[]> {
  const { rows } = await sql<{ subject: string; purpose: string; event_id: EventId; since: Date }>`
    select subject, purpose, event_id, since from read_models.standings
    where known_to = ${STILL_KNOWN}::bigint and code = 'consent-expired'
      and valid_from > ${since}::timestamptz and valid_from <= ${until}::timestamptz
      and (subject, purpose) > (${after.subject}, ${after.purpose})
    order by subject, purpose limit ${limit}`.execute(database);
  return rows.map(({ subject, purpose, event_id: grant, since: at }) => ({
    subject,
    purpose,
    grant,
    expiredAt: instantOf(at.getTime()),
  }));
}
