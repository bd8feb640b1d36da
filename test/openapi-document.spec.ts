import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { SCOPES } from '#core/kernel/scopes.js';

/** The document of the repository; that it is the application's is what `npm run openapi:check` is for. */

interface Content {
  /** Absent for a file. */
  readonly schema?: object;
  readonly example?: unknown;
}

interface Operation {
  readonly summary?: string;
  readonly tags: readonly string[];
  readonly security: readonly object[];
  readonly 'x-required-scope'?: string | readonly string[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, Content>> }>
  >;
}

const file = path.resolve(import.meta.dirname, '..', 'docs', 'api', 'openapi.json');
const document = JSON.parse(fs.readFileSync(file, 'utf8')) as {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
};

/** Health, measurements and the document itself: public, and explained by what they are. */
const SERVICE = 'service';

const operations = Object.entries(document.paths).flatMap(([route, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${route}`,
    pointer: `#/paths/${encodeURIComponent(route.replaceAll('/', '~1'))}/${method}`,
    operation,
  })),
);

describe('docs/api/openapi.json', () => {
  test('is OpenAPI 3.1 and describes every call in a sentence', () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(operations.length).toBeGreaterThan(40);
    expect(operations.filter(({ operation }) => !operation.summary)).toEqual([]);
  });

  test('tells which scope each call needs, and leaves only the service itself public', () => {
    const undeclared = operations.filter(({ operation }) => {
      const scopes = [operation['x-required-scope'] ?? []].flat();
      return operation.tags.includes(SERVICE)
        ? operation.security.length > 0
        : scopes.length === 0 || !scopes.every((scope) => SCOPES.some((known) => known === scope));
    });
    expect(undeclared.map(({ name }) => name)).toEqual([]);
  });

  test('shows an example of every answer, and each fits its schema', () => {
    const ajv = new Ajv2020({ strict: false });
    formats.default(ajv);
    ajv.addSchema(document, 'openapi');
    const wrong: string[] = [];
    const check = (name: string, content: Readonly<Record<string, Content>>, pointer: string) => {
      for (const [type, { example, schema }] of Object.entries(content)) {
        // A file is bytes: there is nothing to show.
        if (schema === undefined) continue;
        if (example === undefined) wrong.push(`${name}: no example`);
        // An example of server-sent events is text.
        if (example === undefined || type === 'text/event-stream') continue;
        const $ref = `openapi${pointer}/content/${encodeURIComponent(type.replaceAll('/', '~1'))}/schema`;
        if (!ajv.validate({ $ref }, example)) wrong.push(`${name}: ${ajv.errorsText()}`);
      }
    };
    for (const { name, pointer, operation } of operations) {
      if (operation.tags.includes(SERVICE)) continue;
      for (const [status, { content = {} }] of Object.entries(operation.responses))
        if (Number(status) < 300)
          check(`${name} ${status}`, content, `${pointer}/responses/${status}`);
    }
    expect(wrong).toEqual([]);
  });

  test('gives every refusal as a problem', () => {
    const others = operations.flatMap(({ name, operation }) =>
      Object.entries(operation.responses)
        .filter(([status]) => Number(status) >= 400)
        .filter(([, { content }]) => content?.['application/problem+json'] === undefined)
        .map(([status]) => `${name} ${status}`),
    );
    expect(others).toEqual([]);
  });
});
