import { Inject } from '@nestjs/common';
import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { type ContactPointId, streamOf, type SubjectId } from '#core/kernel/ids.js';
import { fold } from '#core/kernel/model.js';
import { Ledger } from '#core/ledger/ledger.js';
import { Config } from '#core/platform/config.js';
import { LOOKUP_INDEX } from '#core/vault/tokens.js';
import type { LookupIndex } from '#core/vault/port.js';
import { normalisedContact, referenceKind } from '../domain/contacts.vocabulary.js';
import { type Subject, subject } from '../domain/subjects.js';
import { compartmentOf, registrationReference } from '../domain/subjects.events.js';
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
    const found = await this.index.matchMany(wanted);
    const owners = [...new Set(found.flat().map(({ owner }) => owner as SubjectId))];
    const streams = await Promise.all(
      owners.map((id) => this.ledger.read(streamOf('subject', id))),
    );
    const subjects = new Map(owners.map((id, n) => [id, fold(subject, streams[n] ?? [])]));
    return found.map((matches) => {
      const borneOut = matches.filter(({ owner, reference }) =>
        isOf(subjects.get(owner as SubjectId), reference),
      );
      return [...new Set(borneOut.map(({ owner }) => owner as SubjectId))];
    });
  }
}

/**
 * Whether the log bears out what the index says. An entry is made before what it stands for is recorded,
 * and is worth nothing where that was refused, or a contact point was removed again.
 */
function isOf(person: Subject | undefined, reference: string): boolean {
  if (!person) return false;
  const { registration, contactPoints } = person;
  if (registration && reference === registrationReference(registration)) return true;
  return Object.keys(contactPoints).some(
    (id) => reference === compartmentOf({ contactPointId: id as ContactPointId }),
  );
}
