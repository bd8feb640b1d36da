import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { setTimeout as pause } from 'node:timers/promises';
import { KeyDestroyed, type DataKey, type Destroyed, type Vault } from '#core/vault/port.js';
import { VaultDatabase } from './vault-database.js';

const CACHE_MS = 40;
const COMPARTMENTS = ['identity', 'cpt_1', 'evidence'] as const;
type Compartment = (typeof COMPARTMENTS)[number];

type Step =
  | { readonly kind: 'keysFor'; readonly compartments: readonly Compartment[] }
  | { readonly kind: 'open' }
  | { readonly kind: 'destroy'; readonly compartment: Compartment | undefined };

interface Taken {
  readonly process: 0 | 1;
  readonly step: Step;
}

const compartment = fc.constantFrom(...COMPARTMENTS);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('keysFor' as const),
      compartments: fc.uniqueArray(compartment, { minLength: 1 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('open' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('destroy' as const),
      compartment: fc.option(compartment, { nil: undefined }),
    }),
  },
);
const taken: fc.Arbitrary<Taken> = fc.record({
  process: fc.constantFrom(0 as const, 1 as const),
  step,
});
/** Waves follow one another; what is in one wave happens at the same time. */
const waves = fc.array(fc.array(taken, { minLength: 1, maxLength: 6 }), {
  minLength: 1,
  maxLength: 6,
});

const hex = ({ bytes }: DataKey): string => Buffer.from(bytes).toString('hex');

describe('two processes whose notifications are lost', () => {
  let database: VaultDatabase;
  let processes: readonly [Vault, Vault];
  let owners = 0;

  beforeAll(async () => {
    database = await VaultDatabase.make();
    const open = async () => (await database.process({ listen: false, cacheMs: CACHE_MS })).vault;
    processes = [await open(), await open()];
  });
  afterAll(() => database.end());

  test('agree on every key, and none comes back, whatever the order of events', async () => {
    await fc.assert(
      fc.asyncProperty(waves, async (story) => {
        const model = new Model(`sub_${++owners}`, processes);
        for (const wave of story) {
          await Promise.all(wave.map((one) => model.take(one)));
          await model.check(database);
        }
        await pause(CACHE_MS + 5);
        await model.checkExpired();
      }),
      { numRuns: 80 },
    );
  }, 120_000);
});

/** What is known for sure of one owner's keys, from what the vault has answered so far. */
class Model {
  readonly #keys = new Map<Compartment, string>();
  readonly #ids = new Map<string, Compartment>();
  /** Closed compartments, and since when: a destruction has returned. */
  readonly #closed = new Map<Compartment, number>();
  readonly #closedBy = new Map<Compartment, 0 | 1>();
  readonly #answers = new Map<string, Destroyed>();

  constructor(
    private readonly owner: string,
    private readonly processes: readonly [Vault, Vault],
  ) {}

  async take({ process, step }: Taken): Promise<void> {
    const vault = this.processes[process];
    switch (step.kind) {
      case 'keysFor':
        return this.#keysFor(vault, process, step.compartments);
      case 'open':
        return this.#open(vault, process);
      case 'destroy':
        return this.#destroy(vault, process, step.compartment);
    }
  }

  async #keysFor(
    vault: Vault,
    process: 0 | 1,
    compartments: readonly Compartment[],
  ): Promise<void> {
    const began = performance.now();
    const wanted = compartments.map((name) => ({ owner: this.owner, compartment: name }));
    const keys = await vault.keysFor(wanted).catch((error: unknown) => {
      if (error instanceof KeyDestroyed) return undefined;
      throw error;
    });
    if (keys === undefined) return;
    for (const [i, name] of compartments.entries()) {
      this.#mayAnswer(process, name, began, 'keysFor gave');
      this.#same(name, keys[i]!);
    }
  }

  async #open(vault: Vault, process: 0 | 1): Promise<void> {
    const began = performance.now();
    const known = new Map(this.#ids);
    const answers = await vault.open([...known.keys()] as DataKey['id'][]);
    for (const [id, name] of known) {
      const answer = answers.get(id as DataKey['id'])!;
      if (answer === 'unknown') throw new Error(`a key of ${name} became unknown`);
      if (answer === 'destroyed') continue;
      this.#mayAnswer(process, name, began, 'open gave');
      this.#same(name, answer);
    }
  }

  async #destroy(vault: Vault, process: 0 | 1, name: Compartment | undefined): Promise<void> {
    const answer = await vault.destroy(this.owner, name);
    const before = this.#answers.get(name ?? '');
    if (before) expect(answer).toEqual(before);
    this.#answers.set(name ?? '', answer);
    for (const closed of name === undefined ? COMPARTMENTS : [name]) {
      if (this.#closed.has(closed)) continue;
      this.#closed.set(closed, performance.now());
      this.#closedBy.set(closed, process);
    }
  }

  /** A key may still come from the other process's cache for its time, and from no other place. */
  #mayAnswer(process: 0 | 1, name: Compartment, began: number, what: string): void {
    const closed = this.#closed.get(name);
    if (closed === undefined || began < closed) return;
    const late = began - closed;
    if (this.#closedBy.get(name) === process || late > CACHE_MS)
      throw new Error(`${what} a key of ${name} ${late.toFixed(0)} ms after it was destroyed`);
  }

  #same(name: Compartment, key: DataKey): void {
    const seen = `${key.id} ${hex(key)}`;
    const before = this.#keys.get(name) ?? seen;
    if (before !== seen) throw new Error(`${name} has two keys: ${before} and ${seen}`);
    this.#keys.set(name, seen);
    this.#ids.set(key.id, name);
  }

  async check(database: VaultDatabase): Promise<void> {
    const rows = await database.count('vault.keys where owner = $1 and compartment = any($2)', [
      this.owner,
      [...this.#closed.keys()],
    ]);
    if (rows > 0) throw new Error(`${rows} keys lie in the table after they were destroyed`);
  }

  async checkExpired(): Promise<void> {
    for (const vault of this.processes) {
      for (const name of COMPARTMENTS) {
        const answer = await vault.keysFor([{ owner: this.owner, compartment: name }]).then(
          () => 'a key',
          (error: unknown) => (error as Error).name,
        );
        expect([name, answer]).toEqual([name, this.#closed.has(name) ? 'KeyDestroyed' : 'a key']);
      }
      const answers = await vault.open([...this.#ids.keys()] as DataKey['id'][]);
      for (const [id, name] of this.#ids) {
        const answer = answers.get(id as DataKey['id']);
        expect(answer === 'destroyed').toBe(this.#closed.has(name));
      }
    }
  }
}

describe('making a key against destroying its owner', () => {
  let database: VaultDatabase;

  beforeEach(async () => {
    database = await VaultDatabase.make();
    // Between looking for a tombstone and writing the key lies time in which an owner can be destroyed.
    await database.admin.query(
      `create function dawdle() returns trigger language plpgsql as
         $$ begin perform pg_sleep(0.01 * random()); return new; end $$;
       create trigger dawdle before insert on vault.keys for each row execute function dawdle();
       create trigger dawdle before insert on vault.lookup for each row execute function dawdle()`,
    );
  });
  afterEach(() => database.end());

  /** How many owners have a key or a look-up row after they were destroyed. */
  async function comeBack(): Promise<number> {
    const [one, two] = [
      await database.process({ listen: false }),
      await database.process({ listen: false }),
    ];
    for (let round = 0; round < 40; round++) {
      const owner = `sub_${round}`;
      const entry = { kind: 'email', value: owner, owner, reference: 'cpt_1' };
      await Promise.allSettled([
        one.vault.keysFor([{ owner, compartment: 'identity' }]),
        one.index.add([entry]),
        pause(round % 8).then(() => two.vault.destroy(owner)),
        pause(round % 5).then(() => two.vault.keysFor([{ owner, compartment: 'cpt_1' }])),
      ]);
    }
    return database.count(
      `(select owner from vault.keys union select owner from vault.lookup) o
       join vault.tombstones t using (owner)`,
    );
  }

  test('leaves neither key nor look-up row behind', async () => {
    expect(await comeBack()).toBe(0);
  });

  test('canary: without the owner’s lock some come back', async () => {
    await database.admin.query(
      `create or replace function vault.lock_writing(owners text[]) returns void
         language sql as 'select'`,
    );
    expect(await comeBack()).toBeGreaterThan(0);
  });
});
