import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { type Appended, type AppendRequest, LedgerUnavailable, OutcomeUnknown } from '../port.js';
import { appendGroup, type Verdict } from './append-group.js';
import { Backlog, type Waiting } from './backlog.js';
import { failureOf, reasonOf } from './failure.js';
import { type Connecting, discard, openSession } from './sessions.js';

interface Append extends Waiting {
  settled: boolean;
  resolve(appended: Appended): void;
  reject(error: Error): void;
}

/** Between the tries to learn an outcome, and between looks at who waited too long, in milliseconds. */
const RETRY_AFTER = 100;
const LOOK_EVERY = 100;

/**
 * Group commit: while one transaction is on its way, the appends of this process collect, and travel
 * together in the next. One session, one transaction at a time: more of them would only wait for each
 * other in the database.
 */
export class AppendQueue {
  private readonly backlog = new Backlog<Append>();
  private underway: readonly Append[] = [];
  private session: pg.Client | undefined;
  private running: Promise<void> | undefined;
  private clock: NodeJS.Timeout | undefined;
  private closed = false;

  /** `deadline`: milliseconds after which every append has an answer. `onAppended`: events were written. */
  constructor(
    private readonly connecting: Connecting,
    private readonly deadline: number,
    private readonly onAppended: () => void,
  ) {}

  append(request: AppendRequest): Promise<Appended> {
    if (this.closed) return Promise.reject(new LedgerUnavailable('the ledger is closed'));
    return new Promise((resolve, reject) => {
      this.backlog.add({ request, since: performance.now(), settled: false, resolve, reject });
      this.clock ??= setInterval(() => this.endOverdue(), LOOK_EVERY);
      this.running ??= this.run();
    });
  }

  /** Answers what still waits, then ends the session. */
  async close(): Promise<void> {
    this.closed = true;
    await this.running;
    if (this.session) discard(this.session);
  }

  private async run(): Promise<void> {
    // What arrives in the same turn of the event loop travels together.
    await new Promise(setImmediate);
    while (!this.backlog.isEmpty) {
      try {
        // Connected first and taken afterwards: who waits for a connection was certainly not written.
        const session = await this.connected();
        this.underway = this.backlog.next(performance.now());
        await this.send(session, this.underway, []);
      } catch (error) {
        refuseAll(this.underway, new OutcomeUnknown(reasonOf(error), { cause: error }));
        refuseAll(this.backlog.takeAll(), unavailable(error));
      }
      this.underway = [];
    }
    clearInterval(this.clock);
    [this.clock, this.running] = [undefined, undefined];
  }

  /**
   * Sends a group and settles each member. A lost answer is asked for again until the deadline: the same
   * events are sent once more, which finds them stored or writes them now, and the lost attempt is barred.
   */
  private async send(
    session: pg.Client | undefined,
    group: readonly Append[],
    lost: readonly string[],
  ): Promise<void> {
    const abandons = [...lost];
    let open = group;
    for (;;) {
      const id = randomUUID();
      let sent = false;
      try {
        const writer = session ?? (await this.connected());
        sent = true;
        const began = performance.now();
        const requests = open.map(({ request }) => request);
        const verdicts = await appendGroup(writer, requests, { id, abandons });
        this.backlog.took(open, performance.now() - began);
        return this.settleAll(open, verdicts, abandons.length > 0);
      } catch (error) {
        session = undefined;
        const failure = failureOf(error);
        if (failure === 'refused') return this.sendApart(open, abandons, error as Error);
        // Another session may find a server that can write.
        this.drop();
        if (failure === 'lost' && sent) abandons.push(id);
        else if (abandons.length === 0) return refuseAll(open, unavailable(error));
      }
      await sleep(RETRY_AFTER);
      open = open.filter(({ settled }) => !settled);
      if (open.length === 0) return;
    }
  }

  /** The server refused the whole statement: a fault of ours in one request must not fail its neighbours. */
  private async sendApart(
    group: readonly Append[],
    lost: readonly string[],
    error: Error,
  ): Promise<void> {
    if (group.length === 1) return refuseAll(group, error);
    for (const append of group) await this.send(undefined, [append], lost);
  }

  /** `mayHaveWritten`: an earlier attempt, whose answer was lost. */
  private settleAll(
    group: readonly Append[],
    verdicts: readonly Verdict[],
    mayHaveWritten: boolean,
  ): void {
    let wrote = mayHaveWritten;
    for (const [index, append] of group.entries()) {
      const verdict = verdicts[index] as Verdict;
      if (!(verdict instanceof Error) && !verdict.repeated) wrote = true;
      settle(append, verdict);
    }
    if (wrote) this.onAppended();
  }

  private endOverdue(): void {
    const moment = performance.now() - this.deadline;
    for (const append of this.backlog.expired(moment))
      settle(append, new LedgerUnavailable(`not written within ${this.deadline} ms`));
    for (const append of this.underway)
      if (append.since < moment)
        settle(append, new OutcomeUnknown(`no answer within ${this.deadline} ms`));
  }

  private async connected(): Promise<pg.Client> {
    if (this.session) return this.session;
    const session = await openSession(this.connecting, 'writer');
    session.once('end', () => {
      if (this.session === session) this.session = undefined;
    });
    this.session = session;
    return session;
  }

  private drop(): void {
    if (this.session) discard(this.session);
    this.session = undefined;
  }
}

function settle(append: Append, outcome: Appended | Error): void {
  if (append.settled) return;
  append.settled = true;
  if (outcome instanceof Error) append.reject(outcome);
  else append.resolve(outcome);
}

function refuseAll(group: readonly Append[], reason: Error): void {
  for (const append of group) settle(append, reason);
}

function unavailable(error: unknown): LedgerUnavailable {
  return new LedgerUnavailable(reasonOf(error), { cause: error });
}
