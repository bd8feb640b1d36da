import type { AppendReq, AppendResp } from '@eventstore/db-client/generated/streams_pb.js';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { admit, answer, messagesOf, refuse } from './answer.js';
import { appendMessage } from './append-messages.js';
import { appendTooLarge, invalidArgument } from './failures.js';
import type { NodeView } from './node-view.js';
import { expectedIn, type Proposal, proposedEvent, sizeOfProposal } from './proposal.js';
import { nameIn } from './read-messages.js';

/** The call that appends one proposal: first what it is about, then event by event. */
export async function append(
  node: NodeView,
  call: ServerDuplexStream<AppendReq, AppendResp>,
): Promise<void> {
  try {
    const proposal = await proposalOf(call);
    if (proposal === undefined) return;
    const { stream, expected, events } = proposal;
    admit(node, call, stream);
    if (sizeOfProposal(proposal) > node.maxAppendSize) throw appendTooLarge(node.maxAppendSize);
    const fault = node.faults.strike('append', stream);
    const write = (): AppendResp =>
      appendMessage(node.log.append(stream, expected, events), expected);
    const written = fault?.written ? write() : undefined;
    if (
      await answer(
        node,
        call,
        fault,
        lazily(() => written ?? write()),
      )
    )
      call.end();
  } catch (error) {
    refuse(call, error);
  }
}

/** One message, made when it is its turn. */
export function* lazily<T>(make: () => T): Iterable<T> {
  yield make();
}

/** Undefined where the client hung up before it had said all. */
async function proposalOf(
  call: ServerDuplexStream<AppendReq, AppendResp>,
): Promise<Proposal | undefined> {
  let proposal: Proposal | undefined;
  for await (const message of messagesOf(call)) {
    const [options, proposed] = [message.getOptions(), message.getProposedMessage()];
    if (options) {
      const stream = nameIn(options.getStreamIdentifier());
      proposal = { stream, expected: expectedIn(options, options.getRevision()), events: [] };
    }
    if (proposed) proposal?.events.push(proposedEvent(proposed));
  }
  if (call.cancelled) return undefined;
  if (proposal === undefined) throw invalidArgument('an append begins with its options');
  return proposal;
}
