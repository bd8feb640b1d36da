import { createHash } from 'node:crypto';
import type { QueryBus } from '@nestjs/cqrs';
import type { Recorded } from '#core/kernel/event.js';
import type { SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import { AskConsentHistory } from '#domains/consents/queries/consent-history.message.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import { type ConsentOfPerson, recordsOf, type RecordsInput } from '../domain/records.js';
import type { Node } from '../domain/vocabulary.js';

/** What a person's consents were, from their whole stream. */
export type Consents = Pick<RecordsInput, 'subjectId' | 'consents' | 'controllers'> & {
  readonly asOf: Instant;
};

/** `known`: the person's stream as it was known, read once. */
export async function consentsOf(
  queries: QueryBus,
  subjectId: SubjectId,
  known: Iterable<Recorded> | AsyncIterable<Recorded>,
  { asOf, knownAt }: { readonly asOf: Instant; readonly knownAt: Position },
): Promise<Consents> {
  const { purposes, controllers } = await queries.execute(new AskPrivacyCentre(knownAt));
  const history = await queries.execute(new AskConsentHistory(known, asOf, knownAt));
  const consents = history.flatMap(({ purpose: key, states }) => {
    const purpose = purposes[key];
    return purpose ? [{ purpose, states }] : [];
  });
  return { subjectId, consents, controllers, asOf };
}

/** The records of a person's events, piece by piece: what rests on an event is told with it, and once. */
export function recordsByPiece({
  asOf,
  consents,
  ...person
}: Consents): (piece: readonly Recorded[]) => Node[] {
  const open = consents.map(({ purpose, states }) => ({ purpose, resting: byEvent(states) }));
  const begun = new Set<string>();
  return (piece) => {
    const parts = open.map(({ purpose, resting }): ConsentOfPerson => {
      const found = piece.flatMap(({ id }) => {
        const states = resting.get(id) ?? [];
        resting.delete(id);
        return states.map((state) => ({ ...state, event: { id } }));
      });
      const states = found.sort((a, b) => a.at - b.at).map(({ at: _, ...state }) => state);
      const part = { purpose, states, begun: begun.has(purpose.key) };
      if (states.length > 0) begun.add(purpose.key);
      return part;
    });
    const events = piece.filter(({ occurredAt }) => occurredAt <= asOf);
    return recordsOf({ ...person, consents: parts, events, uuidOf });
  };
}

type State = ConsentOfPerson['states'][number];

/** A state by the event that it rests on, with its place among all: the least that is needed, of a long life there are many. */
type Resting = Omit<State, 'event'> & { readonly at: number };

function byEvent(states: readonly State[]): Map<string, Resting[]> {
  const found = new Map<string, Resting[]>();
  for (const [at, { status, since, until, event }] of states.entries()) {
    const state = until === undefined ? { at, status, since } : { at, status, since, until };
    const resting = found.get(event.id);
    if (resting) resting.push(state);
    else found.set(event.id, [state]);
  }
  return found;
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
