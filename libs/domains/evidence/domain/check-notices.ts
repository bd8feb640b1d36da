import { hex } from '#core/proof/encoding.js';
import { noticePath } from './bundle.js';
import { bytesOf, type CheckedBundle } from './checked-bundle.js';
import type { Leaf } from './check-events.js';
import { type Finding, Flaws } from './findings.js';

/** The words that were shown are those whose hash the events name, and were published under it. */
export class NoticesCheck {
  private readonly named = new Set<string>();
  private readonly published = new Set<string>();

  constructor(private readonly bundle: CheckedBundle) {}

  /** Hashes of words that an event names, and of those that one publishes. */
  add({ data: { notice, hash, text } }: Leaf): void {
    const { hash: shown } = (notice ?? {}) as { hash?: unknown };
    if (typeof shown === 'string') this.named.add(shown);
    if (typeof hash === 'string' && typeof text === 'string') this.published.add(hash);
  }

  /** Once all events were added. */
  async finding(): Promise<Finding> {
    const { archive, tools } = this.bundle;
    const flaws = new Flaws('notices');
    for (const hash of this.named) {
      const path = noticePath(hash);
      if (!archive.has(path)) {
        flaws.add(
          `the words with the hash ${hash} are missing`,
          `der Wortlaut mit dem Hash ${hash} fehlt`,
        );
        continue;
      }
      const bytes = await bytesOf(this.bundle, path, flaws);
      if (bytes && hex(tools.sha256(bytes)) !== hash)
        flaws.add(`${path} has other words`, `${path} hat einen anderen Wortlaut`);
      if (!this.published.has(hash))
        flaws.add(
          `that ${path} was published is not in the log`,
          `dass ${path} veröffentlicht wurde, steht nicht im Log`,
        );
    }
    const count = this.named.size;
    return flaws.finding(
      count === 0
        ? 'No event names words that were shown.'
        : `The words of ${count} notices are those that were shown: each has the hash that the events name.`,
      count === 0
        ? 'Kein Ereignis nennt einen gezeigten Wortlaut.'
        : `Der Wortlaut von ${count} Hinweisen ist der gezeigte: jeder hat den Hash, den die Ereignisse nennen.`,
    );
  }
}
