import { base64, fromBase64, parseCount } from './encoding.js';
import { type Hash, HASH_BYTES } from './merkle.js';
import { openNote, type VerifierKey, type VerifyEd25519 } from './note.js';

/** What a checkpoint says, c2sp.org/tlog-checkpoint: this log had so many leaves, under this root. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Hash;
}

/** The text that is signed. */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${base64(root)}\n`;
}

/** Undefined where the text is no checkpoint. Extension lines are passed over: we write none. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  if (!text.endsWith('\n')) return undefined;
  const [origin, size, root, ...extensions] = text.slice(0, -1).split('\n');
  if (!origin || size === undefined || root === undefined) return undefined;
  if (extensions.includes('')) return undefined;
  const [count, hash] = [parseCount(size), fromBase64(root)];
  if (count === undefined || hash?.length !== HASH_BYTES) return undefined;
  return { origin, size: count, root: hash };
}

export type OpenedCheckpoint =
  | { readonly checkpoint: Checkpoint; readonly signedBy: readonly VerifierKey[] }
  | { readonly flaw: string };

/**
 * The checkpoint in a signed note, for whoever trusts an origin and keys and nothing else. `flaw` says in
 * words why the note is to be refused.
 */
export function openCheckpoint(
  verify: VerifyEd25519,
  note: string,
  trusted: { readonly origin: string; readonly keys: readonly VerifierKey[] },
): OpenedCheckpoint {
  const opened = openNote(verify, note, trusted.keys);
  if ('flaw' in opened) return opened;
  const checkpoint = parseCheckpoint(opened.text);
  if (checkpoint === undefined) return { flaw: 'what was signed is no checkpoint' };
  if (checkpoint.origin !== trusted.origin)
    return { flaw: `is a checkpoint of ${checkpoint.origin}, not of ${trusted.origin}` };
  return { checkpoint, signedBy: opened.signedBy };
}
