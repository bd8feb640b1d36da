import type { KeyStatus } from './bundle.js';
import { type CheckedBundle, jsonIn, textOf } from './checked-bundle.js';
import type { Leaf } from './check-events.js';
import { type Finding, Flaws } from './findings.js';

/** What the bundle says of each person's keys is what the events say. */
export class KeysCheck {
  private readonly flaws = new Flaws('keys');
  /** When the keys of a person were destroyed, by the person's id. */
  private readonly ends = new Map<string, string>();
  private listed = 0;

  constructor(private readonly bundle: CheckedBundle) {}

  add({ type, stream, data }: Leaf): void {
    if (type === 'KeyDestroyed')
      this.ends.set(stream.slice(stream.indexOf('-') + 1), String(data['destroyedAt']));
  }

  /** Once all events of a part were added. */
  async part(part: string): Promise<void> {
    const { ends, flaws } = this;
    const text = await textOf(this.bundle, `${part}/keys.json`, flaws);
    const listed = text === undefined ? undefined : jsonIn(text);
    if (!Array.isArray(listed)) return;
    for (const status of listed as readonly KeyStatus[]) {
      const ended = ends.get(status.subjectId);
      const said = status.status === 'destroyed' ? status.destroyedAt : undefined;
      if (ended !== said)
        flaws.add(
          `of ${status.subjectId} it says ${said ?? 'held'}, the events say ${ended ?? 'held'}`,
          `zu ${status.subjectId} steht ${said ?? 'vorhanden'}, die Ereignisse sagen ${ended ?? 'vorhanden'}`,
        );
    }
    this.listed += listed.length;
  }

  /** `people`: so many the events are of. */
  finding(people: number): Finding {
    const { flaws, listed } = this;
    const destroyed = this.ends.size;
    if (listed !== people)
      flaws.add(
        `of ${people} people there is an entry for ${listed}`,
        `zu ${people} Personen gibt es ${listed} Angaben`,
      );
    return flaws.finding(
      destroyed === 0
        ? 'Nobody in this bundle was erased.'
        : `${destroyed} of ${people} people were erased: that and when their keys were destroyed is an event of the log. ` +
            'When every copy was gone is what the ledger says.',
      destroyed === 0
        ? 'Niemand in diesem Paket wurde gelöscht.'
        : `${destroyed} von ${people} Personen wurden gelöscht: dass und wann ihre Schlüssel vernichtet wurden, ist ein Ereignis im Log. ` +
            'Wann jede Kopie fort war, ist eine Angabe des Ledgers.',
    );
  }
}
