import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import { type ServerWritableStream, status } from '@grpc/grpc-js';
import { admit, answer, refuse } from './answer.js';
import { invalidArgument, Refusal } from './failures.js';
import type { Call } from './faults.js';
import { InvalidPosition } from './log-page.js';
import type { NodeView } from './node-view.js';
import { isBackwards, readAll, readStream } from './read.js';
import { nameIn } from './read-messages.js';
import { subscription } from './subscription.js';

/** Reads of a stream and of `$all`, and catch-up subscriptions to `$all`: to the protocol they are one call. */
export async function read(
  node: NodeView,
  call: ServerWritableStream<ReadReq, ReadResp>,
): Promise<void> {
  const options = call.request.getOptions();
  const hungUp = new AbortController();
  for (const event of ['cancelled', 'close']) call.once(event, () => hungUp.abort());
  try {
    if (!options) throw invalidArgument('a read has options');
    const kind = kindOf(options);
    const stream = options.hasAll() ? '$all' : nameIn(options.getStream()?.getStreamIdentifier());
    admit(node, call, stream);
    const fault =
      (isSearch(options) ? node.faults.strike('search', stream) : undefined) ??
      node.faults.strike(kind, stream);
    const messages = {
      readStream: () => readStream(node.log, options),
      readAll: () => readAll(node, options),
      subscribe: () => subscription(node, options, hungUp.signal),
    }[kind]();
    if (await answer(node, call, fault, messages, (message) => message.hasEvent())) call.end();
  } catch (error) {
    refuse(call, error instanceof InvalidPosition ? refusalOf(error, options) : error);
  }
}

function kindOf(options: ReadReq.Options): Extract<Call, 'readStream' | 'readAll' | 'subscribe'> {
  if (options.hasSubscription()) {
    if (options.hasAll()) return 'subscribe';
    throw new Refusal(status.UNIMPLEMENTED, 'subscriptions to one stream are not served here');
  }
  return options.hasAll() ? 'readAll' : 'readStream';
}

function isSearch(options: ReadReq.Options): boolean {
  return options.hasAll() && options.hasFilter() && isBackwards(options);
}

/** The server knows that case in subscriptions only, and calls it unexpected elsewhere. */
function refusalOf(error: InvalidPosition, options: ReadReq.Options | undefined): Refusal {
  return options?.hasSubscription()
    ? new Refusal(status.INVALID_ARGUMENT, 'Trying to read from an invalid position.')
    : new Refusal(status.UNKNOWN, `Unexpected ReadAllResult: ${error.name}`);
}
