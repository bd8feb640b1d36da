import { type Clock, type Instant, systemClock } from '#core/kernel/instant.js';
import { type HeldKey, newDataKey } from '../data-key.js';
import { checkKeyOwner, checkName, nameOf } from '../names.js';
import {
  type DataKey,
  type Destroyed,
  KeyDestroyed,
  type KeyId,
  type KeyOwner,
  type Vault,
  type VaultStatus,
} from '../port.js';

interface Key extends KeyOwner {
  readonly key: HeldKey;
}

/** What several vaults in memory share, as several processes share a database. */
export class MemoryVaultState {
  readonly keys = new Map<string, Key>();
  readonly byId = new Map<KeyId, Key>();
  readonly tombstones = new Map<string, Destroyed>();
  /** The registry of erased keys, with the compartment that each was of. */
  readonly erased = new Map<KeyId, string>();
  readonly closed: { readonly epoch: number; readonly closedAt: Instant }[] = [];
  epoch = 1;
  epochStartedAt: Instant | undefined;
  /** Look-up rows live beside the keys and go with them. */
  readonly onDestroy: ((owner: string, compartment?: string) => void)[] = [];

  isDestroyed({ owner, compartment }: KeyOwner): boolean {
    return this.tombstones.has(owner) || this.tombstones.has(nameOf({ owner, compartment }));
  }
}

/** A vault that forgets with its process, for tests. */
export class MemoryVault implements Vault {
  constructor(
    private readonly state = new MemoryVaultState(),
    private readonly clock: Clock = systemClock,
  ) {
    state.epochStartedAt ??= clock.now();
  }

  async keysFor(wanted: readonly KeyOwner[]): Promise<readonly DataKey[]> {
    wanted.forEach(checkKeyOwner);
    for (const keyOwner of wanted) if (!this.state.isDestroyed(keyOwner)) this.#make(keyOwner);
    return wanted.map((keyOwner) => {
      const held = this.state.keys.get(nameOf(keyOwner));
      if (!held) throw new KeyDestroyed(keyOwner);
      return held.key.copy();
    });
  }

  async open(
    ids: readonly KeyId[],
  ): Promise<ReadonlyMap<KeyId, DataKey | 'destroyed' | 'unknown'>> {
    const { byId, erased } = this.state;
    return new Map(
      ids.map((id) => [id, byId.get(id)?.key.copy() ?? (erased.has(id) ? 'destroyed' : 'unknown')]),
    );
  }

  async destroy(owner: string, compartment?: string): Promise<Destroyed> {
    checkName('owner', owner);
    if (compartment !== undefined) checkName('compartment', compartment);
    const { state } = this;
    const closing = compartment === undefined ? owner : nameOf({ owner, compartment });
    const before = state.tombstones.get(closing);
    if (before) return before;
    const whole = state.tombstones.get(owner);
    if (whole)
      return {
        ...whole,
        keyIds: whole.keyIds.filter((id) => state.erased.get(id) === compartment),
      };
    const going = [...state.keys.values()]
      .filter((key) => key.owner === owner && (compartment ?? key.compartment) === key.compartment)
      .sort((a, b) => (a.compartment < b.compartment ? -1 : 1));
    const keyIds = going.map(({ key }) => key.id);
    for (const { key, compartment: of } of going) state.erased.set(key.id, of);
    for (const { key, ...keyOwner } of going) {
      state.keys.delete(nameOf(keyOwner));
      state.byId.delete(key.id);
      key.wipe();
    }
    const destroyed: Destroyed = { keyIds, destroyedAt: this.clock.now(), epoch: state.epoch };
    state.tombstones.set(closing, destroyed);
    for (const gone of state.onDestroy) gone(owner, compartment);
    return destroyed;
  }

  async rotate(
    progress: (done: number, total: number) => void = () => undefined,
  ): Promise<VaultStatus> {
    const { state } = this;
    state.closed.push({ epoch: state.epoch, closedAt: this.clock.now() });
    state.epoch++;
    state.epochStartedAt = this.clock.now();
    progress(state.keys.size, state.keys.size);
    return this.status();
  }

  async status(): Promise<VaultStatus> {
    const { epoch, epochStartedAt, keys, erased, closed } = this.state;
    return {
      epoch,
      epochStartedAt: epochStartedAt!,
      living: keys.size,
      destroyed: erased.size,
      closed: [...closed],
    };
  }

  async close(): Promise<void> {}

  #make(keyOwner: KeyOwner): void {
    const { keys, byId } = this.state;
    if (keys.has(nameOf(keyOwner))) return;
    const made = { ...keyOwner, key: newDataKey() };
    keys.set(nameOf(keyOwner), made);
    byId.set(made.key.id, made);
  }
}
