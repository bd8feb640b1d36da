import { availableParallelism } from 'node:os';
import { comparePositions, type Position } from '#core/kernel/position.js';
import type { Recorded } from '#core/kernel/event.js';
import { CannotDecode, Codec } from '#core/ledger/codec.js';
import type { Ledger } from '#core/ledger/ledger.js';
import { type LedgerMoved, type LogStore, ORIGIN } from '#core/ledger/ledger.events.js';
import { originOf } from '#core/ledger/origin.js';
import type { StoredEvent } from '#core/ledger/port.js';
import { flawOfColumns, ReadWithColumns } from '#core/ledger/postgres/columns.js';
import type { Config } from '#core/platform/config.js';
import { sha256 } from '#core/proof/node-crypto.js';
import { parseVerifierKey, type VerifierKey } from '#core/proof/note.js';
import type { Fault, Verified } from '#core/proof/verify.js';
import { verifyLedger } from '#core/proof/verify-ledger.js';
import type { Runtime } from '#core/runtime/runtime.js';
import { VerifyWorkers } from '#core/runtime/verify-workers.js';
import { EXIT, type Output } from './output.js';
import { onStore } from './store.js';

export interface VerifyOptions {
  /** Checkpoints that were kept elsewhere. */
  readonly witness?: string;
  /** Verifier keys to trust instead of those in the key file. */
  readonly key?: readonly string[];
}

/** Each has a session of the database, which works as much as it does. */
const MOST_WORKERS = 4;

/**
 * Every event by itself and in its order, the tree over the stored bytes, and every checkpoint that anybody
 * has kept. Nothing in the proof's own tables is believed.
 */
export async function verifyLog(
  config: Config,
  options: VerifyOptions,
  out: Output,
): Promise<number> {
  if (config.eventStore === 'kurrentdb')
    return onStore(config, (runtime) => verifyOpened(runtime, options, out));
  // They start while the store is opened.
  const workers = new VerifyWorkers(
    new URL('./verify-worker.js', import.meta.url),
    Math.min(availableParallelism(), MOST_WORKERS),
  );
  try {
    return await onStore(config, (runtime) => verifyOpened(runtime, options, out, workers));
  } finally {
    await workers.close();
  }
}

/** `workers`: for a log in PostgreSQL. */
async function verifyOpened(
  { config, proof, store, ledger, vault, eventCatalogue, pool, databaseUrl }: Runtime,
  options: VerifyOptions,
  out: Output,
  workers?: VerifyWorkers,
): Promise<number> {
  const keys = trustedKeys(proof, options);
  if (typeof keys === 'string') {
    out.note(keys);
    return EXIT.usage;
  }
  const began = performance.now();
  const { tables, signed, origin } = proof;
  const recordedIn = await recordedInOf(ledger, config.eventStore);
  const order = new Order(new Codec(eventCatalogue, vault), recordedIn);
  const { positionsFrom } = await originOf(ledger);
  const verifying = {
    store,
    tables,
    signed,
    trusted: { origin, keys },
    witnessFile: options.witness ?? config.witnessFile,
    flawOf: (event: StoredEvent) => order.flawOf(event),
    progress: (events: number) => out.progress(`${events} events hold`),
  };
  const verified = workers
    ? await verifyLedger({
        ...verifying,
        log: new ReadWithColumns(pool, positionsFrom),
        flawBeside: flawOfColumns,
        lookedAt: (head) => workers.pages({ databaseUrl, positionsFrom, head }),
        passed: (last) => order.passed(last),
      })
    : await verifyLedger({ ...verifying, log: store });
  const { fault } = verified;
  const seconds = (performance.now() - began) / 1_000;
  out.result(
    { ok: fault === undefined, origin, ...verified, seconds },
    fault === undefined ? holds(verified) : broken(fault),
  );
  return fault ? EXIT.findings : EXIT.ok;
}

function trustedKeys(
  { keys, origin }: Runtime['proof'],
  { key }: VerifyOptions,
): readonly VerifierKey[] | string {
  if (key === undefined) return keys.verifierKeys(origin);
  const parsed = key.map((text) => parseVerifierKey(sha256, text));
  const bad = parsed.indexOf(undefined);
  return bad < 0 ? (parsed as VerifierKey[]) : `${key[bad]} is no verifier key of an Ed25519 key`;
}

function holds({ events, sealed, checkpoints, streams }: Verified): string {
  const open = events - sealed;
  return (
    `${events} events in ${streams} streams hold; ${checkpoints} checkpoints hold and cover ${sealed} of them` +
    (open === 0 ? '' : `; ${open} are not sealed yet`)
  );
}

function broken({ code, position, upTo, reason }: Fault): string {
  const where =
    upTo === undefined || upTo === position
      ? `position ${position} does not hold`
      : `something from position ${position} to ${upTo} does not hold`;
  return `${where}: ${code}: ${reason}`;
}

/** The store that recorded what lies at a position: the one before the first move that came later. */
type RecordedIn = (position: Position) => LogStore;

async function recordedInOf(ledger: Ledger, store: LogStore): Promise<RecordedIn> {
  const moves = (await ledger.read(ORIGIN)).filter(
    (event): event is Recorded<LedgerMoved> => event.type === MOVED,
  );
  return (position) =>
    moves.find((move) => comparePositions(position, move.position) < 0)?.data.from ?? store;
}

const MOVED: LedgerMoved['type'] = 'LedgerMoved';

/** What can be told of events without any proof: each can be read, and was recorded after those before it. */
class Order {
  private last: Pick<Recorded, 'position' | 'recordedAt'> | undefined;

  constructor(
    private readonly codec: Codec,
    private readonly recordedIn: RecordedIn,
  ) {}

  /** Somebody else has looked at all up to this one. */
  passed(last: Pick<Recorded, 'position' | 'recordedAt'>): void {
    this.last = last;
  }

  flawOf(stored: StoredEvent): string | undefined {
    let event: Recorded;
    try {
      event = this.codec.decode(stored);
    } catch (error) {
      if (error instanceof CannotDecode) return error.reason;
      throw error;
    }
    const { last } = this;
    if (last && comparePositions(event.position, last.position) <= 0) return 'is out of order';
    // Elsewhere events carry their writers' clocks, and the ledger's time is the latest along the log.
    const inOrder = this.recordedIn(event.position) === 'postgres';
    if (inOrder && last && event.recordedAt < last.recordedAt)
      return 'has a recordedAt before that of the one before it';
    this.last = event;
    return undefined;
  }
}
