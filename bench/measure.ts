import type { Arms, Goal, Row, Sample } from './row.js';

/** What was measured of one row. */
export interface Measured {
  readonly row: string;
  readonly goal: Goal;
  readonly met: boolean;
  /** What is held against the goal: the median of the rounds' ratios, or of the subject's values. */
  readonly result: Spread;
  readonly subject: Spread;
  readonly reference?: Spread;
  readonly limits: readonly MeasuredLimit[];
  /** Medians of what the samples brought beside their value. */
  readonly more: Readonly<Record<string, number>>;
}

export interface MeasuredLimit {
  readonly name: string;
  readonly atMost: number;
  readonly worst: number;
  readonly met: boolean;
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Runs both arms in turn, whichever began last beginning second, so that a drift of the machine meets both. */
export async function measure(
  row: Row,
  arms: Arms,
  rounds: number,
  onRound: (round: number, subject: Sample, reference: Sample | undefined) => void = () =>
    undefined,
): Promise<Measured> {
  await arms.reference?.();
  await arms.subject();
  const subjects: Sample[] = [];
  const references: Sample[] = [];
  for (let round = 0; round < rounds; round++) {
    const first = round % 2 === 0 ? await arms.reference?.() : undefined;
    const subject = await arms.subject();
    const reference = first ?? (await arms.reference?.());
    subjects.push(subject);
    if (reference) references.push(reference);
    onRound(round, subject, reference);
  }
  return measuredFrom(row, subjects, references);
}

export function measuredFrom(
  { name, goal, limits = {} }: Row,
  subjects: readonly Sample[],
  references: readonly Sample[],
): Measured {
  const values = subjects.map(({ value }) => value);
  const ratios = references.map(({ value }, round) => (subjects[round] as Sample).value / value);
  const result = spreadOf(goal.kind === 'limit' ? values : ratios);
  const measuredLimits = Object.entries(limits).map(([limit, { atMost }]): MeasuredLimit => {
    const worst = Math.max(...subjects.map(({ more }) => figure(more, limit)));
    return { name: limit, atMost, worst, met: worst <= atMost };
  });
  const names = Object.keys(subjects[0]?.more ?? {});
  return {
    row: name,
    goal,
    met: reaches(goal, result.median) && measuredLimits.every(({ met }) => met),
    result,
    subject: spreadOf(values),
    reference: references.length > 0 ? spreadOf(references.map(({ value }) => value)) : undefined,
    limits: measuredLimits,
    more: Object.fromEntries(
      names.map((one) => [one, spreadOf(subjects.map(({ more }) => figure(more, one))).median]),
    ),
  };
}

function reaches(goal: Goal, result: number): boolean {
  switch (goal.kind) {
    case 'rate':
      return result >= goal.atLeast;
    case 'time':
    case 'limit':
      return result <= goal.atMost;
  }
}

function figure(more: Sample['more'], name: string): number {
  const value = more?.[name];
  if (value === undefined) throw new Error(`a sample lacks ${name}`);
  return value;
}

export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new Error('nothing was measured');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 === 1
      ? (sorted[middle] as number)
      : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
  return { median, least: sorted[0] as number, most: sorted.at(-1) as number };
}
