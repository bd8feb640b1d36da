import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { Refused } from '#core/kernel/refused.js';
import { ProvenLog } from '#core/proof/proven-log.js';
import { parseTilePath } from '#core/proof/tiles.js';

/** A tile of the tree, or a bundle of events, by its path (c2sp.org/tlog-tiles). */
export class ShowTile extends Query<Uint8Array> {
  constructor(
    /** `0/x001/234` or `entries/000.p/17`: what follows `tile/`. */
    readonly path: string,
  ) {
    super();
  }
}

@QueryHandler(ShowTile)
export class ShowTileHandler implements IQueryHandler<ShowTile> {
  constructor(private readonly log: ProvenLog) {}

  /** What is no path of a tile names nothing, as one that the newest tree does not have. */
  async execute({ path }: ShowTile): Promise<Uint8Array> {
    const tile = parseTilePath(path);
    const bytes = tile && (await this.log.tile(tile));
    if (bytes === undefined)
      throw new Refused('not-found', 'unknown-tile', 'The newest tree has no such tile.');
    return bytes;
  }
}
