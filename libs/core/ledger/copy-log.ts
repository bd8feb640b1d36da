import { createHash } from 'node:crypto';
import type { Position } from '#core/kernel/position.js';
import { START } from '#core/kernel/position.js';
import { CopyDiffers, type CopySource, NotACopy, type StoredEvents } from './copying.js';
import type { StoredEvent } from './port.js';

/** Events a page: what is in memory at a time is two of them. */
const PAGE = 1_000;

export interface CopyOptions {
  /** Told after every page. */
  readonly onProgress?: (events: number) => void;
  readonly page?: number;
}

/**
 * Copies what the source has and the target has not, in the order of the log, up to where the source ends
 * when it is read. Where it was broken off it goes on: how far it came is read from the target itself.
 * Returns how many events it copied. It proves nothing; `compareLogs` does.
 * @throws NotACopy where the target's first or last event is not one of the source
 */
export async function copyLog(
  source: CopySource,
  target: CopySource,
  writer: StoredEvents,
  { onProgress, page: limit = PAGE }: CopyOptions = {},
): Promise<number> {
  let copied = 0;
  let after = await copiedUpTo(source, target);
  for (;;) {
    const page = await source.readAll(after, { limit });
    if (page.events.length > 0) await writer.append(page.events);
    copied += page.events.length;
    onProgress?.(copied);
    if (page.events.length < limit) return copied;
    after = page.scannedTo;
  }
}

/** The source's position of the last event that the target has. */
async function copiedUpTo(source: CopySource, target: CopySource): Promise<Position> {
  const head = await target.head();
  if (head === undefined) return START;
  const [[theirs], [ours]] = await Promise.all([firstOf(source), firstOf(target)]);
  if (theirs === undefined || ours === undefined || !isSame(theirs, ours))
    throw new NotACopy('the target is the log of another ledger');
  const last = (await target.at(head.position)) as StoredEvent;
  const [twin] = await source.read(last.stream, { fromRevision: last.revision });
  if (twin === undefined || !isSame(twin, last))
    throw new NotACopy(
      `the target ends with ${last.stream}, revision ${last.revision}, which the source has not`,
    );
  return twin.position;
}

async function firstOf(log: CopySource): Promise<readonly StoredEvent[]> {
  return (await log.readAll(START, { limit: 1 })).events;
}

function isSame(a: StoredEvent, b: StoredEvent): boolean {
  return a.stream === b.stream && a.revision === b.revision && areEqual(a.bytes, b.bytes);
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/**
 * How far two logs were found to be the same. The digest is a chain over the stored bytes in the order of
 * the log: 32 zero bytes, then for every event SHA-256 over the digest so far and the event's bytes. It can
 * be gone on with from any event, and says the same in whatever store the bytes lie.
 */
export interface Compared {
  readonly events: number;
  /** Of the last event compared, as the one store and the other count. */
  readonly source: Position;
  readonly target: Position;
  readonly digest: Buffer;
}

export const NOTHING_COMPARED: Compared = {
  events: 0,
  source: START,
  target: START,
  digest: Buffer.alloc(32),
};

/** The places of events that were found to be the same, in order. */
export interface ComparedPage {
  readonly places: readonly { readonly source: Position; readonly target: Position }[];
  readonly compared: Compared;
}

/**
 * Reads both logs side by side, from where they were compared before, and yields page by page where each
 * event lies in the one and in the other. Ends where the target ends; the source may have more.
 * @throws CopyDiffers at the first event that is not the same in both
 */
export async function* compareLogs(
  source: CopySource,
  target: CopySource,
  from: Compared = NOTHING_COMPARED,
  { page: limit = PAGE }: Pick<CopyOptions, 'page'> = {},
): AsyncGenerator<ComparedPage, void, undefined> {
  let compared = from;
  for (;;) {
    const [theirs, ours] = await Promise.all([
      source.readAll(compared.source, { limit }),
      target.readAll(compared.target, { limit }),
    ]);
    if (ours.events.length === 0) return;
    let [theirDigest, ourDigest] = [compared.digest, compared.digest];
    const places = ours.events.map((our, index) => {
      const their = theirs.events[index];
      const number = compared.events + index + 1;
      if (their === undefined)
        throw new CopyDiffers(number, theirs.scannedTo, our.position, 'the source has no more');
      if (our.stream !== their.stream || our.revision !== their.revision)
        throw differs(number, their, our, `${placeOf(our)} where ${placeOf(their)} belongs`);
      theirDigest = chained(theirDigest, their.bytes);
      ourDigest = chained(ourDigest, our.bytes);
      if (!theirDigest.equals(ourDigest))
        throw differs(number, their, our, `the bytes of ${placeOf(their)} differ`);
      return { source: their.position, target: our.position };
    });
    compared = {
      events: compared.events + places.length,
      source: (places.at(-1) as { source: Position }).source,
      target: (places.at(-1) as { target: Position }).target,
      digest: ourDigest,
    };
    yield { places, compared };
  }
}

function differs(
  event: number,
  source: StoredEvent,
  target: StoredEvent,
  reason: string,
): CopyDiffers {
  return new CopyDiffers(event, source.position, target.position, reason);
}

function placeOf({ stream, revision }: StoredEvent): string {
  return `${stream} ${revision}`;
}

function chained(digest: Buffer, bytes: Uint8Array): Buffer {
  return createHash('sha256').update(digest).update(bytes).digest();
}
