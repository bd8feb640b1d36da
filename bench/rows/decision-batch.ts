import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { withPeople } from '../people.js';
import { watchMemory } from '../processes.js';
import type { Row } from '../row.js';
import { sql } from '../stage.js';

export default {
  name: 'decision-batch',
  subject: 'a batch of decisions over HTTP, NDJSON in and out',
  reference: 'one SQL statement that finds the rows for the same questions',
  goal: { kind: 'rate', unit: 'questions/s', atLeast: 0.5 },
  limits: { serverPeakMb: { unit: 'MB', atMost: 300 } },
  async prepare(stage) {
    const registering = await stage.emptyServer('batch');
    const people = await withPeople(registering, stage.size.people);
    await registering.stop();
    // A server that has just registered everybody holds what that took.
    const { url, key, pid, databaseUrl } = await stage.server('batch');
    // Without statistics the reference reads whole tables for each question.
    await sql(databaseUrl, 'analyze read_models.persons, read_models.standings');
    const { questions } = stage.size;
    const asked = Array.from({ length: questions }, (_, n) => people[(n * 7_919) % people.length]);
    const body = asked
      .map((subjectId) => JSON.stringify({ subjectId, purpose: 'newsletter', channel: 'email' }))
      .join('\n');
    return {
      subject: async () => {
        const memory = watchMemory(pid);
        const began = performance.now();
        const response = await fetch(`${url}/v1/decisions/batch`, {
          method: 'POST',
          headers: { authorization: `Bearer ${key}`, 'content-type': 'application/x-ndjson' },
          body,
        });
        if (!response.ok || !response.body) throw new Error(await response.text());
        let answers = 0;
        for await (const line of createInterface({ input: Readable.fromWeb(response.body) }))
          if (line.includes('"allowed"')) answers++;
        if (answers !== questions) throw new Error(`${answers} answers to ${questions} questions`);
        const value = questions / ((performance.now() - began) / 1_000);
        return { value, more: { serverPeakMb: memory.stop() } };
      },
      reference: async () => {
        const began = performance.now();
        const rows = await sql(
          databaseUrl,
          `select q.n, p.*, s.*
             from unnest($1::text[]) with ordinality q(subject, n)
             left join read_models.persons p on p.subject = q.subject
               and p.known_to = 9223372036854775807 and p.valid_from <= now() and p.valid_to > now()
             left join read_models.standings s on s.subject = q.subject and s.purpose = 'newsletter'
               and s.known_to = 9223372036854775807 and s.valid_from <= now() and s.valid_to > now()
            order by q.n`,
          [asked],
        );
        if (rows.length !== questions) throw new Error(`${rows.length} rows`);
        return { value: questions / ((performance.now() - began) / 1_000) };
      },
    };
  },
} satisfies Row;
