export { type LegalBasis, LEGAL_BASES } from '#domains/purposes/domain/purposes.events.js';
import { type BasisStatus, STATUSES } from '../domain/legal-basis.js';

export type { BasisStatus };

/** Every status that can be set of a legal basis. */
export const BASIS_STATUSES = Object.keys(STATUSES) as readonly BasisStatus[];
