import { joinCatalogues } from '#core/kernel/catalogue.js';
import type { StreamGuard } from '#core/ledger/ledger.js';
import { ledgerEvents } from '#core/ledger/ledger.events.js';
import type { Projection } from '#core/projector/projection.js';
import { accessEvents } from './access/domain/access.events.js';
import { AuditTrailProjection } from './access/projections/audit-trail.projection.js';
import { ReceiptsProjection } from './audit/projections/receipts.projection.js';
import { consentEvents } from './consents/domain/consents.events.js';
import { StandingProjection } from './consents/projections/standing.projection.js';
import { erasureEvents } from './erasure/domain/erasure.events.js';
import { nothingAfterErasure } from './erasure/domain/erasure.js';
import { OperationsProjection } from './erasure/projections/operations.projection.js';
import { preferenceEvents } from './preferences/domain/preferences.events.js';
import { purposeEvents } from './purposes/domain/purposes.events.js';
import { subjectEvents } from './subjects/domain/subjects.events.js';

/** Everything that the slices bring to the core, in one place; the modules are in `slices.module.ts`. */

export const eventCatalogue = joinCatalogues(
  ledgerEvents,
  accessEvents,
  consentEvents,
  erasureEvents,
  preferenceEvents,
  purposeEvents,
  subjectEvents,
);

export const guards: readonly StreamGuard[] = [nothingAfterErasure];

export const projections = (): readonly Projection[] => [
  new StandingProjection(),
  new ReceiptsProjection(),
  new OperationsProjection(),
  new AuditTrailProjection(),
];

/** The check of an evidence bundle, for whoever has nothing else. */
export { type Finding, type Report, verifyBundle } from './evidence/domain/verify-bundle.js';

/** The read models that serve decisions and subjects: what they have all passed is *visible*. */
export const SERVING = ['standing', 'receipts', 'operations'] as const;
