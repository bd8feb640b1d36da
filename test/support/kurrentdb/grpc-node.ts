import gossip from '@eventstore/db-client/generated/gossip_grpc_pb.js';
import features from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js';
import streams from '@eventstore/db-client/generated/streams_grpc_pb.js';
import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type MethodDefinition,
  Server,
  type ServerCredentials,
} from '@grpc/grpc-js';
import { append } from './append-call.js';
import { batchAppend } from './batch-append-call.js';
import { readGossip, supportedMethods } from './node-calls.js';
import type { NodeView } from './node-view.js';
import { read } from './read-call.js';

/** Events of 16 MiB are written by some clients, and read by ours. */
const LARGEST_MESSAGE = 17 * 1024 * 1024;

/** A gRPC server that serves what the client calls, for one node. Gives back the port it listens at. */
export async function listen(
  node: NodeView,
  credentials: ServerCredentials,
): Promise<{ server: Server; port: number }> {
  const server = new Server({ 'grpc.max_receive_message_length': LARGEST_MESSAGE });
  server.addService(
    {
      read: streams.StreamsService.read,
      append: answeredByMany(streams.StreamsService.append),
      batchAppend: streams.StreamsService.batchAppend,
    },
    {
      read: serverStreaming(node, read),
      append: bidirectional(node, append),
      batchAppend: bidirectional(node, batchAppend),
    },
  );
  server.addService(
    { read: answeredByMany(gossip.GossipService.read) },
    { read: serverStreaming(node, readGossip) },
  );
  server.addService(
    { getSupportedMethods: answeredByMany(features.ServerFeaturesService.getSupportedMethods) },
    { getSupportedMethods: serverStreaming(node, supportedMethods) },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return { server, port };
}

/**
 * The same call on the wire, but free to answer never or twice: a library that answers once by construction could not
 * be made to do wrong.
 */
function answeredByMany<Request, Response>(
  method: MethodDefinition<Request, Response>,
): MethodDefinition<Request, Response> {
  return { ...method, responseStream: true };
}

type Handler<Call> = (node: NodeView, call: Call) => Promise<void>;

function serverStreaming<Request, Response>(
  node: NodeView,
  handle: Handler<Parameters<handleServerStreamingCall<Request, Response>>[0]>,
): handleServerStreamingCall<Request, Response> {
  return (call) => void handle(node, call);
}

function bidirectional<Request, Response>(
  node: NodeView,
  handle: Handler<Parameters<handleBidiStreamingCall<Request, Response>>[0]>,
): handleBidiStreamingCall<Request, Response> {
  return (call) => void handle(node, call);
}
