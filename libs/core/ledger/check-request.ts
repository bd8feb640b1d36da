import { isId } from '#core/kernel/ids.js';
import { type AppendRequest, EventIdReused } from './port.js';

const STREAM = /^[a-z][a-z_]{0,39}-[\x21-\x7e]{1,200}$/;
const TYPE = /^[A-Za-z][A-Za-z0-9_]{0,99}$/;

/**
 * What every adapter asks of a request before it travels with others: names that every store can hold,
 * and no id twice. Throws EventIdReused for the latter and TypeError for what is a programming error.
 */
export function checkRequest({ stream, expected, events }: AppendRequest): void {
  if (!STREAM.test(stream)) throw new TypeError(`not a stream's name: ${JSON.stringify(stream)}`);
  if (events.length === 0) throw new TypeError(`${stream}: an append needs at least one event`);
  if (expected.kind === 'exact' && !isRevision(expected.revision))
    throw new TypeError(`${stream}: not a revision: ${expected.revision}`);
  const seen = new Map<string, Buffer>();
  for (const { id, type, content } of events) {
    if (!isId('evt', id))
      throw new TypeError(`${stream}: not an event's id: ${JSON.stringify(id)}`);
    if (!TYPE.test(type))
      throw new TypeError(`${stream}: not an event's type: ${JSON.stringify(type)}`);
    if (events.length === 1) return;
    const twin = seen.get(id);
    if (twin !== undefined)
      throw new EventIdReused(
        stream,
        id,
        twin.equals(content.digest) ? 'partial-overlap' : 'other-content',
      );
    seen.set(id, content.digest);
  }
}

function isRevision(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0x7fffffff;
}
