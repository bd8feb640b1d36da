import { setTimeout as sleep } from 'node:timers/promises';
import { Inject } from '@nestjs/common';
import { Command, CommandBus, CommandHandler, type ICommandHandler, QueryBus } from '@nestjs/cqrs';
import { canonicalJson } from '#core/kernel/canonical-json.js';
import type { Actor } from '#core/kernel/event.js';
import { idFrom, newId, type ReceiptId, type SubjectId } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
import { type Requested, type Turn, Turns } from '#core/kernel/requested.js';
import {
  type Digest,
  DIGEST,
  IDEMPOTENCY_STORE,
  type IdempotencyStore,
} from '#core/platform/http/idempotency.js';
import {
  RegisterSubject,
  type RegistrationInput,
} from '#domains/subjects/commands/register-subject.message.js';
import {
  FindSubjects,
  type SubjectReference,
} from '#domains/subjects/queries/find-subjects.message.js';
import { type Interaction, RecordChoices } from './record-choices.js';

/** One line of a bulk recording: a registration, or an interaction with a person who is named. */
export type BulkLine = { readonly line: number; readonly idempotencyKey?: string } & (
  | { readonly registration: RegistrationInput }
  | {
      readonly person: { readonly subjectId: SubjectId } | SubjectReference;
      readonly interaction: Interaction;
    }
);

export interface Recorded {
  readonly line: number;
  readonly status: 'recorded';
  readonly receiptId: ReceiptId;
  readonly subjectId: SubjectId;
  readonly position: Position;
}

export interface Rejected {
  readonly line: number;
  readonly status: 'rejected';
  readonly code: string;
  readonly pointer?: string;
  readonly detail: string;
}

export type LineVerdict = Recorded | Rejected;

/** Who records, and under which name this import is known, where it has one. */
export interface BulkContext {
  readonly actor: Actor;
  readonly apiKeyId: string;
  readonly correlationId: string;
  readonly importId?: string;
  /** Whether a registration may bring legal bases. */
  readonly mayWriteBases: boolean;
  /** Aborts when nobody waits for the verdicts any more. */
  readonly signal: AbortSignal;
}

/** A line as it came: to be recorded, or with its verdict already, which keeps its place. */
export type LineGiven<Verdict> = BulkLine | { readonly verdict: Verdict };

/**
 * Records lines in their order, as they come. Lines of different people are prepared side by side, but
 * their appends are made in the order of the lines; lines of one person wait for each other. A line that is
 * rejected stops nothing, and one that the ledger can not take now is tried again for a minute: lines of
 * other people do not wait for it. The verdicts come in the order of the lines, as soon as they stand.
 */
export class RecordLines<Verdict = never> extends Command<
  AsyncIterable<readonly (LineVerdict | Verdict)[]>
> {
  constructor(
    readonly lines: AsyncIterable<readonly LineGiven<Verdict>[]>,
    readonly context: BulkContext,
  ) {
    super();
  }
}

/** Lines under way at once: prepared side by side, or waiting for their verdict to be taken. */
const UNDER_WAY = 512;

/**
 * Milliseconds for which a line is tried again, and the longest pause between two tries. The patience of the ledger is
 * that of one call, and hundreds of lines that wait for each other on a busy machine take longer.
 */
const [PATIENCE, LONGEST_PAUSE] = [60_000, 2_000];

/** What a repetition by the same name finds done, or does. */
const PASSING = new Set(['ledger-unavailable', 'outcome-unknown']);

@CommandHandler(RecordLines)
export class RecordLinesHandler implements ICommandHandler<RecordLines> {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
    @Inject(DIGEST) private readonly digest: Digest,
    @Inject(IDEMPOTENCY_STORE) private readonly answers: IdempotencyStore,
  ) {}

  execute({ lines, context }: RecordLines): Promise<AsyncIterable<readonly LineVerdict[]>> {
    return Promise.resolve(this.verdicts(lines, context));
  }

  private async *verdicts(
    source: AsyncIterable<readonly LineGiven<LineVerdict>[]>,
    context: BulkContext,
  ): AsyncGenerator<readonly LineVerdict[]> {
    const recording: Recording = {
      context,
      turns: new Turns(),
      last: new Map(),
      people: new RecentPeople(),
    };
    const underWay: Waiting[] = [];
    const begin = (given: LineGiven<LineVerdict>, names: readonly string[]) =>
      underWay.push(
        new Waiting(
          'verdict' in given
            ? Promise.resolve(given.verdict)
            : this.begin(given, names, recording, recording.turns.next()),
        ),
      );

    const chunks = source[Symbol.asyncIterator]();
    const read = (): Promise<Chunk> => {
      const chunk = chunks.next();
      // Awaited when there is room for it; until then a broken source must not count as unhandled.
      chunk.catch(() => undefined);
      return chunk;
    };
    let next: Promise<Chunk> | undefined = read();
    while (next || underWay.length > 0) {
      // Whatever comes first: more lines, where there is room for them, or the verdict on the first one.
      const [first] = underWay;
      if (next && underWay.length < UNDER_WAY) {
        const more: Chunk | void = await Promise.race([next, first?.settled ?? next]);
        if (more) {
          next = more.done ? undefined : read();
          const lines = more.done ? [] : more.value;
          const names = await this.namesIn(lines, recording.people);
          lines.forEach((given, n) => begin(given, names[n] ?? []));
        }
      } else await first?.settled;
      const done: LineVerdict[] = [];
      while (underWay[0]?.isSettled) done.push(await (underWay.shift() as Waiting).verdict);
      if (done.length > 0) yield done;
    }
  }

  /** Begins a line once the earlier lines of the same person are done. */
  private begin(
    line: BulkLine,
    names: readonly string[],
    recording: Recording,
    turn: Turn,
  ): Promise<LineVerdict> {
    const { last } = recording;
    const before = names.flatMap((name) => last.get(name) ?? []);
    const verdict =
      before.length === 0
        ? this.once(line, recording, turn)
        : Promise.all(before).then(() => this.once(line, recording, turn));
    const settled = verdict.then(
      () => undefined,
      () => undefined,
    );
    for (const name of names) last.set(name, settled);
    void settled.then(() => {
      for (const name of names) if (last.get(name) === settled) last.delete(name);
    });
    return verdict;
  }

  /** With a key of its own a line is like any call: the same key with other contents is refused. */
  private async once(line: BulkLine, recording: Recording, turn: Turn): Promise<LineVerdict> {
    const { idempotencyKey, line: number, ...said } = line;
    if (idempotencyKey === undefined) return this.record(line, recording, turn);
    try {
      const { apiKeyId } = recording.context;
      const key = this.digest.digest('bulk-key', apiKeyId, idempotencyKey);
      const fingerprint = this.digest.digest('bulk-fingerprint', canonicalJson(said));
      const claim = await this.answers.claim(key, fingerprint);
      if (claim.kind === 'reused' || claim.kind === 'in-flight')
        return refusedKey(number, claim.kind);
      const verdict = await this.record(line, recording, turn);
      if (claim.kind === 'claimed') {
        const { lease } = claim;
        if (verdict.status === 'rejected') await this.answers.release(key, lease);
        else await this.answers.complete(key, lease, { status: 201, headers: {}, body: verdict });
      }
      return verdict;
    } finally {
      turn.done();
    }
  }

  /**
   * Every way in which each line names a person, with the id where they are known: two lines that share one
   * wait for each other. One look-up for all whom this recording does not know yet.
   */
  private async namesIn(
    lines: readonly LineGiven<LineVerdict>[],
    people: RecentPeople,
  ): Promise<readonly string[][]> {
    const references = lines.map((given) => ('verdict' in given ? [] : referencesIn(given)));
    const unknown = references.flat().filter((reference) => !people.of(reference));
    const found = await this.queries.execute(new FindSubjects(unknown));
    const ids = new Map(unknown.map((reference, n) => [nameOf(reference), found[n] ?? []]));
    for (const [n, reference] of unknown.entries()) {
      const [id, another] = found[n] ?? [];
      if (id && !another) people.keep(reference, id);
    }
    return lines.map((given, n) => {
      const own = references[n] ?? [];
      const named =
        'person' in given && 'subjectId' in given.person ? [given.person.subjectId] : [];
      const meant = own.flatMap(
        (reference) => ids.get(nameOf(reference)) ?? people.of(reference) ?? [],
      );
      return [...own.map(nameOf), ...meant, ...named];
    });
  }

  private async record(line: BulkLine, recording: Recording, turn: Turn): Promise<LineVerdict> {
    const { context, people } = recording;
    try {
      if ('registration' in line && line.registration.bases?.length && !context.mayWriteBases)
        throw scopeMissing();
      const requested = this.requestedFor(line, context, turn);
      const { receiptId } = requested;
      const recorded = (subjectId: SubjectId, position: Position): Recorded => ({
        line: line.line,
        status: 'recorded',
        receiptId,
        subjectId,
        position,
      });
      if ('registration' in line) {
        const { subjectId, position, replayed } = await insisting(context.signal, () =>
          this.commands.execute(new RegisterSubject(line.registration, requested)),
        );
        // Who was registered before may have been erased since, and is found no more.
        if (!replayed)
          for (const reference of referencesIn(line)) people.keep(reference, subjectId);
        return recorded(subjectId, position);
      }
      const { person, interaction } = line;
      const choose = async (subjectId: SubjectId): Promise<Recorded> => {
        const { position } = await insisting(context.signal, () =>
          this.commands.execute(new RecordChoices(subjectId, interaction, requested)),
        );
        return recorded(subjectId, position);
      };
      return await this.withPerson(person, people, choose);
    } catch (error) {
      return rejected(line, error);
    } finally {
      turn.done();
    }
  }

  /**
   * Does something with the person that a line names. Where that is refused for one who was known from before, they are
   * looked up again: who was erased meanwhile is nobody by their reference.
   */
  private async withPerson<T>(
    person: { readonly subjectId: SubjectId } | SubjectReference,
    people: RecentPeople,
    work: (subjectId: SubjectId) => Promise<T>,
  ): Promise<T> {
    if ('subjectId' in person) return work(person.subjectId);
    const known = people.of(person);
    if (known)
      try {
        return await work(known);
      } catch (error) {
        if (!(error instanceof Refused) || error.kind === 'unavailable') throw error;
        if ((await this.subjectOf(person)) === known) throw error;
      }
    const found = await this.subjectOf(person);
    people.keep(person, found);
    return work(found);
  }

  /**
   * The receipt of a line. With a key of its own it is derived from that, like any call's; else from what
   * the line says, so that the same file gives the same receipts whoever sends it. A line that does not say
   * when it happened says something new each time it is sent, unless the import and the line's place in it
   * are named.
   */
  private requestedFor(line: BulkLine, context: BulkContext, turn: Turn): Requested {
    const { actor, apiKeyId, correlationId, importId } = context;
    const { line: number, idempotencyKey, ...said } = line;
    const content = canonicalJson(said);
    const { occurredAt } = 'registration' in said ? said.registration : said.interaction;
    const receiptId =
      idempotencyKey !== undefined
        ? this.derived('bulk-key', apiKeyId, idempotencyKey)
        : occurredAt !== undefined
          ? this.derived('bulk-line', content)
          : importId !== undefined
            ? this.derived('bulk-place', importId, String(number), content)
            : newId('rcp');
    const provenance = importId === undefined ? undefined : { importId, line: number };
    return { actor, receiptId, correlationId, bulk: true, turn, provenance };
  }

  private derived(use: string, ...parts: readonly string[]): ReceiptId {
    return idFrom('rcp', this.digest.digest(use, ...parts), 8);
  }

  private async subjectOf(person: SubjectReference): Promise<SubjectId> {
    const [[subjectId, another] = []] = await this.queries.execute(new FindSubjects([person]));
    if (subjectId && !another) return subjectId;
    const pointer = 'externalRef' in person ? '/externalRef' : '/contactPoint';
    const [code, detail] = another
      ? ['ambiguous-subject', 'several people are reached so; name one by subjectId or externalRef']
      : ['unknown-subject', 'there is no such person'];
    throw new Refused('not-found', code, detail, { violations: [{ pointer, code, detail }] });
  }
}

/** One recording as it goes on. */
interface Recording {
  readonly context: BulkContext;
  readonly turns: Turns;
  /** By a name of a person, when the last line that has it is done. */
  readonly last: Map<string, Promise<unknown>>;
  readonly people: RecentPeople;
}

/** So many references are remembered at most. */
const MOST_PEOPLE = 10_000;

/** Who is meant by references that this recording has used lately: their next lines need no look-up. */
class RecentPeople {
  private readonly ids = new Map<string, SubjectId>();

  of(reference: SubjectReference): SubjectId | undefined {
    return this.ids.get(nameOf(reference));
  }

  keep(reference: SubjectReference, id: SubjectId): void {
    const name = nameOf(reference);
    this.ids.delete(name);
    this.ids.set(name, id);
    for (const oldest of this.ids.keys()) {
      if (this.ids.size <= MOST_PEOPLE) return;
      this.ids.delete(oldest);
    }
  }
}

function nameOf(reference: SubjectReference): string {
  return JSON.stringify(reference);
}

type Chunk = IteratorResult<readonly LineGiven<LineVerdict>[]>;

/** A line that is under way. */
class Waiting {
  isSettled = false;
  readonly settled: Promise<void>;

  constructor(readonly verdict: Promise<LineVerdict>) {
    const settle = () => void (this.isSettled = true);
    this.settled = verdict.then(settle, settle);
  }
}

/** Tries again what could not be done now, while somebody waits for it. */
async function insisting<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  const until = performance.now() + PATIENCE;
  for (let pause = 100; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    try {
      return await attempt();
    } catch (error) {
      const isPassing = error instanceof Refused && PASSING.has(error.code);
      if (!isPassing || signal.aborted || performance.now() + pause > until) throw error;
    }
    await sleep(pause);
  }
}

function referencesIn(line: BulkLine): SubjectReference[] {
  if ('registration' in line)
    return (line.registration.externalRefs ?? []).map((externalRef) => ({ externalRef }));
  return 'subjectId' in line.person ? [] : [line.person];
}

function scopeMissing(): Refused {
  const detail = 'recording legal bases needs the scope bases:write';
  const violations = [{ pointer: '/bases', code: 'scope-missing', detail }];
  return new Refused('forbidden', 'scope-missing', detail, { violations });
}

function refusedKey(line: number, kind: 'reused' | 'in-flight'): Rejected {
  const detail =
    kind === 'reused'
      ? 'this idempotencyKey belongs to a line with other contents'
      : 'a line with this idempotencyKey is under way';
  const code = kind === 'reused' ? 'idempotency-key-reused' : 'idempotency-in-flight';
  return { line, status: 'rejected', code, pointer: '/idempotencyKey', detail };
}

/** What the caller can do something about; anything else breaks off the stream rather than this line. */
function rejected({ line, ...said }: BulkLine, error: unknown): Rejected {
  if (!(error instanceof Refused) || error.kind === 'unavailable') throw error;
  const [violation] = error.more.violations ?? [];
  const within = 'interaction' in said ? '/interaction' : '';
  const own = violation?.pointer;
  const named = own?.startsWith('/externalRef') || own?.startsWith('/contactPoint/');
  return {
    line,
    status: 'rejected',
    code: violation?.code ?? error.code,
    pointer: own === undefined || named ? own : within + own,
    detail: violation?.detail ?? error.detail,
  };
}
