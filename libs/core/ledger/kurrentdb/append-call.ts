import { randomUUID } from 'node:crypto';
import type { BinaryEventData } from '@eventstore/db-client';
import type { StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb.js';
import type { BatchAppendResp } from '@eventstore/db-client/generated/streams_pb.js';
import { appendMessage, idIn, type Written, writtenIn } from './append-messages.js';
import { CallFailed, CutShort } from './failure.js';

interface Waiting {
  readonly name: string;
  readonly last: number | undefined;
  /** Of `performance.now()`. */
  readonly sentAt: number;
  /** Of `Date.now()`. */
  readonly until: number;
  resolve(written: Written): void;
  reject(error: unknown): void;
}

/**
 * A call in which appends travel side by side, each with an answer of its own: a call for each append costs a client eight
 * times the processor time. An answer that nobody waits for any more, because it is late or comes twice, is passed over.
 */
export class AppendCall {
  /** In the order in which they were sent. */
  private readonly waiting = new Map<string, Waiting>();
  private open = true;
  private unsent = 0;
  private heardAt = -Infinity;

  constructor(
    private readonly call: ReturnType<StreamsClient['batchAppend']>,
    private readonly onAnswer: () => void,
  ) {
    call
      .on('data', (answer: BatchAppendResp) => this.settle(answer))
      .on('error', (error) => this.close(error))
      .on('end', () => this.close(new CutShort()));
  }

  /** False where the next append needs a call of its own: also where this one says nothing any more. */
  get isOpen(): boolean {
    this.giveUpLate();
    return this.open;
  }

  /** Whether all of it has left this process: an append behind one that has not waits for the next turn of the event loop. */
  get isFree(): boolean {
    return this.unsent === 0;
  }

  append(
    name: string,
    events: readonly BinaryEventData[],
    last: number | undefined,
    until: number,
  ): Promise<Written> {
    return new Promise((resolve, reject) => {
      const id = randomUUID();
      this.waiting.set(id, { name, last, sentAt: performance.now(), until, resolve, reject });
      this.unsent++;
      this.call.write(appendMessage(id, name, events, last), () => this.unsent--);
    });
  }

  /** Whoever still waits is told that the call has failed. */
  end(): void {
    this.close(new CutShort());
  }

  private settle(answer: BatchAppendResp): void {
    this.heardAt = performance.now();
    this.onAnswer();
    const id = idIn(answer) ?? '';
    const waiting = this.waiting.get(id);
    if (!waiting) return;
    this.waiting.delete(id);
    try {
      waiting.resolve(writtenIn(answer, waiting.name, waiting.last));
    } catch (error) {
      waiting.reject(error);
    }
  }

  private close(error: unknown): void {
    if (!this.open) return;
    this.open = false;
    // Also what the server has ended has to be ended on this side.
    this.call.cancel();
    const failed = new CallFailed(error, this.heardAt > -Infinity);
    for (const { reject } of this.waiting.values()) reject(failed);
    this.waiting.clear();
  }

  /** Those that nobody waits for any more; where nothing was heard since one of them was sent, the call hangs. */
  private giveUpLate(): void {
    for (const [id, { until, sentAt }] of this.waiting) {
      if (until > Date.now()) return;
      this.waiting.delete(id);
      if (this.heardAt < sentAt) return this.end();
    }
  }
}
