import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { ProvenLog } from '#core/proof/proven-log.js';
import { notSealedYet } from './published-checkpoint.js';

/** The newest checkpoint, the signed note byte for byte. */
export class ShowCheckpoint extends Query<string> {}

@QueryHandler(ShowCheckpoint)
export class ShowCheckpointHandler implements IQueryHandler<ShowCheckpoint> {
  constructor(private readonly log: ProvenLog) {}

  async execute(): Promise<string> {
    const newest = await this.log.newest();
    if (newest === undefined) throw notSealedYet('Nothing is sealed yet.');
    return newest.note;
  }
}
