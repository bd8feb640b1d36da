import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { type EventId, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import { invalid, type Refused } from '#core/kernel/refused.js';
import { Ledger } from '#core/ledger/ledger.js';
import { base64 } from '#core/proof/encoding.js';
import { leafHash } from '#core/proof/merkle.js';
import { sha256 } from '#core/proof/node-crypto.js';
import { ProvenLog } from '#core/proof/proven-log.js';
import { formatTlogProof } from '#core/proof/tlog-proof.js';
import { notSealedYet, publishedCheckpoint } from './published-checkpoint.js';

/** Which leaf: by its number, by where its event lies, or by the event in a person's stream. */
export type LeafAsked =
  { readonly index: number } | { readonly position: Position } | EventOfPerson;

/** Ids of events are unique within a stream, and looked up there. */
export interface EventOfPerson {
  readonly eventId: EventId;
  readonly subjectId: SubjectId;
}

/** That a leaf is in the tree of a checkpoint. Hashes are in base64. */
export interface InclusionProof {
  readonly index: number;
  readonly position: Position;
  readonly leafHash: string;
  readonly size: number;
  readonly root: string;
  /** From the leaf's sibling up (RFC 9162, section 2.1.3). */
  readonly hashes: readonly string[];
  /** The signed note. */
  readonly checkpoint: string;
  /** All of it as c2sp.org/tlog-proof@v1 writes it. */
  readonly tlogProof: string;
}

/** Proves that an event is in the log: in the tree of the published checkpoint of that size, or of the newest. */
export class ProveInclusion extends Query<InclusionProof> {
  constructor(
    readonly leaf: LeafAsked,
    readonly size?: number,
  ) {
    super();
  }
}

@QueryHandler(ProveInclusion)
export class ProveInclusionHandler implements IQueryHandler<ProveInclusion> {
  constructor(
    private readonly log: ProvenLog,
    private readonly ledger: Ledger,
  ) {}

  async execute({ leaf, size }: ProveInclusion): Promise<InclusionProof> {
    const checkpoint = await publishedCheckpoint(this.log, size, '/size');
    const index = 'index' in leaf ? leaf.index : await this.indexOf(leaf);
    const found = index < checkpoint.size ? await this.log.leaf(index) : undefined;
    if (found === undefined) throw notInTree(leaf, size);
    const { position, bytes } = found;
    const hashes = await this.log.inclusion(index, bytes, checkpoint);
    return {
      index,
      position,
      leafHash: base64(leafHash(sha256, bytes)),
      size: checkpoint.size,
      root: base64(checkpoint.root),
      hashes: hashes.map(base64),
      checkpoint: checkpoint.note,
      tlogProof: formatTlogProof({ index, hashes, checkpoint: checkpoint.note }),
    };
  }

  private async indexOf(leaf: Exclude<LeafAsked, { index: number }>): Promise<number> {
    const position = 'position' in leaf ? leaf.position : await this.positionOf(leaf);
    const index = (await this.log.indexesOf([position])).get(position);
    if (index !== undefined) return index;
    if (await this.ledger.at(position)) throw notSealedYet('It is recorded, and not sealed yet.');
    throw unknownEvent('/position', 'the log has no event at this position');
  }

  private async positionOf({ eventId, subjectId }: EventOfPerson): Promise<Position> {
    const stream = await this.ledger.read(streamOf('subject', subjectId));
    const event = stream.find(({ id }) => id === eventId);
    if (event) return event.position;
    throw unknownEvent('/eventId', "the person's stream has no such event");
  }
}

function unknownEvent(pointer: string, detail: string): Refused {
  return invalid({ pointer, code: 'unknown-event', detail });
}

/** Its number says that it is none of the tree's leaves. */
function notInTree(leaf: LeafAsked, size: number | undefined): Refused {
  if (size === undefined && !('index' in leaf))
    return notSealedYet('It is recorded, and not sealed yet.');
  const pointer = size === undefined ? '/index' : '/size';
  const detail = 'the tree of this checkpoint does not have the leaf';
  return invalid({ pointer, code: 'not-in-tree', detail });
}
