import { Refused } from '#core/kernel/refused.js';
import { LedgerUnavailable, OutcomeUnknown } from '#core/ledger/port.js';
import { isDatabaseUnavailable } from '#core/platform/database.js';

/** What the stores throw, as a refusal that its caller can act on; undefined for what is nobody's to expect. */
export function translate(error: unknown): Refused | undefined {
  if (error instanceof OutcomeUnknown)
    return unavailable(
      'outcome-unknown',
      'it may have been recorded; repeat it with the same Idempotency-Key',
    );
  if (error instanceof LedgerUnavailable)
    return unavailable(
      'ledger-unavailable',
      'the ledger can not be reached now; nothing was recorded',
    );
  if (isDatabaseUnavailable(error))
    return unavailable('database-unavailable', 'the database can not be reached now');
  return undefined;
}

function unavailable(code: string, detail: string): Refused {
  return new Refused('unavailable', code, detail, { evidence: { retryAfter: 1 } });
}
