import type { Manifest } from './bundle.js';
import type { Leaf } from './check-events.js';
import { type Finding, Flaws } from './findings.js';

/** Every person's stream is whole, from its first event on. */
export class StreamsCheck {
  /** Events that were added, and the people they are of. */
  counted = 0;
  people = 0;
  private readonly flaws = new Flaws('streams');
  /** A person may go on in the next part. */
  private before: Leaf | undefined;

  constructor(private readonly manifest: Manifest) {}

  /** The next event of the bundle. */
  add(leaf: Leaf): void {
    const { before, flaws } = this;
    const first = leaf.stream !== before?.stream;
    this.counted++;
    if (first) {
      this.people++;
      if (before && leaf.stream <= before.stream)
        flaws.add(`${leaf.stream} is there twice`, `${leaf.stream} steht zweimal da`);
    }
    this.follows(leaf, first ? undefined : before);
    this.before = leaf;
  }

  private follows(leaf: Leaf, before: Leaf | undefined): void {
    const { flaws } = this;
    const { stream, revision, index } = leaf;
    const filtered = this.manifest.scope.purpose !== undefined;
    const expected = before === undefined ? 0 : before.revision + 1;
    if (filtered ? revision < expected : revision !== expected)
      flaws.add(
        `${stream} goes on with revision ${revision} where ${expected} belongs`,
        `${stream} geht mit Revision ${revision} weiter, wo ${expected} hingehört`,
      );
    if (before && index <= before.index)
      flaws.add(
        `revision ${revision} of ${stream} lies before the one before it`,
        `Revision ${revision} von ${stream} liegt vor der vorigen`,
      );
  }

  /** Once all events were added. */
  finding(): Finding {
    const { counted, people, manifest, flaws } = this;
    const { purpose, period } = manifest.scope;
    if (people !== manifest.people || counted !== manifest.events)
      flaws.add(
        `there are ${counted} events of ${people} people, the manifest says ${manifest.events} of ${manifest.people}`,
        `es sind ${counted} Ereignisse von ${people} Personen, das Verzeichnis nennt ${manifest.events} von ${manifest.people}`,
      );
    if (purpose)
      return flaws.finding(
        `Events that do not bear on ${purpose} were left out, as was asked: that none is missing is not shown.`,
        `Ereignisse, die ${purpose} nicht betreffen, sind wie verlangt nicht enthalten: dass keines fehlt, ist nicht gezeigt.`,
        'open',
      );
    const end = period?.to ? ` ${period.to}` : '';
    return flaws.finding(
      `Of each of the ${people} people there is every event from the first on, without a gap. ` +
        `That nothing came after the last one${end} only the whole log can show.`,
      `Von jeder der ${people} Personen ist jedes Ereignis vom ersten an da, ohne Lücke. ` +
        `Dass nach dem letzten${end} keines mehr kam, kann nur das ganze Log zeigen.`,
    );
  }
}
