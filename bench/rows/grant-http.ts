import { join } from 'node:path';
import type { Grants } from '../loads/grants.js';
import { withPeople } from '../people.js';
import type { Row } from '../row.js';

const requests = join(import.meta.dirname, '..', 'loads', 'grants.ts');

export default {
  name: 'grant-http',
  subject: 'durable grants over HTTP, 64 connections, everything on',
  reference: 'bare Fastify, one INSERT for each request',
  goal: { kind: 'rate', unit: 'requests/s', atLeast: 1 },
  async prepare(stage) {
    const server = await stage.emptyServer('grants');
    const people = await withPeople(server, stage.size.people);
    const database = await stage.database(server, 'bench_reference');
    const bare = await stage.reference<{ url: string }>('fastify.ts', database);
    const { key } = server;
    let first = 0;
    const load = async (url: string, path?: string) => {
      const parameters: Grants = { key, people, first, path };
      const done = await stage.load({ url, requests, parameters, status: 201 });
      const { perSecond, sent, ...more } = done;
      // On with the people who have not been asked yet: streams stay as short as they are in life.
      if (path === undefined) first += sent;
      return { value: perSecond, more };
    };
    return {
      subject: () => load(server.url),
      reference: () => load(bare.ready.url, '/grants'),
    };
  },
} satisfies Row;
