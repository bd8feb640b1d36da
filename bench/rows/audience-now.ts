import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { copyOut } from '../copy.js';
import { watchMemory } from '../processes.js';
import type { Arms, Row } from '../row.js';
import type { Stage } from '../stage.js';

export default {
  name: 'audience-now',
  subject: 'everyone who may be sent the newsletter by e-mail now, over HTTP, as NDJSON',
  reference: 'COPY of the same ids from the same join',
  goal: { kind: 'time', unit: 's', atMost: 2 },
  limits: { serverPeakMb: { unit: 'MB', atMost: 300 } },
  prepare: (stage) => audience(stage, undefined),
} satisfies Row;

/** Everyone as of a moment, or now. */
export async function audience(stage: Stage, asOf: string | undefined): Promise<Arms> {
  const server = await stage.ledger(stage.size.events);
  const { url, key, pid, databaseUrl } = server;
  const moment = asOf === undefined ? 'now()' : `'${asOf}'`;
  const holds = (table: string) =>
    `${table}.known_to = 9223372036854775807 and ${table}.valid_from <= ${moment}
      and ${table}.valid_to > ${moment}`;
  const statement = `copy (
    select p.subject from read_models.persons p
      join read_models.standings s on s.subject = p.subject and s.purpose = 'newsletter'
      where ${holds('p')} and ${holds('s')} and not p.erased and s.code = 'allowed'
        and p.email is not null
      order by p.subject) to stdout`;
  return {
    subject: async () => {
      const memory = watchMemory(pid);
      const began = performance.now();
      const response = await fetch(`${url}/v1/audiences`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ purpose: 'newsletter', channel: 'email', asOf }),
      });
      if (!response.ok || !response.body) throw new Error(await response.text());
      let people = -1;
      let last = '';
      for await (const line of createInterface({ input: Readable.fromWeb(response.body) })) {
        people++;
        last = line;
      }
      if (!last.includes('"summary"')) throw new Error('the audience broke off');
      const value = (performance.now() - began) / 1_000;
      return { value, more: { people, serverPeakMb: memory.stop() } };
    },
    reference: async () => {
      const began = performance.now();
      let bytes = 0;
      await copyOut(databaseUrl, statement, (piece) => (bytes += piece.length));
      if (bytes === 0) throw new Error('COPY gave nobody');
      return { value: (performance.now() - began) / 1_000 };
    },
  };
}
