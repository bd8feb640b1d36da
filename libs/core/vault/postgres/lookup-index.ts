import type pg from 'pg';
import { Batcher } from '../batcher.js';
import { derivationUnder } from '../derivation.js';
import { checkName } from '../names.js';
import {
  type Derivation,
  KeyDestroyed,
  type LookupEntry,
  type LookupIndex,
  type LookupMatch,
} from '../port.js';

const BATCH = 1_000;
const ATTEMPTS = 5;

interface Claim {
  readonly digest: Uint8Array;
  readonly owner: string;
}

type Holder = { readonly holder: string | null; readonly refused: boolean };

/**
 * The look-up index beside the vault's tables, in the same database: what is destroyed there goes here in
 * the same transaction, and nothing comes after it.
 */
export class PostgresLookupIndex implements LookupIndex {
  readonly #derivation: Derivation;
  readonly #adding = new Batcher<LookupEntry, boolean>((entries) => this.#add(entries), BATCH);
  readonly #finding = new Batcher<Uint8Array, readonly LookupMatch[]>(
    (wanted) => this.#find(wanted),
    BATCH,
  );
  readonly #claiming = new Batcher<Claim, Holder>((claims) => this.#claim(claims), BATCH);

  /** `key`: 32 bytes that never change; with another one nothing that was added is found again. */
  constructor(
    private readonly pool: pg.Pool,
    key: Uint8Array,
  ) {
    this.#derivation = derivationUnder(key);
  }

  async add(entries: readonly LookupEntry[]): Promise<void> {
    for (const { owner, reference } of entries) {
      checkName('owner', owner);
      checkName('reference', reference);
    }
    const refused = (await this.#adding.ask(entries)).indexOf(true);
    if (refused === -1) return;
    const { owner, reference } = entries[refused]!;
    throw new KeyDestroyed({ owner, compartment: reference });
  }

  async find(kind: string, value: string): Promise<readonly string[]> {
    const [owners] = await this.findMany([{ kind, value }]);
    return owners!;
  }

  async findMany(
    wanted: readonly { kind: string; value: string }[],
  ): Promise<readonly (readonly string[])[]> {
    const found = await this.matchMany(wanted);
    return found.map((matches) => [...new Set(matches.map(({ owner }) => owner))]);
  }

  async matchMany(
    wanted: readonly { kind: string; value: string }[],
  ): Promise<readonly (readonly LookupMatch[])[]> {
    return this.#finding.ask(wanted.map(({ kind, value }) => this.#digest('lookup', kind, value)));
  }

  async remove(owner: string, reference?: string): Promise<void> {
    if (reference === undefined)
      await this.pool.query(
        `with entries as (delete from vault.lookup where owner = $1)
         delete from vault.reservations where owner = $1`,
        [owner],
      );
    else
      await this.pool.query('delete from vault.lookup where owner = $1 and reference = $2', [
        owner,
        reference,
      ]);
  }

  async reserve(kind: string, value: string, owner: string): Promise<string> {
    checkName('owner', owner);
    const digest = this.#digest('reservation', kind, value);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const [answer] = await this.#claiming.ask([{ digest, owner }]);
      // Of a destroyed owner's own reservations none is left: a holder is somebody else.
      if (answer!.holder !== null) return answer!.holder;
      if (answer!.refused) throw new KeyDestroyed({ owner, compartment: '*' });
    }
    throw new Error('a reservation was let go by its holder again and again');
  }

  #digest(use: 'lookup' | 'reservation', kind: string, value: string): Uint8Array {
    return this.#derivation.digest(use, kind, value);
  }

  async #add(entries: readonly LookupEntry[]): Promise<readonly boolean[]> {
    const { rows } = await this.pool.query<{ place: number }>(
      'select place from vault.add_lookups($1, $2, $3) place',
      [
        entries.map(({ kind, value }) => this.#digest('lookup', kind, value)),
        entries.map(({ owner }) => owner),
        entries.map(({ reference }) => reference),
      ],
    );
    const refused = new Set(rows.map(({ place }) => place));
    return entries.map((_, i) => refused.has(i + 1));
  }

  async #find(digests: readonly Uint8Array[]): Promise<readonly (readonly LookupMatch[])[]> {
    const { rows } = await this.pool.query<{ owners: string[]; references: string[] }>(
      `select array(
         select l.owner from vault.lookup l where l.digest = w.digest order by l.owner, l.reference
       ) as owners, array(
         select l.reference from vault.lookup l where l.digest = w.digest order by l.owner, l.reference
       ) as references
       from unnest($1::bytea[]) with ordinality w(digest, place) order by w.place`,
      [digests],
    );
    return rows.map(({ owners, references }) =>
      owners.map((owner, n) => ({ owner, reference: references[n] as string })),
    );
  }

  async #claim(claims: readonly Claim[]): Promise<readonly Holder[]> {
    const { rows } = await this.pool.query<Holder>(
      'select holder, refused from vault.reserve($1, $2) order by place',
      [claims.map(({ digest }) => digest), claims.map(({ owner }) => owner)],
    );
    return rows;
  }
}
