import { setMaxListeners } from 'node:events';

/**
 * Whether this process takes work. Once draining it stays so: readiness is red, streams that would go on for
 * ever end, and what was begun is finished.
 */
export class Lifecycle {
  private readonly controller = new AbortController();

  constructor() {
    // Every stream under way listens.
    setMaxListeners(0, this.controller.signal);
  }

  /** Aborts when the process is about to stop: whoever follows the log for a client ends then. */
  get draining(): AbortSignal {
    return this.controller.signal;
  }

  drain(): void {
    this.controller.abort();
  }
}
