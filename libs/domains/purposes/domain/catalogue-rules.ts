import { after, type Instant } from '#core/kernel/instant.js';
import type { Violation } from '#core/kernel/refused.js';
import type { PrivacyCentre } from './privacy-centre.js';
import type {
  DefaultBasis,
  LegalBasis,
  NoticeKind,
  PurposeDefinition,
  TopicDefinition,
} from './purposes.events.js';

/** What must hold between the parts of the catalogue. Pointers are into the part that is judged. */

/** The part of the catalogue that definitions refer to: as it is, or as a file will make it. */
export interface Surroundings {
  readonly purposes: Readonly<
    Record<string, Pick<PurposeDefinition, 'allowedBases'> & { readonly retiredAt?: Instant }>
  >;
  readonly controllers: readonly { readonly key: string }[];
  readonly defaultBases: PrivacyCentre['defaultBases'];
}

/** It names all direct marketing in an objection, so it can not name a purpose as well. */
const RESERVED_KEY = 'marketing';

export function purposeViolations(
  definition: PurposeDefinition,
  { controllers, defaultBases }: Surroundings,
): Violation[] {
  const { key, allowedBases } = definition;
  const found: Violation[] = [];
  const violation = (pointer: string, code: string, detail: string) =>
    found.push({ pointer, code, detail });
  if (key === RESERVED_KEY)
    violation('/key', 'reserved-key', 'names all direct marketing in an objection');
  definition.controllers.forEach((name, n) => {
    if (!controllers.some((controller) => controller.key === name))
      violation(`/controllers/${n}`, 'unknown-controller', 'there is no such controller');
  });
  if (definition.channels.length > 0 && !definition.marketing)
    violation('/channels', 'not-marketing', 'only a purpose of marketing has channels');
  if (!allowedBases.includes('consent')) {
    const detail = 'is a rule for consent, which is not among allowedBases';
    if (definition.doubleOptIn) violation('/doubleOptIn', 'consent-not-allowed', detail);
    if (definition.explicitConsent) violation('/explicitConsent', 'consent-not-allowed', detail);
    if (definition.minimumEvidence !== 'none')
      violation('/minimumEvidence', 'consent-not-allowed', detail);
  }
  for (const field of ['expiresAfter', 'retention'] as const) {
    const period = definition[field];
    if (period !== undefined && after(SOME_DAY, period) === SOME_DAY)
      violation(`/${field}`, 'empty-period', 'must be longer than nothing');
  }
  for (const { purpose, basis } of defaultBases)
    if (purpose === key && !allowedBases.includes(basis))
      violation(
        '/allowedBases',
        'basis-is-default',
        `${basis} is recorded by default for this purpose; change the defaults first`,
      );
  return found;
}

const SOME_DAY = '2000-01-01T00:00:00.000Z' as Instant;

export function topicViolations(
  { purpose }: TopicDefinition,
  { purposes }: Surroundings,
  now: Instant,
): Violation[] {
  const known = purposes[purpose];
  if (!known) return [unknownPurpose('/purpose')];
  if (known.retiredAt !== undefined && known.retiredAt <= now)
    return [{ pointer: '/purpose', code: 'purpose-retired', detail: 'the purpose is retired' }];
  return [];
}

export function noticeViolations(
  notice: { readonly purpose?: string; readonly kind: NoticeKind; readonly publishedAt?: Instant },
  { purposes }: Surroundings,
  latest: Instant,
): Violation[] {
  const found: Violation[] = [];
  if (notice.purpose !== undefined && !purposes[notice.purpose])
    found.push(unknownPurpose('/purpose'));
  if (notice.purpose === undefined && notice.kind === 'consent')
    found.push({
      pointer: '/purpose',
      code: 'required',
      detail: 'is required: consent is given for a purpose',
    });
  if (notice.publishedAt !== undefined && notice.publishedAt > latest)
    found.push({
      pointer: '/publishedAt',
      code: 'in-the-future',
      detail: 'must not lie in the future',
    });
  return found;
}

const STATUS_OF: Readonly<Record<LegalBasis, DefaultBasis['status'] | undefined>> = {
  consent: undefined,
  contract: 'established',
  'legal-obligation': 'established',
  'vital-interests': 'established',
  'public-task': 'asserted',
  'legitimate-interests': 'asserted',
};

/** Bases that every registration without its own receives: what is wrong here would refuse them all. */
export function defaultViolations(
  bases: readonly DefaultBasis[],
  { purposes }: Surroundings,
): Violation[] {
  const seen = new Set<string>();
  return bases.flatMap(({ purpose, basis, status, reference }, n) => {
    const found: Violation[] = [];
    const violation = (field: string, code: string, detail: string) =>
      found.push({ pointer: `/${n}/${field}`, code, detail });
    const known = purposes[purpose];
    if (!known) found.push(unknownPurpose(`/${n}/purpose`));
    else if (!known.allowedBases.includes(basis))
      violation(
        'basis',
        'basis-not-allowed',
        `this purpose may rest on ${known.allowedBases.join(', ')}`,
      );
    if (STATUS_OF[basis] !== status)
      violation('status', 'status-not-of-basis', `${status} is no status of ${basis}`);
    if ((basis === 'legal-obligation' || basis === 'public-task') && reference === undefined)
      violation(
        'reference',
        'reference-required',
        'must name the law that this rests on (Art. 6(3))',
      );
    if (seen.has(`${purpose} ${basis}`))
      violation('basis', 'contradictory-bases', 'this basis is named twice for this purpose');
    seen.add(`${purpose} ${basis}`);
    return found;
  });
}

/** The same violations, seen from what holds the part that was judged. */
export function within(pointer: string, violations: readonly Violation[]): Violation[] {
  return violations.map((violation) => ({
    ...violation,
    pointer: pointer + (violation.pointer ?? ''),
  }));
}

function unknownPurpose(pointer: string): Violation {
  return { pointer, code: 'unknown-purpose', detail: 'there is no such purpose' };
}
