import { setTimeout as sleep } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { joinCatalogues } from '#core/kernel/catalogue.js';
import type { Position } from '#core/kernel/position.js';
import { Codec } from '#core/ledger/codec.js';
import { ledgerIdOf } from '#core/ledger/created.js';
import { type Compared, compareLogs, copyLog } from '#core/ledger/copy-log.js';
import type { StoredEvents } from '#core/ledger/copying.js';
import { Ledger } from '#core/ledger/ledger.js';
import { ledgerEvents, type LogStore } from '#core/ledger/ledger.events.js';
import { MovedStore, positionsFrom } from '#core/ledger/moved-store.js';
import { originOf, recordMove } from '#core/ledger/origin.js';
import type { EventStore } from '#core/ledger/port.js';
import {
  allowAppends,
  beginMove,
  compareAnew,
  earlierPositions,
  keepPage,
  lastMove,
  ledgerSessions,
  type Move,
  setMoveState,
} from '#core/ledger/postgres/moves.js';
import { startOver } from '#core/projector/start-over.js';
import { ProofTables } from '#core/proof/postgres/proof-tables.js';

/** The log can not be moved, or served, as things are; the message says what is in the way. */
export class CanNotMove extends Error {
  override readonly name = 'CanNotMove';
}

/** A store that the log may lie in. */
export interface Place {
  readonly kind: LogStore;
  readonly store: EventStore;
}

/** What is opened only once the service is seen to have stopped, and closed in the end. */
export interface MoveEnd {
  readonly kind: LogStore;
  open(): Promise<EventStore>;
}

export interface MoveTarget extends MoveEnd {
  writer(): Promise<StoredEvents>;
}

export interface MoveOptions {
  /** Ends the service in the source: nothing is appended there any more, and the target takes its place. */
  readonly final?: boolean;
  /** Compares from the first event, also what an earlier run found to be the same. */
  readonly compareAnew?: boolean;
  readonly onProgress?: (phase: 'copying' | 'comparing', events: number) => void;
}

export interface MoveReport {
  readonly era: number;
  /** Events that this run copied. */
  readonly copied: number;
  /** Events that are the same in both stores, and the digest over their bytes (see `compareLogs`). */
  readonly events: number;
  readonly digest: string;
  /** Up to where in the source, in the positions that it gives out. */
  readonly upTo: Position;
  readonly state: Move['state'];
}

/**
 * Copies a log to another store, or goes on with that, and compares every event. While the service runs it
 * brings the target to where the source ended; `final` is for when the service has stopped. May be killed
 * and repeated at any moment. `db` is the owner's, on the database of the read models.
 * @throws CanNotMove, NotACopy, CopyDiffers
 */
export async function moveLog(
  db: Kysely<unknown>,
  source: MoveEnd,
  target: MoveTarget,
  options: MoveOptions = {},
): Promise<MoveReport> {
  const last = await lastMove(db);
  if (options.final && last?.state === 'moved' && isBetween(last, source, target))
    return reportOf(last, 0);
  mustLieIn(source.kind, last, target.kind);
  if (options.final) await mustHaveStopped(db);
  const opened: { close(): Promise<void> }[] = [];
  const kept = async <T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T> => {
    const one = await opening;
    opened.push(one);
    return one;
  };
  try {
    const from = { kind: source.kind, store: await kept(source.open()) };
    const to = { kind: target.kind, store: await kept(target.open()) };
    return await new Moving(db, from, to, await kept(target.writer()), options).run(last);
  } finally {
    await Promise.all(opened.map((one) => one.close()));
  }
}

function isBetween(move: Move, source: MoveEnd, target: MoveEnd): boolean {
  return move.source === source.kind && move.target === target.kind;
}

function reportOf({ era, state, compared }: Move, copied: number): MoveReport {
  const { events, digest, source: upTo } = compared;
  return { era, copied, events, digest: digest.toString('hex'), upTo, state };
}

/** One run of a move, with both stores open. */
class Moving {
  constructor(
    private readonly db: Kysely<unknown>,
    private readonly source: Place,
    private readonly target: Place,
    private readonly writer: StoredEvents,
    private readonly options: MoveOptions,
  ) {}

  async run(last: Move | undefined): Promise<MoveReport> {
    const { db, target, options } = this;
    const { final = false } = options;
    const source = await understanding(db, this.source.store);
    const move = await this.begun(source, last);
    const arrived = (await originOf(originLedger(target.store))).era >= move.era;
    // It was said after the move was given up, by a call whose answer nobody had waited for any more.
    if (arrived && move.state === 'copying')
      throw new CanNotMove(
        `the log in ${target.kind} says that it has taken over, and ${this.source.kind} went on: copy to an empty place, with --compare-all`,
      );
    if (final) await this.endService(move);
    // A final copy may have been broken off when there was nothing left but to say that it is done.
    const copied = arrived ? 0 : await this.copy(source);
    const compared = arrived ? move.compared : await this.compare(source, move);
    if (final) await this.finish(move, compared);
    return reportOf({ ...move, compared, state: final ? 'moved' : move.state }, copied);
  }

  /** The move under way, or a new one. */
  private async begun(source: EventStore, last: Move | undefined): Promise<Move> {
    const { db, target } = this;
    const { kind } = this.source;
    const ledgerId = await ledgerIdOf(originLedger(source));
    if (ledgerId === undefined) throw new CanNotMove(`there is no log in ${kind}`);
    if (last !== undefined && last.ledgerId !== ledgerId)
      throw new CanNotMove(`the database knows of moves of ${last.ledgerId}; this is ${ledgerId}`);
    if (last !== undefined && last.state !== 'moved') return last;
    // What was left behind by an earlier move is a beginning of the log, which copying goes on from.
    if (last === undefined && (await target.store.head()) !== undefined)
      throw new CanNotMove(`${target.kind} holds events, and no copy of this log was begun there`);
    return beginMove(db, {
      era: (last?.era ?? 0) + 1,
      ledgerId,
      source: kind,
      target: target.kind,
    });
  }

  /** From here on nobody may serve, and where the source can, it takes no more. */
  private async endService({ era, source }: Move): Promise<void> {
    await setMoveState(this.db, era, 'closing');
    if (source === 'postgres') await allowAppends(this.db, false);
  }

  private copy(source: EventStore): Promise<number> {
    const { onProgress } = this.options;
    return copyLog(source, this.target.store, this.writer, {
      onProgress: (events) => onProgress?.('copying', events),
    });
  }

  private async compare(source: EventStore, { era, ...move }: Move): Promise<Compared> {
    const { db, target, options } = this;
    let compared = options.compareAnew ? await compareAnew(db, era) : move.compared;
    for await (const page of compareLogs(source, target.store, compared)) {
      await keepPage(db, era, page);
      ({ compared } = page);
      options.onProgress?.('comparing', compared.events);
    }
    const head = await source.head();
    if (options.final && head?.position !== compared.source)
      throw new CanNotMove(
        `the source went on to ${head?.position} while it was copied up to ${compared.source}: something still appends to it`,
      );
    return compared;
  }

  private async finish({ era, source }: Move, { events, digest }: Compared): Promise<void> {
    const { db, target } = this;
    // An earlier move may have closed it; nobody but us is there.
    if (target.kind === 'postgres') await allowAppends(db, true);
    await recordMove(originLedger(target.store), {
      era,
      from: source,
      to: target.kind,
      events,
      digest: digest.toString('hex'),
      positionsFrom: positionsFrom(era),
    });
    await startOver(db);
    await new ProofTables(db).startOver();
    await setMoveState(db, era, 'moved');
  }
}

/**
 * Lets the service go on where it is, after a final copy that did not come to its end. What was copied stays,
 * and the next run goes on from there.
 * @throws CanNotMove where no final copy is under way, or the target has taken over
 */
export async function giveUpMove(db: Kysely<unknown>, target: EventStore): Promise<void> {
  const move = await lastMove(db);
  if (move?.state !== 'closing') throw new CanNotMove('no final copy is under way');
  if ((await originOf(originLedger(target))).era >= move.era)
    throw new CanNotMove(`${move.target} has taken over already: finish the final copy`);
  if (move.source === 'postgres') await allowAppends(db, true);
  await setMoveState(db, move.era, 'copying');
}

/**
 * The store as the ledger uses it: where the log was moved here, positions from before are understood.
 * @throws CanNotMove where the log lies in another store, or what is known of its moves does not fit it
 */
export async function openMoved(db: Kysely<unknown>, { kind, store }: Place): Promise<EventStore> {
  const move = await lastMove(db);
  mustLieIn(kind, move);
  if (move?.state === 'closing')
    throw new CanNotMove(
      `the log is being moved from ${move.source} to ${move.target}: finish that with ledgerctl copy --final, or give it up with ledgerctl copy --give-up`,
    );
  const era = move === undefined ? 0 : move.state === 'moved' ? move.era : move.era - 1;
  const said = (await originOf(originLedger(store))).era;
  if (said !== era)
    throw new CanNotMove(
      `the log says that it was moved ${said} times, the database knows of ${era}: one of them is of another day, or of another ledger`,
    );
  return understanding(db, store);
}

function mustLieIn(kind: LogStore, move: Move | undefined, target?: LogStore): void {
  if (move === undefined) return;
  const place = move.state === 'moved' ? move.target : move.source;
  if (place !== kind) throw new CanNotMove(`the log lies in ${place}, not in ${kind}`);
  if (target !== undefined && move.state !== 'moved' && move.target !== target)
    throw new CanNotMove(`a move to ${move.target} is under way`);
}

/** Milliseconds that sessions of a process that was just stopped may take to end, and between looks. */
const [LINGERING, LOOK_AGAIN] = [3_000, 100];

async function mustHaveStopped(db: Kysely<unknown>): Promise<void> {
  const until = performance.now() + LINGERING;
  let sessions = await ledgerSessions(db);
  while (sessions.length > 0 && performance.now() < until) {
    await sleep(LOOK_AGAIN);
    sessions = await ledgerSessions(db);
  }
  if (sessions.length === 0) return;
  throw new CanNotMove(
    `the service must be stopped for the final copy; still connected: ${sessions.join(', ')}`,
  );
}

/** The store with the positions of before, where the log was moved there. */
async function understanding(db: Kysely<unknown>, store: EventStore): Promise<EventStore> {
  const { era, positionsFrom: from } = await originOf(originLedger(store));
  return era === 0 ? store : new MovedStore(store, from, earlierPositions(db, era));
}

/** A ledger of the log's own events, which hold nothing personal: no vault is asked. */
function originLedger(store: EventStore): Ledger {
  const noVault = (): never => {
    throw new Error('the log’s own events hold nothing that is sealed');
  };
  const vault = { keysFor: noVault, open: noVault };
  return new Ledger(store, new Codec(joinCatalogues(ledgerEvents), vault));
}
