import type { SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { PublishedCheckpoint } from '#core/proof/published.js';
import type { Words } from '#domains/audit/queries/tell-events.message.js';
import type { NoticeShown } from '#domains/consents/domain/consents.events.js';
import type { KeyStatus, OpenedLine, ProofLine, Scope } from '../domain/bundle.js';
import type { RecordsDocument } from '../domain/records.js';

export type { KeyStatus, OpenedLine, ProofLine, RecordsDocument, Scope, Words };
export {
  CATALOGUE,
  CHECKPOINT,
  CONSISTENCY,
  EARLIER,
  ERASURES,
  FORMAT,
  type Manifest,
  MANIFEST,
  MANIFEST_HASH,
  noticePath,
  partOf,
  VERIFY_PAGE,
} from '../domain/bundle.js';
export { directory, type Entry, localHeader } from '../domain/archive.js';

/** Proof of what is on record, a part of it at a time: memory holds one part, whatever there is of whomever. */
export interface Evidence {
  readonly scope: Scope;
  readonly opened: boolean;
  readonly createdAt: Instant;
  readonly log: { readonly origin: string; readonly keys: readonly string[] };
  readonly checkpoint: PublishedCheckpoint;
  readonly earlier?: {
    readonly note: string;
    readonly size: number;
    readonly hashes: readonly string[];
  };
  parts(): AsyncIterable<Part>;
  /** What the parts have named; to be asked for after them. */
  catalogue(): Promise<Catalogue>;
}

export interface Leaves {
  /** The stored bytes. */
  readonly events: readonly Uint8Array[];
  readonly proofs: readonly ProofLine[];
}

export interface Part extends Leaves {
  readonly people: readonly PersonToldOf[];
  /** Undefined where personal fields stay sealed. */
  readonly opened?: readonly OpenedLine[];
  /** Of those whose events end in this part. */
  readonly keys: readonly KeyStatus[];
  /** The destructions of keys that are not among the events: they came after the period. */
  readonly erasures: Leaves;
  readonly records: RecordsDocument;
}

/** A person, or the events of one who has too many for one part that lie in this one. */
export interface PersonToldOf {
  readonly subjectId: SubjectId;
  readonly key: KeyStatus;
  /** Whether the person began in an earlier part. */
  readonly continued: boolean;
  readonly items: readonly ItemToldOf[];
}

export interface ItemToldOf {
  readonly says: Words;
  readonly occurredAt: Instant;
  readonly recordedAt: Instant;
  readonly source: string;
  readonly index: number;
  /** The words that were shown, by their hash. */
  readonly notice?: NoticeShown;
  /** Personal fields; absent where they stay sealed. */
  readonly opened?: OpenedLine['data'];
}

export interface Catalogue extends Leaves {
  /** The words of notices, by hash. */
  readonly notices: ReadonlyMap<string, string>;
}
