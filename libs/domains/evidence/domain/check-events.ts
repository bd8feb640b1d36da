import type { Checkpoint } from '#core/proof/checkpoint.js';
import { fromBase64, fromUtf8 } from '#core/proof/encoding.js';
import { flawOfInclusion, type Hash, leafHash } from '#core/proof/merkle.js';
import { bytesOf, type CheckedBundle, isCount, jsonIn, textOf } from './checked-bundle.js';
import { type Finding, Flaws } from './findings.js';

/** An event of the bundle, and which leaf of the log it is. */
export interface Leaf {
  readonly index: number;
  readonly type: string;
  readonly stream: string;
  readonly revision: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Every event is a leaf of the signed tree. */
export class EventsCheck {
  private readonly flaws = new Flaws('events');

  /** `checkpoint`: what was signed; undefined where nothing was. */
  constructor(
    private readonly bundle: CheckedBundle,
    private readonly checkpoint: Checkpoint | undefined,
  ) {}

  /** The events of a folder, each proved to be in the tree. */
  async leaves(folder: string): Promise<Leaf[]> {
    const events = await bytesOf(this.bundle, `${folder}/events.ndjson`, this.flaws);
    const proofs = await textOf(this.bundle, `${folder}/proofs.ndjson`, this.flaws);
    if (!events || proofs === undefined) return [];
    const lines = linesOf(events);
    const ways = proofs.split('\n').slice(0, -1);
    if (lines.length !== ways.length)
      this.flaws.add(
        `${folder} has ${lines.length} events and ${ways.length} proofs`,
        `${folder} hat ${lines.length} Ereignisse und ${ways.length} Nachweise`,
      );
    return lines.flatMap((bytes, at) => {
      const where = `${folder}/events.ndjson, line ${at + 1}`;
      const way = proofIn(ways[at] ?? '');
      const event = eventIn(bytes);
      if (!event || !way) {
        this.flaws.add(
          `${where}: ${event ? 'its proof can not be read' : 'is no event'}`,
          `${where}: ${event ? 'der Nachweis ist nicht lesbar' : 'ist kein Ereignis'}`,
        );
        return [];
      }
      const { size, root } = this.checkpoint ?? { size: 0, root: new Uint8Array() };
      const { index, proof } = way;
      const leaf = leafHash(this.bundle.tools.sha256, bytes);
      const inclusion = { index, size, leafHash: leaf, proof, root };
      const flaw = this.checkpoint && flawOfInclusion(this.bundle.tools.sha256, inclusion);
      if (flaw !== undefined)
        this.flaws.add(
          `${where} is not in the signed log: ${flaw}`,
          `${where} steht nicht im unterschriebenen Log: ${flaw}`,
        );
      return [{ ...event, index }];
    });
  }

  /** `counted`: so many events of people there are. */
  finding(counted: number): Finding {
    if (!this.checkpoint)
      this.flaws.add(
        'without a checkpoint that is signed there is nothing to compare the events with',
        'ohne unterschriebenen Prüfpunkt gibt es nichts, womit die Ereignisse zu vergleichen wären',
      );
    return this.flaws.finding(
      `Each of the ${counted} events, byte for byte, is in the log that was signed.`,
      `Jedes der ${counted} Ereignisse steht Byte für Byte in dem Log, das unterschrieben wurde.`,
    );
  }
}

function linesOf(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let from = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
    lines.push(bytes.subarray(from, at));
    from = at + 1;
  }
  // What lies behind the last line feed is a line that was cut: it is in no tree.
  return from < bytes.length ? [...lines, bytes.subarray(from)] : lines;
}

function eventIn(bytes: Uint8Array): Omit<Leaf, 'index'> | undefined {
  const text = fromUtf8(bytes);
  const event = text === undefined ? undefined : (jsonIn(text) as Partial<Leaf> | null | undefined);
  const { type, stream, revision, data } = event ?? {};
  if (typeof type !== 'string' || typeof stream !== 'string') return undefined;
  if (!isCount(revision) || typeof data !== 'object' || data === null) return undefined;
  return { type, stream, revision, data };
}

function proofIn(line: string): { index: number; proof: Hash[] } | undefined {
  const { index, hashes } = (jsonIn(line) ?? {}) as { index?: unknown; hashes?: unknown };
  if (!isCount(index) || !Array.isArray(hashes)) return undefined;
  const proof = hashes.map((hash) => (typeof hash === 'string' ? fromBase64(hash) : undefined));
  return proof.includes(undefined) ? undefined : { index, proof: proof as Hash[] };
}
