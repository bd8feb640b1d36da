import { comparePositions, type Position, START } from '#core/kernel/position.js';
import { LedgerCorrupt, type StoredEvent } from '#core/ledger/port.js';
import { type Checkpoint, openCheckpoint } from './checkpoint.js';
import { type KnownCheckpoint, type KnownFrom, merged } from './known-checkpoints.js';
import { equalBytes, hex } from './encoding.js';
import { originAt, POSITION_BYTES } from './leaf-origins.js';
import { Frontier, type Hash, HASH_BYTES, leafHash, splitHashes } from './merkle.js';
import { sha256, verifyEd25519 } from './node-crypto.js';
import type { VerifierKey } from './note.js';
import type { ProofTables } from './postgres/proof-tables.js';
import { type OutOfOrder, StreamOrder } from './stream-order.js';
import { RUN_BYTES } from './stream-runs.js';
import { TILE_HEIGHT, TILE_WIDTH, tileName } from './tiles.js';
import { type LookedAt, PAGE_EVENTS, type VouchedPage } from './vouched-page.js';

/** What does not hold. */
export type FaultCode =
  /** The bytes at the position are not those that were sealed there. */
  | 'event-changed'
  /** The event of the position is not there. */
  | 'event-missing'
  /** The event contradicts itself or those before it. */
  | 'event-inconsistent'
  /** What the store keeps beside the event's bytes says otherwise than they do. */
  | 'column-changed'
  /** Between two checkpoints something was changed together with its leaves: where exactly can not be told. */
  | 'range-changed'
  /** A stored or witnessed checkpoint is not signed, or is not what its place says. */
  | 'checkpoint-invalid'
  /** A witness has a checkpoint that the ledger no longer has. */
  | 'checkpoint-missing'
  /** The events lead to what was signed, the stored tiles do not. */
  | 'tile-changed'
  /** The tables say of a leaf that it came from elsewhere. */
  | 'leaf-origin-changed';

export interface Fault {
  readonly code: FaultCode;
  /** The first position that does not hold. */
  readonly position: Position;
  /** Where the fault lies at or before this one. */
  readonly upTo?: Position;
  readonly reason: string;
}

export interface Verified {
  /** Read, up to the fault where there is one. */
  readonly events: number;
  /** Leaves that checkpoints were found to cover. */
  readonly sealed: number;
  readonly checkpoints: number;
  readonly streams: number;
  readonly fault?: Fault;
}

/** The log, or what else is known of its events. */
export interface ReadableLog<E extends StoredEvent> {
  /** As `readAll` of the port. */
  readAll(
    after: Position,
    options: { readonly limit: number },
  ): Promise<{ readonly events: readonly E[] }>;
}

export interface VerifyParts<E extends StoredEvent = StoredEvent> {
  readonly store: ReadableLog<E>;
  readonly tables: Pick<ProofTables, 'readTiles' | 'originsOf'>;
  /** Leaves that the tables say to have. */
  readonly leaves: number;
  /** Where the log ended when all that is known of it had been looked up; nothing behind is read. */
  readonly head: Position;
  readonly trusted: { readonly origin: string; readonly keys: readonly VerifierKey[] };
  readonly known: readonly KnownFrom[];
  /** What is wrong with an event by itself, or after those before it; in words. */
  readonly flawOf: (event: E) => string | undefined;
  /** What the store says of an event beside its bytes and otherwise than they; in words. */
  readonly flawBeside?: (event: E) => string | undefined;
  /**
   * The log from its beginning to `head`, as others have looked at it. Of what they vouch for the tree, the tables, the
   * checkpoints and the order of streams are looked at here as ever. Wherever anything does not hold, the events
   * themselves are read.
   */
  readonly lookedAt?: AsyncIterable<LookedAt>;
  /** Told of the last event of each page that was vouched for: `flawOf` is asked next of one behind it. */
  readonly passed?: (last: VouchedPage['last']) => void;
  readonly progress?: (events: number) => void;
}

/** Something in the tables is not as the events say, and the next checkpoint tells which of them is right. */
interface Suspicion {
  readonly index: number;
  readonly position: Position;
  readonly reason: string;
  /** What is wrong if the events turn out to be those that were sealed. */
  readonly otherwise: 'tile-changed' | 'leaf-origin-changed';
  /** The tree over the leaves of the tables from there on; undefined where they lack one. */
  leaves: Frontier | undefined;
}

/**
 * Rebuilds the tree from the stored bytes and compares every checkpoint with it that anybody knows of. The
 * tables of the proof are not believed: they only tell where exactly, once a signed root has told that.
 * Ends with the first thing that does not hold. In flat memory, whatever the size of the log.
 */
export async function verify<E extends StoredEvent>(parts: VerifyParts<E>): Promise<Verified> {
  const order = new StreamOrder();
  const verifier = new Verifier(parts, order);
  try {
    const found = await verifier.run().catch((error: unknown) => {
      if (error instanceof Found) return error.fault;
      throw error;
    });
    const { streams, first } = order.look();
    const fault = first && comesFirst(first.position, found) ? inconsistent(first) : found;
    return { ...verifier.counts(), streams, ...(fault ? { fault } : {}) };
  } finally {
    order.close();
  }
}

/** Whether it tells more of where the fault is than what was found otherwise. */
function comesFirst(position: Position, found: Fault | undefined): boolean {
  if (found === undefined) return true;
  return found.upTo === undefined
    ? comparePositions(position, found.position) < 0
    : comparePositions(position, found.upTo) <= 0;
}

function inconsistent({ position, reason }: OutOfOrder): Fault {
  return { code: 'event-inconsistent', position, reason };
}

/** Ends the reading. */
class Found extends Error {
  constructor(readonly fault: Fault) {
    super(fault.reason);
  }
}

class Verifier<E extends StoredEvent> {
  private readonly tree = new Frontier(sha256);
  private readonly known: AsyncIterator<readonly KnownCheckpoint[], undefined>;
  private next: IteratorResult<readonly KnownCheckpoint[], undefined> | undefined;
  private last = START;
  private sealed = 0;
  /** Of the first event that no checkpoint covers which was found to hold. */
  private unsealed: Position | undefined;
  private checkpoints = 0;
  private suspicion: Suspicion | undefined;
  /** Hashes of the tiles above the leaves, as the events make them, by level. */
  private readonly above: Hash[][] = [];

  constructor(
    private readonly parts: VerifyParts<E>,
    private readonly order: StreamOrder,
  ) {
    this.known = merged(parts.known);
  }

  counts(): Omit<Verified, 'streams'> {
    return { events: this.tree.size, sealed: this.sealed, checkpoints: this.checkpoints };
  }

  /** Throws Found. */
  async run(): Promise<undefined> {
    for await (const { events, vouched } of this.parts.lookedAt ?? []) {
      if (vouched === undefined || !(await this.join(vouched))) await this.read(events);
      this.parts.progress?.(this.tree.size);
      if (this.suspicion !== undefined) break;
    }
    await this.read(Infinity);
    await this.finish();
  }

  /** Looks at so many events one by one. */
  private async read(count: number): Promise<void> {
    for await (const page of this.pages(count)) {
      const tables = await this.tablesOf(page.length);
      for (const event of page) {
        await this.take(event, tables);
        await this.compareCheckpoints();
      }
      this.parts.progress?.(this.tree.size);
    }
  }

  /**
   * The next page is read while one is looked at: two are held in memory, of events of at most 60,000 bytes. Shorter
   * and shorter where one can not be read, so that all before the fault was looked at.
   */
  private async *pages(count: number): AsyncGenerator<readonly E[]> {
    const { store, head } = this.parts;
    const end = this.tree.size + count;
    let most = PAGE_EVENTS;
    let ahead: Promise<{ readonly events: readonly E[] }> | undefined;
    while (comparePositions(this.last, head) < 0 && this.tree.size < end) {
      const limit = Math.min(most, end - this.tree.size);
      try {
        const { events } = await (ahead ?? store.readAll(this.last, { limit }));
        ahead = undefined;
        const within = events.filter(({ position }) => comparePositions(position, head) <= 0);
        const last = within.at(-1)?.position;
        if (last === undefined) return;
        const left = Math.min(most, end - this.tree.size - within.length);
        if (comparePositions(last, head) < 0 && left > 0)
          ahead = store.readAll(last, { limit: left });
        // Whoever ends here has no more use for it.
        ahead?.catch(() => undefined);
        yield within;
      } catch (error) {
        if (!(error instanceof LedgerCorrupt)) throw error;
        ahead = undefined;
        if (limit === 1) this.endHere(error.position, error.reason);
        most = Math.max(1, Math.floor(limit / 2));
      }
    }
  }

  /**
   * Takes a page that others have looked at, from checkpoint to checkpoint, in whole tiles where none lies within one.
   * False where it is not the next page or the tables say otherwise: nothing of it was taken then.
   */
  private async join(page: VouchedPage): Promise<boolean> {
    if (page.after !== this.last || this.tree.size % TILE_WIDTH > 0) return false;
    const first = this.tree.size;
    const count = page.leaves.length / HASH_BYTES;
    if (!this.agree(page, await this.tablesOf(count))) return false;
    this.parts.passed?.(page.last);
    const runs = Buffer.from(page.runs.buffer, page.runs.byteOffset, page.runs.byteLength);
    const origins = Buffer.from(page.origins.buffer, page.origins.byteOffset);
    for (let taken = 0, run = 0; taken < count && this.suspicion === undefined;) {
      const end = Math.min(count, Math.max(taken + 1, (await this.nextSize()) - first));
      this.unsealed ??= originAt(origins, taken);
      let comparing: Promise<void> | undefined;
      while (taken < end && comparing === undefined) {
        const whole = taken + TILE_WIDTH <= end && (first + taken) % TILE_WIDTH === 0;
        const [level, hashes] = whole ? [TILE_HEIGHT, page.tiles] : [0, page.leaves];
        const at = (whole ? taken / TILE_WIDTH : taken) * HASH_BYTES;
        comparing = this.grow(level, hashes.subarray(at, at + HASH_BYTES));
        taken += 2 ** level;
      }
      this.last = originAt(origins, taken - 1) as Position;
      for (; run < page.runStarts.length && (page.runStarts[run] as number) < taken; run++)
        this.order.addRun(runs, run * RUN_BYTES);
      await comparing;
      await this.compareCheckpoints();
    }
    return true;
  }

  /** Whether the tables have the leaves of the page, from where they are said to come. */
  private agree({ leaves, origins }: VouchedPage, tables: TablesPage): boolean {
    const covered = Math.min(this.parts.leaves - this.tree.size, leaves.length / HASH_BYTES);
    for (let at = 0; at < covered; at += TILE_WIDTH) {
      const index = (this.tree.size + at) / TILE_WIDTH;
      const [from, to] = [at, Math.min(at + TILE_WIDTH, covered)];
      const tile = tables.tiles.get(tileName({ level: 0, index }));
      const said = tables.origins.get(index);
      if (!begins(tile, leaves.subarray(from * HASH_BYTES, to * HASH_BYTES))) return false;
      if (!begins(said, origins.subarray(from * POSITION_BYTES, to * POSITION_BYTES))) return false;
    }
    return true;
  }

  /** What the tables have of the next leaves. */
  private async tablesOf(count: number): Promise<TablesPage> {
    const first = Math.floor(this.tree.size / TILE_WIDTH);
    const last = Math.floor((this.tree.size + count - 1) / TILE_WIDTH);
    const bundles = Array.from({ length: last - first + 1 }, (_, at) => first + at);
    const [tiles, origins] = await Promise.all([
      this.parts.tables.readTiles(bundles.map((index) => ({ level: 0, index }))),
      this.parts.tables.originsOf(bundles),
    ]);
    return { tiles, origins };
  }

  private async take(event: E, tables: TablesPage): Promise<void> {
    const index = this.tree.size;
    const leaf = leafHash(sha256, event.bytes);
    const flaw = this.suspicion ? undefined : this.parts.flawOf(event);
    const beside = this.suspicion ? undefined : this.parts.flawBeside?.(event);
    if (index < this.parts.leaves) this.compareLeaf(index, event, leaf, tables, flaw ?? beside);
    if (this.suspicion === undefined) {
      if (flaw !== undefined) throw found('event-inconsistent', event.position, flaw);
      if (beside !== undefined) throw found('column-changed', event.position, beside);
    }
    this.order.add(event);
    this.last = event.position;
    this.unsealed ??= event.position;
    await this.grow(0, leaf);
  }

  /**
   * Adds a leaf, or the root over a whole tile of them. There is something to wait for where it fills tiles above the
   * leaves, which are compared then; those that do not get full are compared at the end.
   */
  private grow(level: number, root: Hash): Promise<void> | undefined {
    const full: number[] = [];
    this.tree.appendTree(level, root, (of, hash) => {
      if (of === 0 || of % TILE_HEIGHT > 0) return;
      const hashes = (this.above[of / TILE_HEIGHT] ??= []);
      hashes.push(hash);
      if (hashes.length === TILE_WIDTH) full.push(of / TILE_HEIGHT);
    });
    return full.length > 0 ? this.compareFull(full) : undefined;
  }

  private compareLeaf(
    index: number,
    { position }: StoredEvent,
    leaf: Hash,
    { tiles, origins }: TablesPage,
    flaw: string | undefined,
  ): void {
    const bundle = Math.floor(index / TILE_WIDTH);
    const within = index % TILE_WIDTH;
    const tile = tiles.get(tileName({ level: 0, index: bundle }));
    const stored = tile?.subarray(within * leaf.length, (within + 1) * leaf.length);
    const whole = stored?.length === leaf.length;
    if (this.suspicion !== undefined) {
      if (whole) this.suspicion.leaves?.append(stored);
      else this.suspicion.leaves = undefined;
      return;
    }
    const origin = originAt(origins.get(bundle), within);
    if (whole && equalBytes(stored, leaf)) {
      if (origin !== position)
        this.suspicion = {
          index,
          position,
          reason: `leaf ${index} came from position ${position}, the tables say ${origin ?? 'nothing'}`,
          otherwise: 'leaf-origin-changed',
          leaves: this.with(leaf),
        };
      return;
    }
    const was = whole ? `its leaf has ${hex(stored)}` : 'it has no leaf';
    this.suspicion = {
      index,
      position,
      reason: `hashes to ${hex(leaf)}, ${was}${flaw === undefined ? '' : `; ${flaw}`}`,
      otherwise: 'tile-changed',
      leaves: whole ? this.with(stored) : undefined,
    };
  }

  private with(leaf: Hash): Frontier {
    const tree = this.tree.copy();
    tree.append(leaf);
    return tree;
  }

  private async compareFull(levels: readonly number[]): Promise<void> {
    for (const level of levels) {
      await this.compareTile(level, this.tree.size / TILE_WIDTH ** (level + 1) - 1);
      this.above[level] = [];
    }
  }

  private async compareTile(level: number, index: number): Promise<void> {
    if (this.suspicion !== undefined) return;
    const made = this.above[level] ?? [];
    const expected = made.filter(
      (_, at) => (index * TILE_WIDTH + at + 1) * TILE_WIDTH ** level <= this.parts.leaves,
    );
    const tiles = await this.parts.tables.readTiles([{ level, index }]);
    const stored = splitHashes(tiles.get(tileName({ level, index })) ?? new Uint8Array(0));
    const wrong = expected.findIndex((hash, at) => !equalBytes(hash, stored[at] ?? NO_HASH));
    if (wrong < 0) return;
    this.suspicion = {
      index: (index * TILE_WIDTH + wrong) * TILE_WIDTH ** level,
      position: this.last,
      reason: `tile ${level}/${index} has another hash ${wrong} than the events`,
      otherwise: 'tile-changed',
      leaves: undefined,
    };
  }

  /** The size of the next checkpoints; more than any where there are none. */
  private async nextSize(): Promise<number> {
    this.next ??= await this.known.next();
    return this.next.done ? Infinity : (this.next.value[0]?.size ?? 0);
  }

  /** All checkpoints of exactly this size. */
  private async compareCheckpoints(): Promise<void> {
    const size = await this.nextSize();
    if (size > this.tree.size) return;
    const group = this.next?.value ?? [];
    // Several places keep the same note.
    const distinct = group.filter(
      ({ note }, at) => group.findIndex((known) => known.note === note) === at,
    );
    const checkpoints = distinct.map((known) => this.opened(known));
    if (size < this.tree.size)
      throw found('checkpoint-invalid', this.last, `size ${size} comes after ${this.tree.size}`);
    for (const checkpoint of checkpoints)
      if (!equalBytes(this.tree.root(), checkpoint.root)) this.differs(checkpoint);
    this.holds();
    const places = new Set(group.map(({ from }) => from));
    if (places.has('witness') && !places.has('ledger'))
      throw found(
        'checkpoint-missing',
        this.last,
        `the witness has a checkpoint of size ${size}, the ledger no longer has it`,
      );
    this.checkpoints++;
    this.next = undefined;
  }

  private opened({ from, note, size }: KnownCheckpoint): Checkpoint {
    const opened = openCheckpoint(verifyEd25519, note, this.parts.trusted);
    if ('checkpoint' in opened && opened.checkpoint.size === size) return opened.checkpoint;
    const flaw =
      'flaw' in opened ? opened.flaw : `says size ${opened.checkpoint.size} under its signature`;
    throw found('checkpoint-invalid', this.last, `that of size ${size} of the ${from}: ${flaw}`);
  }

  /** What was signed is what the events say: where the tables say otherwise, they were changed. */
  private holds(): void {
    const { suspicion } = this;
    if (suspicion !== undefined)
      throw found(suspicion.otherwise, suspicion.position, suspicion.reason);
    this.sealed = this.tree.size;
    this.unsealed = undefined;
  }

  private differs({ size, root }: Checkpoint): never {
    const { suspicion, last } = this;
    const leaves = suspicion?.leaves;
    // The leaves of the tables lead to what was signed: the event behind the first that differs was changed.
    if (suspicion && leaves?.size === size && equalBytes(leaves.root(), root))
      throw found('event-changed', suspicion.position, suspicion.reason);
    const reason =
      `size ${size} was signed with root ${hex(root)}, the events have ${hex(this.tree.root())}` +
      (suspicion ? `; position ${suspicion.position} ${suspicion.reason}` : '');
    throw new Found({ code: 'range-changed', position: this.unsealed ?? last, upTo: last, reason });
  }

  /** The log can not be read on, or ends here. */
  private endHere(position: Position, reason: string): never {
    const { suspicion } = this;
    if (suspicion !== undefined)
      throw found(
        suspicion.otherwise === 'leaf-origin-changed' ? suspicion.otherwise : 'event-changed',
        suspicion.position,
        `${suspicion.reason}; position ${position} ${reason}`,
      );
    throw found('event-missing', position, reason);
  }

  private async finish(): Promise<void> {
    this.next ??= await this.known.next();
    const [next] = this.next.done ? [] : this.next.value;
    if (next !== undefined) {
      const { size } = this.opened(next);
      const bundle = Math.floor(this.tree.size / TILE_WIDTH);
      const origins = (await this.parts.tables.originsOf([bundle])).get(bundle);
      const missing = originAt(origins, this.tree.size % TILE_WIDTH);
      this.endHere(
        missing ?? this.last,
        `is missing: the ${next.from} has a checkpoint of size ${size}, the log ends after ${this.tree.size} events at position ${this.last}`,
      );
    }
    for (let level = 1; level < this.above.length; level++)
      if ((this.above[level] ?? []).length > 0)
        await this.compareTile(level, Math.floor(this.tree.size / TILE_WIDTH ** (level + 1)));
    const { suspicion } = this;
    if (suspicion === undefined) return;
    const code = suspicion.index < this.sealed ? suspicion.otherwise : 'event-changed';
    throw found(code, suspicion.position, suspicion.reason);
  }
}

interface TablesPage {
  readonly tiles: ReadonlyMap<string, Uint8Array>;
  readonly origins: ReadonlyMap<number, Buffer>;
}

const NO_HASH = new Uint8Array(0);

function begins(bytes: Uint8Array | undefined, beginning: Uint8Array): boolean {
  return (
    bytes !== undefined && Buffer.compare(bytes.subarray(0, beginning.length), beginning) === 0
  );
}

function found(code: FaultCode, position: Position, reason: string): Found {
  return new Found({ code, position, reason });
}
