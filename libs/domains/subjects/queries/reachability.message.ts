import { Query } from '@nestjs/cqrs';
import type { SubjectId } from '#core/kernel/ids.js';
import type { ContactKind, ExternalRef } from '../domain/subjects.events.js';

/** How people are called outside and reached, in clear. The caller has recorded that somebody looks. */
export class AskReachability extends Query<readonly Reachability[]> {
  constructor(readonly subjectIds: readonly SubjectId[]) {
    super();
  }
}

export interface Reachability {
  readonly externalRefs: readonly ExternalRef[];
  readonly contactPoints: readonly { readonly kind: ContactKind; readonly value: string }[];
}
