import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { type Connecting, discard, openSession } from './sessions.js';

/** Between tries to connect, and between two announcements, in milliseconds. */
const [FIRST_RETRY, LONGEST_RETRY] = [100, 5_000];
const ANNOUNCE_EVERY = 10;

/**
 * Tells other processes that the log grew, and hears it from them. Nothing depends on it: a hint may be
 * lost, late or doubled. It has a session of its own, because a notification belongs neither in the
 * append's transaction (the commits of all writers would wait for each other) nor in its way.
 */
export class Hints {
  private session: pg.Client | undefined;
  private listens = false;
  private announcing: Promise<void> | undefined;
  private again = false;
  private readonly closing = new AbortController();
  private readonly listening: Promise<void>;

  /** `onHint` is called when another process appended, and whenever some such calls may have been missed. */
  constructor(
    private readonly connecting: Connecting,
    private readonly onHint: () => void,
  ) {
    this.listening = this.listen();
  }

  /** Tells the others, soon and at most once each 10 ms; drops it where there is no connection. */
  announce(): void {
    this.again = true;
    this.announcing ??= this.announceAll();
  }

  async close(): Promise<void> {
    this.closing.abort();
    if (this.session) discard(this.session);
    await this.listening;
  }

  private async listen(): Promise<void> {
    const { signal } = this.closing;
    for (let retry = FIRST_RETRY; !signal.aborted; retry = Math.min(retry * 2, LONGEST_RETRY)) {
      try {
        await this.listenOnce(await openSession(this.connecting, 'listener'));
        retry = FIRST_RETRY;
      } catch {
        // Readers poll meanwhile.
      }
      await sleep(retry, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Returns when the session ends. */
  private async listenOnce(session: pg.Client): Promise<void> {
    const ended = new Promise<void>((resolve) => session.once('end', resolve));
    this.session = session;
    try {
      if (this.closing.signal.aborted) return;
      session.on('notification', () => this.onHint());
      await session.query('listen ledger_appended');
      this.listens = true;
      this.onHint();
      await ended;
    } finally {
      [this.session, this.listens] = [undefined, false];
      discard(session);
    }
  }

  private async announceAll(): Promise<void> {
    while (this.again && !this.closing.signal.aborted) {
      this.again = false;
      const { session } = this;
      // Who does not take it would not hear anything either: another session listens then.
      if (session && this.listens)
        await session.query('notify ledger_appended').catch(() => discard(session));
      await sleep(ANNOUNCE_EVERY);
    }
    this.announcing = undefined;
  }
}
