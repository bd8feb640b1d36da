import { Body, Controller, Get, Header, HttpCode, Param, Post } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import {
  CurrentPrincipal,
  type Principal,
  requireScope,
  Requires,
} from '#core/platform/http/auth.guard.js';
import { Operation } from '#core/platform/http/operation.js';
import { type ConsistencyProof, ProveConsistency } from '../queries/prove-consistency.js';
import { type InclusionProof, ProveInclusion } from '../queries/prove-inclusion.js';
import { ShowCheckpoint } from '../queries/show-checkpoint.js';
import { type LogKeys, ShowLogKeys } from '../queries/show-log-keys.js';
import { ShowTile } from '../queries/show-tile.js';
import { checkpointExample, logKeysExample, proofExample } from './audit.examples.js';
import { logKeysSchema, proofSchema } from './audit.schemas.js';
import {
  GrowthBody,
  type EventBody,
  type LeafBody,
  type PositionBody,
  ProofBody,
} from './audit.shapes.js';

/** The log as a transparency log: what whoever does not believe us checks it by (c2sp.org/tlog-tiles). */
@Controller('/v1/log')
export class LogController {
  constructor(private readonly queries: QueryBus) {}

  @Get('checkpoint')
  @Requires('evidence:read')
  @Header('Content-Type', 'text/plain; charset=utf-8')
  @Header('Cache-Control', 'private, no-cache')
  @Operation({
    summary: 'The newest signed checkpoint',
    description:
      'How many events the log has and the root of the tree over them, as a signed note (c2sp.org/tlog-checkpoint). ' +
      'A new one is published every few seconds while there is news. Keep one, and you can prove for ever that ' +
      'nothing which it covers was changed.',
    answers: {
      200: { description: 'The note.', file: 'text/plain', example: checkpointExample },
    },
    problems: { 503: ['not-sealed-yet'] },
  })
  checkpoint(): Promise<string> {
    return this.queries.execute(new ShowCheckpoint());
  }

  @Get('keys')
  @Requires('evidence:read')
  @Operation({
    summary: 'The name of the log and the keys that sign its checkpoints',
    description:
      'Also those that signed once, each with its period. To be compared with what you were given another way, and ' +
      'never to be trusted because this answer says so.',
    answers: { 200: { description: 'The keys.', body: logKeysSchema, example: logKeysExample } },
  })
  keys(): Promise<LogKeys> {
    return this.queries.execute(new ShowLogKeys());
  }

  @Get('tile/*')
  @Requires('evidence:read')
  @Header('Content-Type', 'application/octet-stream')
  @Header('Cache-Control', 'private, max-age=31536000, immutable')
  @Operation({
    summary: 'A tile of the tree, or a bundle of events',
    description:
      'As c2sp.org/tlog-tiles has them. `<level>/<number>` are hashes, 32 bytes each; `entries/<number>` are events, ' +
      'each after its length in two bytes, and need the scope `audit:read` as well: they are all there, also those of ' +
      'keys, users and looks. Numbers are written in groups of three digits: 1234067 is `x001/x234/067`. What is not ' +
      'full ends in `.p/<width>`; any width up to that of the newest tree is answered, and never changes.',
    answers: { 200: { description: 'The bytes.', file: 'application/octet-stream' } },
    problems: { 404: ['unknown-tile'] },
  })
  tile(@Param('*') path: string, @CurrentPrincipal() principal: Principal): Promise<Uint8Array> {
    if (path.startsWith('entries/')) requireScope(principal, 'audit:read');
    return this.queries.execute(new ShowTile(path));
  }

  @Post('proofs')
  @HttpCode(200)
  @Requires('evidence:read')
  @Operation({
    summary: 'The proof that an event is in the log, or that the log was only added to',
    description:
      'With `index`, `position` or `eventId` and `subjectId`: the way from the leaf to the root of a published ' +
      'checkpoint, as JSON and as a file that proves by itself (`.tlog-proof`). The leaf is the event as it is stored: ' +
      'a line of `GET /v1/events` without the `position` at its end. With `from`: that the tree of a published ' +
      'checkpoint begins with the whole tree of that size. Every proof is verified before it is given. What was ' +
      'recorded in the last seconds is 503 `not-sealed-yet`.',
    example: { position: '2', size: 3 },
    answers: { 200: { description: 'The proof.', body: proofSchema, example: proofExample } },
    problems: {
      422: ['unknown-event', 'unknown-checkpoint', 'not-in-tree', 'size-beyond-checkpoint'],
      503: ['not-sealed-yet'],
    },
  })
  prove(@Body() body: ProofBody): Promise<InclusionProof | ConsistencyProof> {
    if (body instanceof GrowthBody)
      return this.queries.execute(new ProveConsistency(body.from, body.to));
    const { size, ...leaf } = body as LeafBody | PositionBody | EventBody;
    return this.queries.execute(new ProveInclusion(leaf, size));
  }
}
