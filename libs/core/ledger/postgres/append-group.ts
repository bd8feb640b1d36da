import type pg from 'pg';
import type { Instant } from '#core/kernel/instant.js';
import type { Position } from '#core/kernel/position.js';
import {
  type Appended,
  type AppendRequest,
  EventIdReused,
  type Expected,
  type NewEvent,
  WrongExpectedRevision,
} from '../port.js';

/** What became of one request of a group. */
export type Verdict = Appended | WrongExpectedRevision | EventIdReused;

interface Answer {
  readonly verdicts: readonly Verdicts[];
  readonly revisions: readonly (number | null)[];
  readonly recorded_at: readonly (Instant | null)[];
  readonly culprits: readonly (number | null)[];
  readonly positions: readonly (Position | null)[];
}

type Verdicts = 'appended' | 'repeated' | 'wrong-revision' | 'other-content' | 'partial-overlap';

const APPEND = {
  name: 'append_events',
  text: `select verdicts, revisions, recorded_at, culprits, positions
    from ledger.append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
};

/**
 * Sends a group as one statement, which is one transaction; a verdict for each request, in order. No
 * event may occur twice in the group. Rejects as the driver does: nothing or all of it was written then.
 */
export async function appendGroup(
  session: pg.Client,
  group: readonly AppendRequest[],
  attempt: { readonly id: string; readonly abandons: readonly string[] },
): Promise<readonly Verdict[]> {
  const values = [attempt.id, attempt.abandons, ...columnsOf(group)];
  const { rows } = await session.query<Answer>({ ...APPEND, values });
  return verdictsOf(group, rows[0] as Answer);
}

/** Arguments 3 to 11 of `append_events`. Bytes travel as one binary value: no escaping, no second copy. */
function columnsOf(group: readonly AppendRequest[]): unknown[] {
  const streams = new Map<string, number>();
  const requestStreams: number[] = [];
  const expects: number[] = [];
  const sizes: number[] = [];
  const ids: string[] = [];
  const types: string[] = [];
  const starts: number[] = [1];
  const headLengths: number[] = [];
  const pieces: Buffer[] = [];
  let end = 1;
  for (const { stream, expected, events } of group) {
    if (!streams.has(stream)) streams.set(stream, streams.size + 1);
    requestStreams.push(streams.get(stream) as number);
    expects.push(codeOf(expected));
    sizes.push(events.length);
    for (const { id, type, content } of events) {
      ids.push(uuidOf(id));
      types.push(type);
      pieces.push(content.digest, content.head, content.tail);
      headLengths.push(content.head.length);
      end += 32 + content.head.length + content.tail.length;
      starts.push(end);
    }
  }
  const contents = Buffer.concat(pieces);
  return [
    [...streams.keys()],
    requestStreams,
    expects,
    sizes,
    ids,
    types,
    starts,
    headLengths,
    contents,
  ];
}

function codeOf(expected: Expected): number {
  switch (expected.kind) {
    case 'exact':
      return expected.revision;
    case 'none':
      return -1;
    case 'exists':
      return -2;
    case 'any':
      return -3;
  }
}

/** The UUID without its prefix, as the table keeps it. */
function uuidOf(id: NewEvent['id']): string {
  return id.slice('evt_'.length);
}

function verdictsOf(group: readonly AppendRequest[], answer: Answer): Verdict[] {
  let first = 0;
  return group.map((request, index) => {
    const verdict = verdictOf(request, answer, index, first);
    first += request.events.length;
    return verdict;
  });
}

function verdictOf(
  { stream, expected, events }: AppendRequest,
  answer: Answer,
  request: number,
  first: number,
): Verdict {
  const verdict = answer.verdicts[request] as Verdicts;
  const revision = answer.revisions[request] ?? undefined;
  switch (verdict) {
    case 'wrong-revision':
      return new WrongExpectedRevision(stream, expected, revision);
    case 'other-content':
    case 'partial-overlap': {
      const culprit = events[(answer.culprits[request] as number) - 1 - first] as NewEvent;
      return new EventIdReused(stream, culprit.id, verdict);
    }
    case 'appended':
    case 'repeated': {
      const last = revision as number;
      const positions = answer.positions.slice(first, first + events.length) as Position[];
      return {
        revision: last,
        position: positions.at(-1) as Position,
        recordedAt: answer.recorded_at[request] as Instant,
        events: positions.map((position, index) => ({
          revision: last - events.length + 1 + index,
          position,
        })),
        repeated: verdict === 'repeated',
      };
    }
  }
}
