import { type AppendRequest, EventIdReused, type Expected, type NewEvent } from './port.js';

/** What is stored under the id of an event that is to be appended. */
export interface Twin {
  readonly revision: number;
  readonly digest: Buffer;
}

/**
 * The stored twins where a request repeats what its stream holds; undefined where nothing of it is stored.
 * `twins` has one entry for each event of the request.
 * @throws EventIdReused where contents differ, or only a part is stored
 */
export function repetitionOf<T extends Twin>(
  { stream, events }: AppendRequest,
  twins: readonly (T | undefined)[],
): readonly [T, ...T[]] | undefined {
  const overlap = events.findIndex((_, index) => twins[index]);
  if (overlap === -1) return undefined;
  const changed = events.find(
    ({ content }, index) => twins[index] && !twins[index].digest.equals(content.digest),
  );
  if (changed) throw new EventIdReused(stream, changed.id, 'other-content');
  const first = twins[0]?.revision ?? NaN;
  if (twins.every((twin, index) => twin?.revision === first + index))
    return twins as readonly T[] as [T, ...T[]];
  throw new EventIdReused(stream, (events[overlap] as NewEvent).id, 'partial-overlap');
}

/** `actual`: the stream's last revision, undefined where there is no stream. */
export function isAsExpected(expected: Expected, actual: number | undefined): boolean {
  switch (expected.kind) {
    case 'none':
      return actual === undefined;
    case 'exact':
      return actual === expected.revision;
    case 'exists':
      return actual !== undefined;
    case 'any':
      return true;
  }
}
