import { Inject } from '@nestjs/common';
import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { streamOf, type SubjectId } from '#core/kernel/ids.js';
import { Ledger } from '#core/ledger/ledger.js';
import { Config } from '#core/platform/config.js';
import { normalisedContact, referenceKind } from '#core/platform/contact-values.js';
import { LOOKUP_INDEX } from '#core/vault/tokens.js';
import type { LookupIndex } from '#core/vault/port.js';
import { FindSubjects } from './find-subjects.message.js';

@QueryHandler(FindSubjects)
export class FindSubjectsHandler implements IQueryHandler<FindSubjects> {
  constructor(
    @Inject(LOOKUP_INDEX) private readonly index: LookupIndex,
    private readonly config: Config,
    private readonly ledger: Ledger,
  ) {}

  async execute({ references, options }: FindSubjects): Promise<readonly (readonly SubjectId[])[]> {
    const region = this.config.defaultRegion;
    const { pointerTo = () => '' } = options;
    const wanted = references.map((reference, n) => {
      if ('externalRef' in reference) {
        const { system, id } = reference.externalRef;
        return { kind: referenceKind(system), value: id };
      }
      const { kind, value } = reference.contactPoint;
      const pointer = `${pointerTo(n)}/contactPoint/value`;
      return { kind, value: normalisedContact(kind, value, { region, pointer }) };
    });
    const found = (await this.index.findMany(wanted)) as readonly (readonly SubjectId[])[];
    if (!options.registeredOnly) return found;
    const streams = await this.ledger.readMany(found.flat().map((id) => streamOf('subject', id)));
    return found.map((ids) => ids.filter((id) => streams.get(streamOf('subject', id))?.length));
  }
}
