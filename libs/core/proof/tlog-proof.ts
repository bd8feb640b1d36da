import { type Checkpoint, openCheckpoint } from './checkpoint.js';
import { base64, fromBase64, parseCount } from './encoding.js';
import { flawOfInclusion, type Hash, HASH_BYTES, leafHash, type Sha256 } from './merkle.js';
import type { VerifierKey, VerifyEd25519 } from './note.js';

/** A receipt that proves by itself that a leaf is in a log, c2sp.org/tlog-proof@v1. */
export interface TlogProof {
  /** Not authenticated by anything; for whoever needs it to find the leaf's data. */
  readonly extra?: Uint8Array;
  readonly index: number;
  readonly hashes: readonly Hash[];
  /** The signed note, as the log published it. */
  readonly checkpoint: string;
}

export const TLOG_PROOF_HEADER = 'c2sp.org/tlog-proof@v1';

/** A tree of 2^53 leaves has no longer path. */
const MOST_HASHES = 63;

export function formatTlogProof({ extra, index, hashes, checkpoint }: TlogProof): string {
  const lines = [
    TLOG_PROOF_HEADER,
    ...(extra === undefined ? [] : [`extra ${base64(extra)}`]),
    `index ${index}`,
    ...hashes.map(base64),
  ];
  return `${lines.join('\n')}\n\n${checkpoint}`;
}

/** Undefined where it is no such receipt. */
export function parseTlogProof(text: string): TlogProof | undefined {
  const split = text.indexOf('\n\n');
  if (split < 0) return undefined;
  const lines = text.slice(0, split).split('\n');
  if (lines.shift() !== TLOG_PROOF_HEADER) return undefined;
  const extra = lines[0]?.startsWith('extra ') ? fromBase64(lines[0].slice(6)) : null;
  if (extra === undefined) return undefined;
  if (extra !== null) lines.shift();
  const index = parseCount(/^index (.*)$/.exec(lines.shift() ?? '')?.[1] ?? '');
  const hashes = lines.map(fromBase64);
  if (index === undefined || hashes.length > MOST_HASHES) return undefined;
  if (hashes.some((hash) => hash?.length !== HASH_BYTES)) return undefined;
  return {
    ...(extra === null ? {} : { extra }),
    index,
    hashes: hashes as Hash[],
    checkpoint: text.slice(split + 2),
  };
}

export type ProvenLeaf =
  { readonly index: number; readonly checkpoint: Checkpoint } | { readonly flaw: string };

/**
 * Whether these very bytes are a leaf of the log: the checkpoint first, for a proof without a signature of
 * a trusted key and the trusted origin is worth nothing, then the way from the leaf to its root.
 */
export function openTlogProof(
  { sha256, verify }: { readonly sha256: Sha256; readonly verify: VerifyEd25519 },
  text: string,
  leaf: Uint8Array,
  trusted: { readonly origin: string; readonly keys: readonly VerifierKey[] },
): ProvenLeaf {
  const proof = parseTlogProof(text);
  if (proof === undefined) return { flaw: `is no ${TLOG_PROOF_HEADER}` };
  const opened = openCheckpoint(verify, proof.checkpoint, trusted);
  if ('flaw' in opened) return opened;
  const { checkpoint } = opened;
  const { index, hashes } = proof;
  const { size, root } = checkpoint;
  const inclusion = { index, size, leafHash: leafHash(sha256, leaf), proof: hashes, root };
  const flaw = flawOfInclusion(sha256, inclusion);
  return flaw === undefined ? { index, checkpoint } : { flaw };
}
