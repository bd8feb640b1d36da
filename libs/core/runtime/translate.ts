import { Refused } from '#core/kernel/refused.js';
import { LedgerUnavailable, OutcomeUnknown } from '#core/ledger/port.js';
import { isDatabaseUnavailable } from '#core/platform/database.js';
import { LIVE_SCHEMA } from '#core/projector/tables.js';

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
  if (isMissingReadModel(error))
    return unavailable('read-model-stale', 'the read model is not there yet');
  return undefined;
}

/** Nobody has begun to follow the log: undefined_table, of a table that projections make. */
function isMissingReadModel(error: unknown): boolean {
  return (
    error instanceof Error &&
    (error as { code?: unknown }).code === '42P01' &&
    error.message.includes(`"${LIVE_SCHEMA}.`)
  );
}

function unavailable(code: string, detail: string): Refused {
  return new Refused('unavailable', code, detail, { evidence: { retryAfter: 1 } });
}
