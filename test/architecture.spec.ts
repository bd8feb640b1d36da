import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

jest.setTimeout(60_000);

const repository = path.resolve(import.meta.dirname, '..');
const SLICE_FOLDERS = ['api', 'commands', 'domain', 'projections', 'queries', 'reactions', 'views'];

interface Violation {
  rule: { name: string };
  from: string;
  to: string;
}

/** Runs the rules of the repository over `libs` and `apps` of a tree. */
function cruise(root: string): { modules: number; violations: string[] } {
  const program = path.join(repository, 'node_modules', '.bin', 'depcruise');
  const folders = ['apps', 'libs'].filter((folder) => fs.existsSync(path.join(root, folder)));
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [program, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', ...folders],
    { cwd: root, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 },
  );
  if (stdout === '') throw new Error(stderr);
  const { summary } = JSON.parse(stdout) as {
    summary: { totalCruised: number; violations: Violation[] };
  };
  return {
    modules: summary.totalCruised,
    violations: summary.violations
      .map(
        ({ rule, from, to }) => `${rule.name}: ${from} -> ${to.replace(/^.*node_modules\//, '')}`,
      )
      .sort(),
  };
}

describe('the repository', () => {
  test('keeps to the import table', () => {
    const { modules, violations } = cruise(repository);
    expect(violations).toEqual([]);
    expect(modules).toBeGreaterThan(5);
  });

  test('has no folder in a slice but the seven', () => {
    const domains = path.join(repository, 'libs', 'domains');
    const strangers = (fs.existsSync(domains) ? fs.readdirSync(domains) : [])
      .filter((slice) => fs.statSync(path.join(domains, slice)).isDirectory())
      .flatMap((slice) =>
        fs
          .readdirSync(path.join(domains, slice), { withFileTypes: true })
          .filter((entry) => entry.isDirectory() && !SLICE_FOLDERS.includes(entry.name))
          .map((entry) => `libs/domains/${slice}/${entry.name}`),
      );
    expect(strangers).toEqual([]);
  });
});

/** One line each: the file, what it imports, and the rule that refuses it, if one does. */
const CASES: readonly [from: string, imports: string, refusedBy?: string][] = [
  ['core/kernel/a', '#core/ledger/port.js', 'kernel'],
  ['core/kernel/a', 'node:crypto', 'kernel'],
  ['core/kernel/a', 'canonicalize', 'kernel'],
  ['core/kernel/a', './b.js'],

  ['core/vault/a', '#core/kernel/b.js'],
  ['core/vault/a', 'node:crypto'],
  ['core/vault/a', 'node:fs'],
  ['core/vault/a', 'node:net', 'vault'],
  ['core/vault/a', 'kysely', 'vault'],
  ['core/vault/a', '#core/ledger/port.js', 'vault'],
  ['core/vault/a', '@nestjs/common', 'vault'],
  ['core/vault/postgres/a', 'kysely'],
  ['core/vault/postgres/a', 'pg'],
  ['core/vault/postgres/a', '#core/ledger/port.js', 'vault-postgres'],
  ['core/vault/vault.postgres', 'kysely'],

  ['core/ledger/a', '#core/vault/port.js'],
  ['core/ledger/a', 'canonicalize'],
  ['core/ledger/a', 'pg', 'ledger'],
  ['core/ledger/a', '@eventstore/db-client', 'ledger'],
  ['core/ledger/a', '#core/projector/b.js', 'ledger'],
  ['core/ledger/memory/a', 'pg', 'ledger'],
  ['core/ledger/postgres/a', 'pg'],
  ['core/ledger/postgres/a', 'kysely'],
  ['core/ledger/postgres/a', '@eventstore/db-client', 'ledger-postgres'],
  ['core/ledger/kurrentdb/a', '@eventstore/db-client'],
  ['core/ledger/kurrentdb/a', 'pg', 'ledger-kurrentdb'],

  ['core/projector/a', '#core/ledger/port.js'],
  ['core/projector/a', 'kysely'],
  ['core/projector/a', '#core/vault/port.js', 'projector'],
  ['core/projector/a', '#core/platform/b.js', 'projector'],
  ['core/projector/a', '#domains/consents/domain/consents.js', 'projector'],

  ['core/proof/a', '#core/ledger/port.js'],
  ['core/proof/a', 'node:crypto'],
  ['core/proof/a', 'kysely', 'proof'],
  ['core/proof/a', '#core/vault/port.js', 'proof'],
  ['core/proof/a', '#core/vault/durable-file.js'],
  ['core/proof/postgres/a', 'kysely'],

  ['core/platform/a', '@nestjs/common'],
  ['core/platform/a', 'kysely'],
  ['core/platform/a', 'node:net'],
  ['core/platform/a', '#core/kernel/b.js'],
  ['core/platform/a', '#core/ledger/port.js', 'platform'],
  ['core/platform/a', '#domains/consents/domain/consents.js', 'platform'],

  ['core/runtime/a', '#core/vault/port.js'],
  ['core/runtime/a', '#core/ledger/postgres/b.js'],
  ['core/runtime/a', '@nestjs/common'],
  ['core/runtime/a', '#domains/consents/consents.module.js', 'runtime'],

  ['domains/consents/domain/a', '#core/kernel/b.js'],
  ['domains/consents/domain/a', './consents.events.js'],
  ['domains/consents/domain/a', 'type #domains/purposes/domain/purposes.events.js'],
  ['domains/consents/domain/a', '#domains/purposes/domain/purposes.events.js', 'event-types-only'],
  ['domains/consents/domain/a', 'type #domains/purposes/domain/purposes.js', 'domain'],
  ['domains/consents/domain/a', 'node:crypto', 'domain'],
  ['domains/consents/domain/a', 'canonicalize', 'domain'],
  ['domains/consents/domain/a', 'libphonenumber-js'],
  ['domains/consents/domain/a', 'node:url'],
  ['domains/consents/domain/a', '#core/ledger/port.js', 'domain'],
  ['domains/consents/domain/a', '@nestjs/common', 'domain'],
  ['domains/evidence/domain/a', '#core/proof/merkle.js'],
  ['domains/evidence/domain/a', '#core/proof/node-crypto.js', 'domain'],

  ['domains/consents/commands/a', '#domains/consents/domain/consents.js'],
  ['domains/consents/commands/a', '#core/ledger/port.js'],
  ['domains/consents/commands/a', '#core/ledger/postgres/b.js', 'commands'],
  ['domains/consents/commands/a', '#core/platform/b.js'],
  ['domains/consents/commands/a', '@nestjs/cqrs'],
  ['domains/consents/commands/a', '@nestjs/swagger', 'commands'],
  ['domains/consents/commands/a', 'kysely', 'commands'],
  ['domains/consents/commands/a', '#domains/purposes/queries/b.message.js'],
  ['domains/consents/commands/a', '#domains/purposes/queries/b.js', 'commands'],
  ['domains/consents/commands/a', '#domains/purposes/projections/b.js', 'commands'],
  ['domains/consents/commands/a', '#domains/erasure/domain/erasure.js'],
  ['domains/consents/commands/a', '#domains/purposes/domain/purposes.js', 'commands-of-the-person'],
  ['domains/consents/commands/a', '#core/vault/port.js', 'commands-and-keys'],
  ['domains/erasure/commands/a', '#core/vault/port.js'],
  ['domains/erasure/commands/a', '#core/vault/postgres/b.js', 'commands'],
  ['domains/purposes/commands/a', '#domains/purposes/domain/purposes.js'],
  [
    'domains/purposes/commands/a',
    '#domains/consents/domain/consents.js',
    'commands-of-other-domains',
  ],

  ['domains/consents/projections/a', 'kysely'],
  ['domains/consents/projections/a', 'type #domains/purposes/domain/purposes.events.js'],
  [
    'domains/consents/projections/a',
    '#domains/purposes/domain/purposes.events.js',
    'event-types-only',
  ],
  ['domains/consents/projections/a', '#domains/purposes/domain/b.js', 'projections'],
  ['domains/consents/projections/a', '#domains/purposes/projections/b.js', 'projections'],
  ['domains/consents/projections/a', '#core/ledger/port.js', 'projections'],

  ['domains/consents/queries/a', '#domains/consents/projections/b.js'],
  ['domains/consents/queries/a', '#core/ledger/port.js'],
  ['domains/consents/queries/a', '#core/proof/b.js'],
  ['domains/consents/queries/a', '#core/proof/postgres/b.js', 'queries'],
  ['domains/consents/queries/a', '@nestjs/cqrs'],
  ['domains/consents/queries/a', 'kysely', 'queries'],
  ['domains/consents/queries/a', '#domains/purposes/projections/b.js', 'queries'],
  ['domains/consents/queries/a', '#core/vault/port.js', 'queries-and-keys'],
  ['domains/consents/queries/a', '#domains/purposes/queries/b.js', 'messages-only'],

  ['domains/consents/reactions/a', 'type #domains/purposes/domain/purposes.events.js'],
  ['domains/consents/reactions/a', '#domains/consents/commands/b.js'],
  ['domains/consents/reactions/a', '#core/projector/b.js'],
  ['domains/consents/reactions/a', '#domains/purposes/commands/b.js', 'reactions'],
  ['domains/consents/reactions/a', 'kysely', 'reactions'],

  ['domains/consents/api/a', '@nestjs/swagger'],
  ['domains/consents/api/a', 'class-validator'],
  ['domains/consents/api/a', '#domains/consents/queries/b.js'],
  ['domains/consents/api/a', '#domains/purposes/queries/b.message.js'],
  ['domains/consents/api/a', '#domains/purposes/queries/b.js', 'edges'],
  ['domains/consents/api/a', '#core/platform/b.js'],
  ['domains/consents/api/a', '#domains/consents/domain/consents.js', 'edges'],
  ['domains/consents/api/a', '#domains/purposes/domain/purposes.vocabulary.js'],
  ['domains/consents/commands/a', '#domains/purposes/domain/purposes.vocabulary.js'],
  ['domains/consents/domain/a', '#domains/purposes/domain/purposes.vocabulary.js', 'domain'],
  ['domains/consents/api/a', '#domains/consents/projections/b.js', 'edges'],
  ['domains/consents/api/a', '#core/ledger/port.js', 'edges'],
  ['domains/consents/views/a', 'kysely', 'edges'],
  ['domains/consents/views/a', 'node:http', 'edges'],
  ['domains/consents/views/a', 'node:fs', 'domains-without-files'],

  ['domains/consents/consents.module', '@nestjs/common'],
  ['domains/consents/consents.module', '#domains/purposes/projections/b.js'],
  ['domains/consents/consents.module', '#core/vault/port.js'],
  ['domains/slices', '#domains/consents/consents.module.js'],
  ['domains/slices', 'kysely', 'slice-modules'],
  ['domains/consents/consents.module', '#domains/consents/helpers/b.js', 'slice-layout'],

  ['apps/server/a', '#domains/consents/consents.module.js'],
  ['apps/server/a', '#domains/slices.js'],
  ['apps/server/a', '#core/runtime/b.js'],
  ['apps/server/a', '@nestjs/core'],
  ['apps/server/a', '#domains/consents/commands/b.js', 'apps'],
  ['apps/server/a', '#domains/consents/projections/b.js', 'apps'],
  ['apps/server/a', 'kysely', 'apps'],
  ['apps/verify/a', '#domains/evidence/domain/verify-bundle.js'],
  ['apps/verify/a', '#domains/evidence/domain/archive.js', 'apps'],
  ['apps/server/a', '../worker/b.js', 'nothing-imports-apps'],
  ['core/runtime/a', '../../../apps/server/b.js', 'nothing-imports-apps'],

  ['core/runtime/a', '../../../test/support/b.js', 'no-specs-in-code'],
  ['core/runtime/a', './nowhere.js', 'resolvable'],
  ['domains/consents/domain/a.spec', '#core/ledger/postgres/b.js'],
  ['core/kernel/a.spec', '@nestjs/common'],
];

describe('every row of the table bites', () => {
  let tree: string;
  let violations: string[];
  const fileOf = (from: string, index: number) =>
    from.replace(/^(?!apps\/)/, 'libs/').replace(/([^/]*)\/a(\.spec)?$/, `$1/case-${index}$2`) +
    '.ts';

  /** As the checker names it: a file of the tree, the beginning of a package's file, a part of Node. */
  const targetOf = (source: string, imports: string) => {
    const specifier = imports.replace(/^(type )?(node:)?/, '');
    if (specifier.includes('nowhere')) return specifier;
    if (specifier.startsWith('#')) return `libs/${specifier.slice(1).replace(/\.js$/, '.ts')}`;
    if (!specifier.startsWith('.')) return specifier;
    return path.join(path.dirname(source), specifier).replace(/\.js$/, '.ts');
  };

  beforeAll(() => {
    tree = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'architecture-')));
    const write = (file: string, text: string) => {
      fs.mkdirSync(path.join(tree, path.dirname(file)), { recursive: true });
      fs.appendFileSync(path.join(tree, file), text);
    };
    for (const name of [
      '.dependency-cruiser.cjs',
      '.dependency-cruiser.resolve.cjs',
      'tsconfig.json',
      'package.json',
    ]) {
      fs.copyFileSync(path.join(repository, name), path.join(tree, name));
    }
    fs.symlinkSync(path.join(repository, 'node_modules'), path.join(tree, 'node_modules'));
    write('test/support/b.ts', 'export const b = 1;\n');
    CASES.forEach(([from, imports], index) => {
      const source = fileOf(from, index);
      const keyword = imports.startsWith('type ') ? 'import type' : 'import';
      const specifier = imports.replace(/^type /, '');
      write(source, `${keyword} * as it${index} from '${specifier}';\nvoid it${index};\n`);
      const target = targetOf(source, imports);
      if (!target.endsWith('.ts')) return;
      write(target, 'export {};\n');
      // As after a build: package.json leads `#core/...` there, and the checker must not follow.
      write(path.join('dist', target.replace(/\.ts$/, '.js')), 'export {};\n');
    });
    ({ violations } = cruise(tree));
  });

  afterAll(() => fs.rmSync(tree, { recursive: true, force: true }));

  test.each(
    CASES.map(([from, imports, refusedBy], index) => ({ from, imports, refusedBy, index })),
  )('$from -> $imports: $refusedBy', ({ from, imports, refusedBy, index }) => {
    const edge = ` ${fileOf(from, index)} -> ${targetOf(fileOf(from, index), imports)}`;
    const found = violations
      .filter((line) => line.includes(edge))
      .map((line) => line.slice(0, line.indexOf(':')));
    if (refusedBy === undefined) expect(found).toEqual([]);
    else expect(found).toContain(refusedBy);
  });
});
