import type { ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import type { StreamName } from '#core/kernel/ids.js';
import { parsePosition, type Position, START } from '#core/kernel/position.js';
import { LedgerCorrupt, type StoredEvent } from '../port.js';

/**
 * The event of an answer; undefined where it is of a stream whose name does not begin with `prefix`.
 * @throws LedgerCorrupt where it has no position of its own: it was written within a transaction
 */
export function storedEventIn(answer: ReadResp.ReadEvent, prefix: string): StoredEvent | undefined {
  const event = answer.getEvent();
  const name = event ? nameIn(event) : '';
  if (!event || !name.startsWith(prefix)) return undefined;
  const revision = Number(event.getStreamRevision());
  const position = positionOf(event.getCommitPosition(), event.getPreparePosition());
  if (position === undefined)
    throw new LedgerCorrupt(START, `${name} has a revision ${revision} without a place in the log`);
  const stream = name.slice(prefix.length) as StreamName;
  return { stream, revision, position, bytes: event.getData_asU8() };
}

/** An event in a stream of others. */
export interface ForeignEvent {
  readonly name: string;
  readonly position: Position;
}

export function foreignEventIn(answer: ReadResp.ReadEvent): ForeignEvent | undefined {
  const event = answer.getEvent();
  const position = event && parsePosition(event.getCommitPosition());
  return position && { name: nameIn(event), position };
}

/** An event that was committed by itself has one position; what was not has another number than ours. */
export function positionOf(commit: string, prepare: string): Position | undefined {
  return commit === prepare ? parsePosition(commit) : undefined;
}

function nameIn(event: ReadResp.ReadEvent.RecordedEvent): string {
  return Buffer.from(event.getStreamIdentifier()?.getStreamName_asU8() ?? []).toString();
}
