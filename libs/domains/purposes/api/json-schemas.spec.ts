import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { reference, schemasOf } from '#core/platform/http/json-schema.js';
import type { Shape } from '#core/platform/http/shapes.js';
import { readBody } from '#core/platform/http/validated-body.js';
import { BulkLineBody } from '#domains/consents/api/bulk.shapes.js';
import { CatalogueBody } from './catalogue.shapes.js';

/**
 * The JSON Schemas in docs/api/schemas are made of the shapes that read the same files. Where a shape has
 * changed: UPDATE_SCHEMAS=1 npm run jest -- libs/domains/purposes/api/json-schemas.spec.ts, then npm run format
 */

const root = join(import.meta.dirname, '../../../..');
const DEFS = '#/$defs/';

type Schema = Record<string, unknown>;
type Defs = Record<string, Schema & { properties: Record<string, Schema> }>;

function schemaFile(
  shape: Shape,
  name: string,
  title: string,
  refine: (defs: Defs) => void,
): Schema {
  const $defs = structuredClone(schemasOf([shape], DEFS)) as Defs;
  refine($defs);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: `urn:consent-ledger:schema:${name}`,
    title,
    ...reference(shape, DEFS),
    $defs,
  };
}

/** What shapes leave to rules that are code, as far as a schema can say it. */
function refineCatalogue(defs: Defs): void {
  const { PurposeBody, TopicBody, NoticeBody } = defs as Record<string, Defs[string]>;
  for (const body of [PurposeBody, TopicBody])
    Object.assign(body?.properties['texts'] as Schema, {
      propertyNames: { pattern: '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$', maxLength: 35 },
      additionalProperties: { type: 'string', minLength: 1, maxLength: 2_000, pattern: '\\S' },
    });
  Object.assign(PurposeBody?.properties['texts'] as Schema, { minProperties: 1 });
  Object.assign(PurposeBody?.properties['key'] as Schema, { not: { const: 'marketing' } });
  const where = (field: string, holds: Schema, then: Schema): Schema => ({
    if: { properties: { [field]: holds }, required: [field] },
    then,
  });
  const mayRestOnConsent = { properties: { allowedBases: { contains: { const: 'consent' } } } };
  Object.assign(PurposeBody as Schema, {
    allOf: [
      where('channels', { minItems: 1 }, { properties: { marketing: { const: true } } }),
      where('doubleOptIn', { const: true }, mayRestOnConsent),
      where('explicitConsent', { const: true }, mayRestOnConsent),
      where('minimumEvidence', { const: 'notice' }, mayRestOnConsent),
    ],
  });
  Object.assign(
    NoticeBody as Schema,
    where('kind', { const: 'consent' }, { required: ['purpose'] }),
  );
}

const FILES = [
  schemaFile(CatalogueBody, 'catalogue', 'A catalogue of the consent ledger', refineCatalogue),
  schemaFile(BulkLineBody, 'bulk-line', 'One line of a bulk recording', () => undefined),
] as const;

const compiled = new Map<string, ValidateFunction>();

beforeAll(async () => {
  for (const schema of FILES) {
    const name = String(schema['$id']).split(':').at(-1) as string;
    const path = join(root, 'docs/api/schemas', `${name}.schema.json`);
    const text = `${JSON.stringify(schema, null, 2)}\n`;
    if (process.env['UPDATE_SCHEMAS']) await writeFile(path, text);
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(schema);
    const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false });
    formats.default(ajv);
    compiled.set(name, ajv.compile(schema));
  }
});

const accepts = (name: string, value: unknown): boolean => {
  const json = JSON.parse(JSON.stringify(value)) as unknown;
  return (compiled.get(name) as ValidateFunction)(json);
};

/** What the ledger itself says. */
const isRead = (shape: Shape, value: unknown): boolean => {
  try {
    readBody(shape, JSON.parse(JSON.stringify(value)));
    return true;
  } catch {
    return false;
  }
};

const purpose = {
  key: 'newsletter',
  texts: { en: 'Newsletter' },
  controllers: ['nordwind'],
  marketing: true,
  allowedBases: ['consent'],
};
const orders = { ...purpose, marketing: false, allowedBases: ['contract'] };
const notice = {
  purpose: 'newsletter',
  kind: 'consent',
  version: 1,
  language: 'en',
  text: 'I agree.',
};

describe('the schema of the catalogue', () => {
  it('accepts the example', async () => {
    const file: unknown = JSON.parse(await readFile(join(root, 'examples/catalogue.json'), 'utf8'));
    expect(accepts('catalogue', file)).toBe(true);
    expect(isRead(CatalogueBody, file)).toBe(true);
  });

  it.each<[boolean, object]>([
    [true, {}],
    [true, { purposes: [purpose], notices: [notice], sources: ['trade-fair'] }],
    [true, { topics: [{ key: 'news', purpose: 'newsletter', unset: 'follows-purpose' }] }],
    [true, { defaults: { bases: [] } }],
    [false, { purpose: [] }],
    [false, { purposes: [{ ...purpose, key: 'News Letter' }] }],
    [false, { purposes: [{ ...purpose, texts: {} }] }],
    [false, { purposes: [{ ...purpose, texts: { en: ' ' } }] }],
    [false, { purposes: [{ ...purpose, texts: { e: 'x' } }] }],
    [false, { purposes: [{ ...purpose, marketing: undefined }] }],
    [false, { purposes: [{ ...purpose, channels: ['fax'] }] }],
    [false, { purposes: [{ ...purpose, retention: 'P1H' }] }],
    [false, { purposes: [{ ...purpose, surprise: 1 }] }],
    [false, { notices: [{ ...notice, version: 0 }] }],
    [false, { notices: [{ ...notice, kind: 'novel' }] }],
    [false, { notices: [{ ...notice, publishedAt: 'yesterday' }] }],
    [false, { topics: [{ key: 'news' }] }],
    [false, { defaults: { bases: [{ purpose: 'x', basis: 'consent', status: 'established' }] } }],
  ])('says %s, as the ledger does, of %j', (verdict, file) => {
    expect(accepts('catalogue', file)).toBe(verdict);
    expect(isRead(CatalogueBody, file)).toBe(verdict);
  });

  it.each<object>([
    { purposes: [{ ...purpose, key: 'marketing' }] },
    { purposes: [{ ...orders, channels: ['email'] }] },
    { purposes: [{ ...orders, doubleOptIn: true }] },
    { purposes: [{ ...orders, explicitConsent: true }] },
    { purposes: [{ ...orders, minimumEvidence: 'notice' }] },
    { notices: [{ ...notice, purpose: undefined }] },
  ])('refuses what contradicts itself: %j', (file) => {
    expect(accepts('catalogue', file)).toBe(false);
  });
});

const subjectId = 'sub_01983c5e-8a00-7c3e-9d51-1f0c5a7be001';
const externalRef = { system: 'crm', id: '4711' };
const interaction = {
  occurredAt: '2026-03-01T12:00:00Z',
  source: 'web-form',
  collectionPoint: 'checkout',
  language: 'de',
  choices: [
    {
      purpose: 'newsletter',
      decision: 'give',
      noticeVersion: 2,
      confirmation: { method: 'double-opt-in', at: '2026-03-01T12:05:00Z' },
    },
    { topic: 'tours', channel: 'email', decision: 'on' },
    { objection: 'marketing', decision: 'withdraw' },
  ],
};
const registration = {
  type: 'register',
  externalRef,
  name: 'Erika Mustermann',
  language: 'de',
  contactPoints: [{ kind: 'email', value: 'erika@example.org' }],
  source: 'import',
  occurredAt: '2026-01-02T09:53:10.000Z',
  bases: [{ purpose: 'orders', basis: 'contract', status: 'established' }],
  idempotencyKey: 'crm-4711',
};

describe('the schema of a bulk line', () => {
  it.each<[boolean, object]>([
    [true, registration],
    [true, { type: 'register', source: 'import' }],
    [true, { type: 'interaction', externalRef, interaction }],
    [true, { type: 'interaction', subjectId, interaction, idempotencyKey: 'x' }],
    [false, { ...registration, type: 'registration' }],
    [false, { ...registration, source: undefined }],
    [false, { ...registration, contactPoints: [{ kind: 'fax', value: '1' }] }],
    [false, { type: 'interaction', externalRef }],
    [false, { type: 'interaction', interaction }],
    [false, { type: 'interaction', subjectId, externalRef, interaction }],
    [false, { type: 'interaction', externalRef, interaction: { ...interaction, choices: [] } }],
    [false, { type: 'interaction', externalRef, ...interaction }],
    [
      false,
      {
        type: 'interaction',
        externalRef,
        interaction: { ...interaction, choices: [{ purpose: 'newsletter', decision: 'maybe' }] },
      },
    ],
  ])('says %s, as the ledger does, of %j', (verdict, line) => {
    expect(accepts('bulk-line', line)).toBe(verdict);
    expect(isRead(BulkLineBody, line)).toBe(verdict);
  });
});
