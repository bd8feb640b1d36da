import { after, type Instant, type Period } from '#core/kernel/instant.js';
import type { Decision } from '#core/kernel/model.js';
import { invalid, type Violation } from '#core/kernel/refused.js';
import type { PurposeDefinition } from '#domains/purposes/domain/purposes.events.js';
import {
  endBasis,
  giveConsent,
  invalidateConsent,
  raiseObjection,
  refuseConsent,
  renewConsent,
  requestConsent,
  setBasis,
  upholdBasis,
  withdrawConsent,
} from './choices.js';
import type { ConsentEvent, LegalBasis, Testimony } from './consents.events.js';
import { type BasisStatus, STATUSES } from './consents.vocabulary.js';
import type { PersonFacts } from './facts.js';

export interface BasisStatement {
  readonly purpose: Pick<
    PurposeDefinition,
    'key' | 'marketing' | 'allowedBases' | 'expiresAfter'
  > & {
    readonly revision: number;
  };
  readonly basis: LegalBasis;
  readonly status: BasisStatus;
  readonly at: Instant;
  readonly reference?: string;
  readonly assessment?: string;
  readonly validUntil?: Instant;
  readonly testimony?: Testimony;
}

/** What is missing or out of place in a statement, whatever is on record. Pointers are into its body. */
export function violationsOf(statement: BasisStatement): Violation[] {
  const { basis, status, at, reference, assessment, validUntil, testimony } = statement;
  const found: Violation[] = [];
  const violation = (pointer: string, code: string, detail: string) =>
    found.push({ pointer, code, detail });
  const bases: readonly LegalBasis[] = STATUSES[status];
  if (!bases.includes(basis))
    violation('/status', 'status-not-of-basis', `${status} is a status of ${bases.join(', ')}`);
  if (
    (status === 'requested' || status === 'given') &&
    !statement.purpose.allowedBases.includes(basis)
  )
    violation(
      '/basis',
      'basis-not-allowed',
      `may rest on ${statement.purpose.allowedBases.join(', ')}`,
    );
  if (
    (basis === 'legal-obligation' || basis === 'public-task') &&
    (status === 'established' || status === 'asserted') &&
    reference === undefined
  )
    violation(
      '/reference',
      'reference-required',
      'must name the law that this rests on (Art. 6(3))',
    );
  if (
    status === 'upheld' &&
    [reference, assessment, testimony?.comment].every((g) => g === undefined)
  )
    violation(
      '/assessment',
      'grounds-required',
      'overruling an objection needs its grounds (Art. 21(1))',
    );
  if (validUntil !== undefined && validUntil <= at)
    violation('/validUntil', 'ends-before-it-begins', 'must lie after occurredAt');
  if (validUntil !== undefined && !['established', 'asserted', 'given'].includes(status))
    violation('/validUntil', 'not-of-status', `${status} has no end`);
  return found;
}

/** The decision that a statement on a legal basis amounts to. */
export function stateBasis(statement: BasisStatement): Decision<PersonFacts, ConsentEvent> {
  const [violation, ...more] = violationsOf(statement);
  if (violation) throw invalid(violation, ...more);
  const { purpose, basis, status, at, reference, assessment, validUntil } = statement;
  const asEvidence = { reference, assessment };
  const evidence = Object.values(asEvidence).some((value) => value !== undefined)
    ? asEvidence
    : undefined;
  const said = {
    purpose: purpose.key,
    purposeRevision: purpose.revision,
    at,
    testimony:
      basis === 'consent' && evidence ? { ...statement.testimony, evidence } : statement.testimony,
  };
  const { allowedBases, marketing } = purpose;
  switch (status) {
    case 'requested':
      return requestConsent(said);
    case 'given': {
      const ends = [expiryOf(purpose.expiresAfter, at), validUntil].filter(
        (end) => end !== undefined,
      );
      return giveConsent({ ...said, noticeEvidence: 'none', expiresAt: ends.sort()[0] });
    }
    case 'refused':
      return refuseConsent(said);
    case 'withdrawn':
      return withdrawConsent(said);
    case 'renewed':
      return renewConsent({ ...said, expiresAt: expiryOf(purpose.expiresAfter, at) });
    case 'invalidated':
      return invalidateConsent(said);
    case 'unknown':
    case 'established':
    case 'asserted':
      return setBasis({ ...said, basis, status, reference, assessment, validUntil, allowedBases });
    case 'objected':
      return raiseObjection({
        to: { scope: 'purpose', purpose: purpose.key },
        at,
        testimony: said.testimony,
      });
    case 'upheld':
      return upholdBasis({
        ...said,
        basis: basis as 'public-task' | 'legitimate-interests',
        reference,
        assessment,
        allowedBases,
        marketing,
      });
    case 'ended':
      return endBasis({ ...said, basis: basis as Exclude<LegalBasis, 'consent'>, reference });
  }
}

/** When what counts from `at` ends, by the rule in force now. */
export function expiryOf(rule: Period | undefined, at: Instant): Instant | undefined {
  return rule === undefined ? undefined : after(at, rule);
}
