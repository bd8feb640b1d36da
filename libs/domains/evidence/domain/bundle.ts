/**
 * The evidence bundle, format 1. Written once and verified for ever: add formats, never edit.
 *
 *   people/0001/events.ndjson   one event a line, the bytes exactly as they are stored, a line feed after each
 *   people/0001/proofs.ndjson   a line for each of them: {index, hashes}, its path to the root of the checkpoint
 *   people/0001/opened.ndjson   {eventId, data}: personal fields in the clear; only where somebody may see them
 *   people/0001/keys.json       whose keys are destroyed, since when, and when every copy was gone, as of `createdAt`
 *   people/0001/erasures/events.ndjson, proofs.ndjson   the events that show it, where they are not among those above
 *   people/0001/records.jsonld  ISO/IEC TS 27560 consent records and receipts
 *   people/0001/timeline.en.html, timeline.de.html, timeline.en.pdf, timeline.de.pdf
 *   catalogue/events.ndjson     the purposes, notices and settings that the events name, likewise
 *   catalogue/proofs.ndjson
 *   notices/<sha-256>.txt       the words that were shown
 *   checkpoint                  signed note: c2sp.org/tlog-checkpoint
 *   consistency                 `old <size>`, hashes, blank line, checkpoint, as c2sp.org/tlog-witness has it
 *   earlier-checkpoint          the one that it extends
 *   verify.html
 *   manifest.json               SHA-256 of every file above
 *   manifest.json.sha256
 *
 * People come in the order of their ids; a part has as many people as fit into a hundred events, and a
 * person who has more goes on in the parts that follow. keys.json lists those who end in the part, and a
 * consent record that goes on keeps its `@id`. Not every bundle has every file.
 */
export const FORMAT = 'consent-ledger/evidence/1';

export const MANIFEST = 'manifest.json';
export const MANIFEST_HASH = 'manifest.json.sha256';
export const CHECKPOINT = 'checkpoint';
export const EARLIER = 'earlier-checkpoint';
export const CONSISTENCY = 'consistency';
export const VERIFY_PAGE = 'verify.html';
export const CATALOGUE = 'catalogue';
/** Of a part. */
export const ERASURES = 'erasures';

export function partOf(number: number): string {
  return `people/${String(number).padStart(4, '0')}`;
}

export function noticePath(hash: string): string {
  return `notices/${hash}.txt`;
}

/** Whom and what a bundle is about. */
export interface Scope {
  /** People who were named; absent: everybody of whom something was recorded for the purpose or in the period. */
  readonly subjects?: readonly string[];
  /** Of their events those alone that bear on it. */
  readonly purpose?: string;
  /** By when it was recorded; what came after its end is left out. */
  readonly period?: { readonly from?: string; readonly to?: string };
}

export interface Manifest {
  readonly format: typeof FORMAT;
  readonly createdAt: string;
  /** Of the log. Whoever verifies compares it, and a key, with what they know from elsewhere. */
  readonly origin: string;
  /** Verifier keys (c2sp.org/signed-note). */
  readonly keys: readonly string[];
  /** Leaves of the tree that the checkpoint signs. */
  readonly size: number;
  readonly scope: Scope;
  /** Whether personal fields are in the clear. */
  readonly opened: boolean;
  readonly people: number;
  readonly parts: number;
  /** Of people. */
  readonly events: number;
  readonly files: readonly FileEntry[];
}

export interface FileEntry {
  readonly path: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

/** An event's way to the root: hashes in base64, from the sibling up. */
export interface ProofLine {
  readonly index: number;
  readonly hashes: readonly string[];
}

export interface OpenedLine {
  readonly eventId: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What became of a person's keys. */
export type KeyStatus =
  | { readonly subjectId: string; readonly status: 'held' }
  | {
      readonly subjectId: string;
      readonly status: 'destroyed';
      /** Nobody can read it here any more. */
      readonly destroyedAt: string;
      readonly epoch: number;
      /** Since then no backup or copy can be read either; absent while the key epoch is open. */
      readonly unreadableInEveryCopySince?: string;
    };
