/** What a caller may do. Every route declares one of them. */
export const SCOPES = [
  'choices:write',
  'bases:write',
  'decisions:read',
  'subjects:read',
  'subjects:reveal',
  'events:read',
  'evidence:read',
  'catalogue:write',
  'erasure:approve',
  'access:admin',
  'audit:read',
] as const;
export type Scope = (typeof SCOPES)[number];
