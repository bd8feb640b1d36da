import { type Checkpoint, parseCheckpoint } from '#core/proof/checkpoint.js';
import { fromUtf8 } from '#core/proof/encoding.js';
import type { Sha256 } from '#core/proof/merkle.js';
import { parseNote, type VerifyEd25519 } from '#core/proof/note.js';
import { type Archive, type Inflate, NotTheForm } from './archive.js';
import type { Flaws } from './findings.js';

/** What the check is done with. */
export interface Tools {
  readonly sha256: Sha256;
  readonly verify: VerifyEd25519;
  readonly inflate: Inflate;
}

/** What whoever verifies knows from elsewhere. */
export interface Trusted {
  readonly origin?: string;
  /** Verifier keys (c2sp.org/signed-note), at least one of which must have signed. */
  readonly keys?: readonly string[];
  /** A checkpoint that they keep from an earlier day: a signed note. */
  readonly earlier?: string;
}

/** How far it has come, in files. */
export type Progress = (done: number, of: number) => void;

/** A bundle that is being checked. */
export interface CheckedBundle {
  readonly archive: Archive;
  readonly trusted: Trusted;
  readonly tools: Tools;
  readonly progress: Progress;
}

/** The bytes of a file; undefined, and a flaw, where they can not be read. */
export async function bytesOf(
  { archive }: CheckedBundle,
  path: string,
  flaws: Flaws,
): Promise<Uint8Array | undefined> {
  try {
    return await archive.read(path);
  } catch (error) {
    const { message } = mustBeForm(error);
    flaws.add(message, message);
    return undefined;
  }
}

export async function textOf(
  bundle: CheckedBundle,
  path: string,
  flaws: Flaws,
): Promise<string | undefined> {
  const bytes = await bytesOf(bundle, path, flaws);
  const text = bytes && fromUtf8(bytes);
  if (bytes && text === undefined) flaws.add(`${path} is no text`, `${path} ist kein Text`);
  return text;
}

export function mustBeForm(error: unknown): NotTheForm {
  if (error instanceof NotTheForm) return error;
  throw error;
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a note says, whoever signed it. */
export function checkpointIn(note: string): Checkpoint | undefined {
  const parsed = parseNote(note.endsWith('\n') ? note : `${note}\n`);
  return parsed && parseCheckpoint(parsed.text);
}
