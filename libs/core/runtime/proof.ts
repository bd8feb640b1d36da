import { dirname, join } from 'node:path';
import type { Kysely } from 'kysely';
import { ledgerIdOf } from '#core/ledger/created.js';
import { presentName } from '#core/ledger/history-lost.js';
import type { Ledger } from '#core/ledger/ledger.js';
import type { EventStore } from '#core/ledger/port.js';
import type { Config } from '#core/platform/config.js';
import { ProofTables } from '#core/proof/postgres/proof-tables.js';
import { ProvenLog } from '#core/proof/proven-log.js';
import { SignedCheckpoints } from '#core/proof/signed-checkpoints.js';
import { SigningKeys } from '#core/proof/signing-keys.js';

/** What is needed to seal a log and to ask what was sealed. */
export interface Proof {
  readonly origin: string;
  readonly log: ProvenLog;
  readonly tables: ProofTables;
  readonly keys: SigningKeys;
  readonly signed: SignedCheckpoints;
}

/** Signing keys, and what they signed last, lie beside the epoch keys: outside of databases and their backups. */
export async function openProof(
  config: Pick<Config, 'origin'>,
  parts: {
    readonly ledger: Ledger;
    readonly database: Kysely<unknown>;
    readonly following: Kysely<unknown>;
    readonly store: EventStore;
    readonly keyFile: string;
  },
): Promise<Proof> {
  const directory = dirname(parts.keyFile);
  // No other log has this one's id.
  const began = config.origin ?? `consent-ledger/${await ledgerIdOf(parts.ledger)}`;
  const origin = await presentName(parts.ledger, began);
  return {
    origin,
    log: new ProvenLog(new ProofTables(parts.database), parts.store, origin),
    tables: new ProofTables(parts.following),
    keys: await SigningKeys.open(join(directory, 'signing-keys.json')),
    signed: new SignedCheckpoints(join(directory, 'signed-checkpoints'), origin),
  };
}
