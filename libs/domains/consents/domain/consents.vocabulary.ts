import type { LegalBasis } from './consents.events.js';

/** Why not, or `allowed`; in the order in which the first that applies names the answer. */
export const CODES = [
  'unknown-subject',
  'erased',
  'restricted',
  'objected',
  'no-basis',
  'consent-requested',
  'consent-refused',
  'consent-withdrawn',
  'consent-expired',
  'consent-invalidated',
  'consent-unknown',
  'basis-ended',
  'evidence-missing',
  'confirmation-pending',
  'channel-not-covered',
  'topic-off',
  'channel-off',
  'no-contact-point',
  'allowed',
] as const;
export type Code = (typeof CODES)[number];

/** Codes in the order of `CODES`, each once. */
export function inOrder(codes: Iterable<Code>): Code[] {
  const given = new Set(codes);
  return CODES.filter((code) => given.has(code));
}

/** The statuses that can be set, each with the bases that know it. Expiry follows from time and is never set. */
export const STATUSES = {
  requested: ['consent'],
  given: ['consent'],
  refused: ['consent'],
  withdrawn: ['consent'],
  renewed: ['consent'],
  invalidated: ['consent'],
  unknown: ['consent'],
  established: ['contract', 'legal-obligation', 'vital-interests'],
  asserted: ['legitimate-interests', 'public-task'],
  objected: ['legitimate-interests', 'public-task'],
  upheld: ['legitimate-interests', 'public-task'],
  ended: ['contract', 'legal-obligation', 'vital-interests', 'legitimate-interests', 'public-task'],
} as const satisfies Readonly<Record<string, readonly LegalBasis[]>>;
export type BasisStatus = keyof typeof STATUSES;

/** Every status that can be set of a legal basis. */
export const BASIS_STATUSES = Object.keys(STATUSES) as readonly BasisStatus[];
