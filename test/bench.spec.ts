import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { measure, measuredFrom, spreadOf } from '../bench/measure.js';
import { type Report, tableOf } from '../bench/report.js';
import type { Row } from '../bench/row.js';
import { compiled } from './support/compiled.js';

jest.setTimeout(180_000);

const row: Row = {
  name: 'sample',
  subject: 'what is measured',
  reference: 'what it is held against',
  goal: { kind: 'rate', unit: 'requests/s', atLeast: 0.8 },
  limits: { peakMb: { unit: 'MB', atMost: 300 } },
  prepare: () => Promise.reject(new Error('not asked for')),
};
const samples = (peakMb: number, ...values: number[]) =>
  values.map((value) => ({ value, more: { peakMb } }));

describe('a row', () => {
  test('is held against its goal by the median of the ratios of each round', () => {
    // One round that others disturbed changes the spread and not the result.
    const measured = measuredFrom(row, samples(200, 90, 10, 80), samples(0, 100, 100, 100));
    expect(measured.result).toEqual({ median: 0.8, least: 0.1, most: 0.9 });
    expect(measured.met).toBe(true);
    expect(measuredFrom(row, samples(200, 79), samples(0, 100)).met).toBe(false);
  });

  test('that takes time must not take more than its goal', () => {
    const goal = { kind: 'time', unit: 's', atMost: 2 } as const;
    expect(measuredFrom({ ...row, goal }, samples(1, 2), samples(1, 1)).met).toBe(true);
    expect(measuredFrom({ ...row, goal }, samples(1, 2.1), samples(1, 1)).met).toBe(false);
  });

  test('is not met where a limit is passed once', () => {
    const subjects = [...samples(200, 100), ...samples(301, 100), ...samples(200, 100)];
    const measured = measuredFrom(row, subjects, samples(0, 1, 1, 1));
    expect(measured.met).toBe(false);
    expect(measured.limits).toEqual([{ name: 'peakMb', atMost: 300, worst: 301, met: false }]);
  });

  test('whose samples lack a figure it promises is an error and no success', () => {
    expect(() => measuredFrom(row, [{ value: 1 }], samples(0, 1))).toThrow('lacks peakMb');
    expect(() => spreadOf([])).toThrow('nothing was measured');
  });

  test('has its arms run in turn, after one run of each that does not count', async () => {
    const ran: string[] = [];
    const arm = (name: string, first: number) => () => {
      ran.push(name);
      const value = ran.filter((one) => one === name).length === 1 ? first : 10;
      return Promise.resolve({ value, more: { peakMb: 1 } });
    };
    const arms = { subject: arm('subject', 1_000), reference: arm('reference', 1) };
    const measured = await measure(row, arms, 2);
    expect(ran.slice(2)).toEqual(['reference', 'subject', 'subject', 'reference']);
    expect(measured.result).toEqual({ median: 1, least: 1, most: 1 });
  });
});

describe('npm run bench', () => {
  let folder: string;
  beforeAll(() => {
    compiled();
    folder = mkdtempSync(join(tmpdir(), 'consent-ledger-bench-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const repository = resolve(import.meta.dirname, '..');
  const bench = (...args: readonly string[]) =>
    spawnSync(
      process.execPath,
      [
        '--import',
        join(repository, 'test', 'support', 'typescript.mjs'),
        join(repository, 'bench', 'main.ts'),
        ...args,
      ],
      { cwd: folder, encoding: 'utf8', env: { ...process.env, KURRENTDB_URL: '' } },
    );

  test('measures both arms with real servers and keeps what it found', () => {
    const output = join(folder, 'results.json');
    const rows = ['grant-http', 'decision-http'];
    const { stdout, stderr } = bench(...rows, '--size', 'tiny', '--output', output);
    const report = JSON.parse(orSay(output, stderr)) as Report;
    expect(report.rows.map((one) => one.row)).toEqual(rows);
    for (const { subject, reference } of report.rows) {
      expect(subject.median).toBeGreaterThan(0);
      expect(reference?.median).toBeGreaterThan(0);
    }
    expect(stdout).toContain(tableOf(report));
    expect(report.machine.cores).toBeGreaterThan(0);
  });

  test('says which rows can not be measured here, and why', () => {
    const output = join(folder, 'not-run.json');
    const { status, stdout } = bench('grant-kurrentdb', '--size', 'tiny', '--output', output);
    expect(status).toBe(0);
    expect(stdout).toContain('grant-kurrentdb: not run, KURRENTDB_URL names no KurrentDB server');
  });

  test('names the rows there are where one is asked for that is not', () => {
    const { status, stderr } = bench('no-such-row');
    expect(status).not.toBe(0);
    expect(stderr).toContain('there is no row no-such-row');
    expect(stderr).toContain('grant-http');
  });
});

function orSay(file: string, stderr: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new Error(`no results:\n${stderr}`);
  }
}
