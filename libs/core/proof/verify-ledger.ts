import { type Position, START } from '#core/kernel/position.js';
import type { EventStore, StoredEvent } from '#core/ledger/port.js';
import { type KnownFrom, sizeIn } from './known-checkpoints.js';
import type { VerifierKey } from './note.js';
import type { ProofTables } from './postgres/proof-tables.js';
import type { SignedCheckpoints } from './signed-checkpoints.js';
import { type Verified, verify, type VerifyParts } from './verify.js';
import type { LookedAt } from './vouched-page.js';
import { newestIn, witnessedNotes } from './witnesses.js';

export interface LedgerToVerify<E extends StoredEvent = StoredEvent> {
  readonly store: Pick<EventStore, 'head'>;
  readonly log: VerifyParts<E>['store'];
  readonly tables: ProofTables;
  readonly signed: SignedCheckpoints;
  readonly trusted: { readonly origin: string; readonly keys: readonly VerifierKey[] };
  /** What was written at a second place; see `witnessFile`. */
  readonly witnessFile?: string;
  readonly flawOf: VerifyParts<E>['flawOf'];
  readonly flawBeside?: VerifyParts<E>['flawBeside'];
  /** The log up to there, see `VerifyParts`. */
  readonly lookedAt?: (head: Position) => AsyncIterable<LookedAt>;
  readonly passed?: VerifyParts<E>['passed'];
  readonly progress?: (events: number) => void;
}

/**
 * `verify` over a ledger, also one that is recording and sealing meanwhile: what is known of it is looked up
 * before its end is, and nothing behind either is held against the other.
 */
export async function verifyLedger<E extends StoredEvent>(
  ledger: LedgerToVerify<E>,
): Promise<Verified> {
  const { store, log, tables, signed, trusted, witnessFile, lookedAt, ...looking } = ledger;
  const { origin } = trusted;
  const remembered = [...(await signed.all()).values()].flatMap((note) => sized(note, origin));
  const witnessed = witnessFile === undefined ? undefined : await newestIn(witnessFile);
  const newest = await tables.newestSize(origin);
  const { size: leaves } = await tables.progress();
  const head = (await store.head())?.position ?? START;
  const known: KnownFrom[] = [
    { from: 'ledger', upTo: newest, checkpoints: tables.checkpoints(origin) },
    { from: 'memory beside the key', upTo: Infinity, checkpoints: iterated(remembered) },
  ];
  if (witnessFile !== undefined && witnessed !== undefined)
    known.push({
      from: 'witness',
      upTo: sizeIn(witnessed, origin) ?? 0,
      checkpoints: witnessedCheckpoints(witnessFile, origin),
    });
  const { flawOf, flawBeside, passed, progress } = looking;
  return verify({
    store: log,
    tables,
    leaves,
    head,
    trusted,
    known,
    flawOf,
    flawBeside,
    lookedAt: lookedAt?.(head),
    passed,
    progress,
  });
}

async function* witnessedCheckpoints(path: string, origin: string) {
  for await (const note of witnessedNotes(path)) yield* sized(note, origin);
}

/** Those of other logs are not ours to verify. */
function sized(note: string, origin: string): { size: number; note: string }[] {
  const size = sizeIn(note, origin);
  return size === undefined ? [] : [{ size, note }];
}

async function* iterated<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
