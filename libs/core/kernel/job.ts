/** Something to be done again and again, by one process at a time. MUST be safe to break off and to repeat. */
export interface Job {
  readonly name: string;
  /** Milliseconds between the end of one run, in whichever process, and the next. */
  readonly every: number;
  run(turn: Turn): Promise<void>;
}

/** One run of a job. */
export interface Turn {
  /** Aborts when the process stops, and when another one has taken the job over. */
  readonly signal: AbortSignal;
  /**
   * Rejects where another process has the job. To be asked before what can not be taken back: a process that
   * was frozen finds out here.
   */
  readonly mustBeOurs: () => Promise<void>;
}
