/** Wakes the one loop that sleeps on it. A nudge that comes while the loop works is kept for its next sleep. */
export class Nudge {
  private wake: (() => void) | undefined;
  private kept = false;

  fire(): void {
    if (this.wake) this.wake();
    else this.kept = true;
  }

  /** Returns after `milliseconds`, at a nudge or when `signal` aborts, whichever is first. */
  async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (this.kept || signal.aborted) {
      this.kept = false;
      return;
    }
    let timer: NodeJS.Timeout | undefined;
    let wake: (() => void) | undefined;
    try {
      await new Promise<void>((resolve) => {
        wake = resolve;
        this.wake = wake;
        timer = setTimeout(wake, milliseconds);
        signal.addEventListener('abort', wake, { once: true });
      });
    } finally {
      this.wake = undefined;
      clearTimeout(timer);
      if (wake) signal.removeEventListener('abort', wake);
    }
  }
}
