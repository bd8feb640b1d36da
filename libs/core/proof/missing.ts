import { placedIn } from '#core/ledger/content.js';
import type { EventStore } from '#core/ledger/port.js';
import { type Checkpoint, openCheckpoint } from './checkpoint.js';
import { verifyEd25519 } from './node-crypto.js';
import type { ProofTables } from './postgres/proof-tables.js';
import type { RefusalCode } from './refused.js';
import type { SignedCheckpoints } from './signed-checkpoints.js';
import type { SigningKeys } from './signing-keys.js';
import { newestIn } from './witnesses.js';

export interface MissingParts {
  readonly store: Pick<EventStore, 'at'>;
  readonly tables: ProofTables;
  readonly keys: SigningKeys;
  readonly signed: SignedCheckpoints;
  readonly origin: string;
  readonly witnessFile?: string;
}

/** The log was put back to an earlier state, or is another one. Nothing may be added to it. */
export interface Missing {
  readonly code: 'log-shorter-than-checkpoint' | 'other-log';
  /** Leaves that the ledger has, of this log. */
  readonly has: number;
  /** The newest checkpoint that is known to cover more; undefined where the sealer alone knows. */
  readonly checkpoint?: Checkpoint;
}

/** Refusals of the sealer that say the same: it reads the whole log, where only its end is looked at here. */
const SAID_BY_SEALER: readonly RefusalCode[] = ['log-shorter-than-checkpoint', 'other-log'];

/**
 * What was signed and is not in the log any more, by what lies outside of the database: the memory beside the key and
 * the witness file. Undefined where nothing is missing. Takes a few reads, whatever the size of the log.
 *
 * Leaves are there before they are signed, and checkpoints are published after: where the tables know neither as many
 * leaves nor so large a checkpoint, they are of an earlier day. While tiles are made again the checkpoints are
 * there.
 */
export async function missing(parts: MissingParts): Promise<Missing | undefined> {
  const { store, tables, origin } = parts;
  const checkpoint = await newestSigned(parts);
  const { size, position, eventId, refusal } = await tables.progress();
  const has = Math.max(size, await tables.newestSize(origin));
  if (checkpoint !== undefined && checkpoint.size > has)
    return { code: 'log-shorter-than-checkpoint', has, checkpoint };
  if (size > 0) {
    const last = await store.at(position);
    // Bytes that say no id were changed, which is not the same: verify and the sealer tell of it.
    const id = last === undefined ? 'none' : (placedIn(last.bytes)?.id ?? eventId);
    if (id !== eventId) return { code: 'other-log', has: 0, checkpoint };
  }
  const code = SAID_BY_SEALER.find((one) => one === refusal?.code) as Missing['code'] | undefined;
  return code && { code, has, checkpoint };
}

/** Only what our keys have signed: nobody else can keep us from recording. */
async function newestSigned({
  keys,
  signed,
  origin,
  witnessFile,
}: MissingParts): Promise<Checkpoint | undefined> {
  await keys.refresh();
  const trusted = { origin, keys: keys.verifierKeys(origin) };
  const witnessed = witnessFile === undefined ? undefined : await newestIn(witnessFile);
  const notes = [...(await signed.all()).values(), ...(witnessed === undefined ? [] : [witnessed])];
  let newest: Checkpoint | undefined;
  for (const note of notes) {
    const opened = openCheckpoint(verifyEd25519, note, trusted);
    if ('checkpoint' in opened && opened.checkpoint.size > (newest?.size ?? 0))
      newest = opened.checkpoint;
  }
  return newest;
}
