import { setTimeout as sleep } from 'node:timers/promises';
import type { Metadata, ServerDuplexStream, ServerErrorResponse } from '@grpc/grpc-js';
import { commitTimeout, connectionLost, notLeader, Refusal, serverBusy } from './failures.js';
import type { Fault } from './faults.js';
import type { NodeView } from './node-view.js';
import { authorize } from './users.js';

/** A call that can be answered with several messages, as every call of this server is. */
export interface AnsweredCall<T> {
  readonly metadata: Metadata;
  readonly cancelled: boolean;
  write(message: T): boolean;
  end(): unknown;
  on(event: 'drain' | 'cancelled' | 'close', listener: () => void): unknown;
  off(event: 'drain' | 'cancelled' | 'close', listener: () => void): unknown;
  emit(event: 'error', error: ServerErrorResponse): boolean;
  getPeer(): string;
}

/** Whether a node takes a call: from this user, for these streams, and only the leader where one is asked for. */
export function admit(
  node: NodeView,
  { metadata }: { readonly metadata: Metadata },
  ...streams: readonly string[]
): void {
  if (node.users) authorize(node.users, metadata, ...streams);
  if (!node.isLeader() && metadata.get('requires-leader')[0] === 'true')
    throw notLeader(node.leader());
}

/** What the client says in a call, without ending the call when it has said all. */
export function messagesOf<T>(call: ServerDuplexStream<T, unknown>): AsyncIterable<T> {
  return call.iterator({ destroyOnReturn: false }) as AsyncIterable<T>;
}

/**
 * Sends what there is to say, with the fault that struck the call if one did. False where the fault left nothing more
 * to be said in it.
 */
export async function answer<T>(
  node: NodeView,
  call: AnsweredCall<T>,
  fault: Fault | undefined,
  messages: Iterable<T> | AsyncIterable<T>,
  isEvent: (message: T) => boolean = () => false,
): Promise<boolean> {
  const { afterEvents = 0 } = fault ?? {};
  let events = 0;
  if (fault && afterEvents === 0 && !(await goesOn(node, call, fault))) return false;
  for await (const message of messages) {
    await send(call, message);
    if (fault?.kind === 'duplicate') await send(call, message);
    if (!fault || !isEvent(message) || ++events !== afterEvents) continue;
    if (!(await goesOn(node, call, fault))) return false;
  }
  return true;
}

/** Ends a call with the reason for which it was not served. */
export function refuse<T>(call: AnsweredCall<T>, reason: unknown): void {
  if (call.cancelled) return;
  if (!(reason instanceof Refusal)) throw reason;
  call.emit('error', reason);
}

/** Lets a fault take hold. Whether anything can be said after it; a call in which nothing can be stays open. */
async function goesOn<T>(node: NodeView, call: AnsweredCall<T>, fault: Fault): Promise<boolean> {
  switch (fault.kind) {
    case 'duplicate':
      return true;
    case 'slow':
      await sleep(fault.delayMs);
      return true;
    case 'silent':
      return false;
    case 'end':
      if (fault.delayMs !== undefined) await sleep(fault.delayMs);
      call.end();
      return false;
    case 'unavailable':
      call.emit('error', fault.written ? connectionLost() : serverBusy());
      return false;
    case 'timeout':
      call.emit('error', commitTimeout());
      return false;
    case 'not-leader':
      call.emit('error', notLeader(node.leader()));
      return false;
    case 'cut':
      // A reset takes along what is still on its way: time for the last words to arrive.
      await sleep(20);
      node.cut(call.getPeer());
      return false;
  }
}

/** Waits where the client does not keep up. */
async function send<T>(call: AnsweredCall<T>, message: T): Promise<void> {
  if (call.cancelled || call.write(message)) return;
  const events = ['drain', 'cancelled', 'close'] as const;
  await new Promise<void>((resolve) => {
    const goOn = (): void => {
      for (const event of events) call.off(event, goOn);
      resolve();
    };
    for (const event of events) call.on(event, goOn);
  });
}
