import type { AppendExpectedRevision } from '@eventstore/db-client';
import codes from '@eventstore/db-client/generated/code_pb.js';
import shared from '@eventstore/db-client/generated/shared_pb.js';
import rpc from '@eventstore/db-client/generated/status_pb.js';
import type {
  AppendResp,
  BatchAppendReq,
  BatchAppendResp,
} from '@eventstore/db-client/generated/streams_pb.js';
import streams from '@eventstore/db-client/generated/streams_pb.js';
import any from 'google-protobuf/google/protobuf/any_pb.js';
import empty from 'google-protobuf/google/protobuf/empty_pb.js';
import { identifierOf } from './read-messages.js';
import type { AppendOutcome } from './server-log.js';

/** The answer of the call that appends one proposal. A conflict is an answer there, not a failure. */
export function appendMessage(
  outcome: AppendOutcome,
  expected: AppendExpectedRevision,
): AppendResp {
  if (outcome.kind === 'wrong-revision')
    return new streams.AppendResp().setWrongExpectedVersion(conflict(outcome.current, expected));
  const { revision, offset } = outcome;
  return new streams.AppendResp().setSuccess(
    new streams.AppendResp.Success()
      .setCurrentRevision(revision.toString())
      .setPosition(
        new streams.AppendResp.Position()
          .setCommitPosition(offset.toString())
          .setPreparePosition(offset.toString()),
      ),
  );
}

/** The answer to one of the many proposals that travel in one call. */
export function batchMessage(
  request: BatchAppendReq,
  stream: string,
  outcome: AppendOutcome,
  expected: AppendExpectedRevision,
): BatchAppendResp {
  const message = batchAnswer(request, stream);
  if (outcome.kind === 'wrong-revision')
    return message.setError(
      statusOf(
        codes.Code.ALREADY_EXISTS,
        'WrongExpectedVersion',
        conflictDetails(outcome.current, expected),
      ),
    );
  const { revision, offset } = outcome;
  return message.setSuccess(
    new streams.BatchAppendResp.Success()
      .setCurrentRevision(revision.toString())
      .setPosition(
        new shared.AllStreamPosition()
          .setCommitPosition(offset.toString())
          .setPreparePosition(offset.toString()),
      ),
  );
}

export function batchAccessDenied(request: BatchAppendReq, stream: string): BatchAppendResp {
  const details = packed(new shared.AccessDenied(), 'AccessDenied');
  return batchAnswer(request, stream).setError(
    statusOf(codes.Code.PERMISSION_DENIED, 'AccessDenied', details),
  );
}

export function batchTimeout(request: BatchAppendReq, stream: string): BatchAppendResp {
  const details = packed(new shared.Timeout(), 'Timeout');
  return batchAnswer(request, stream).setError(
    statusOf(codes.Code.DEADLINE_EXCEEDED, 'Timeout', details),
  );
}

export function batchTooLarge(
  request: BatchAppendReq,
  stream: string,
  limit: number,
): BatchAppendResp {
  const name = 'MaximumAppendSizeExceeded';
  const details = packed(new shared.MaximumAppendSizeExceeded().setMaxappendsize(limit), name);
  return batchAnswer(request, stream).setError(
    statusOf(codes.Code.INVALID_ARGUMENT, name, details),
  );
}

function batchAnswer(request: BatchAppendReq, stream: string): BatchAppendResp {
  return new streams.BatchAppendResp()
    .setCorrelationId(request.getCorrelationId())
    .setStreamIdentifier(identifierOf(stream));
}

function conflict(
  current: bigint | undefined,
  expected: AppendExpectedRevision,
): AppendResp.WrongExpectedVersion {
  const message = new streams.AppendResp.WrongExpectedVersion();
  if (current === undefined) message.setCurrentNoStream(new shared.Empty());
  else message.setCurrentRevision(current.toString());
  if (expected === 'any') return message.setExpectedAny(new shared.Empty());
  if (expected === 'no_stream') return message.setExpectedNoStream(new shared.Empty());
  if (expected === 'stream_exists') return message.setExpectedStreamExists(new shared.Empty());
  return message.setExpectedRevision(expected.toString());
}

function conflictDetails(
  current: bigint | undefined,
  expected: AppendExpectedRevision,
): InstanceType<typeof any.Any> {
  const message = new shared.WrongExpectedVersion();
  if (current === undefined) message.setCurrentNoStream(new empty.Empty());
  else message.setCurrentStreamRevision(current.toString());
  if (expected === 'any') message.setExpectedAny(new empty.Empty());
  else if (expected === 'no_stream') message.setExpectedNoStream(new empty.Empty());
  else if (expected === 'stream_exists') message.setExpectedStreamExists(new empty.Empty());
  else message.setExpectedStreamPosition(expected.toString());
  return packed(message, 'WrongExpectedVersion');
}

function packed(
  message: { serializeBinary(): Uint8Array },
  name: string,
): InstanceType<typeof any.Any> {
  const details = new any.Any();
  details.pack(message.serializeBinary(), `event_store.client.${name}`);
  return details;
}

type Code = Parameters<InstanceType<typeof rpc.Status>['setCode']>[0];

function statusOf(
  code: Code,
  message: string,
  details: InstanceType<typeof any.Any>,
): InstanceType<typeof rpc.Status> {
  return new rpc.Status().setCode(code).setMessage(message).setDetails(details);
}
