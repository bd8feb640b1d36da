import { Controller, HttpCode, Post, Query, Req, Res } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Refused } from '#core/kernel/refused.js';
import { CurrentPrincipal, type Principal, Requires } from '#core/platform/http/auth.guard.js';
import { type Line, readNdjson } from '#core/platform/http/ndjson.js';
import { Operation } from '#core/platform/http/operation.js';
import { RequestRefused } from '#core/platform/http/request-refused.js';
import { ndjsonOf, sendNdjson } from '#core/platform/http/streaming.js';
import { TraceId } from '#core/platform/http/trace.js';
import { readBody } from '#core/platform/http/validated-body.js';
import {
  type BulkLine,
  type LineGiven,
  RecordLines,
  type Rejected,
} from '../commands/record-lines.js';
import { BulkLineBody, BulkQuery, InteractionLine, type RegistrationLine } from './bulk.shapes.js';
import { bulkLineExample, verdictExample } from './consents.examples.js';
import { verdictSchema } from './consents.schemas.js';

type Skipped = { readonly line: number; readonly status: 'skipped' };

/** Many registrations and interactions in one stream. */
@Controller('/v1/interactions')
export class BulkController {
  constructor(private readonly commands: CommandBus) {}

  @Post('bulk')
  @HttpCode(200)
  @Requires('choices:write')
  @Operation({
    summary: 'Record registrations and interactions, one a line',
    description:
      'Lines are recorded in their order, those of different people unless one had to be tried again. ' +
      'A line that is rejected stops nothing. A line with a time of its own is known ' +
      'again whoever sends it: the same file gives the same receipts. One without needs an idempotencyKey for that.',
    tag: 'consents',
    takesNdjson: BulkLineBody,
    example: bulkLineExample,
    answers: {
      200: {
        description: 'A verdict a line, in order.',
        ndjson: verdictSchema,
        example: verdictExample,
      },
    },
  })
  async bulk(
    @Query() query: BulkQuery,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @CurrentPrincipal() { kind, id, keyId, scopes }: Principal,
    @TraceId() correlationId: string,
  ): Promise<void> {
    const { importId, firstLine } = query;
    const mayWriteBases = scopes.has('bases:write');
    const context = {
      actor: { kind, id },
      apiKeyId: keyId,
      correlationId,
      importId,
      mayWriteBases,
    };
    const lines = ndjsonOf(request);
    await sendNdjson(reply, (signal) =>
      this.commands.execute(new RecordLines(given(lines, firstLine), { ...context, signal })),
    );
  }
}

async function* given(
  source: AsyncIterable<Uint8Array>,
  firstLine: number,
): AsyncGenerator<readonly LineGiven<Rejected | Skipped>[]> {
  for await (const lines of readNdjson(source)) yield lines.map((line) => read(line, firstLine));
}

function read(read: Line, firstLine: number): LineGiven<Rejected | Skipped> {
  const line = read.line + firstLine - 1;
  try {
    if ('refused' in read) throw read.refused;
    return lineOf(readBody(BulkLineBody as never, trimmed(read.value)), line);
  } catch (error) {
    if (!(error instanceof Refused) && !(error instanceof RequestRefused)) throw error;
    if (error.code === 'blank-line') return { verdict: { line, status: 'skipped' } };
    const [violation] = error.more.violations ?? [];
    const { code, pointer, detail } = violation ?? { code: error.code, detail: error.detail };
    return { verdict: { line, status: 'rejected', code, pointer, detail } };
  }
}

function lineOf(body: RegistrationLine | InteractionLine, line: number): BulkLine {
  const { idempotencyKey } = body;
  if (body instanceof InteractionLine) {
    const { subjectId, externalRef, interaction } = body;
    const person = subjectId
      ? { subjectId }
      : { externalRef: externalRef as { system: string; id: string } };
    return { line, idempotencyKey, person, interaction };
  }
  const { type: _, idempotencyKey: _key, externalRef, ...registration } = body;
  const externalRefs = [
    ...(externalRef ? [externalRef] : []),
    ...(registration.externalRefs ?? []),
  ];
  return { line, idempotencyKey, registration: { ...registration, externalRefs } };
}

/** What a person wrote, or what proves it: kept to the letter. */
const VERBATIM = new Set(['evidence', 'comment']);

/** Blanks around values are what spreadsheets leave behind, and no reason to reject a line. */
function trimmed(value: unknown): unknown {
  if (typeof value === 'string') return value.trim();
  if (Array.isArray(value)) return value.map(trimmed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, VERBATIM.has(key) ? inner : trimmed(inner)]),
  );
}
