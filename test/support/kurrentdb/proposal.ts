import type { AppendExpectedRevision } from '@eventstore/db-client';
import type { AppendReq, BatchAppendReq } from '@eventstore/db-client/generated/streams_pb.js';
import { CONTENT_TYPES } from './read-messages.js';
import type { ProposedEvent } from './server-log.js';

/** One append as both calls bring it: what a stream is to gain, and what must be true of it. */
export interface Proposal {
  readonly stream: string;
  readonly expected: AppendExpectedRevision;
  readonly events: ProposedEvent[];
}

type ProposedMessage = AppendReq.ProposedMessage | BatchAppendReq.ProposedMessage;

export function proposedEvent(message: ProposedMessage): ProposedEvent {
  const described = message.getMetadataMap();
  return {
    id: message.getId()?.getString() ?? '',
    type: described.get('type') ?? '',
    isJson: described.get('content-type') === CONTENT_TYPES.json,
    data: message.getData_asU8(),
    metadata: message.getCustomMetadata_asU8(),
  };
}

type Named = Pick<AppendReq.Options, 'hasNoStream' | 'hasStreamExists' | 'hasAny'>;

/** `revision`: what was sent where it is none of the three by name. */
export function expectedIn(options: Named, revision: string): AppendExpectedRevision {
  if (options.hasNoStream()) return 'no_stream';
  if (options.hasStreamExists()) return 'stream_exists';
  return options.hasAny() ? 'any' : BigInt(revision);
}

/** What the server counts against the size of an append, in bytes. */
export function sizeOfProposal({ events }: Proposal): number {
  return events.reduce(
    (size, { type, data, metadata }) => size + data.length + metadata.length + 2 * type.length,
    0,
  );
}
