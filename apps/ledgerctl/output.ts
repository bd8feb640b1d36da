let unread = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  unread = true;
});

/** What a command says: results to standard output, everything else to standard error. */
export class Output {
  private shownAt = 0;

  constructor(readonly json: boolean) {}

  /** The command's result: as one JSON document, or in words. */
  result(value: object, words: string): void {
    if (unread) throw new ReaderGone();
    process.stdout.write(this.json ? `${JSON.stringify(value)}\n` : `${words}\n`);
  }

  /** One item of a long result: a JSON line, or words. */
  item(value: object, words: string): void {
    this.result(value, words);
  }

  /** Progress of long work, at most once a second, on one line where somebody watches. */
  progress(text: string, last = false): void {
    const now = Date.now();
    if (!last && now - this.shownAt < 1_000) return;
    this.shownAt = now;
    process.stderr.write(process.stderr.isTTY && !last ? `\r${text}\u001b[K` : `${text}\n`);
  }

  note(text: string): void {
    process.stderr.write(`${text}\n`);
  }
}

/** Whoever read the results, such as `head`, has had enough: nothing went wrong. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
}

/** Exit codes that scripts can trust. */
export const EXIT = {
  ok: 0,
  /** It was done, and something was found or rejected. */
  findings: 1,
  /** The command was not understood. */
  usage: 2,
  /** It could not be done: refused, unreachable, misconfigured. */
  failed: 3,
} as const;
