import { Worker } from 'node:worker_threads';
import { type Position, START } from '#core/kernel/position.js';
import { shifted, unshifted } from '#core/ledger/moved-store.js';
import { type LookedAt, PAGE_EVENTS, type VouchedPage } from '#core/proof/vouched-page.js';
import type { PageToLookAt } from './verify-worker.js';

export interface LogToLookAt {
  /** Where the log lies, in PostgreSQL. */
  readonly databaseUrl: string;
  /** Its positions begin behind this one. */
  readonly positionsFrom: Position;
  /** Where it ends. */
  readonly head: Position;
}

/** So many pages are under way with each worker, so that none waits for the next one to be asked for. */
const AHEAD = 2;

/** Threads that look at pages of a log and vouch for them, see `verify`. They start at once and work when asked. */
export class VerifyWorkers {
  private readonly workers: readonly AskedWorker[];

  /** `entry`: a module that calls `vouchForPages`. */
  constructor(entry: URL, count: number) {
    this.workers = Array.from({ length: count }, () => new AskedWorker(entry));
  }

  /** The whole log, in pages of so many events. Rejects where a worker fails. */
  async *pages(log: LogToLookAt, pageEvents = PAGE_EVENTS): AsyncGenerator<LookedAt> {
    const { databaseUrl, positionsFrom, head } = log;
    const end = Number(unshifted(head, positionsFrom));
    const underWay: { events: number; answer: Promise<VouchedPage | undefined> }[] = [];
    for (let own = 0, asked = 0; own < end || underWay.length > 0;) {
      for (; own < end && underWay.length < AHEAD * this.workers.length; own += pageEvents) {
        const events = Math.min(pageEvents, end - own);
        const after = own === 0 ? START : shifted(String(own) as Position, positionsFrom);
        const worker = this.workers[asked++ % this.workers.length] as AskedWorker;
        const answer = worker.ask({ databaseUrl, positionsFrom, after, events });
        // It is looked at in its turn.
        answer.catch(() => undefined);
        underWay.push({ events, answer });
      }
      const next = underWay.shift();
      if (next) yield { events: next.events, vouched: await next.answer };
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.close()));
  }
}

interface Waiting {
  resolve(page: VouchedPage | undefined): void;
  reject(error: Error): void;
}

/** Answers come in the order of the questions. */
class AskedWorker {
  private readonly worker: Worker;
  private readonly waiting: Waiting[] = [];
  private ended: Error | undefined;

  constructor(entry: URL) {
    this.worker = new Worker(entry);
    this.worker.on('message', (page: VouchedPage | undefined) =>
      this.waiting.shift()?.resolve(page),
    );
    this.worker.on('error', (error: Error) => this.end(error));
    this.worker.on('exit', (code) => this.end(new Error(`a worker of verify ended with ${code}`)));
  }

  ask(page: PageToLookAt): Promise<VouchedPage | undefined> {
    return new Promise((resolve, reject) => {
      if (this.ended) {
        reject(this.ended);
        return;
      }
      this.waiting.push({ resolve, reject });
      this.worker.postMessage(page);
    });
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  private end(error: Error): void {
    this.ended ??= error;
    for (const { reject } of this.waiting.splice(0)) reject(this.ended);
  }
}
