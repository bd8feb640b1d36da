import type {
  BatchAppendReq,
  BatchAppendResp,
} from '@eventstore/db-client/generated/streams_pb.js';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { admit, answer, messagesOf, refuse } from './answer.js';
import { lazily } from './append-call.js';
import { batchAccessDenied, batchMessage, batchTimeout, batchTooLarge } from './append-messages.js';
import { Refusal } from './failures.js';
import type { NodeView } from './node-view.js';
import { expectedIn, type Proposal, proposedEvent, sizeOfProposal } from './proposal.js';
import { nameIn } from './read-messages.js';

type BatchCall = ServerDuplexStream<BatchAppendReq, BatchAppendResp>;

/** The call in which many proposals travel: each has an id, comes in one or more parts, and is answered on its own. */
export async function batchAppend(node: NodeView, call: BatchCall): Promise<void> {
  try {
    await takeAll(node, call);
    call.end();
  } catch (error) {
    refuse(call, error);
  }
}

async function takeAll(node: NodeView, call: BatchCall): Promise<void> {
  const underway = new Map<string, Proposal>();
  for await (const request of messagesOf(call)) {
    const id = request.getCorrelationId()?.getString() ?? '';
    const proposal = begun(request) ?? underway.get(id);
    if (proposal === undefined) continue;
    if (isLate(request)) {
      call.write(batchTimeout(request, proposal.stream));
      continue;
    }
    underway.set(id, proposal);
    proposal.events.push(...request.getProposedMessagesList().map(proposedEvent));
    if (!request.getIsFinal()) continue;
    underway.delete(id);
    // Not awaited: a proposal whose answer is late holds up no other.
    void complete(node, call, request, proposal);
  }
}

function begun(request: BatchAppendReq): Proposal | undefined {
  const options = request.getOptions();
  if (!options) return undefined;
  const stream = nameIn(options.getStreamIdentifier());
  return { stream, expected: expectedIn(options, options.getStreamPosition()), events: [] };
}

/** The time by which the client wants its answer, told with the first part, can be over when that arrives. */
function isLate(request: BatchAppendReq): boolean {
  const deadline = request.getOptions()?.getDeadline();
  return deadline !== undefined && deadline.toDate() <= new Date();
}

async function complete(
  node: NodeView,
  call: BatchCall,
  request: BatchAppendReq,
  proposal: Proposal,
): Promise<void> {
  try {
    const fault = node.faults.strike('batchAppend', proposal.stream);
    const write = (): BatchAppendResp => verdict(node, call, request, proposal);
    const written = fault?.written ? write() : undefined;
    await answer(
      node,
      call,
      fault,
      lazily(() => written ?? write()),
    );
  } catch (error) {
    refuse(call, error);
  }
}

function verdict(
  node: NodeView,
  call: BatchCall,
  request: BatchAppendReq,
  proposal: Proposal,
): BatchAppendResp {
  const { stream, expected, events } = proposal;
  try {
    admit(node, call, stream);
  } catch (error) {
    if (error instanceof Refusal && error.metadata.get('exception')[0] === 'access-denied')
      return batchAccessDenied(request, stream);
    throw error;
  }
  if (sizeOfProposal(proposal) > node.maxAppendSize)
    return batchTooLarge(request, stream, node.maxAppendSize);
  return batchMessage(request, stream, node.log.append(stream, expected, events), expected);
}
