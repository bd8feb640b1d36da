import { comparePositions, type Position, START } from '#core/kernel/position.js';

/** What a reader of the log may never see. */
export interface OrderFindings {
  /** Acknowledged, and never delivered. */
  readonly skipped: readonly string[];
  readonly doubled: readonly string[];
  /** Delivered elsewhere than it was acknowledged, or behind a later one. */
  readonly misplaced: readonly string[];
  /** Positions that were passed over, where positions are to run on one by one. */
  readonly holes: number;
}

/**
 * Compares what a reader saw with what writers were told. It knows nothing of how either works, so that a
 * reader that is known to be wrong shows that it would notice.
 */
export class OrderCheck {
  private readonly delivered = new Map<string, Position>();
  private readonly acknowledged = new Map<string, Position>();
  private readonly doubled: string[] = [];
  private readonly misplaced: string[] = [];
  private holes = 0;

  /** `last`: what was read before. */
  constructor(
    private readonly gapless: boolean,
    private last: Position = START,
  ) {}

  saw(position: Position, id: string): void {
    if (this.delivered.has(id)) this.doubled.push(id);
    if (comparePositions(position, this.last) <= 0) this.misplaced.push(id);
    if (this.gapless && BigInt(position) !== BigInt(this.last) + 1n) this.holes++;
    this.delivered.set(id, position);
    this.last = position;
  }

  wrote(position: Position, id: string): void {
    this.acknowledged.set(id, position);
  }

  /** How many were acknowledged, and how many delivered. */
  get counts(): { acknowledged: number; delivered: number } {
    return { acknowledged: this.acknowledged.size, delivered: this.delivered.size };
  }

  findings(): OrderFindings {
    const { delivered, acknowledged, doubled, holes } = this;
    const skipped = [...acknowledged.keys()].filter((id) => !delivered.has(id));
    const elsewhere = [...acknowledged]
      .filter(([id, position]) => (delivered.get(id) ?? position) !== position)
      .map(([id]) => id);
    return { skipped, doubled, misplaced: [...this.misplaced, ...elsewhere], holes };
  }
}

/** What a reader that skips nothing leaves. */
export const NOTHING_FOUND: OrderFindings = { skipped: [], doubled: [], misplaced: [], holes: 0 };
