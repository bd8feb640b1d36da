import { createHash } from 'node:crypto';
import type { QueryBus } from '@nestjs/cqrs';
import type { Recorded } from '#core/kernel/event.js';
import type { SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import { AskConsentHistory } from '#domains/consents/queries/consent-history.message.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import { recordsDocument, type RecordsDocument } from '../domain/records.js';

/** A person's consent records, from their stream as it was known. */
export async function recordsOf(
  queries: QueryBus,
  subjectId: SubjectId,
  known: readonly Recorded[],
  { asOf, knownAt }: { readonly asOf: Instant; readonly knownAt: Position },
): Promise<RecordsDocument> {
  const [history, { purposes, controllers }] = await Promise.all([
    queries.execute(new AskConsentHistory(known, asOf, knownAt)),
    queries.execute(new AskPrivacyCentre(knownAt)),
  ]);
  const consents = history.flatMap(({ purpose: key, states }) => {
    const purpose = purposes[key];
    return purpose ? [{ purpose, states }] : [];
  });
  const events = known.filter(({ occurredAt }) => occurredAt <= asOf);
  return recordsDocument({ subjectId, consents, events, controllers, uuidOf });
}

/** The standard wants version 4, and a record the same id whenever it is asked for: 122 bits of a hash. */
function uuidOf(text: string): string {
  const bytes = createHash('sha256').update(`consent-ledger/uuid/1 ${text}`).digest();
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [0, 8, 12, 16, 20]
    .map((from, part, starts) => hex.slice(from, starts[part + 1] ?? 32))
    .join('-');
}
