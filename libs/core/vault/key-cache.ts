import { HeldKey } from './data-key.js';
import type { DataKey, KeyId, KeyOwner } from './port.js';

interface Entry {
  readonly key: HeldKey;
  readonly keyOwner: KeyOwner;
  /** Milliseconds of the monotonic clock. */
  readonly expires: number;
}

/**
 * Unwrapped keys for seconds. It keeps bytes of its own, so that wiping them when they expire can not wipe
 * a key that a caller is sealing with.
 *
 * A load that was under way while something was destroyed may bring a key that is gone. So each load
 * begins with a ticket, and one that is older than the last destruction is not remembered.
 */
export class KeyCache {
  readonly #entries = new Map<KeyId, Entry>();
  readonly #ids = new Map<string, Map<string, KeyId>>();
  #generation = 0;
  readonly #sweeper: NodeJS.Timeout;

  /** `ttl` in milliseconds, counted from when the database was asked. `size`: keys at most. */
  constructor(
    private readonly ttl: number,
    private readonly size: number,
  ) {
    this.#sweeper = setInterval(() => this.#sweep(), Math.max(10, ttl / 5));
    this.#sweeper.unref();
  }

  /** Taken before the database is asked. */
  ticket(): Ticket {
    return { generation: this.#generation, expires: performance.now() + this.ttl };
  }

  remember(keyOwner: KeyOwner, key: DataKey, ticket: Ticket): void {
    if (ticket.generation !== this.#generation || ticket.expires <= performance.now()) return;
    this.#drop(key.id);
    const kept = new HeldKey(key.id, Uint8Array.from(key.bytes));
    this.#entries.set(key.id, { key: kept, keyOwner, expires: ticket.expires });
    const ids = this.#ids.get(keyOwner.owner) ?? new Map<string, KeyId>();
    this.#ids.set(keyOwner.owner, ids.set(keyOwner.compartment, key.id));
    for (const id of this.#entries.keys()) {
      if (this.#entries.size <= this.size) break;
      this.#drop(id);
    }
  }

  byId(id: KeyId): DataKey | undefined {
    const entry = this.#entries.get(id);
    if (!entry) return undefined;
    if (entry.expires > performance.now()) return entry.key.copy();
    this.#drop(id);
    return undefined;
  }

  byOwner(keyOwner: KeyOwner): DataKey | undefined {
    const id = this.#ids.get(keyOwner.owner)?.get(keyOwner.compartment);
    return id === undefined ? undefined : this.byId(id);
  }

  /** Forgets an owner's keys, or one compartment's, and whatever is being loaded now. */
  forget(owner: string, compartment?: string): void {
    this.#generation++;
    for (const [name, id] of this.#ids.get(owner) ?? [])
      if ((compartment ?? name) === name) this.#drop(id);
  }

  forgetAll(): void {
    this.#generation++;
    for (const id of this.#entries.keys()) this.#drop(id);
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.forgetAll();
  }

  get length(): number {
    return this.#entries.size;
  }

  /** Entries lie in the order they were asked for, so the first that lives ends the sweep. */
  #sweep(): void {
    const now = performance.now();
    for (const [id, { expires }] of this.#entries) {
      if (expires > now) return;
      this.#drop(id);
    }
  }

  #drop(id: KeyId): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    entry.key.wipe();
    this.#entries.delete(id);
    const { owner, compartment } = entry.keyOwner;
    const ids = this.#ids.get(owner);
    if (ids?.get(compartment) === id) ids.delete(compartment);
    if (ids?.size === 0) this.#ids.delete(owner);
  }
}

export interface Ticket {
  readonly generation: number;
  readonly expires: number;
}
