import { Query } from '@nestjs/cqrs';
import type { SubjectId } from '#core/kernel/ids.js';
import type { ContactKind, ExternalRef } from '../domain/subjects.events.js';

/** How somebody outside names a person. */
export type SubjectReference =
  | { readonly contactPoint: { readonly kind: ContactKind; readonly value: string } }
  | { readonly externalRef: ExternalRef };

/** Who is meant, for each reference in the order asked; nobody for one that the log does not bear out. */
export class FindSubjects extends Query<readonly (readonly SubjectId[])[]> {
  constructor(
    readonly references: readonly SubjectReference[],
    readonly options: {
      /** Where the n-th reference stands in the caller's body. */
      readonly pointerTo?: (n: number) => string;
    } = {},
  ) {
    super();
  }
}
