import { MemoryVaultState } from './vault.js';
import { checkName } from '../names.js';
import { KeyDestroyed, type LookupEntry, type LookupIndex, type LookupMatch } from '../port.js';

/** A look-up index that forgets with its process, for tests. Values lie in it as they are. */
export class MemoryLookupIndex implements LookupIndex {
  /** By kind and value, then by owner and reference. */
  readonly #entries = new Map<string, Map<string, LookupEntry>>();
  readonly #reservations = new Map<string, string>();

  /** `vault`: the state of the vault that it lives beside. */
  constructor(private readonly vault = new MemoryVaultState()) {
    vault.onDestroy.push((owner, compartment) => this.#drop(owner, compartment));
  }

  async add(entries: readonly LookupEntry[]): Promise<void> {
    for (const { owner, reference } of entries) {
      checkName('owner', owner);
      checkName('reference', reference);
    }
    const gone = ({ owner, reference }: LookupEntry): boolean =>
      this.vault.isDestroyed({ owner, compartment: reference });
    for (const entry of entries) if (!gone(entry)) this.#put(entry);
    const refused = entries.find(gone);
    if (refused) throw new KeyDestroyed({ owner: refused.owner, compartment: refused.reference });
  }

  async find(kind: string, value: string): Promise<readonly string[]> {
    const found = this.#entries.get(nameOf(kind, value))?.values() ?? [];
    return [...new Set(Array.from(found, ({ owner }) => owner))].sort();
  }

  async findMany(
    wanted: readonly { kind: string; value: string }[],
  ): Promise<readonly (readonly string[])[]> {
    return Promise.all(wanted.map(({ kind, value }) => this.find(kind, value)));
  }

  async matchMany(
    wanted: readonly { kind: string; value: string }[],
  ): Promise<readonly (readonly LookupMatch[])[]> {
    return wanted.map(({ kind, value }) =>
      Array.from(
        this.#entries.get(nameOf(kind, value))?.values() ?? [],
        ({ owner, reference }) => ({
          owner,
          reference,
        }),
      ),
    );
  }

  async remove(owner: string, reference?: string): Promise<void> {
    this.#drop(owner, reference);
  }

  async reserve(kind: string, value: string, owner: string): Promise<string> {
    checkName('owner', owner);
    const name = nameOf(kind, value);
    const holder = this.#reservations.get(name);
    if (holder !== undefined) return holder;
    if (this.vault.tombstones.has(owner)) throw new KeyDestroyed({ owner, compartment: '*' });
    this.#reservations.set(name, owner);
    return owner;
  }

  #put(entry: LookupEntry): void {
    const name = nameOf(entry.kind, entry.value);
    const entries = this.#entries.get(name) ?? new Map<string, LookupEntry>();
    this.#entries.set(name, entries.set(nameOf(entry.owner, entry.reference), { ...entry }));
  }

  #drop(owner: string, reference?: string): void {
    for (const entries of this.#entries.values())
      for (const [name, entry] of entries)
        if (entry.owner === owner && (reference ?? entry.reference) === entry.reference)
          entries.delete(name);
    if (reference !== undefined) return;
    for (const [name, holder] of this.#reservations)
      if (holder === owner) this.#reservations.delete(name);
  }
}

function nameOf(first: string, second: string): string {
  return JSON.stringify([first, second]);
}
