/** The signed checkpoint that covers something, by what identifies it. */
export interface Seal {
  readonly origin: string;
  /** Leaves that it covers. */
  readonly size: number;
  /** Base64, as in the checkpoint. */
  readonly root: string;
}
