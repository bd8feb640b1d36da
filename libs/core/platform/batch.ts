/**
 * Gathers calls that are made at about the same time into one round trip. One batch is under way at a time;
 * what comes meanwhile makes up the next. An idle batch sends at once, so a single call waits for nobody.
 */
export class Batch<Asked, Answered> {
  private waiting: Waiting<Asked, Answered>[] = [];
  private busy = false;

  /**
   * `send` answers all in the order asked, or rejects for all. Two calls with the same `keyOf` never travel in
   * one batch; without it, any may.
   */
  constructor(
    private readonly send: (asked: readonly Asked[]) => Promise<readonly Answered[]>,
    private readonly keyOf?: (asked: Asked) => string,
    private readonly max = 256,
  ) {}

  add(asked: Asked): Promise<Answered> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ asked, resolve, reject });
      if (this.busy) return;
      this.busy = true;
      // Requests that arrived in the same turn of the event loop come along.
      setImmediate(() => void this.run());
    });
  }

  private async run(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.take();
      try {
        const answers = await this.send(batch.map(({ asked }) => asked));
        batch.forEach(({ resolve }, i) => resolve(answers[i] as Answered));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.busy = false;
  }

  private take(): readonly Waiting<Asked, Answered>[] {
    const { keyOf } = this;
    if (keyOf === undefined) return this.waiting.splice(0, this.max);
    const keys = new Set<string>();
    const batch: Waiting<Asked, Answered>[] = [];
    const later: Waiting<Asked, Answered>[] = [];
    for (const one of this.waiting) {
      const key = keyOf(one.asked);
      if (batch.length === this.max || keys.has(key)) later.push(one);
      else {
        keys.add(key);
        batch.push(one);
      }
    }
    this.waiting = later;
    return batch;
  }
}

interface Waiting<Asked, Answered> {
  readonly asked: Asked;
  readonly resolve: (answer: Answered) => void;
  readonly reject: (error: unknown) => void;
}
