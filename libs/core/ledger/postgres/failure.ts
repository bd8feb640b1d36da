/** What an error of the driver or of the server says about the statement it ended. */
export type Failure =
  /** The server refused it and nothing of it remains; it can not or must not write now. */
  | 'unavailable'
  /** The server refused it for what it says: repeating it changes nothing. */
  | 'refused'
  /** The connection was lost or silent. A commit that was on its way may have happened. */
  | 'lost';

/**
 * Classes of SQLSTATE: 08 connection, 40 rollback, 53 resources, 55P03 lock not available, 57 operator
 * intervention (also a timeout), 58 system, 25006 read-only (a standby).
 */
const UNAVAILABLE = /^(08|40|53|57|58)|^(25006|55P03)$/;

export function failureOf(error: unknown): Failure {
  // Not from the server or the network at all.
  if (error instanceof TypeError || error instanceof RangeError) return 'refused';
  const { severity, code } = error as { severity?: unknown; code?: unknown };
  if (typeof severity !== 'string' || typeof code !== 'string') return 'lost';
  // FATAL and PANIC (in some languages PANIK) and a server that goes down end the session, perhaps after
  // the commit was written. Only an ERROR is an answer.
  if (/^(FATAL|PANI)/.test(severity) || code.startsWith('57P')) return 'lost';
  return UNAVAILABLE.test(code) ? 'unavailable' : 'refused';
}

/** What to say of a failure to people: what happened, never a value. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
