import type { BinaryEventData } from '@eventstore/db-client';
import shared from '@eventstore/db-client/generated/shared_pb.js';
import streams, { type AppendReq } from '@eventstore/db-client/generated/streams_pb.js';

/** What is sent to append these events to a stream behind revision `last`; undefined: there must be no stream yet. */
export function appendMessages(
  name: string,
  events: readonly BinaryEventData[],
  last: number | undefined,
): AppendReq[] {
  return [headOf(name, last), ...events.map(messageOf)];
}

function headOf(name: string, last: number | undefined): AppendReq {
  const options = new streams.AppendReq.Options();
  const identifier = new shared.StreamIdentifier();
  identifier.setStreamName(Buffer.from(name));
  options.setStreamIdentifier(identifier);
  if (last === undefined) options.setNoStream(new shared.Empty());
  else options.setRevision(String(last));
  const request = new streams.AppendReq();
  request.setOptions(options);
  return request;
}

function messageOf({ id, type, contentType, data }: BinaryEventData): AppendReq {
  const message = new streams.AppendReq.ProposedMessage();
  const uuid = new shared.UUID();
  uuid.setString(id);
  message.setId(uuid);
  message.getMetadataMap().set('type', type).set('content-type', contentType);
  message.setData(data);
  const request = new streams.AppendReq();
  request.setProposedMessage(message);
  return request;
}
