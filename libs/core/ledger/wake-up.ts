/** Tells everybody who waits for the log to grow. A wake-up is a hint: whoever wakes looks for themselves. */
export class WakeUp {
  private readonly sleepers = new Set<() => void>();

  /** Wakes all who sleep now. */
  all(): void {
    const sleepers = [...this.sleepers];
    this.sleepers.clear();
    for (const wake of sleepers) wake();
  }

  /**
   * Starts to listen at once, so that nothing which happens between this call and waiting for `next` is
   * missed. Resolves at the next wake-up, after `milliseconds` at the latest, or on abort. Never rejects.
   * Must be awaited or cancelled: a timer hangs on it.
   */
  listen(
    milliseconds: number,
    signal: AbortSignal,
  ): { readonly next: Promise<void>; cancel(): void } {
    let done = (): void => undefined;
    const next = new Promise<void>((resolve) => {
      const timer = setTimeout(() => done(), milliseconds);
      done = () => {
        clearTimeout(timer);
        this.sleepers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.sleepers.add(done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
    return { next, cancel: () => done() };
  }
}
