/**
 * Identifiers. Every id is `<prefix>_<uuid>`: version 7 where it is drawn at random, version 8 where it
 * is derived by HMAC from something that must not be read back (RFC 9562). Nothing personal is in one.
 */
export type Prefix =
  'sub' | 'cpt' | 'pur' | 'ntc' | 'tpc' | 'rcp' | 'evt' | 'op' | 'key' | 'usr' | 'led' | 'imp';

declare const brand: unique symbol;
export type Branded<T, B extends string> = T & { readonly [brand]: B };
export type Id<P extends Prefix> = Branded<string, P>;

export type SubjectId = Id<'sub'>;
export type ContactPointId = Id<'cpt'>;
export type EventId = Id<'evt'>;
export type ReceiptId = Id<'rcp'>;
export type OperationId = Id<'op'>;
export type ApiKeyId = Id<'key'>;
export type NoticeId = Id<'ntc'>;

const OF_ANY = /^[a-z]+_[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Whether `text` is an id of that prefix, in the one spelling that we write. */
export function isId<P extends Prefix>(prefix: P, text: unknown): text is Id<P> {
  return typeof text === 'string' && text.startsWith(`${prefix}_`) && OF_ANY.test(text);
}

/** A fresh id: 48 bits of time, then 74 random bits, so that ids made later sort later (RFC 9562, 5.7). */
export function newId<P extends Prefix>(prefix: P, now: number = Date.now()): Id<P> {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let i = 5, rest = now; i >= 0; i--, rest = Math.floor(rest / 256)) bytes[i] = rest % 256;
  return idFrom(prefix, bytes, 7);
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/**
 * The id made of 16 given bytes; six bits give way to version and variant.
 * Version 8 is for derived ids: the caller has keyed and hashed what it derives from.
 */
export function idFrom<P extends Prefix>(prefix: P, bytes: Uint8Array, version: 7 | 8): Id<P> {
  if (bytes.length < 16) throw new RangeError(`an id needs 16 bytes, got ${bytes.length}`);
  const uuid = bytes.slice(0, 16);
  uuid[6] = ((uuid[6] as number) & 0x0f) | (version << 4);
  uuid[8] = ((uuid[8] as number) & 0x3f) | 0x80;
  let hex = '';
  for (const byte of uuid) hex += HEX[byte];
  return `${prefix}_${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as Id<P>;
}

/** A stream's name: category, hyphen, id. The id is all there is to know about whose stream it is. */
export type StreamName = Branded<`${string}-${string}`, 'stream'>;

export function streamOf(category: string, id: string): StreamName {
  return `${category}-${id}` as StreamName;
}

/** The id part of a stream's name: for a person's stream the subject id. Keys are owned by this id. */
export function ownerOf(stream: StreamName): string {
  return stream.slice(stream.indexOf('-') + 1);
}

export function categoryOf(stream: StreamName): string {
  return stream.slice(0, stream.indexOf('-'));
}
