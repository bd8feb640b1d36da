import type { Kysely } from 'kysely';
import { vault0001 } from './0001-vault.js';

/** One step of the vault's schema: runs once per database, in a transaction, as the owner. */
export interface Migration {
  readonly name: string;
  up(db: Kysely<unknown>): Promise<void>;
}

/** The vault's schema, in order. It may lie in the ledger's database or in another one. */
export const migrations: readonly Migration[] = [vault0001];
