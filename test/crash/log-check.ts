import pg from 'pg';
import type { Acknowledged } from './caller.js';

/** An event as its store holds it: read past everything that the product does. */
export interface Stored {
  readonly position: string;
  readonly id: string;
  readonly stream: string;
  readonly revision: number;
  readonly interactionId: string;
}

export interface LogFindings {
  /** Acknowledged, and not in the log, or elsewhere in it. */
  readonly lost: number;
  /** In the log, and more often than it was acknowledged. */
  readonly doubled: number;
  readonly findings: readonly string[];
}

/**
 * Compares the whole log with what callers were told: every acknowledged event is there, once, where it was said to
 * be; nothing else is; positions and revisions have no holes; a call's events are all there or none.
 * `complete`: every call that was ever made has its answer by now.
 */
export async function checkLog(
  url: string,
  receipts: readonly Acknowledged[],
  complete: boolean,
): Promise<LogFindings> {
  const log = await readLog(url);
  const { findings, ...counts } = compareLog(log, receipts, complete);
  return { ...counts, findings: [...holesIn(log), ...findings] };
}

/** The same for a log that was read already, in the order of its positions; they need not run on one by one. */
export function compareLog(
  log: readonly Stored[],
  receipts: readonly Acknowledged[],
  complete: boolean,
): LogFindings {
  const byId = new Map(log.map((event) => [event.id, event]));
  const findings = [...gapsIn(log)];
  let lost = 0;
  const acknowledged = new Set<string>();
  for (const { events, asked, subjectId, receiptId } of receipts) {
    if (events.length !== asked) findings.push(`${receiptId}: ${events.length} events of ${asked}`);
    for (const { id, position, revision } of events) {
      acknowledged.add(id);
      const stored = byId.get(id);
      const inPlace =
        stored?.position === position &&
        stored.revision === revision &&
        stored.stream === `subject-${subjectId}`;
      if (!inPlace) lost++;
    }
  }
  const calls = new Map(receipts.map(({ receiptId, asked }) => [receiptId, asked]));
  const stored = new Map<string, number>();
  for (const { interactionId, stream } of log)
    if (stream.startsWith('subject-'))
      stored.set(interactionId, (stored.get(interactionId) ?? 0) + 1);
  let doubled = log.length - byId.size;
  for (const [interactionId, count] of stored) {
    const asked = calls.get(interactionId);
    // Whoever has it was never told: it is there a second time, under a name of its own.
    if (asked === undefined && complete) doubled += count;
    if (asked !== undefined && count > asked) doubled += count - asked;
    if (asked !== undefined && count < asked && count > 0)
      findings.push(`${interactionId}: half of a call`);
  }
  return { lost, doubled, findings };
}

async function readLog(url: string): Promise<readonly Stored[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<Stored>(
      `select position, 'evt_' || id as id, stream, revision,
              convert_from(bytes, 'UTF8')::json ->> 'interactionId' as "interactionId"
         from ledger.events order by position`,
    );
    return rows;
  } finally {
    await client.end();
  }
}

function holesIn(log: readonly Stored[]): readonly string[] {
  const holes = log.flatMap(({ position }, index) =>
    position === String(index + 1) ? [] : [`position ${position} in place ${index + 1}`],
  );
  return holes.slice(0, 5);
}

function gapsIn(log: readonly Stored[]): readonly string[] {
  const revisions = new Map<string, number>();
  const holes: string[] = [];
  for (const { position, stream, revision } of log) {
    const next = (revisions.get(stream) ?? -1) + 1;
    if (revision !== next) holes.push(`position ${position}: revision ${revision}, not ${next}`);
    revisions.set(stream, revision);
  }
  return holes.slice(0, 5);
}
