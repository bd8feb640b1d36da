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
 * rejected stops nothing, and one that the ledger can not take now is tried again for a minute. The verdicts
 * come in the order of the lines, as soon as they stand.
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
    const turns = new Turns();
    const ofPerson = new Map<string, Promise<unknown>>();
    const underWay: Waiting[] = [];
    const begin = (given: LineGiven<LineVerdict>, people: readonly string[]) =>
      underWay.push(
        new Waiting(
          'verdict' in given
            ? Promise.resolve(given.verdict)
            : this.begin(given, people, context, turns.next(), ofPerson),
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
          const people = await this.peopleIn(lines);
          lines.forEach((given, n) => begin(given, people[n] ?? []));
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
    people: readonly string[],
    context: BulkContext,
    turn: Turn,
    ofPerson: Map<string, Promise<unknown>>,
  ): Promise<LineVerdict> {
    const before = people.flatMap((person) => ofPerson.get(person) ?? []);
    const verdict =
      before.length === 0
        ? this.once(line, context, turn)
        : Promise.all(before).then(() => this.once(line, context, turn));
    const settled = verdict.then(
      () => undefined,
      () => undefined,
    );
    for (const person of people) ofPerson.set(person, settled);
    void settled.then(() => {
      for (const person of people) if (ofPerson.get(person) === settled) ofPerson.delete(person);
    });
    return verdict;
  }

  /** With a key of its own a line is like any call: the same key with other contents is refused. */
  private async once(line: BulkLine, context: BulkContext, turn: Turn): Promise<LineVerdict> {
    const { idempotencyKey, line: number, ...said } = line;
    if (idempotencyKey === undefined) return this.record(line, context, turn);
    try {
      const key = this.digest.digest('bulk-key', context.apiKeyId, idempotencyKey);
      const fingerprint = this.digest.digest('bulk-fingerprint', canonicalJson(said));
      const claim = await this.answers.claim(key, fingerprint);
      if (claim.kind === 'reused' || claim.kind === 'in-flight')
        return refusedKey(number, claim.kind);
      const verdict = await this.record(line, context, turn);
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
   * wait for each other. One look-up for all of them.
   */
  private async peopleIn(lines: readonly LineGiven<LineVerdict>[]): Promise<readonly string[][]> {
    const references = lines.map((given) => ('verdict' in given ? [] : referencesIn(given)));
    const found = await this.queries.execute(new FindSubjects(references.flat()));
    let next = 0;
    return lines.map((given, n) => {
      const own = references[n] ?? [];
      const ids = own.flatMap(() => found[next++] ?? []);
      const named =
        'person' in given && 'subjectId' in given.person ? [given.person.subjectId] : [];
      return [...own.map((reference) => JSON.stringify(reference)), ...ids, ...named];
    });
  }

  private async record(line: BulkLine, context: BulkContext, turn: Turn): Promise<LineVerdict> {
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
        const { subjectId, position } = await insisting(context.signal, () =>
          this.commands.execute(new RegisterSubject(line.registration, requested)),
        );
        return recorded(subjectId, position);
      }
      const subjectId = await this.subjectOf(line.person);
      const outcome = await insisting(context.signal, () =>
        this.commands.execute(new RecordChoices(subjectId, line.interaction, requested)),
      );
      return recorded(subjectId, outcome.position);
    } catch (error) {
      return rejected(line, error);
    } finally {
      turn.done();
    }
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

  private async subjectOf(
    person: { readonly subjectId: SubjectId } | SubjectReference,
  ): Promise<SubjectId> {
    if ('subjectId' in person) return person.subjectId;
    const [[subjectId, another] = []] = await this.queries.execute(new FindSubjects([person]));
    if (subjectId && !another) return subjectId;
    const pointer = 'externalRef' in person ? '/externalRef' : '/contactPoint';
    const [code, detail] = another
      ? ['ambiguous-subject', 'several people are reached so; name one by subjectId or externalRef']
      : ['unknown-subject', 'there is no such person'];
    throw new Refused('not-found', code, detail, { violations: [{ pointer, code, detail }] });
  }
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
