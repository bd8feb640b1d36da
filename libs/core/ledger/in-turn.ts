/** Lets callers of the same key pass one after the other; callers of other keys do not wait. */
export class InTurn<Key> {
  private readonly last = new Map<Key, Promise<void>>();

  /** Runs `work` when those who came before with this key are done. Keeps nothing of keys nobody waits for. */
  async run<T>(key: Key, work: () => Promise<T>): Promise<T> {
    const before = this.last.get(key);
    let leave = (): void => undefined;
    const own = new Promise<void>((resolve) => (leave = resolve));
    this.last.set(key, own);
    try {
      await before;
      return await work();
    } finally {
      leave();
      if (this.last.get(key) === own) this.last.delete(key);
    }
  }

  get size(): number {
    return this.last.size;
  }
}
