import { join } from 'node:path';
import type { Grants } from '../loads/grants.js';
import { withPeople } from '../people.js';
import type { Row, Sample } from '../row.js';
import type { Server, Stage } from '../stage.js';

const requests = join(import.meta.dirname, '..', 'loads', 'grants.ts');

export default {
  name: 'grant-http',
  subject: 'durable grants over HTTP, 64 connections, everything on',
  reference: 'bare Fastify, one INSERT for each request',
  goal: { kind: 'rate', unit: 'requests/s', atLeast: 1 },
  async prepare(stage) {
    const { server, people, subject } = await grantsOver(stage);
    const database = await stage.database(server, 'bench_reference');
    const bare = await stage.reference<{ url: string }>('fastify.ts', database);
    const { url } = bare.ready;
    const parameters: Grants = { key: server.key, people, first: 0, path: '/grants' };
    return {
      subject,
      reference: async () => {
        const { perSecond } = await stage.load({ url, requests, parameters, status: 201 });
        return { value: perSecond };
      },
    };
  },
} satisfies Row;

/** A server with registered people, and the arm that has them give their consent. `name`: of its data directory. */
export async function grantsOver(
  stage: Stage,
  {
    name = 'grants',
    settings,
  }: { name?: string; settings?: Readonly<Record<string, string>> } = {},
): Promise<{
  readonly server: Server;
  readonly people: readonly string[];
  subject(): Promise<Sample>;
}> {
  const server = await stage.emptyServer(name, settings);
  const { key, url } = server;
  const people = await withPeople(server, stage.size.people);
  let first = 0;
  return {
    server,
    people,
    subject: async () => {
      const parameters: Grants = { key, people, first };
      const done = await stage.load({ url, requests, parameters, status: 201 });
      // On with those who were not asked yet: streams stay as short as they are in life.
      first += done.sent;
      const { perSecond, p50Ms, p99Ms } = done;
      return { value: perSecond, more: { p50Ms, p99Ms } };
    },
  };
}
