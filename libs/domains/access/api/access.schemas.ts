import type { JsonSchema } from '#core/platform/http/operation.js';
import { ROLES, SCOPES } from '../commands/issue-api-key.js';

/** Answers of this slice in JSON Schema (2020-12). Fields that are not listed may be added later. */

const text: JsonSchema = { type: 'string' };
const instant: JsonSchema = { type: 'string', format: 'date-time' };
const position: JsonSchema = { type: 'string', pattern: '^(0|[1-9][0-9]{0,18})$' };
const scopes: JsonSchema = { type: 'array', items: { enum: SCOPES } };
const page = object({ next: { type: 'string', description: 'The cursor of the next page.' } }, [
  'next',
]);

export const issuedKeySchema = object(
  {
    keyId: text,
    secret: {
      type: ['string', 'null'],
      description: 'Shown once: null where the call is repeated.',
    },
    role: { enum: ROLES },
    scopes,
    expiresAt: instant,
    revision: { type: 'integer', minimum: 0 },
    position,
    recordedAt: instant,
  },
  ['role', 'expiresAt'],
);

export const keySchema = object(
  {
    keyId: text,
    name: text,
    role: { enum: ROLES },
    scopes,
    status: { enum: ['active', 'expired', 'revoked'] },
    issuedAt: instant,
    expiresAt: instant,
    revokedAt: instant,
  },
  ['name', 'role', 'expiresAt', 'revokedAt'],
);

export const keysSchema = object({ data: { type: 'array', items: keySchema }, page });

export const auditSchema = object({
  data: {
    type: 'array',
    items: object(
      {
        position,
        eventId: text,
        recordedAt: instant,
        actor: object({ kind: { enum: ['service', 'officer', 'system', 'subject'] }, id: text }),
        action: { type: 'string', description: 'The type of event.' },
        target: { type: 'string', description: 'Whom or what it was done to.' },
        purpose: text,
      },
      ['target', 'purpose'],
    ),
  },
  page,
  position: { ...position, description: 'How far the audit trail had come.' },
});

function object(
  properties: Readonly<Record<string, JsonSchema>>,
  optional: readonly string[] = [],
): JsonSchema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, ...(required.length > 0 ? { required } : {}) };
}
