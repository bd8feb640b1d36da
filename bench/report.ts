import type { Machine } from './machine.js';
import type { Measured, Spread } from './measure.js';
import type { Goal, Row } from './row.js';

/** A run's results, as they are kept. */
export interface Report {
  readonly machine: Machine;
  readonly postgres: string;
  readonly size: string;
  readonly rows: readonly (Measured & { readonly what: string; readonly against?: string })[];
  readonly notRun: readonly { readonly row: string; readonly why: string }[];
}

export function reported(row: Row, measured: Measured): Report['rows'][number] {
  return { ...measured, what: row.subject, against: row.reference };
}

/** The table, for people. */
export function tableOf({ rows, notRun }: Report): string {
  const cells = rows.map((row) => [
    row.row,
    withSpread(row.result, row.goal.kind === 'limit' ? ` ${row.goal.unit}` : ' x'),
    wanted(row.goal),
    row.met ? 'yes' : 'NO',
    inUnit(row.subject, row.goal.unit),
    row.reference === undefined ? '' : inUnit(row.reference, row.goal.unit),
    [
      ...Object.entries(row.more).map(([name, value]) => `${name} ${short(value)}`),
      ...row.limits.map(
        ({ name, worst, atMost, met }) =>
          `${name} at most ${short(worst)} (goal ${short(atMost)}${met ? '' : ', NOT MET'})`,
      ),
    ].join(', '),
  ]);
  const head = ['row', 'result', 'goal', 'met', 'subject', 'reference', 'more'];
  const widths = head.map((name, column) =>
    Math.max(name.length, ...cells.map((row) => (row[column] as string).length)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] as number))
      .join('  ')
      .trimEnd();
  return [
    line(head),
    line(widths.map((width) => '-'.repeat(width))),
    ...cells.map(line),
    ...notRun.map(({ row, why }) => `${row}: not run, ${why}`),
  ].join('\n');
}

export function wanted(goal: Goal): string {
  switch (goal.kind) {
    case 'rate':
      return `>= ${goal.atLeast} x`;
    case 'time':
      return `<= ${goal.atMost} x`;
    case 'limit':
      return `<= ${goal.atMost} ${goal.unit}`;
  }
}

function withSpread({ median, least, most }: Spread, unit: string): string {
  return `${short(median)}${unit} (${short(least)} to ${short(most)})`;
}

function inUnit({ median }: Spread, unit: string): string {
  return `${short(median)} ${unit}`;
}

function short(value: number): string {
  if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}
