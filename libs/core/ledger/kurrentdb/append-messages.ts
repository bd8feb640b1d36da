import {
  AccessDeniedError,
  type BinaryEventData,
  WrongExpectedVersionError,
} from '@eventstore/db-client';
import shared from '@eventstore/db-client/generated/shared_pb.js';
import type { Status } from '@eventstore/db-client/generated/status_pb.js';
import streams, {
  type BatchAppendReq,
  type BatchAppendResp,
} from '@eventstore/db-client/generated/streams_pb.js';
import { NotAppended } from './failure.js';

/** `google.rpc.Code` */
const [PERMISSION_DENIED, ALREADY_EXISTS] = [7, 6];

/** Where the last event of an append lies. */
export interface Written {
  readonly revision: number;
  readonly position: string;
}

/**
 * What is sent in a call of many appends to make one, which is known by `id` there, behind revision `last`; undefined:
 * there must be no stream yet. It names no time by which it must be made: the server would go by its own clock.
 */
export function appendMessage(
  id: string,
  name: string,
  events: readonly BinaryEventData[],
  last: number | undefined,
): BatchAppendReq {
  return new streams.BatchAppendReq()
    .setCorrelationId(uuidOf(id))
    .setOptions(optionsOf(name, last))
    .setProposedMessagesList(events.map(proposedMessage))
    .setIsFinal(true);
}

/** Which append an answer is about. */
export function idIn(answer: BatchAppendResp): string | undefined {
  return answer.getCorrelationId()?.getString();
}

/**
 * What an answer says.
 * @throws WrongExpectedVersionError, AccessDeniedError, NotAppended
 */
export function writtenIn(
  answer: BatchAppendResp,
  streamName: string,
  last: number | undefined,
): Written {
  const error = answer.getError();
  if (error?.getCode() === ALREADY_EXISTS) throw conflictIn(error, streamName, last);
  if (error?.getCode() === PERMISSION_DENIED) throw new AccessDeniedError();
  if (error) throw new NotAppended(error.getCode(), error.getMessage());
  const success = answer.getSuccess();
  return {
    revision: Number(success?.getCurrentRevision()),
    position: String(success?.getPosition()?.getCommitPosition()),
  };
}

function optionsOf(name: string, last: number | undefined): BatchAppendReq.Options {
  const identifier = new shared.StreamIdentifier();
  identifier.setStreamName(Buffer.from(name));
  const options = new streams.BatchAppendReq.Options().setStreamIdentifier(identifier);
  return last === undefined
    ? options.setNoStream(new shared.Empty())
    : options.setStreamPosition(String(last));
}

function proposedMessage({
  id,
  type,
  contentType,
  data,
}: BinaryEventData): BatchAppendReq.ProposedMessage {
  const message = new streams.BatchAppendReq.ProposedMessage().setId(uuidOf(id)).setData(data);
  message.getMetadataMap().set('type', type).set('content-type', contentType);
  return message;
}

function uuidOf(id: string): InstanceType<typeof shared.UUID> {
  return new shared.UUID().setString(id);
}

function conflictIn(
  error: Status,
  streamName: string,
  last: number | undefined,
): WrongExpectedVersionError {
  const details = error.getDetails()?.getValue_asU8() ?? new Uint8Array();
  const wrong = shared.WrongExpectedVersion.deserializeBinary(details);
  return new WrongExpectedVersionError(null as never, {
    streamName,
    current: wrong.hasCurrentStreamRevision()
      ? BigInt(wrong.getCurrentStreamRevision())
      : 'no_stream',
    expected: last === undefined ? 'no_stream' : BigInt(last),
  });
}
