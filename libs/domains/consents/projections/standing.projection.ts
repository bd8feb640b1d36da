import { sql, type Transaction } from 'kysely';
import type { Recorded } from '#core/kernel/event.js';
import { ownerOf, type StreamName, streamOf } from '#core/kernel/ids.js';
import { END_OF_TIME, type Instant } from '#core/kernel/instant.js';
import { evolve, fold } from '#core/kernel/model.js';
import { partitionOf } from '#core/kernel/partition.js';
import type { Position } from '#core/kernel/position.js';
import type { Projection, ProjectionContext } from '#core/projector/projection.js';
import { type PersonFacts, personFacts } from '../domain/facts.js';
import { personChanged, type PersonSpan, personSpans, samePerson } from '../domain/person.js';
import type { StandingRules } from '../domain/moves.js';
import { sameStanding, type Standing, standingOf } from '../domain/standing.js';

/**
 * The read model that answers "may we?": how every person stands towards every purpose, and what holds of
 * the person as such, each with two half-open ranges: when it was true, and between which positions the
 * ledger held it to be so. Nothing is ever changed but the end of what was known, so that a question about
 * any day, as known on any day, reads the same rows as one about now.
 */

/** How many parts of the people processes can share. Another number is another version. */
export const STANDING_PARTITIONS = 8;

/** The end of what is still known. */
export const STILL_KNOWN = '9223372036854775807';

const PAGE = 500;
const CACHED_PERSONS = 5_000;

/** Events that move how a person stands towards purposes; the others change the person alone, or nothing. */
const MOVES_ALL = new Set([
  'ObjectionRaised',
  'ObjectionWithdrawn',
  'ProcessingRestricted',
  'RestrictionLifted',
]);

interface Row {
  readonly subject: string;
  readonly validFrom: Instant;
  readonly validTo: Instant;
  readonly knownFrom: Position;
  knownTo?: Position;
}

type StandingRow = Row & { readonly purpose: string; readonly standing: Standing };
type PersonRow = Row & { readonly person: PersonSpan };

interface Known {
  readonly revision: number;
  readonly facts: PersonFacts;
}

export class StandingProjection implements Projection {
  readonly name = 'standing';
  readonly version = 3;
  readonly categories = ['subject', 'purpose'];
  readonly partitions = STANDING_PARTITIONS;
  readonly everywhere = ['purpose'];
  /** Facts of people met lately. An entry of another revision than expected is read anew from the log. */
  private readonly known = new Map<StreamName, Known>();

  async create(tx: Transaction<unknown>): Promise<void> {
    const ranges = sql`
      valid_from timestamptz not null, valid_to timestamptz not null,
      known_from bigint not null, known_to bigint not null`;
    await sql`create table standings (
      subject text collate "C" not null, purpose text collate "C" not null, ${ranges},
      code text not null, reasons text[] not null, basis text, since timestamptz,
      event_id text, event_position bigint, confirmed_at timestamptz,
      primary key (subject, purpose, known_to, valid_from, known_from))`.execute(tx);
    await sql`create table persons (
      subject text collate "C" not null, ${ranges},
      registered_at timestamptz not null, erased boolean not null,
      objects_to_marketing boolean not null, restricted text[],
      email timestamptz, phone timestamptz, post timestamptz, topics jsonb not null,
      primary key (subject, known_to, valid_from, known_from))`.execute(tx);
    // Each partition has the rules of where it is in the log.
    await sql`create table standing_rules (
      partition int not null, purpose text collate "C" not null, rules jsonb not null,
      primary key (partition, purpose))`.execute(tx);
    await sql`create index standings_by_purpose on standings (purpose, subject)`.execute(tx);
    await sql`create index persons_erased on persons (subject, known_to) where erased`.execute(tx);
  }

  async apply(batch: readonly Recorded[], context: ProjectionContext): Promise<void> {
    const rules = await rulesOf(context);
    await this.recall(batch, context);
    let changes = new Changes();
    for (const event of batch) {
      if (isDefinition(event)) {
        await changes.write(context.tx);
        changes = new Changes();
        await this.define(event, rules, context);
      } else if (event.stream.startsWith('subject-')) this.record(event, rules, changes);
    }
    await changes.write(context.tx);
    // The map is in the order in which people were met last.
    for (const stream of this.known.keys()) {
      if (this.known.size <= CACHED_PERSONS) break;
      this.known.delete(stream);
    }
  }

  /** Brings the facts of everybody in the batch, as they were before it, into memory. */
  private async recall(
    batch: readonly Recorded[],
    { readStreams }: ProjectionContext,
  ): Promise<void> {
    const first = new Map<StreamName, Recorded>();
    for (const event of batch)
      if (event.stream.startsWith('subject-') && !first.has(event.stream))
        first.set(event.stream, event);
    const missing: StreamName[] = [];
    for (const [stream, { revision }] of first) {
      const known = this.known.get(stream);
      this.known.delete(stream);
      if (revision === 0) this.known.set(stream, { revision: -1, facts: personFacts.initial });
      else if (known?.revision === revision - 1) this.known.set(stream, known);
      else missing.push(stream);
    }
    const upTo = batch.at(-1)?.position as Position;
    for (let i = 0; i < missing.length; i += PAGE) {
      const streams = await readStreams(missing.slice(i, i + PAGE), upTo);
      for (const [stream, events] of streams) {
        const { revision } = first.get(stream) as Recorded;
        const facts = fold(personFacts, events.slice(0, revision));
        this.known.set(stream, { revision: revision - 1, facts });
      }
    }
  }

  private record(event: Recorded, rules: Rules, changes: Changes): void {
    const { stream, revision, position } = event;
    const before = this.known.get(stream);
    if (before?.revision !== revision - 1)
      throw new Error(
        `${stream}: revision ${revision} does not follow ${before?.revision ?? 'anything'}`,
      );
    const facts = evolve(personFacts, before.facts, event);
    this.known.set(stream, { revision, facts });
    if (facts === before.facts) return;
    const subject = ownerOf(stream);
    if (personChanged(before.facts, facts))
      changes.person(subject, personSpans(before.facts), personSpans(facts), position);
    for (const purpose of Object.keys(facts.purposes)) {
      const own = rules.get(purpose);
      if (
        !own ||
        (facts.purposes[purpose] === before.facts.purposes[purpose] && !MOVES_ALL.has(event.type))
      )
        continue;
      const earlier = before.facts.purposes[purpose] ? standingOf(before.facts, own) : [];
      changes.standing(subject, purpose, earlier, standingOf(facts, own), position);
    }
  }

  /** New rules for a purpose: from here on everybody's standing towards it is what these rules make of it. */
  private async define(
    event: Definition,
    rules: Rules,
    { tx, readStreams, partitions }: ProjectionContext,
  ): Promise<void> {
    const { key, marketing, minimumEvidence, doubleOptIn } = event.data;
    const [old, next] = [rules.get(key), { key, marketing, minimumEvidence, doubleOptIn }];
    rules.set(key, next);
    await sql`insert into standing_rules
      select partition, ${key}, ${JSON.stringify(next)}::jsonb
      from unnest(${[...partitions]}::int[]) as partition
      on conflict (partition, purpose) do update set rules = excluded.rules`.execute(tx);
    const own = new Set(partitions);
    if (!old || JSON.stringify(old) === JSON.stringify(next)) return;
    for (let last = ''; ;) {
      const { rows } = await sql<{ subject: string }>`
        select distinct subject from standings
        where purpose = ${key} and subject > ${last} and known_to = ${STILL_KNOWN}::bigint
        order by subject limit ${PAGE}`.execute(tx);
      if (rows.length === 0) return;
      last = (rows.at(-1) as (typeof rows)[number]).subject;
      const streams = await readStreams(
        rows
          .map(({ subject }) => streamOf('subject', subject))
          .filter((stream) => own.has(partitionOf(stream, STANDING_PARTITIONS))),
        event.position,
      );
      const changes = new Changes();
      for (const [stream, events] of streams) {
        const facts = fold(personFacts, events);
        const [before, now] = [standingOf(facts, old), standingOf(facts, next)];
        changes.standing(ownerOf(stream), key, before, now, event.position);
      }
      await changes.write(tx);
    }
  }
}

type Rules = Map<string, StandingRules>;
type Definition = Recorded & { readonly data: StandingRules };

function isDefinition(event: Recorded): event is Definition {
  return event.type === 'PurposeDefined' || event.type === 'PurposeRevised';
}

/** The same for all partitions of a batch: they are at the same place in the log. */
async function rulesOf({ tx, partitions: [one] }: ProjectionContext): Promise<Rules> {
  const { rows } = await sql<{ purpose: string; rules: StandingRules }>`
    select purpose, rules from standing_rules where partition = ${one}`.execute(tx);
  return new Map(rows.map(({ purpose, rules }) => [purpose, rules]));
}

/** What a batch changes: rows whose knowledge ends, and rows that are new. Ends are written first. */
class Changes {
  private readonly ended: (Pick<Row, 'subject' | 'validFrom'> & {
    purpose?: string;
    knownTo: Position;
  })[] = [];
  private readonly openRows = new Map<string, StandingRow | PersonRow>();
  private readonly closedRows: (StandingRow | PersonRow)[] = [];

  standing(
    subject: string,
    purpose: string,
    before: readonly Standing[],
    now: readonly Standing[],
    position: Position,
  ): void {
    const [old, next] = [withoutBases(before), withoutBases(now)];
    this.change(`${subject} ${purpose}`, old, next, same(sameStanding), position, {
      end: (validFrom) => this.ended.push({ subject, purpose, validFrom, knownTo: position }),
      row: (standing, validTo) => ({
        subject,
        purpose,
        standing,
        validFrom: standing.from,
        validTo,
        knownFrom: position,
      }),
    });
  }

  person(
    subject: string,
    before: readonly PersonSpan[],
    now: readonly PersonSpan[],
    position: Position,
  ): void {
    this.change(subject, before, now, same(samePerson), position, {
      end: (validFrom) => this.ended.push({ subject, validFrom, knownTo: position }),
      row: (person, validTo) => ({
        subject,
        person,
        validFrom: person.from,
        validTo,
        knownFrom: position,
      }),
    });
  }

  private change<Span extends { readonly from: Instant }>(
    key: string,
    before: readonly Span[],
    now: readonly Span[],
    equal: (a: Bounded<Span>, b: Bounded<Span>) => boolean,
    position: Position,
    of: {
      end(validFrom: Instant): void;
      row(span: Span, validTo: Instant): StandingRow | PersonRow;
    },
  ): void {
    const [old, next] = [bounded(before), bounded(now)];
    for (const one of old.values()) {
      const kept = next.get(one.span.from);
      if (kept && equal(one, kept)) continue;
      const open = this.openRows.get(`${key} ${one.span.from}`);
      if (open) {
        this.openRows.delete(`${key} ${one.span.from}`);
        this.closedRows.push({ ...open, knownTo: position });
      } else of.end(one.span.from);
    }
    for (const one of next.values()) {
      const had = old.get(one.span.from);
      if (had && equal(had, one)) continue;
      this.openRows.set(`${key} ${one.span.from}`, of.row(one.span, one.to));
    }
  }

  async write(tx: Transaction<unknown>): Promise<void> {
    const rows = [...this.closedRows, ...this.openRows.values()];
    const ends = this.ended;
    await endStandings(
      tx,
      ends.filter((end) => end.purpose !== undefined),
    );
    await endPersons(
      tx,
      ends.filter((end) => end.purpose === undefined),
    );
    await insertStandings(
      tx,
      rows.filter((row) => 'standing' in row),
    );
    await insertPersons(
      tx,
      rows.filter((row) => 'person' in row),
    );
  }
}

/** The spans as the table holds them: it names the basis that decides, not every basis there is. */
function withoutBases(spans: readonly Standing[]): Standing[] {
  const kept: Standing[] = [];
  for (const span of spans) {
    const row = { ...span, bases: [] };
    const last = kept.at(-1);
    if (!last || !sameStanding(last, row)) kept.push(row);
  }
  return kept;
}

interface Bounded<Span> {
  readonly span: Span;
  readonly to: Instant;
}

function bounded<Span extends { readonly from: Instant }>(
  spans: readonly Span[],
): Map<Instant, Bounded<Span>> {
  return new Map(
    spans.map((span, index) => [span.from, { span, to: spans[index + 1]?.from ?? END_OF_TIME }]),
  );
}

function same<Span>(equal: (a: Span, b: Span) => boolean) {
  return (a: Bounded<Span>, b: Bounded<Span>) => a.to === b.to && equal(a.span, b.span);
}

type End = { subject: string; purpose?: string; validFrom: Instant; knownTo: Position };

async function endStandings(tx: Transaction<unknown>, ends: readonly End[]): Promise<void> {
  if (ends.length === 0) return;
  await sql`
    update standings s set known_to = e.known_to
    from unnest(${ends.map((e) => e.subject)}::text[], ${ends.map((e) => e.purpose)}::text[],
      ${ends.map((e) => e.validFrom)}::timestamptz[], ${ends.map((e) => e.knownTo)}::bigint[])
      as e(subject, purpose, valid_from, known_to)
    where s.subject = e.subject and s.purpose = e.purpose and s.valid_from = e.valid_from
      and s.known_to = ${STILL_KNOWN}::bigint`.execute(tx);
}

async function endPersons(tx: Transaction<unknown>, ends: readonly End[]): Promise<void> {
  if (ends.length === 0) return;
  await sql`
    update persons p set known_to = e.known_to
    from unnest(${ends.map((e) => e.subject)}::text[], ${ends.map((e) => e.validFrom)}::timestamptz[],
      ${ends.map((e) => e.knownTo)}::bigint[]) as e(subject, valid_from, known_to)
    where p.subject = e.subject and p.valid_from = e.valid_from
      and p.known_to = ${STILL_KNOWN}::bigint`.execute(tx);
}

/** What lasts for ever also holds at the last moment that can be asked about. */
const lasting = (until: Instant) => (until === END_OF_TIME ? 'infinity' : until);

/** Arrays for the columns that both tables begin with. */
function ranges(rows: readonly Row[]) {
  return sql`
    ${rows.map((r) => r.subject)}::text[], ${rows.map((r) => r.validFrom)}::timestamptz[],
    ${rows.map((r) => lasting(r.validTo))}::timestamptz[], ${rows.map((r) => r.knownFrom)}::bigint[],
    ${rows.map((r) => r.knownTo ?? STILL_KNOWN)}::bigint[]`;
}

async function insertStandings(
  tx: Transaction<unknown>,
  rows: readonly StandingRow[],
): Promise<void> {
  if (rows.length === 0) return;
  const of = <T>(pick: (standing: Standing) => T) => rows.map(({ standing }) => pick(standing));
  await sql`
    insert into standings (subject, valid_from, valid_to, known_from, known_to, purpose, code, reasons,
      basis, since, event_id, event_position, confirmed_at)
    select subject, valid_from, valid_to, known_from, known_to, purpose, code,
      string_to_array(reasons, ' '), basis, since, event_id, event_position, confirmed_at
    from unnest(${ranges(rows)}, ${rows.map((r) => r.purpose)}::text[], ${of((s) => s.code)}::text[],
      ${of((s) => s.reasons.join(' '))}::text[], ${of((s) => s.basis)}::text[],
      ${of((s) => s.since)}::timestamptz[], ${of((s) => s.event?.id)}::text[],
      ${of((s) => s.event?.position)}::bigint[], ${of((s) => s.confirmedAt)}::timestamptz[])
      as r(subject, valid_from, valid_to, known_from, known_to, purpose, code, reasons,
        basis, since, event_id, event_position, confirmed_at)`.execute(tx);
}

async function insertPersons(tx: Transaction<unknown>, rows: readonly PersonRow[]): Promise<void> {
  if (rows.length === 0) return;
  const of = <T>(pick: (person: PersonSpan) => T) => rows.map(({ person }) => pick(person));
  await sql`
    insert into persons (subject, valid_from, valid_to, known_from, known_to, registered_at, erased,
      objects_to_marketing, restricted, email, phone, post, topics)
    select subject, valid_from, valid_to, known_from, known_to, registered_at, erased,
      objects_to_marketing, string_to_array(restricted, ' '), email, phone, post, topics
    from unnest(${ranges(rows)}, ${of((p) => p.registeredAt)}::timestamptz[],
      ${of((p) => p.erased)}::boolean[], ${of((p) => p.objectsToMarketing)}::boolean[],
      ${of(restrictedColumn)}::text[], ${of((p) => p.reachable.email)}::timestamptz[],
      ${of((p) => p.reachable.phone)}::timestamptz[], ${of((p) => p.reachable.post)}::timestamptz[],
      ${of((p) => JSON.stringify(p.topics))}::jsonb[])
      as r(subject, valid_from, valid_to, known_from, known_to, registered_at, erased,
        objects_to_marketing, restricted, email, phone, post, topics)`.execute(tx);
}

/** Null: nothing is restricted. `*`: everything is. */
function restrictedColumn({ restricted }: PersonSpan): string | undefined {
  if (restricted === 'all') return '*';
  return restricted.length > 0 ? restricted.join(' ') : undefined;
}
