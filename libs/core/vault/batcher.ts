interface Caller<Item, Answer> {
  readonly items: readonly Item[];
  resolve(answers: readonly Answer[]): void;
  reject(reason: unknown): void;
}

/**
 * Group commit: while one call is under way, what other callers ask is collected, and travels together in
 * the next. A caller's items stay together; a call that fails fails for everyone in it, so items must be
 * checked before they come here.
 */
export class Batcher<Item, Answer> {
  readonly #waiting: Caller<Item, Answer>[] = [];
  #running = false;

  /** `run` answers item for item. A call carries at most `limit` items, or one caller's. */
  constructor(
    private readonly run: (items: readonly Item[]) => Promise<readonly Answer[]>,
    private readonly limit: number,
  ) {}

  ask(items: readonly Item[]): Promise<readonly Answer[]> {
    if (items.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ items, resolve, reject });
      if (!this.#running) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#running = true;
    // Callers of this same turn of the event loop travel together.
    await Promise.resolve();
    while (this.#waiting.length) {
      const callers = this.#next();
      try {
        const answers = await this.run(callers.flatMap(({ items }) => items));
        let from = 0;
        for (const { items, resolve } of callers)
          resolve(answers.slice(from, (from += items.length)));
      } catch (error) {
        for (const { reject } of callers) reject(error);
      }
    }
    this.#running = false;
  }

  #next(): Caller<Item, Answer>[] {
    let count = 0;
    const fitting = this.#waiting.findIndex(({ items }) => (count += items.length) > this.limit);
    return this.#waiting.splice(0, fitting === -1 ? this.#waiting.length : Math.max(1, fitting));
  }
}
