import { setTimeout as sleep } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import type { EventId } from '#core/kernel/ids.js';
import { systemClock } from '#core/kernel/instant.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import { type EventStore, LedgerCorrupt, type StoredEvent } from '#core/ledger/port.js';
import { type Checkpoint, checkpointText, openCheckpoint } from './checkpoint.js';
import { equalBytes, hex } from './encoding.js';
import { edgeOf, grown } from './growth.js';
import { isOfOtherLog } from './known-checkpoints.js';
import {
  emptyRoot,
  Frontier,
  type Hash,
  hashesOver,
  leafHash,
  nodesOf,
  type ReadNodes,
} from './merkle.js';
import { sha256, verifyEd25519 } from './node-crypto.js';
import { formatNote, formatVerifierKey } from './note.js';
import { Patrol } from './patrol.js';
import { LeaseLost, type Progress, type ProofTables } from './postgres/proof-tables.js';
import { SealingRefused } from './refused.js';
import type { SignedCheckpoints } from './signed-checkpoints.js';
import type { SigningKeys } from './signing-keys.js';
import { nodesFromTiles, TILE_WIDTH, TileMissing } from './tiles.js';
import type { Witness } from './witnesses.js';

/** What the sealer tells whoever runs it. Nothing personal is in it. */
export type SealerNotice =
  | { readonly kind: 'took-over'; readonly size: number }
  | { readonly kind: 'key-made'; readonly verifierKey: string }
  | { readonly kind: 'sealed'; readonly size: number; readonly position: Position }
  | { readonly kind: 'refused'; readonly code: string; readonly reason: string }
  | { readonly kind: 'failed'; readonly error: unknown };

export interface SealerParts {
  readonly store: Pick<EventStore, 'readAll' | 'at' | 'head'>;
  readonly tables: ProofTables;
  readonly keys: SigningKeys;
  readonly signed: SignedCheckpoints;
  readonly witnesses: readonly Witness[];
  readonly origin: string;
  readonly report: (notice: SealerNotice) => void;
  /** Milliseconds between two looks at the log. */
  readonly every?: number;
  /** Milliseconds after which another process may take over from one that says nothing. */
  readonly leaseFor?: number;
}

export interface SealerStatus {
  /** Whether this process is the one that seals. */
  readonly holds: boolean;
  readonly refusal: { readonly code: string; readonly reason: string } | undefined;
  readonly size: number;
  readonly position: Position;
  /** How long ago everything that was recorded was sealed; 0 where another process seals. */
  readonly behindSeconds: number;
}

/** Leaves that are added in one transaction. */
const BATCH = 16 * TILE_WIDTH;
/** How often it is looked again whether what stands in the way is gone, in rounds. */
const RETRY_ROUNDS = 5;

const NOTHING_SEALED = { size: 0, position: START } as const;

/** What the sealer knows while it holds the lease. */
interface Held {
  readonly epoch: string;
  progress: Progress;
  /** What the newest checkpoint covers. */
  sealed: { readonly size: number; readonly position: Position };
  /** The second path: made of stored bytes alone, from what was signed last. */
  readonly frontier: Frontier;
  readonly patrol: Patrol;
}

/**
 * Seals the log: gives every event its leaf, in log order and once, and publishes a signed checkpoint
 * every few seconds while there is news. One process at a time, by a lease; what it writes is fenced.
 *
 * Before each signature the root is computed twice: over the tiles, as readers will see them, and over the
 * stored bytes, read again, on top of the frontier of what was signed last. Whatever is signed so extends
 * what was signed before. What is known outside of the database, beside the signing key and at witnesses
 * that can be read, has to be in the tree as well. Otherwise nothing is signed, loudly, and it is looked
 * again from the start every few rounds.
 */
export class Sealer {
  private readonly owner = randomUUID();
  private readonly stopping = new AbortController();
  private readonly readNodes: ReadNodes;
  private readonly every: number;
  private readonly leaseFor: number;
  private held: Held | undefined;
  private refusal: SealerStatus['refusal'];
  private caughtUpAt = performance.now();
  private askedAt = 0;
  private running: Promise<void> = Promise.resolve();

  constructor(private readonly parts: SealerParts) {
    this.every = parts.every ?? 2_000;
    this.leaseFor = parts.leaseFor ?? 30_000;
    this.readNodes = nodesFromTiles(sha256, parts.tables.readTiles);
  }

  start(): void {
    this.running = this.keepSealing();
  }

  /** Ends what is under way, and gives the lease back. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
    await this.parts.tables.release(this.owner).catch(() => undefined);
  }

  status(): SealerStatus {
    const { held, refusal } = this;
    const { size, position } = held?.sealed ?? NOTHING_SEALED;
    const behindSeconds = held || refusal ? (performance.now() - this.caughtUpAt) / 1_000 : 0;
    return { holds: held !== undefined, refusal, size, position, behindSeconds };
  }

  /**
   * One round: takes or renews the lease, adds what is new, seals it. False while another process holds
   * the lease. @throws SealingRefused
   */
  async round(): Promise<boolean> {
    try {
      const began = performance.now();
      const held = await this.hold();
      if (held === undefined) return false;
      await this.addLeaves(held);
      if (held.progress.size > held.sealed.size) await this.seal(held);
      await held.patrol.go(held.sealed.size);
      await this.clearRefusal(held);
      this.caughtUpAt = began;
      return true;
    } catch (error) {
      const refused = refusalIn(error);
      const epoch = this.held?.epoch;
      this.held = undefined;
      if (refused === undefined) throw error;
      this.refusal = { code: refused.code, reason: refused.reason };
      await this.tellOthers(epoch);
      throw refused;
    }
  }

  /** What other processes see of it. That they can not be told must not hide what is to be told. */
  private async tellOthers(epoch: string | undefined): Promise<void> {
    if (epoch === undefined || this.refusal === undefined) return;
    const refusal = { ...this.refusal, at: systemClock.now() };
    await this.parts.tables
      .setRefusal(epoch, refusal)
      .catch((error: unknown) => this.parts.report({ kind: 'failed', error }));
  }

  private async keepSealing(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      let rounds = 1;
      try {
        await this.round();
      } catch (error) {
        if (error instanceof SealingRefused) {
          rounds = RETRY_ROUNDS;
          this.parts.report({ kind: 'refused', code: error.code, reason: error.reason });
        } else if (!(error instanceof LeaseLost)) {
          this.parts.report({ kind: 'failed', error });
        }
      }
      await sleep(this.every * rounds, undefined, { signal }).catch(() => undefined);
    }
  }

  private async clearRefusal(held: Held): Promise<void> {
    this.refusal = undefined;
    if (held.progress.refusal === undefined) return;
    await this.parts.tables.setRefusal(held.epoch, undefined);
    held.progress = { ...held.progress, refusal: undefined };
  }

  /** What this process knows while the lease is its own; undefined while it is another's. */
  private async hold(): Promise<Held | undefined> {
    const progress = await this.acquire();
    if (progress === undefined) {
      this.held = undefined;
      this.refusal = undefined;
      return undefined;
    }
    const { held } = this;
    const unchanged = held?.epoch === progress.epoch && held.progress.size === progress.size;
    if (!unchanged) this.held = await this.takeOver(progress);
    return this.held;
  }

  private async acquire(): Promise<Progress | undefined> {
    this.askedAt = performance.now();
    return this.parts.tables.acquire(this.owner, this.leaseFor);
  }

  /** In the middle of long work: more time. Throws LeaseLost. */
  private async stayHeld(held: Held): Promise<void> {
    if (this.stopping.signal.aborted) throw new LeaseLost();
    if (performance.now() - this.askedAt < this.leaseFor / 3) return;
    const progress = await this.acquire();
    if (progress?.epoch !== held.epoch) throw new LeaseLost();
  }

  /** Whether the tables are of this log, and everything that is known to be signed is in the tree. */
  private async takeOver(progress: Progress): Promise<Held> {
    const { keys, report } = this.parts;
    const held: Held = {
      epoch: progress.epoch,
      progress,
      sealed: NOTHING_SEALED,
      frontier: new Frontier(sha256),
      patrol: new Patrol(this.parts),
    };
    // So that a refusal is seen by others as well.
    this.held = held;
    await this.assertSameLog(progress);
    await keys.refresh();
    const known = await this.knownOutside();
    if (keys.living(this.parts.origin).length === 0) await this.firstKey(known.length > 0);
    await this.addLeaves(held);
    let newest: { size: number; note: string } | undefined;
    for (const note of known) {
      const { size } = await this.mustExtend(held.progress.size, note);
      if (size > (newest?.size ?? 0)) newest = { size, note };
    }
    if (newest !== undefined) held.sealed = await this.publishedAlready(held, newest);
    const note = newest?.note ?? this.signedOver({ size: 0, root: emptyRoot(sha256) });
    await Promise.all(this.parts.witnesses.map((witness) => witness.ask(note)));
    const frontier = await this.frontierAt(held.sealed.size);
    report({ kind: 'took-over', size: held.sealed.size });
    return { ...held, frontier };
  }

  /** What was signed before a crash, and perhaps not published any more. */
  private async publishedAlready(
    held: Held,
    { size, note }: { size: number; note: string },
  ): Promise<Held['sealed']> {
    const { tables, origin } = this.parts;
    const position = await tables.originOf(size - 1);
    if (position === undefined)
      throw new SealingRefused('tiles-damaged', `it is not known where leaf ${size - 1} came from`);
    if ((await tables.newest(origin))?.size !== size)
      await tables.publish(held.epoch, { origin, size, note, position });
    return { size, position };
  }

  private async assertSameLog({ size, position, eventId }: Progress): Promise<void> {
    if (size === 0) return;
    const found = await this.parts.store.at(position);
    const id = found && idIn(found);
    if (id !== eventId)
      throw new SealingRefused(
        'other-log',
        `leaf ${size - 1} came from ${eventId} at position ${position}, where the log has ${id ?? 'nothing'}`,
      );
  }

  private async firstKey(wereSigned: boolean): Promise<void> {
    const { keys, origin, report, tables } = this.parts;
    if (wereSigned || keys.verifierKeys(origin).length > 0)
      throw new SealingRefused(
        'no-signing-key',
        `checkpoints of ${origin} were signed with a key that is not there`,
      );
    const verifierKey = formatVerifierKey(await keys.add(origin, systemClock.now()));
    await tables.addKeys(origin, keys.known(origin));
    report({ kind: 'key-made', verifierKey });
  }

  /** Every note that may have been seen by somebody. */
  private async knownOutside(): Promise<readonly string[]> {
    const { tables, signed, witnesses, origin } = this.parts;
    const newest = await tables.newest(origin);
    const kept = await Promise.all(witnesses.map((witness) => witness.newest()));
    const beside = [...(await signed.all()).values()];
    return [newest?.note, ...kept, ...beside]
      .filter((note) => note !== undefined)
      .filter((note) => !isOfOtherLog(note, origin));
  }

  /** The checkpoint in the note, which our keys have signed and the tree of that size extends. */
  private async mustExtend(size: number, note: string): Promise<Checkpoint> {
    const { keys, origin } = this.parts;
    const trusted = { origin, keys: keys.verifierKeys(origin) };
    const opened = openCheckpoint(verifyEd25519, note, trusted);
    if ('flaw' in opened)
      throw new SealingRefused('checkpoint-not-ours', `a known checkpoint: ${opened.flaw}`);
    const { checkpoint } = opened;
    if (checkpoint.size > size)
      throw new SealingRefused(
        'log-shorter-than-checkpoint',
        `size ${checkpoint.size} was signed, and the log has ${size} events`,
      );
    const root = await this.rootAt(checkpoint.size);
    if (!equalBytes(root, checkpoint.root))
      throw new SealingRefused(
        'checkpoint-differs',
        `size ${checkpoint.size} was signed with root ${hex(checkpoint.root)}, the tree has ${hex(root)}`,
      );
    return checkpoint;
  }

  /** The first path: over the tiles as they are stored. */
  private async rootAt(size: number): Promise<Hash> {
    if (size === 0) return emptyRoot(sha256);
    const [root] = await hashesOver(sha256, [{ start: 0, end: size }], this.readNodes);
    return root as Hash;
  }

  /** That of a root that was found to be the signed one: there is only one frontier that leads to it. */
  private async frontierAt(size: number): Promise<Frontier> {
    const hashes = await this.readNodes(nodesOf({ start: 0, end: size }));
    return Frontier.at(sha256, size, hashes);
  }

  /** Gives leaves to all events that have none. */
  private async addLeaves(held: Held): Promise<void> {
    const { store, tables } = this.parts;
    for (;;) {
      await this.stayHeld(held);
      const { position, size } = held.progress;
      const { events } = await store.readAll(position, { limit: BATCH });
      const last = events.at(-1);
      if (last === undefined) break;
      const edge = await tables.readTiles(edgeOf(size));
      const leaves = events.map(({ bytes }) => leafHash(sha256, bytes));
      held.progress = await tables.grow(held.progress, {
        size: size + events.length,
        position: last.position,
        eventId: idIn(last),
        tiles: grown(sha256, size, edge, leaves),
        origins: await this.originsWith(size, events),
      });
    }
    const head = await store.head();
    if (comparePositions(head?.position ?? START, held.progress.position) < 0)
      throw new SealingRefused(
        'log-shorter-than-checkpoint',
        `leaf ${held.progress.size - 1} came from position ${held.progress.position}, the log ends at ${head?.position ?? START}`,
      );
  }

  private async originsWith(size: number, events: readonly StoredEvent[]) {
    const first = Math.floor(size / TILE_WIDTH);
    const before = (await this.parts.tables.origins(first)).slice(0, size % TILE_WIDTH);
    const positions = [...before, ...events.map(({ position }) => position)];
    return Array.from({ length: Math.ceil(positions.length / TILE_WIDTH) }, (_, at) => ({
      bundle: first + at,
      positions: positions.slice(at * TILE_WIDTH, (at + 1) * TILE_WIDTH),
    }));
  }

  private async seal(held: Held): Promise<void> {
    const { keys, origin, report, signed, tables, witnesses } = this.parts;
    const { size, position } = held.progress;
    const fromBytes = await this.secondPath(held);
    const root = await this.rootAt(size);
    if (!equalBytes(root, fromBytes))
      throw new SealingRefused(
        'paths-differ',
        `at size ${size} the tiles lead to root ${hex(root)}, the stored bytes to ${hex(fromBytes)}`,
      );
    await keys.refresh();
    await this.mustExtendAll(held);
    this.mustLead(held);
    const note = this.signedOver({ size, root });
    // Beside the key first: a checkpoint that somebody has seen must be known there.
    await signed.add(size, note);
    await this.mustExtendAll(held);
    await tables.addKeys(origin, keys.known(origin));
    const published = await tables.publish(held.epoch, { origin, size, note, position });
    held.sealed = { size, position };
    await signed.forgetBefore(size);
    for (const witness of witnesses) witness.offer(published);
    report({ kind: 'sealed', size, position });
  }

  /** The checkpoint as a note. That of an empty tree may always be signed: every tree extends it. */
  private signedOver({ size, root }: Pick<Checkpoint, 'size' | 'root'>): string {
    const { keys, origin } = this.parts;
    const text = checkpointText({ origin, size, root });
    const signatures = keys.sign(origin, text);
    if (signatures.length === 0)
      throw new SealingRefused('no-signing-key', `there is no key of ${origin} that signs`);
    return formatNote({ text, signatures });
  }

  /** No witness has seen a checkpoint that is not known here: what it covered can not be compared, or is lost. */
  private mustLead({ sealed }: Held): void {
    for (const witness of this.parts.witnesses)
      if (witness.seen() > sealed.size)
        throw new SealingRefused(
          'witness-ahead',
          `witness ${witness.name} has seen size ${witness.seen()}, the newest checkpoint known here is of size ${sealed.size}`,
        );
  }

  /** Everything that was signed under this key, here or elsewhere, is in the tree. */
  private async mustExtendAll(held: Held): Promise<void> {
    for (const note of (await this.parts.signed.all()).values())
      await this.mustExtend(held.progress.size, note);
  }

  /** The root from the stored bytes of everything new, read once more. */
  private async secondPath(held: Held): Promise<Hash> {
    const { progress, sealed } = held;
    const frontier = held.frontier;
    let after = sealed.position;
    while (frontier.size < progress.size) {
      await this.stayHeld(held);
      const limit = Math.min(BATCH, progress.size - frontier.size);
      const { events } = await this.parts.store.readAll(after, { limit });
      const last = events.at(-1);
      if (last === undefined)
        throw new SealingRefused(
          'paths-differ',
          `the tiles have ${progress.size} leaves, the log ${frontier.size} events up to position ${after}`,
        );
      for (const { bytes } of events) frontier.append(leafHash(sha256, bytes));
      after = last.position;
    }
    if (after !== progress.position)
      throw new SealingRefused(
        'paths-differ',
        `leaf ${progress.size - 1} came from position ${progress.position}, and is now at ${after}`,
      );
    return frontier.root();
  }
}

/** The refusal that an error amounts to; undefined where the same may succeed later. */
function refusalIn(error: unknown): SealingRefused | undefined {
  if (error instanceof SealingRefused) return error;
  if (error instanceof TileMissing) return new SealingRefused('tiles-damaged', error.message);
  if (error instanceof LedgerCorrupt) return new SealingRefused('ledger-corrupt', error.message);
  return undefined;
}

/** The id in an event's bytes. */
function idIn({ bytes, position }: StoredEvent): EventId {
  try {
    return (JSON.parse(Buffer.from(bytes).toString('utf8')) as { id: EventId }).id;
  } catch {
    throw new LedgerCorrupt(position, 'is not JSON');
  }
}
