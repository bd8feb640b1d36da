import { join } from 'node:path';
import type { Decisions } from '../loads/decisions.js';
import { withPeople } from '../people.js';
import type { Row } from '../row.js';
import { sql } from '../stage.js';

const requests = join(import.meta.dirname, '..', 'loads', 'decisions.ts');

export default {
  name: 'decision-http',
  subject: 'decisions over HTTP, 64 connections',
  reference: 'bare Fastify, one SELECT by primary key for each request',
  goal: { kind: 'rate', unit: 'requests/s', atLeast: 0.8 },
  async prepare(stage) {
    const server = await stage.emptyServer('decisions');
    const people = await withPeople(server, stage.size.people);
    const database = await stage.database(server, 'bench_reference');
    await sql(
      database,
      `create table standings (subject text, purpose text, code text not null, since timestamptz,
         primary key (subject, purpose))`,
    );
    await sql(
      database,
      `insert into standings select subject, 'newsletter', 'allowed', now() from unnest($1::text[]) subject`,
      [people],
    );
    await sql(database, 'vacuum analyze standings');
    const bare = await stage.reference<{ url: string }>('fastify.ts', database);
    const { key } = server;
    const load = async (url: string, path: string) => {
      const parameters: Decisions = { key, people, path };
      const { perSecond, p50Ms, p99Ms } = await stage.load({
        url,
        requests,
        parameters,
        status: 200,
      });
      return { value: perSecond, more: { p50Ms, p99Ms } };
    };
    return {
      subject: () => load(server.url, '/v1/decisions'),
      reference: () => load(bare.ready.url, '/standings'),
    };
  },
} satisfies Row;
