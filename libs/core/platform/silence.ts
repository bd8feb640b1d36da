import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/**
 * Ends sessions whose answer will not come. Neither a timeout of the database nor the network ends a statement whose
 * answer was lost: the one is done with it, the other has nothing to send. That it takes long proves nothing: an
 * index may take minutes. So where a session waits, the database is asked over another one whether it is at work.
 */

/** Milliseconds for which a session waits before the database is asked, and between two such questions. */
const PATIENCE = 1_000;
/** Milliseconds that the database has to answer, with the connection. */
const ANSWER = 3_000;
/** Milliseconds by which a clock of ours may be late before it is us who are slow, and not the database. */
const HELD_UP = 500;
/** Milliseconds for an answer that was on its way while the database was asked. */
const UNDER_WAY = 100;

/** A session that tells since when it waits for the database. */
export class Session extends pg.Client {
  /** Of the process that serves it; behind a pooler it is the pooler's. */
  declare readonly processID: number | null;
  /** By `performance.now()`; undefined where nothing is asked. */
  waitingSince: number | undefined;

  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('drain', () => (this.waitingSince = undefined));
  }

  /** As the driver's own, in all its forms. */
  override query = ((...asked: Parameters<pg.Client['query']>) => {
    this.waitingSince ??= performance.now();
    return super.query(...asked);
  }) as pg.Client['query'];
}

/** Watches the sessions of one pool. Costs nothing while they are answered within a second. */
export class Silence {
  private readonly sessions = new Set<Session>();
  private clock: NodeJS.Timeout | undefined;
  private asking = false;

  /** `connectionString`: of the pool, so that the question goes the same way. */
  constructor(private readonly connectionString: string) {}

  /** From before its first statement until it ends. */
  watch(session: Session): void {
    this.sessions.add(session);
    this.clock ??= setInterval(() => void this.look(), PATIENCE).unref();
    session.once('end', () => {
      this.sessions.delete(session);
      if (this.sessions.size > 0) return;
      clearInterval(this.clock);
      this.clock = undefined;
    });
  }

  private async look(): Promise<void> {
    const until = performance.now() - PATIENCE;
    const late = [...this.sessions].filter(({ waitingSince = Infinity }) => waitingSince < until);
    if (late.length === 0 || this.asking) return;
    this.asking = true;
    const since = new Map(late.map((session) => [session, session.waitingSince]));
    const served = await stillServed(late, this.connectionString);
    await sleep(UNDER_WAY, undefined, { ref: false });
    this.asking = false;
    const unheard = late.filter(
      (session) => !served.has(session) && session.waitingSince === since.get(session),
    );
    if (unheard.length === 0) return;
    // What befell one may have befallen those that nobody uses now.
    const idle = [...this.sessions].filter(
      (session) =>
        session.waitingSince === undefined && String(session.getTransactionStatus()) === 'I',
    );
    for (const session of [...unheard, ...idle]) end(session);
  }
}

/**
 * Those which the database is at work for: all where it can not say so, none where it says nothing. A process that was
 * frozen or starved meanwhile has not heard what there was to hear, and asks again.
 */
async function stillServed(
  sessions: readonly Session[],
  connectionString: string,
): Promise<ReadonlySet<Session>> {
  const asking = new Session({ connectionString, application_name: 'consent-ledger silence' });
  asking.on('error', () => undefined);
  const answerBy = performance.now() + ANSWER;
  let heldUp = false;
  const timer = setTimeout(() => {
    heldUp = performance.now() > answerBy + HELD_UP;
    end(asking);
  }, ANSWER);
  try {
    await asking.connect();
    const { rows } = await asking.query<{ pid: number; idle: boolean }>(
      `SELECT pid, coalesce(state LIKE 'idle%', false) AS idle
         FROM pg_stat_activity WHERE pid = ANY($1)`,
      [[...sessions, asking].map(({ processID }) => processID)],
    );
    const idle = new Map(rows.map((row) => [row.pid, row.idle]));
    // Behind a pooler nobody is found by number, not even who asks.
    if (!idle.has(asking.processID ?? 0)) return new Set(sessions);
    return new Set(sessions.filter(({ processID }) => idle.get(processID ?? 0) === false));
  } catch (error) {
    // A refusal is an answer too: too many sessions, for one.
    return heldUp || error instanceof pg.DatabaseError ? new Set(sessions) : new Set();
  } finally {
    clearTimeout(timer);
    end(asking);
  }
}

/** Without a word to the database, which may not hear it. */
function end(session: Session): void {
  const silent = Object.assign(new Error('the database says nothing'), { code: 'ETIMEDOUT' });
  session.connection.stream.destroy(silent);
}
