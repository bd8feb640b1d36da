import { base64, equalBytes, fromBase64, hex, joined, utf8 } from './encoding.js';
import type { Sha256 } from './merkle.js';

/**
 * Signed notes, c2sp.org/signed-note: a text, a blank line, and a line for each signature. Keys are
 * Ed25519 keys (type 0x01).
 */

/** Whether it is the key's signature over the message (RFC 8032). MUST NOT throw for malformed ones. */
export type VerifyEd25519 = (
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
) => boolean;

export interface VerifierKey {
  readonly name: string;
  /** 4 bytes. */
  readonly id: Uint8Array;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

export interface Signature {
  readonly name: string;
  /** 4 bytes. */
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
}

export interface Note {
  /** With its last newline: what is signed. */
  readonly text: string;
  readonly signatures: readonly Signature[];
}

/** Of Ed25519. */
const KEY_TYPE = 0x01;
const ID_BYTES = 4;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** Signatures that are looked at; the specification asks for 16 at least. */
const MOST_SIGNATURES = 64;

export function isKeyName(name: string): boolean {
  return name !== '' && !/[\s+\p{White_Space}\p{Cc}]/u.test(name) && name.isWellFormed();
}

export function verifierKey(sha256: Sha256, name: string, publicKey: Uint8Array): VerifierKey {
  if (!isKeyName(name)) throw new RangeError('a key name is not empty, without spaces and plus');
  if (publicKey.length !== KEY_BYTES) throw new RangeError('an Ed25519 key has 32 bytes');
  const typed = joined([Uint8Array.of(KEY_TYPE), publicKey]);
  const id = sha256(joined([utf8(`${name}\n`), typed])).slice(0, ID_BYTES);
  return { name, id, publicKey };
}

/** `<name>+<hex of the id>+<base64 of type and key>` */
export function formatVerifierKey({ name, id, publicKey }: VerifierKey): string {
  return `${name}+${hex(id)}+${base64(joined([Uint8Array.of(KEY_TYPE), publicKey]))}`;
}

/** Undefined where the text is no verifier key of an Ed25519 key, or its id is not that of name and key. */
export function parseVerifierKey(sha256: Sha256, text: string): VerifierKey | undefined {
  const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/.exec(text) ?? [];
  const typed = fromBase64(encoded ?? '');
  if (name === undefined || !isKeyName(name)) return undefined;
  if (typed?.length !== KEY_BYTES + 1 || typed[0] !== KEY_TYPE) return undefined;
  const key = verifierKey(sha256, name, typed.slice(1));
  return hex(key.id) === id ? key : undefined;
}

export function formatNote({ text, signatures }: Note): string {
  const lines = signatures.map(
    ({ name, id, bytes }) => `— ${name} ${base64(joined([id, bytes]))}\n`,
  );
  return `${text}\n${lines.join('')}`;
}

/** Undefined where it is no signed note. Says nothing of whether the signatures hold: see `openNote`. */
export function parseNote(note: string): Note | undefined {
  if (!note.isWellFormed() || hasControls(note)) return undefined;
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.endsWith('\n')) return undefined;
  const lines = note.slice(split + 2, -1).split('\n');
  if (lines.length > MOST_SIGNATURES) return undefined;
  const signatures = lines.map(parseSignature);
  if (signatures.includes(undefined)) return undefined;
  return { text: note.slice(0, split + 1), signatures: signatures as Signature[] };
}

function hasControls(text: string): boolean {
  for (let at = 0; at < text.length; at++)
    if (text.charCodeAt(at) < 0x20 && text[at] !== '\n') return true;
  return false;
}

function parseSignature(line: string): Signature | undefined {
  const [, name, encoded] = /^— (\S+) (\S+)$/u.exec(line) ?? [];
  const bytes = fromBase64(encoded ?? '');
  if (name === undefined || !isKeyName(name)) return undefined;
  if (bytes === undefined || bytes.length <= ID_BYTES) return undefined;
  return { name, id: bytes.slice(0, ID_BYTES), bytes: bytes.slice(ID_BYTES) };
}

export type Opened =
  { readonly text: string; readonly signedBy: readonly VerifierKey[] } | { readonly flaw: string };

/**
 * The text of a note that is signed by at least one of the keys. Signatures of other keys are passed over,
 * also those that share a name or an id with a known one; a signature of a known key that does not hold
 * spoils the note.
 */
export function openNote(
  verify: VerifyEd25519,
  note: string,
  keys: readonly VerifierKey[],
): Opened {
  const parsed = parseNote(note);
  if (parsed === undefined) return { flaw: 'is no signed note' };
  const message = utf8(parsed.text);
  const signedBy: VerifierKey[] = [];
  for (const { name, id, bytes } of parsed.signatures) {
    const key = keys.find((known) => known.name === name && equalBytes(known.id, id));
    if (key === undefined) continue;
    const holds = bytes.length === SIGNATURE_BYTES && verify(key.publicKey, message, bytes);
    if (!holds) return { flaw: `the signature of ${name} (key ${hex(id)}) does not hold` };
    if (!signedBy.includes(key)) signedBy.push(key);
  }
  if (signedBy.length === 0) return { flaw: 'no known key has signed it' };
  return { text: parsed.text, signedBy };
}
