import { fastify } from 'fastify';
import pg from 'pg';

/**
 * The least that an HTTP service on PostgreSQL can do: one statement for each request, prepared, over a
 * pool. No authentication, validation, idempotency, history, sealing or log.
 */
const [connectionString = ''] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString, max: 20 });
await pool.query(`create table if not exists grants (
  id bigint generated always as identity primary key,
  given_at timestamptz not null, source text not null, purpose text not null, decision text not null,
  said text not null)`);

interface Said {
  occurredAt: string;
  source: string;
  choices: [{ purpose: string; decision: string }];
}

const server = fastify();
server.post<{ Body: Said }>('/grants', async ({ body }, reply) => {
  const { occurredAt, source, choices } = body;
  const [{ purpose, decision }] = choices;
  const { rows } = await pool.query<{ id: string }>({
    name: 'insert',
    text: `insert into grants (given_at, source, purpose, decision, said)
      values ($1, $2, $3, $4, $5) returning id`,
    values: [occurredAt, source, purpose, decision, JSON.stringify(body)],
  });
  return reply.status(201).send({ id: rows[0]?.id });
});

server.post<{ Body: { subjectId: string; purpose: string } }>('/standings', async ({ body }) => {
  const { rows } = await pool.query({
    name: 'select',
    text: 'select * from standings where subject = $1 and purpose = $2',
    values: [body.subjectId, body.purpose],
  });
  return rows[0] as object;
});

const url = await server.listen({ port: 0, host: '127.0.0.1' });
process.send?.({ url });
process.on('SIGTERM', () => process.exit(0));
