import { Body, Controller, HttpCode, Inject, Post, Res } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { FastifyReply } from 'fastify';
import { invalid } from '#core/kernel/refused.js';
import {
  CurrentPrincipal,
  type Principal,
  requireScope,
  Requires,
} from '#core/platform/http/auth.guard.js';
import { Operation } from '#core/platform/http/operation.js';
import { sendFile } from '#core/platform/http/streaming.js';
import { TraceId } from '#core/platform/http/trace.js';
import { VERIFY_HTML } from '../queries/evidence.tokens.js';
import { GatherEvidence } from '../queries/gather-evidence.js';
import { bundleView } from '../views/bundle.view.js';
import { evidenceExample } from './evidence.examples.js';
import { EvidenceBody } from './evidence.shapes.js';

@Controller('/v1/evidence')
export class EvidenceController {
  constructor(
    private readonly queries: QueryBus,
    @Inject(VERIFY_HTML) private readonly verifyPage: string,
  ) {}

  @Post()
  @HttpCode(200)
  @Requires('evidence:read')
  @Operation({
    tag: 'evidence',
    summary: 'Everything that proves what is on record, in one zip that checks itself',
    description:
      'For people by name, for a purpose, for a period, or for a combination of them: their events byte for byte as ' +
      'they are stored, the way of each to the root of a signed checkpoint, the words that were shown, consent records, ' +
      'timelines to read (German and English, HTML and tagged PDF), what became of keys, SHA-256 of every file, and ' +
      'verify.html, which checks all of it in a browser without a network. With `since` also the proof that the log was ' +
      'only added to since that checkpoint. Everything in it is sealed by a checkpoint: newest events are waited for ' +
      'up to 15 s. With `reveal=true` personal fields are opened, which needs the scope subjects:reveal. That the ' +
      'bundle is handed out is recorded before its first byte is sent, for each person by name. It is sent as it is ' +
      'made, and nothing of it is kept: an answer that breaks off is no bundle, and is asked for again.',
    example: evidenceExample,
    answers: { 200: { description: 'The bundle.', file: 'application/zip' } },
    problems: {
      409: ['checkpoint-differs'],
      422: [
        'scope-required',
        'unknown-subject',
        'unknown-purpose',
        'too-many-people',
        'malformed-checkpoint',
        'checkpoint-of-other-log',
        'checkpoint-beyond-log',
      ],
      503: ['not-sealed-yet'],
    },
  })
  async hand(
    @Body() body: EvidenceBody,
    @Res() reply: FastifyReply,
    @CurrentPrincipal() principal: Principal,
    @TraceId() correlationId: string,
  ): Promise<void> {
    if (body.reveal) requireScope(principal, 'subjects:reveal');
    if (!body.subjects && body.purpose === undefined && !body.period)
      throw invalid({
        pointer: '',
        code: 'scope-required',
        detail: 'must name people, a purpose or a period',
      });
    const actor = { kind: principal.kind, id: principal.id };
    const evidence = await this.queries.execute(new GatherEvidence(body, { actor, correlationId }));
    const name = `evidence-${evidence.createdAt.slice(0, 10)}-${evidence.checkpoint.size}.zip`;
    await sendFile(reply, { type: 'application/zip', name }, () =>
      bundleView(evidence, this.verifyPage),
    );
  }
}
