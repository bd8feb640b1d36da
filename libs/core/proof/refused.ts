/** Why nothing is signed until somebody has looked at it. */
export type RefusalCode =
  /** The log, or a page of it, contradicts itself. */
  | 'ledger-corrupt'
  /** The event that the last leaf came from is not in the log: another log, or an older copy of it. */
  | 'other-log'
  /** A checkpoint is known that covers more than the log has. */
  | 'log-shorter-than-checkpoint'
  /** A witness has seen a checkpoint of ours that covers more than any that is known here. */
  | 'witness-ahead'
  /** A checkpoint is known that has another root than the tree had at its size. */
  | 'checkpoint-differs'
  /** A checkpoint is known that none of our keys has signed. */
  | 'checkpoint-not-ours'
  /** The tiles and the stored bytes lead to different roots. */
  | 'paths-differ'
  /** A tile is missing, cut or changed. */
  | 'tiles-damaged'
  /** Stored bytes are no longer those that were sealed. */
  | 'event-changed'
  /** Checkpoints were signed, and the key is not there. */
  | 'no-signing-key';

/** What was found is inconsistent with what was signed before, or could be: nothing is signed. */
export class SealingRefused extends Error {
  override readonly name = 'SealingRefused';
  constructor(
    readonly code: RefusalCode,
    /** With the evidence: sizes, roots, positions. */
    readonly reason: string,
  ) {
    super(`${code}: ${reason}`);
  }
}
