import { Inject } from '@nestjs/common';
import { type IQueryHandler, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { type StreamName, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Clock } from '#core/kernel/instant.js';
import { knownAtOf } from '#core/kernel/moment.js';
import { earlierOf, laterOf, type Position, START } from '#core/kernel/position.js';
import { invalid, type Violation } from '#core/kernel/refused.js';
import { resolveKnownAt } from '#core/ledger/known-at.js';
import { Ledger } from '#core/ledger/ledger.js';
import { Batch } from '#core/platform/batch.js';
import { READ_MODELS, type ReadModels } from '#core/platform/read-models.js';
import { CLOCK, LOOKUPS } from '#core/platform/tokens.js';
import { questionViolations } from '#domains/purposes/domain/purposes.vocabulary.js';
import {
  AskPrivacyCentre,
  type PrivacyCentre,
} from '#domains/purposes/queries/privacy-centre.message.js';
import {
  FindSubjects,
  type SubjectReference,
} from '#domains/subjects/queries/find-subjects.message.js';
import {
  type Answer,
  answer,
  erasedSubject,
  mostRestrictive,
  unknownSubject,
} from '../domain/answer.js';
import {
  type Asked,
  type Database,
  findStandings,
  type Found,
  standingPosition,
} from '../projections/standing.questions.js';
import { Decide, type DecisionAnswer, type DecisionQuestion } from './decide.message.js';

@QueryHandler(Decide)
export class DecideHandler implements IQueryHandler<Decide> {
  /** Questions that callers ask one by one, at the same time, are looked up together. */
  private readonly single = new Batch((asked: readonly Asked[]) =>
    findStandings(this.lookups, asked),
  );

  constructor(
    @Inject(LOOKUPS) private readonly lookups: Database,
    @Inject(READ_MODELS) private readonly readModels: ReadModels,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly ledger: Ledger,
    private readonly queries: QueryBus,
  ) {}

  async execute({ questions, behindErasure, ...more }: Decide): Promise<readonly DecisionAnswer[]> {
    await this.check(questions, more.pointerTo);

    const now = this.clock.now();
    const subjects = await this.subjectsOf(questions, more.pointerTo);
    const streams = streamsOf(subjects);
    if (more.consistentAt) await this.readModels.waitFor(more.consistentAt, ['standing'], streams);
    await this.readModels.mustBeFresh(['standing'], streams);
    const knownAts = await this.knownAtsOf(questions, streams);
    const asked = questions.flatMap(({ purpose, asOf = now }, n): (Asked & { n: number })[] =>
      (subjects[n] ?? []).map((subject) => ({ n, subject, purpose, asOf, knownAt: knownAts[n] })),
    );
    const found = await this.find(asked);
    const open = found.find((_, index) => asked[index]?.knownAt === undefined);
    const position = open?.position ?? (await standingPosition(this.lookups));
    const byQuestion = questions.map((): Found[] => []);
    found.forEach((one, index) => byQuestion[(asked[index] as { n: number }).n]?.push(one));
    const upTos = questions.map((_, n) => {
      const known = knownAts[n];
      return byQuestion[n]?.[0]?.position ?? (known ? earlierOf(known, position) : position);
    });
    const centres = await this.centresAt(upTos);
    return questions.map((question, n): DecisionAnswer => {
      const { asOf = now } = question;
      const upTo = upTos[n] as Position;
      const rules = centres.get(upTo) as PrivacyCentre;
      const answers = (byQuestion[n] ?? []).map((one) =>
        answerTo(question, one, rules, asOf, behindErasure),
      );
      const knownAt = knownAtOf(question.knownAt, upTo);
      return { ...combined(question, answers), asOf, knownAt, position: upTo };
    });
  }

  /** The rules as they were at the places in the log that the rows are from, also where these are not the head. */
  private async centresAt(
    positions: readonly Position[],
  ): Promise<ReadonlyMap<Position, PrivacyCentre>> {
    const centres = new Map<Position, PrivacyCentre>();
    for (const upTo of new Set(positions))
      centres.set(upTo, await this.queries.execute(new AskPrivacyCentre(upTo)));
    return centres;
  }

  /** What is in the catalogue stays there: only what is not known yet has to be looked for at the head. */
  private async check(
    questions: readonly DecisionQuestion[],
    pointerTo: Decide['pointerTo'],
  ): Promise<void> {
    const kept = await this.queries.execute(new AskPrivacyCentre(undefined, Infinity));
    if (violationsIn(questions, kept, pointerTo).length === 0) return;
    const centre = await this.queries.execute(new AskPrivacyCentre());
    const [first, ...more] = violationsIn(questions, centre, pointerTo);
    if (first) throw invalid(first, ...more);
  }

  private async find(asked: readonly Asked[]): Promise<readonly Found[]> {
    const [only, ...more] = asked;
    return only && more.length === 0
      ? [await this.single.add(only)]
      : findStandings(this.lookups, asked);
  }

  private async subjectsOf(
    questions: readonly DecisionQuestion[],
    pointerTo: Decide['pointerTo'],
  ): Promise<(readonly SubjectId[])[]> {
    const named = questions.flatMap((question, n) =>
      'subjectId' in question ? [] : [{ reference: question as SubjectReference, n }],
    );
    const references = named.map(({ reference }) => reference);
    const pointerToReference = (index: number) => pointerTo(named[index]?.n ?? 0);
    const found = references.length
      ? await this.queries.execute(new FindSubjects(references, { pointerTo: pointerToReference }))
      : [];
    let next = 0;
    return questions.map((q) => ('subjectId' in q ? [q.subjectId] : (found[next++] ?? [])));
  }

  /** What the ledger knew then must be in the read model before it answers: never beyond the head. */
  private async knownAtsOf(
    questions: readonly DecisionQuestion[],
    streams?: readonly StreamName[],
  ): Promise<(Position | undefined)[]> {
    if (questions.every(({ knownAt }) => knownAt === undefined))
      return questions.map(() => undefined);
    const head = (await this.ledger.head())?.position ?? START;
    const resolved = await Promise.all(
      questions.map(async ({ knownAt }) => {
        const known = await resolveKnownAt(this.ledger, knownAt);
        return known && earlierOf(known, head);
      }),
    );
    const latest = resolved.reduce<Position>((last, one) => laterOf(last, one ?? START), START);
    await this.readModels.waitFor(latest, ['standing'], streams);
    return resolved;
  }
}

/** The people asked about. Where a question finds nobody, its answer is about everybody: undefined. */
function streamsOf(subjects: readonly (readonly SubjectId[])[]): readonly StreamName[] | undefined {
  if (subjects.some(({ length }) => length === 0)) return undefined;
  return subjects.flat().map((subject) => streamOf('subject', subject));
}

function answerTo(
  { purpose, channel, topic }: DecisionQuestion,
  { person, standing, erasedSince }: Found,
  centre: PrivacyCentre,
  asOf: DecisionAnswer['asOf'],
  behindErasure: boolean,
): Answer {
  // Not registered then, or not known then, comes first in the order of codes.
  if (person && erasedSince && !behindErasure) return erasedSubject;
  const rules = centre.purposes[purpose];
  // Not yet known then: nobody was known for it either.
  if (!rules) return unknownSubject;
  const asked = topic === undefined ? undefined : centre.topics[topic];
  if (topic !== undefined && !asked)
    return answer(person, standing, { rules, channel, asOf, topic: unknownTopic });
  return answer(person, standing, { rules, channel, topic: asked, asOf });
}

/** A topic that was not yet known then: nobody had it switched on. */
const unknownTopic = { key: '', unset: 'off' as const };

function combined(question: DecisionQuestion, answers: readonly Answer[]): Answer {
  if ('subjectId' in question) return answers[0] ?? unknownSubject;
  // By contact point or reference an erased person is unknown, and who is unknown takes no part.
  const known = answers.filter(({ code }) => code !== 'unknown-subject' && code !== 'erased');
  return known.length > 0 ? mostRestrictive(known) : unknownSubject;
}

function violationsIn(
  questions: readonly DecisionQuestion[],
  centre: PrivacyCentre,
  pointerTo: Decide['pointerTo'],
): Violation[] {
  return questions.flatMap((question, n) =>
    questionViolations(centre, question).map((violation) => ({
      ...violation,
      pointer: pointerTo(n) + (violation.pointer ?? ''),
    })),
  );
}
