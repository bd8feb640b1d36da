/** One way in which the world is cruel, done to the real thing again and again, and what came of it. */
export interface Scenario {
  /** What `npm run test:crash -- NAME` is told. */
  readonly name: string;
  /** What is done, in one sentence. */
  readonly about: string;
  /** Numbers of the promises in docs/reliability.md. */
  readonly promises: readonly number[];
  /** How many rounds `npm run test:crash` and `npm test` ask for. */
  readonly rounds: { readonly long: number; readonly short: number };
  /** Why it can not be run on this machine; undefined where it can. */
  readonly missing?: () => Promise<string | undefined>;
  readonly run: (context: Context) => Promise<Counts>;
  /** Deliberately broken twins: the same run must count something against each of them. */
  readonly canaries: readonly Canary[];
}

export interface Canary {
  /** What is broken. */
  readonly mutant: string;
  /** At most so many rounds; it may end as soon as the mutant is caught. */
  readonly rounds: number;
  readonly run: (context: Context) => Promise<Counts>;
  /** Whether it was caught. Absent: where anything at all is wrong. */
  readonly caught?: (counts: Counts) => boolean;
}

export interface Context {
  readonly rounds: number;
  /** From 0 (inclusive) to 1, in a sequence that the seed decides. */
  readonly random: () => number;
  /** Empty and of this run alone; removed at its end. */
  readonly directory: string;
  /** How many times the promised time is taken for it: 1 where times are judged, more where others may use the machine. */
  readonly lenience: number;
  /** Says how far it is. */
  readonly progress: (rounds: number, counts: Partial<Counts>) => void;
}

/** Goal of `lost`, `skipped`, `doubled`: 0, 0, 0. */
export interface Counts {
  readonly rounds: number;
  /** Events that somebody was told are recorded, or applied. */
  readonly acknowledged: number;
  /** Acknowledged, and not there, or elsewhere. */
  readonly lost: number;
  /** There, and passed over by a reader or a read model. */
  readonly skipped: number;
  /** Written, delivered or applied more than once. */
  readonly doubled: number;
  /** Milliseconds that the longest call took, of the deadline it had; absent where nothing was called. */
  readonly longest?: { readonly took: number; readonly deadline: number };
  /** What else was measured, in words. */
  readonly measured?: readonly string[];
  /** What else was wrong, in words. */
  readonly findings: readonly string[];
}

/** A call may take a second longer than its deadline: to say so. */
const GRACE = 1_000;

/** What is wrong; empty where nothing is. */
export function wrongIn(
  { lost, skipped, doubled, longest, findings }: Counts,
  lenience = 1,
): readonly string[] {
  const counted = { lost, skipped, doubled };
  const late = longest !== undefined && longest.took > (longest.deadline + GRACE) * lenience;
  return [
    ...Object.entries(counted).flatMap(([what, count]) => (count > 0 ? [`${count} ${what}`] : [])),
    ...(late ? [`a call took ${longest.took} ms of ${longest.deadline}`] : []),
    ...findings,
  ];
}

function isCaught({ caught }: Canary, counts: Counts): boolean {
  return caught ? caught(counts) : wrongIn(counts).length > 0;
}

/** What instants decide may spare a mutant now and then, or keep it from being made; one that is never caught is a fault. */
const TRIES = 3;

/** Rejects where the canary is not caught in any of a few runs, with what broke those that did not end. */
export async function catches(
  canary: Canary,
  contextOf: (attempt: number) => Promise<Context>,
): Promise<void> {
  const broke: unknown[] = [];
  for (let attempt = 1; attempt <= TRIES; attempt++)
    try {
      if (isCaught(canary, await canary.run(await contextOf(attempt)))) return;
    } catch (error) {
      broke.push(error);
    }
  const which = broke.length > 0 ? `, ${broke.length} of which broke (${broke.join('; ')})` : '';
  throw new AggregateError(broke, `not caught in ${TRIES} runs${which}: ${canary.mutant}`);
}

/** A sequence of numbers from 0 (inclusive) to 1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
