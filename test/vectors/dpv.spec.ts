import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { CONTEXT, DPV_TERMS } from '#domains/evidence/domain/vocabulary.js';

const KEPT = join(import.meta.dirname, 'dpv-2.3.used.json');
const PUBLISHED = join(import.meta.dirname, '..', '..', '..', 'shared', 'dpv');

/** IRIs of the term lists that W3C published, where they lie beside the repository. */
function published(): ReadonlySet<string> | undefined {
  if (!existsSync(PUBLISHED)) return undefined;
  const files = ['dpv-2.3.csv', 'eu-gdpr-2.3.csv'];
  const lines = files.flatMap((name) => readFileSync(join(PUBLISHED, name), 'utf8').split('\n'));
  return new Set(lines.map((line) => line.split(',')[2] ?? ''));
}

/** Of the published lists the part that is used; it is only ever added to. */
const kept = new Set(JSON.parse(readFileSync(KEPT, 'utf8')) as readonly string[]);
const iris = DPV_TERMS.map((term) => {
  const [prefix, name] = term.split(':') as ['dpv' | 'eu-gdpr', string];
  return CONTEXT[prefix] + name;
});

describe('the terms that records are written in', () => {
  test('are terms of DPV 2.3, as kept here', () => {
    expect(iris.filter((iri) => !kept.has(iri))).toEqual([]);
  });

  const terms = published();
  (terms ? test : test.skip)('are in the lists that were published, all that are kept', () => {
    expect([...kept].filter((iri) => !terms?.has(iri))).toEqual([]);
    // Terms that guides use and DPV 2.3 does not have.
    for (const name of ['ConsentTerminated', 'hasLegalName', 'ConsentType'])
      expect(terms?.has(CONTEXT.dpv + name)).toBe(false);
  });
});
