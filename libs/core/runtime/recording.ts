import type { Logger } from 'pino';
import { Refused } from '#core/kernel/refused.js';
import type { HealthFinding } from '#core/platform/http/health.js';
import { failureOf } from '#core/platform/logging.js';
import { type Missing, missing, type MissingParts } from '#core/proof/missing.js';

/** Milliseconds between two looks at whether everything that was signed is there. */
const EVERY = 2_000;
/** Seconds after which a caller may ask again: somebody has to do something first. */
const RETRY_AFTER = 60;

/**
 * Whether this process may record. A log that was put back behind what was signed must not be written to: events
 * in place of the lost ones would be a second history. Until an operator has brought them back, or has accepted
 * their loss, nothing is recorded; questions are answered.
 */
export class Recording {
  private lost: Missing | undefined;
  private timer: NodeJS.Timeout | undefined;
  private looking = Promise.resolve();

  constructor(private readonly logger: Logger) {}

  /** Has looked once when it returns, and looks again every two seconds until it is stopped. */
  async watch(parts: MissingParts): Promise<void> {
    await this.look(parts);
    this.lookAgain(parts);
  }

  /** What is missing; undefined where nothing is. */
  get missing(): Missing | undefined {
    return this.lost;
  }

  /** @throws Refused (unavailable) `log-behind-checkpoint` */
  mustBeAllowed(): void {
    if (this.lost === undefined) return;
    throw new Refused(
      'unavailable',
      'log-behind-checkpoint',
      'Events that were signed are missing from the log: it was put back to an earlier state. Nothing is recorded ' +
        'until an operator has brought them back or accepted their loss.',
      { evidence: { retryAfter: RETRY_AFTER } },
    );
  }

  finding(): HealthFinding {
    if (this.lost === undefined) return { ok: true };
    return { ok: false, detail: `nothing is recorded: ${this.lost.code}` };
  }

  async stop(): Promise<void> {
    clearTimeout(this.timer);
    await this.looking;
    clearTimeout(this.timer);
  }

  private lookAgain(parts: MissingParts): void {
    this.timer = setTimeout(() => {
      // What can not be looked at now stays as it was found.
      this.looking = this.look(parts)
        .catch((error: unknown) =>
          this.logger.warn(
            { failure: failureOf(error) },
            'what was signed can not be looked at now',
          ),
        )
        .then(() => this.lookAgain(parts));
    }, EVERY).unref();
  }

  private async look(parts: MissingParts): Promise<void> {
    const before = this.lost?.code;
    this.lost = await missing(parts);
    if (this.lost?.code === before) return;
    if (this.lost === undefined)
      return this.logger.info('what was signed is there: recording goes on');
    const { code, has, checkpoint } = this.lost;
    this.logger.error(
      { code, has, signed: checkpoint?.size },
      'nothing is recorded: events that were signed are missing from the log',
    );
  }
}
