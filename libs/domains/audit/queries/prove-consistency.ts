import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { invalid } from '#core/kernel/refused.js';
import { base64 } from '#core/proof/encoding.js';
import { ProvenLog } from '#core/proof/proven-log.js';
import { publishedCheckpoint } from './published-checkpoint.js';

interface TreeHead {
  readonly size: number;
  /** Base64. */
  readonly root: string;
}

/** That the log was only added to between two sizes. Hashes are in base64. */
export interface ConsistencyProof {
  readonly from: TreeHead;
  readonly to: TreeHead;
  /** RFC 9162, section 2.1.4. */
  readonly hashes: readonly string[];
  /** The signed note of the larger size. */
  readonly checkpoint: string;
}

/** Proves that the tree of a published checkpoint, else of the newest, begins with the whole tree of size `from`. */
export class ProveConsistency extends Query<ConsistencyProof> {
  constructor(
    /** At least 1: a proof from size 0 would prove nothing. */
    readonly from: number,
    readonly to?: number,
  ) {
    super();
  }
}

@QueryHandler(ProveConsistency)
export class ProveConsistencyHandler implements IQueryHandler<ProveConsistency> {
  constructor(private readonly log: ProvenLog) {}

  async execute({ from, to }: ProveConsistency): Promise<ConsistencyProof> {
    const { size, root, note } = await publishedCheckpoint(this.log, to, '/to');
    if (from > size)
      throw invalid({
        pointer: '/from',
        code: 'size-beyond-checkpoint',
        detail: 'is larger than the size that the log is to have grown to',
      });
    const before = { size: from, root: await this.log.rootOf(from) };
    const hashes = await this.log.consistency(before, { size, root });
    return {
      from: { size: from, root: base64(before.root) },
      to: { size, root: base64(root) },
      hashes: hashes.map(base64),
      checkpoint: note,
    };
  }
}
