import { setTimeout as sleep } from 'node:timers/promises';
import { Batch } from './batch.js';

/** Seconds in which an empty budget is full again. */
export const REFILL_SECONDS = 60;

/** A token bucket that all processes share: `calls` at once at most, and as many again in each minute. */
export interface Budget {
  /** Who it is for, such as an API key; each has a bucket of its own. */
  readonly name: string;
  readonly calls: number;
}

export interface Draw extends Budget {
  /** Tokens, a whole number. */
  readonly wanted: number;
}

export interface Drawn {
  /** Tokens, a whole number; fewer than wanted where the bucket has no more. */
  readonly granted: number;
  /** Tokens that are left, with a fraction. */
  readonly left: number;
}

/** Takes tokens out of buckets, of names that differ; answers in the order asked. */
export type DrawTokens = (asked: readonly Draw[]) => Promise<readonly Drawn[]>;

export interface Verdict {
  readonly admitted: boolean;
  /** Calls that are left, as far as this process knows. */
  readonly left: number;
  /** Milliseconds until the next call is admitted where nobody else takes its token; 0 where this one was. */
  readonly waitMs: number;
}

/** The part of a budget that a process takes out at once: what it uses up in a tenth of a second at the full rate. */
const PORTION_SECONDS = 0.1;
/** Milliseconds. A budget that can not be asked for in this time limits nobody for a while. */
const PATIENCE = 250;
const UNASKED_FOR = 1_000;
/** Buckets that are remembered; who has not come for the longest time is forgotten. */
const REMEMBERED = 10_000;

interface Share {
  readonly budget: Budget;
  readonly portion: number;
  tokens: number;
  left: number;
  /** Milliseconds of the monotonic clock: nothing can be had before. */
  emptyUntil: number;
  unaskedUntil: number;
  waiting: number;
  drawing: Promise<void> | undefined;
}

/**
 * This process's portions of budgets that all processes share. A call takes a token out of memory; a large budget's
 * next portion is fetched before the last one is used up, so that nobody waits for it. Together they admit no more
 * than the budget, and a portion for each process more at most. Small budgets, of less than two tokens a portion, are
 * asked for with each call: they are exact.
 */
export class Budgets {
  private readonly shares = new Map<string, Share>();
  private readonly draws: Batch<Draw, Drawn>;

  constructor(draw: DrawTokens) {
    this.draws = new Batch(draw, ({ name }) => name);
  }

  /** A promise only where the database has to be asked. */
  take(budget: Budget): Verdict | Promise<Verdict> {
    const share = this.shareOf(budget);
    if (share.tokens < 1) {
      const now = performance.now();
      if (share.emptyUntil > now) return refused(share, now);
      if (share.unaskedUntil > now) return admitted(share);
      return this.wait(share);
    }
    share.tokens--;
    if (share.portion > 1 && share.tokens < share.portion / 2) this.fetchAhead(share);
    return admitted(share);
  }

  /** Whether nothing is left, as far as this process knows; takes nothing. */
  isEmpty(budget: Budget): Verdict | undefined {
    const share = this.shares.get(budget.name);
    const now = performance.now();
    return share && share.tokens < 1 && share.emptyUntil > now ? refused(share, now) : undefined;
  }

  private shareOf(budget: Budget): Share {
    const known = this.shares.get(budget.name);
    if (known) return known;
    const portion = Math.max(1, Math.floor((budget.calls / REFILL_SECONDS) * PORTION_SECONDS));
    const nothing = { tokens: 0, left: budget.calls, emptyUntil: 0, unaskedUntil: 0, waiting: 0 };
    const share: Share = { budget, portion, ...nothing, drawing: undefined };
    this.shares.set(budget.name, share);
    const [oldest] = this.shares.keys();
    if (this.shares.size > REMEMBERED && oldest !== undefined) this.shares.delete(oldest);
    return share;
  }

  private async wait(share: Share): Promise<Verdict> {
    share.waiting++;
    const cancel = new AbortController();
    const late = sleep(PATIENCE, 'late' as const, { signal: cancel.signal }).catch(() => 'late');
    try {
      for (;;) {
        const came = await Promise.race([this.draw(share), late]);
        const now = performance.now();
        if (share.tokens >= 1) {
          share.tokens--;
          return admitted(share);
        }
        if (share.emptyUntil > now) return refused(share, now);
        if (came === 'late') share.unaskedUntil = now + UNASKED_FOR;
        if (share.unaskedUntil > now) return admitted(share);
      }
    } finally {
      share.waiting--;
      cancel.abort();
    }
  }

  private fetchAhead(share: Share): void {
    if (share.drawing === undefined && share.emptyUntil <= performance.now()) void this.draw(share);
  }

  /** Never rejects: where the budget can not be asked for, it limits nobody for a while. */
  private draw(share: Share): Promise<void> {
    share.drawing ??= this.ask(share).then(
      () => (share.drawing = undefined),
      () => {
        share.drawing = undefined;
        share.unaskedUntil = performance.now() + UNASKED_FOR;
      },
    );
    return share.drawing;
  }

  private async ask(share: Share): Promise<void> {
    const { budget, portion, waiting } = share;
    const wanted = Math.min(budget.calls, Math.max(portion, waiting));
    const { granted, left } = await this.draws.add({ ...budget, wanted });
    share.tokens += granted;
    share.left = left;
    if (granted < wanted) {
      // Half a portion is waited for: who calls an empty large budget without pause would ask for each token.
      const enough = Math.ceil(portion / 2);
      share.emptyUntil =
        performance.now() + ((enough - left) * REFILL_SECONDS * 1_000) / budget.calls;
    }
  }
}

function admitted({ tokens, left }: Share): Verdict {
  return { admitted: true, left: Math.floor(tokens + left), waitMs: 0 };
}

function refused({ emptyUntil }: Share, now: number): Verdict {
  return { admitted: false, left: 0, waitMs: emptyUntil - now };
}
