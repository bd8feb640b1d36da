import type { Opened, Recorded } from '#core/kernel/event.js';
import { streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { StoredEvent } from '#core/ledger/port.js';
import { base64 } from '#core/proof/encoding.js';
import type { ProvenLog } from '#core/proof/proven-log.js';
import type { NoticeShown } from '#domains/consents/domain/consents.events.js';
import type { NoticePublished } from '#domains/purposes/domain/purposes.events.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import { recordsDocument } from '../domain/records.js';
import type { Catalogue, Leaves, OpenedLine, Part, ProofLine } from './evidence.js';
import {
  bytesOf,
  type Making,
  PART,
  PART_BYTES,
  type Piece,
  Pieces,
  type Sources,
} from './pieces.js';

/** Makes the parts of a bundle, one after the other, and remembers what of the catalogue they name. */
export class Parts {
  private readonly named = new Named();

  constructor(
    private readonly sources: Sources & { readonly log: ProvenLog },
    /** `reveal`: whether personal fields are opened. */
    private readonly making: Making & { readonly reveal: boolean },
  ) {}

  async *of(people: readonly SubjectId[]): AsyncGenerator<Part> {
    let open: Piece[] = [];
    let [events, bytes] = [0, 0];
    for await (const piece of new Pieces(this.sources, this.making).of(people)) {
      open.push(piece);
      events += piece.told.length;
      bytes += bytesOf(piece.told);
      if (events < PART && bytes < PART_BYTES) continue;
      yield await this.part(open);
      [open, events, bytes] = [[], 0, 0];
    }
    if (open.length > 0) yield await this.part(open);
  }

  private async part(pieces: readonly Piece[]): Promise<Part> {
    const all = pieces.flatMap(({ told }) => told);
    for (const { event } of all) this.named.add(event);
    const leaves = await this.leaves(all.map(({ stored }) => stored));
    const opened = this.making.reveal
      ? await this.openedOf(all.map(({ event }) => event))
      : undefined;
    const openedById = new Map(opened?.map((line) => [line.eventId, line.data]));
    let at = 0;
    const people = pieces.map(({ subjectId, key, continued, told }) => ({
      subjectId,
      key,
      continued,
      items: told.map(({ event, says }) => {
        const { occurredAt, recordedAt, source, data, id } = event;
        const { notice } = data as { notice?: NoticeShown };
        const { index } = leaves.proofs[at++] as ProofLine;
        return {
          says,
          occurredAt,
          recordedAt,
          source,
          index,
          ...(notice ? { notice } : {}),
          ...(openedById.has(id) ? { opened: openedById.get(id) } : {}),
        };
      }),
    }));
    const erasures = pieces.flatMap(({ erasure }) => erasure ?? []);
    return {
      ...leaves,
      people,
      opened,
      keys: pieces.flatMap(({ ends, key }) => (ends ? [key] : [])),
      erasures: await this.leaves(erasures),
      records: recordsDocument(pieces.flatMap(({ records }) => records)),
    };
  }

  private async leaves(stored: readonly StoredEvent[]): Promise<Leaves> {
    const indexes = await this.sources.log.indexesOf(stored.map(({ position }) => position));
    const leaves = stored.map(({ position, bytes }) => {
      const index = indexes.get(position);
      if (index === undefined) throw new Error(`position ${position} is in no checkpoint`);
      return { index, bytes };
    });
    const proofs = await this.sources.log.inclusions(leaves, this.making.checkpoint);
    return {
      events: stored.map(({ bytes }) => bytes),
      proofs: leaves.map(({ index }, at) => ({
        index,
        hashes: (proofs[at] as (typeof proofs)[number]).map(base64),
      })),
    };
  }

  /** The personal fields of events, in the clear or erased; events without any are left out. */
  private async openedOf(events: readonly Recorded[]): Promise<OpenedLine[]> {
    const opened = await this.sources.ledger.open(events);
    return opened.flatMap((event, at) => {
      const personal = personalIn(events[at] as Recorded, event);
      return personal ? [{ eventId: event.id, data: personal }] : [];
    });
  }

  /** What the parts so far have named. */
  async catalogue(): Promise<Catalogue> {
    const { ledger, store, queries } = this.sources;
    const upTo = this.making.checkpoint.position;
    const { named } = this;
    const { purposes } = await queries.execute(new AskPrivacyCentre(upTo));
    const streams = [
      streamOf('settings', 'controllers'),
      ...[...named.purposes].flatMap((key) => {
        const purpose = purposes[key];
        return purpose ? [streamOf('purpose', purpose.purposeId)] : [];
      }),
      ...[...named.notices.keys()].map((id) => streamOf('notice', id)),
    ].sort();
    const stored = await store.readMany(streams, { upTo });
    const recorded = await ledger.readMany(streams, { upTo });
    const notices = new Map<string, string>();
    const shown: StoredEvent[] = [];
    for (const stream of streams)
      for (const [at, event] of (recorded.get(stream) ?? []).entries()) {
        if (event.type === NOTICE_PUBLISHED) {
          const { hash, text } = (event as Recorded<NoticePublished>).data;
          if (!named.hashes.has(hash)) continue;
          notices.set(hash, text);
        }
        shown.push((stored.get(stream) as readonly StoredEvent[])[at] as StoredEvent);
      }
    return { ...(await this.leaves(shown)), notices };
  }
}

const NOTICE_PUBLISHED: NoticePublished['type'] = 'NoticePublished';

/** What the events of people name in the catalogue; there is little of it, however many people there are. */
class Named {
  readonly purposes = new Set<string>();
  readonly notices = new Map<string, NoticeShown>();
  readonly hashes = new Set<string>();

  add({ data }: Recorded): void {
    const { purpose, notice } = data as { purpose?: string; notice?: NoticeShown };
    if (purpose !== undefined) this.purposes.add(purpose);
    if (!notice) return;
    this.notices.set(notice.id, notice);
    if (notice.hash !== undefined) this.hashes.add(notice.hash);
  }
}

/** The fields that are sealed in the log, as they read now; undefined where there are none. */
function personalIn(stored: Recorded, opened: Opened): OpenedLine['data'] | undefined {
  const fields = Object.entries(stored.data).filter(
    ([, value]) => typeof value === 'object' && value !== null && 'sealed' in value,
  );
  if (fields.length === 0) return undefined;
  const clear = opened.data as Readonly<Record<string, unknown>>;
  return Object.fromEntries(fields.map(([field]) => [field, clear[field]]));
}
