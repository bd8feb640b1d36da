import type { Stage } from './stage.js';

/**
 * One line of the table: something that the product does, held against a reference that does the least
 * that could be done, measured in the same run. A file in `rows/` exports one as its default.
 */
export interface Row {
  /** How it is asked for: `npm run bench -- NAME`. */
  readonly name: string;
  /** What the product does. */
  readonly subject: string;
  /** What it is held against; absent where the goal is a limit of its own. */
  readonly reference?: string;
  readonly goal: Goal;
  /** Of the `more` that the subject's samples bring: the worst of them must stay below. */
  readonly limits?: Readonly<Record<string, Limit>>;
  /** Why it can not be measured here; undefined where it can. Absent: it always can. */
  missing?(): string | undefined;
  /** Makes what both arms need: servers, people, tables. Not measured. */
  prepare(stage: Stage): Promise<Arms>;
}

export type Goal =
  /** Both arms give rates: the subject's by the reference's. */
  | { readonly kind: 'rate'; readonly unit: string; readonly atLeast: number }
  /** Both arms give times: the subject's by the reference's. */
  | { readonly kind: 'time'; readonly unit: string; readonly atMost: number }
  /** The subject alone, against a figure. */
  | ({ readonly kind: 'limit' } & Limit);

export interface Limit {
  readonly unit: string;
  readonly atMost: number;
}

export interface Arms {
  /** One sample. Called once before the first round, to warm up. */
  subject(): Promise<Sample>;
  reference?(): Promise<Sample>;
}

export interface Sample {
  readonly value: number;
  /** Further figures by name, with their unit in it: `p99Ms`, `peakMb`. */
  readonly more?: Readonly<Record<string, number>>;
}
