import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, exists, linesOf, makeDirectory } from '#core/vault/durable-file.js';
import { parseCheckpoint } from './checkpoint.js';
import { base64 } from './encoding.js';
import type { Hash } from './merkle.js';
import { parseNote } from './note.js';
import type { PublishedCheckpoint } from './published.js';

/** A second place that keeps checkpoints, where whoever can write to our database can not. */
export interface Witness {
  readonly name: string;
  /** The newest note that it has; undefined where it has none or does not give it out. */
  newest(): Promise<string | undefined>;
  /** Asks it how far our log was when it saw it last, with a note that we have signed. MUST NOT throw. */
  ask(note: string): Promise<void>;
  /** The size that it said it has seen, when it was asked or was given a checkpoint; 0 where it never said one. */
  seen(): number;
  /** Takes it, and returns at once: a witness holds nothing up. */
  offer(checkpoint: PublishedCheckpoint): void;
  /** Seconds since the oldest checkpoint was offered that it does not have yet; 0 where it has all. */
  behindSeconds(): number;
  stop(): Promise<void>;
}

export interface WitnessNotice {
  readonly witness: string;
  readonly size: number;
  readonly error: unknown;
}

/** Milliseconds until a delivery that failed is tried again: the first time, and at most. */
const FIRST_RETRY = 1_000;
const LONGEST_RETRY = 60_000;

/**
 * Delivers to one place, the newest first: those that came in while it was busy or out of reach are
 * implied by the one after them.
 */
export class Deliveries implements Witness {
  private pending: PublishedCheckpoint | undefined;
  private waitingSince: number | undefined;
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  readonly newest: Witness['newest'];
  readonly ask: Witness['ask'];
  readonly seen: Witness['seen'];

  constructor(
    readonly name: string,
    private readonly deliver: (
      checkpoint: PublishedCheckpoint,
      signal: AbortSignal,
    ) => Promise<void>,
    private readonly failed: (notice: WitnessNotice) => void,
    asked: Partial<Pick<Witness, 'newest' | 'ask' | 'seen'>> = {},
  ) {
    this.newest = asked.newest ?? (() => Promise.resolve(undefined));
    this.ask = asked.ask ?? (() => Promise.resolve());
    this.seen = asked.seen ?? (() => 0);
  }

  offer(checkpoint: PublishedCheckpoint): void {
    this.pending = checkpoint;
    this.waitingSince ??= performance.now();
    this.running ??= this.run().finally(() => (this.running = undefined));
  }

  behindSeconds(): number {
    return this.waitingSince === undefined ? 0 : (performance.now() - this.waitingSince) / 1_000;
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    let retry = FIRST_RETRY;
    while (this.pending !== undefined && !signal.aborted) {
      const checkpoint = this.pending;
      try {
        await this.deliver(checkpoint, signal);
        retry = FIRST_RETRY;
        if (this.pending === checkpoint) this.pending = undefined;
        this.waitingSince = this.pending && performance.now();
      } catch (error) {
        if (signal.aborted) return;
        this.failed({ witness: this.name, size: checkpoint.size, error });
        await sleep(retry, undefined, { signal }).catch(() => undefined);
        retry = Math.min(retry * 2, LONGEST_RETRY);
      }
    }
  }
}

/** A line of a witness file. */
export interface WitnessLine {
  readonly checkpoint: string;
  readonly signedAt: string;
}

/**
 * A file on another disk or share: a JSON line for each checkpoint, appended and on disk before it counts
 * as delivered. Whoever keeps it should let nobody change what was written.
 */
export function witnessFile(path: string, failed: (notice: WitnessNotice) => void): Witness {
  const deliver = async ({ note, signedAt }: PublishedCheckpoint) => {
    await makeDirectory(dirname(path));
    const file = await open(path, 'a', 0o644);
    try {
      const line = JSON.stringify({ checkpoint: note, signedAt } satisfies WitnessLine);
      // Begins a line of its own, also where a crash tore the one before.
      await file.writeFile(`\n${line}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  };
  return new Deliveries('file', deliver, failed, { newest: () => newestIn(path) });
}

/**
 * The notes in a witness file in order, in flat memory; none where there is no such file. Lines that a
 * crash tore are passed over. A single note, as it is served, is a witness file as well.
 */
export async function* witnessedNotes(path: string): AsyncGenerator<string> {
  if (!(await exists(path))) return;
  const plain: string[] = [];
  for await (const line of linesOf(path)) {
    const note = noteIn(line);
    if (note !== undefined) yield note;
    else plain.push(...(plain.length < LONGEST_NOTE ? [line] : []));
  }
  const note = plainNote(plain.join('\n'));
  if (note !== undefined) yield note;
}

/** A note by itself, as it is served; undefined where the text is none. */
function plainNote(text: string): string | undefined {
  const note = `${text.trim()}\n`;
  return parseNote(note) === undefined ? undefined : note;
}

/** Lines. */
const LONGEST_NOTE = 100;
/** Bytes at the end of a witness file in which its last line lies. */
const TAIL = 65_536;

/** The last note in a witness file, or the only one; undefined where there is none. */
export async function newestIn(path: string): Promise<string | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { size } = await file.stat();
    const tail = Buffer.alloc(Math.min(size, TAIL));
    await file.read(tail, 0, tail.length, size - tail.length);
    const text = tail.toString('utf8');
    const notes = text.split('\n').map(noteIn);
    return notes.findLast((note) => note !== undefined) ?? plainNote(text);
  } finally {
    await file.close();
  }
}

function noteIn(line: string): string | undefined {
  try {
    const { checkpoint } = JSON.parse(line) as Partial<WitnessLine>;
    return typeof checkpoint === 'string' ? checkpoint : undefined;
  } catch {
    return undefined;
  }
}

/** Milliseconds that a witness may take to answer. */
const TIMEOUT = 10_000;
/** The sealer waits for this answer before it signs, where there is one. */
const PATIENCE = 3_000;

/** What a witness answered that stands against us or can not be used. Its status, and its size where it said one. */
export class WitnessRefused extends Error {
  override readonly name = 'WitnessRefused';
  constructor(
    readonly status: number,
    readonly size?: number,
  ) {
    super(`the witness answered ${status}${size === undefined ? '' : `, it is at size ${size}`}`);
  }
}

/**
 * A witness that is spoken to as c2sp.org/tlog-witness says: `POST <prefix>/add-checkpoint` with the size
 * that it has, the consistency proof from there, and the checkpoint. It gives out no checkpoint; but where it
 * has another size than was said it answers 409 and its own, and so it can be asked. A witness that has seen
 * more than we have signed has seen a log that we have lost.
 */
export function httpWitness(
  prefix: string,
  consistency: (from: number, to: number) => Promise<readonly Hash[]>,
  failed: (notice: WitnessNotice) => void,
): Witness {
  /** Of the tree that it has seen, as far as it has said. */
  let seen = 0;
  const add = async (old: number, proof: readonly Hash[], note: string, signal: AbortSignal) => {
    const response = await fetch(`${prefix.replace(/\/+$/, '')}/add-checkpoint`, {
      method: 'POST',
      headers: { 'Content-Type': 'text/plain; charset=utf-8' },
      body: `old ${old}\n${proof.map((hash) => `${base64(hash)}\n`).join('')}\n${note}`,
      signal,
    });
    const answer = await response.text();
    const theirs = /^\d{1,15}\n?$/.test(answer) ? Number(answer) : undefined;
    if (response.status === 409 && theirs !== undefined) seen = theirs;
    return { response, theirs };
  };
  const deliver = async ({ size, note }: PublishedCheckpoint, signal: AbortSignal) => {
    for (let attempt = 1; ; attempt++) {
      const old = Math.min(seen, size);
      const proof = old === 0 || old === size ? [] : await consistency(old, size);
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]);
      const { response, theirs } = await add(old, proof, note, inTime);
      if (response.ok) {
        seen = size;
        return;
      }
      if (response.status !== 409 || theirs === undefined || theirs > size || attempt > 1)
        throw new WitnessRefused(response.status, theirs);
    }
  };
  const ask = async (note: string) => {
    const size = parseCheckpoint(parseNote(note)?.text ?? '')?.size ?? 0;
    try {
      // Where it has seen nothing it takes the checkpoint, which extends nothing.
      const { response, theirs } = await add(0, [], note, AbortSignal.timeout(PATIENCE));
      if (response.ok) seen = size;
      else if (theirs === undefined) throw new WitnessRefused(response.status);
    } catch (error) {
      failed({ witness: 'http', size, error });
    }
  };
  return new Deliveries('http', deliver, failed, { ask, seen: () => seen });
}
