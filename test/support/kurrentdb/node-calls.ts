import type { ClusterInfo, MemberInfo } from '@eventstore/db-client/generated/gossip_pb.js';
import gossip from '@eventstore/db-client/generated/gossip_pb.js';
import type {
  SupportedMethod,
  SupportedMethods,
} from '@eventstore/db-client/generated/serverfeatures_pb.js';
import features from '@eventstore/db-client/generated/serverfeatures_pb.js';
import type { Empty } from '@eventstore/db-client/generated/shared_pb.js';
import shared from '@eventstore/db-client/generated/shared_pb.js';
import services from '@eventstore/db-client/generated/streams_grpc_pb.js';
import type { ServerWritableStream } from '@grpc/grpc-js';
import { answer } from './answer.js';
import { lazily } from './append-call.js';
import type { Member, NodeView } from './node-view.js';

const { LEADER, FOLLOWER } = gossip.MemberInfo.VNodeState;

/** Beyond its name, what a call can do. */
const FEATURES: Readonly<Record<string, readonly string[]>> = {
  read: ['position', 'events'],
  batchappend: ['deadline_duration'],
};

/** Which nodes there are, and who leads. Anybody may ask. */
export async function readGossip(
  node: NodeView,
  call: ServerWritableStream<Empty, ClusterInfo>,
): Promise<void> {
  const told = (): ClusterInfo =>
    new gossip.ClusterInfo().setMembersList(node.members().map(memberInfo));
  if (await answer(node, call, node.faults.strike('gossip'), lazily(told))) call.end();
}

/** The server's version and the calls it serves; the client asks for it once a connection. */
export async function supportedMethods(
  node: NodeView,
  call: ServerWritableStream<Empty, SupportedMethods>,
): Promise<void> {
  const { read, append, batchAppend } = services.StreamsService;
  const told = (): SupportedMethods =>
    new features.SupportedMethods()
      .setEventStoreServerVersion(node.version)
      .setMethodsList([read, append, batchAppend].map(({ path }) => supportedMethod(path)));
  if (await answer(node, call, node.faults.strike('features'), lazily(told))) call.end();
}

/** `path`: `/package.Service/Method`. */
function supportedMethod(path: string): SupportedMethod {
  const [, service = '', method = ''] = path.toLowerCase().split('/');
  return new features.SupportedMethod()
    .setServiceName(service)
    .setMethodName(method)
    .setFeaturesList([...(FEATURES[method] ?? [])]);
}

function memberInfo({ id, endpoint, alive, leader }: Member): MemberInfo {
  return new gossip.MemberInfo()
    .setInstanceId(new shared.UUID().setString(id))
    .setTimeStamp(String(Date.now()))
    .setState(leader ? LEADER : FOLLOWER)
    .setIsAlive(alive)
    .setHttpEndPoint(new gossip.EndPoint().setAddress(endpoint.address).setPort(endpoint.port));
}
