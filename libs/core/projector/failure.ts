import type { StreamName } from '#core/kernel/ids.js';
import type { Position } from '#core/kernel/position.js';
import { LedgerUnavailable } from '#core/ledger/port.js';

/** Why something that follows the log can not go on without somebody looking at it. */
export type StopCode =
  | 'apply-failed'
  | 'create-failed'
  | 'switch-failed'
  | 'cannot-decode'
  | 'ledger-corrupt'
  | 'checkpoint-not-in-log';

/**
 * The line stops here: going on would skip a fact. `position` is that of the first event that was not
 * applied, or of the checkpoint that is not in the log. The message carries no personal data.
 */
export class MustStop extends Error {
  override readonly name = 'MustStop';
  constructor(
    readonly position: Position,
    readonly code: StopCode,
    message: string,
    /** Whose event it is; undefined where what is wrong is not one event's. */
    readonly stream?: StreamName,
  ) {
    super(message);
  }
}

/** Somebody else drives it now, or the checkpoint was replaced: nothing of ours was written. */
export class OwnershipLost extends Error {
  override readonly name = 'OwnershipLost';
  constructor(what: string) {
    super(`${what} is no longer ours to write`);
  }
}

/** The log could not be read; the same reading may succeed later. */
export class LogFailed extends Error {
  override readonly name = 'LogFailed';
  constructor(cause: unknown) {
    super('the log can not be read now', { cause });
  }
}

const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
]);

// What pg and Kysely throw without a code.
const CONNECTION_MESSAGES =
  /^(timeout exceeded when trying to connect|Connection terminated|Query read timeout|Client has encountered a connection error|driver has already been destroyed|Cannot use a pool after calling end)/;

/**
 * Whether an error of the database says nothing about the event being applied: it passes, and the same
 * batch is tried again. 08 connection, 25P03 and 25006 (ended while idle, read-only standby), 40 conflict,
 * 53 resources, 55P03 lock not available, 57 operator intervention, 58 system.
 */
export function isPassing(error: unknown): boolean {
  if (error instanceof LogFailed || error instanceof LedgerUnavailable) return true;
  if (!(error instanceof Error)) return false;
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  if (typeof code !== 'string') return CONNECTION_MESSAGES.test(error.message);
  if (CONNECTION_CODES.has(code)) return code !== 'ENOENT' || syscall === 'connect';
  return /^(08|40|53|57|58)[0-9A-Z]{3}$/.test(code) || ['25P03', '25006', '55P03'].includes(code);
}

/**
 * An error in words that may be stored and shown. Databases and parsers quote the values they stumble on,
 * so of theirs only codes and names are kept.
 */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'something that is no error was thrown';
  const { code, table, column, constraint } = error as Error & Record<string, unknown>;
  if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) {
    const named = Object.entries({ table, column, constraint })
      .filter(([, name]) => typeof name === 'string')
      .map(([kind, name]) => `, ${kind} ${String(name)}`);
    return `SQLSTATE ${code}${named.join('')}`;
  }
  if (error instanceof SyntaxError) return error.name;
  return `${error.name}: ${error.message}`.slice(0, 300);
}

/** A short, stable reason: the error's code where it has one, else its name. */
export function reasonOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  for (const word of [code, name])
    if (typeof word === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(word)) return word;
  return 'unknown';
}
