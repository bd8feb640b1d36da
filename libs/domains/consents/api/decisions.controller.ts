import { Body, Controller, HttpCode, Post, Req, Res } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Position } from '#core/kernel/position.js';
import { invalid, Refused } from '#core/kernel/refused.js';
import { workAhead } from '#core/platform/ahead.js';
import { Config } from '#core/platform/config.js';
import { CurrentPrincipal, type Principal, Requires } from '#core/platform/http/auth.guard.js';
import { type Line, readNdjson } from '#core/platform/http/ndjson.js';
import { Operation } from '#core/platform/http/operation.js';
import { ConsistentAt } from '#core/platform/http/preconditions.js';
import { RequestRefused } from '#core/platform/http/request-refused.js';
import { ndjsonOf, sendNdjson } from '#core/platform/http/streaming.js';
import { readBody } from '#core/platform/http/validated-body.js';
import { questionViolations } from '#domains/purposes/domain/purposes.vocabulary.js';
import {
  AskPrivacyCentre,
  type PrivacyCentre,
} from '#domains/purposes/queries/privacy-centre.message.js';
import { normalisedContact } from '#domains/subjects/domain/contacts.vocabulary.js';
import { Decide, type DecisionAnswer, type DecisionQuestion } from '../queries/decide.message.js';
import { answerExample, questionExample } from './consents.examples.js';
import { answerSchema, answersSchema } from './consents.schemas.js';
import { DecisionsBody, QuestionBody, QuestionsBody } from './consents.shapes.js';

type Verdict = DecisionAnswer | { readonly line: number; readonly error: object };

/** Questions in one statement. What is under way outlives the youngest objects, and is then held for longer than needed. */
const TOGETHER = 250;

/** May we? */
@Controller('/v1/decisions')
export class DecisionsController {
  constructor(
    private readonly queries: QueryBus,
    private readonly config: Config,
  ) {}

  @Post()
  @HttpCode(200)
  @Requires('decisions:read')
  @Operation({
    summary: 'May we do this with this person’s data?',
    description:
      'Default deny: without a documented, valid basis the answer is no, and `reasons` lists all that stands in the ' +
      'way. A purpose, topic or channel that does not exist is refused.',
    tag: 'decisions',
    example: questionExample,
    answers: {
      200: {
        description: 'The answer, or one for each question in order.',
        body: answersSchema,
        example: answerExample,
      },
    },
    problems: {
      422: ['unknown-purpose', 'unknown-topic', 'topic-of-other-purpose', 'channel-required'],
      503: ['read-model-stale', 'projection-lagging'],
    },
  })
  async decide(
    @Body() body: DecisionsBody,
    @CurrentPrincipal() principal: Principal,
    @ConsistentAt() consistentAt: Position | undefined,
  ): Promise<DecisionAnswer | { readonly answers: readonly DecisionAnswer[] }> {
    const listed = body instanceof QuestionsBody;
    const questions = (listed ? body.questions : [body]) as DecisionQuestion[];
    const pointerTo = (n: number) => (listed ? `/questions/${n}` : '');
    const behindErasure = principal.scopes.has('evidence:read');
    const answers = await this.queries.execute(
      new Decide(questions, behindErasure, consistentAt, pointerTo),
    );
    return listed ? { answers } : (answers[0] as DecisionAnswer);
  }

  @Post('batch')
  @HttpCode(200)
  @Requires('decisions:read')
  @Operation({
    summary: 'Any number of questions, one a line; one answer a line, in order',
    tag: 'decisions',
    takesNdjson: QuestionBody,
    answers: {
      200: {
        description: 'An answer a line; a question that can not be answered gets `{line, error}`.',
        ndjson: answerSchema,
        example: answerExample,
      },
    },
    problems: { 503: ['read-model-stale', 'projection-lagging'] },
  })
  async batch(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @CurrentPrincipal() principal: Principal,
    @ConsistentAt() consistentAt: Position | undefined,
  ): Promise<void> {
    const behindErasure = principal.scopes.has('evidence:read');
    const lines = ndjsonOf(request);
    await sendNdjson(reply, () => this.answers(lines, behindErasure, consistentAt));
  }

  private answers(
    source: AsyncIterable<Uint8Array>,
    behindErasure: boolean,
    consistentAt: Position | undefined,
  ): AsyncIterable<readonly Verdict[]> {
    const ask = (questions: readonly DecisionQuestion[]) =>
      this.queries.execute(new Decide(questions, behindErasure, consistentAt));
    return workAhead(pagesOf(source), (lines) => this.answerLines(lines, ask));
  }

  /** One that can not be asked must not spoil the others: they are asked together. */
  private async answerLines(
    lines: readonly Line[],
    ask: (questions: readonly DecisionQuestion[]) => Promise<readonly DecisionAnswer[]>,
  ): Promise<readonly Verdict[]> {
    const centre = await this.queries.execute(new AskPrivacyCentre());
    const read = lines.map((line) => questionOf(line, centre, this.config.defaultRegion));
    const questions = read.flatMap((one) => ('question' in one ? [one.question] : []));
    const answers = await ask(questions);
    let next = 0;
    return read.map((one) => ('question' in one ? (answers[next++] as Verdict) : one));
  }
}

async function* pagesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<readonly Line[]> {
  for await (const lines of readNdjson(source))
    for (let from = 0; from < lines.length; from += TOGETHER)
      yield lines.slice(from, from + TOGETHER);
}

/** A question that can be asked, or why this line is none. */
function questionOf(
  read: Line,
  centre: PrivacyCentre,
  region: string | undefined,
): { readonly question: DecisionQuestion } | { readonly line: number; readonly error: object } {
  try {
    if ('refused' in read) throw read.refused;
    const question = readBody(QuestionBody, read.value) as DecisionQuestion;
    const [first, ...more] = questionViolations(centre, question);
    if (first) throw invalid(first, ...more);
    if ('contactPoint' in question && question.contactPoint) {
      const { kind, value } = question.contactPoint;
      normalisedContact(kind, value, { region, pointer: '/contactPoint/value' });
    }
    return { question };
  } catch (error) {
    if (!(error instanceof Refused || error instanceof RequestRefused)) throw error;
    const { code, detail, more } = error;
    return { line: read.line, error: { code, detail, errors: more.violations } };
  }
}
