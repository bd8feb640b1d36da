import { erasuresIn, seededReference } from '../../apps/ledgerctl/seed-events.js';
import { Connection, written } from '../http-client.js';
import { apiOf } from '../people.js';
import { spreadOf } from '../measure.js';
import type { Row } from '../row.js';
import type { Server } from '../stage.js';

/** Questions of one sample, and how many people they are about. */
const [ASKED, PEOPLE] = [400, 20];

export default {
  name: 'timeline',
  subject: "one person's timeline in a large ledger",
  reference: 'the same person’s in a small ledger',
  goal: { kind: 'time', unit: 'ms', atMost: 1.3 },
  async prepare(stage) {
    const arm = async (events: number) => {
      const server = await stage.ledger(events);
      const paths = await timelinesOf(server, erasuresIn(stage.size.events));
      return async () => ({ value: await medianTime(server, paths) });
    };
    return {
      reference: await arm(stage.size.fewEvents),
      subject: await arm(stage.size.events),
    };
  },
} satisfies Row;

/** The first people of a seed do the same in a ledger of any size; of them those are asked for who are erased in none. */
async function timelinesOf(server: Server, erased: number): Promise<string[]> {
  const api = apiOf(server);
  const paths: string[] = [];
  for (let n = 0; n < PEOPLE; n++) {
    const externalRef = seededReference('1', erased + n);
    const { body } = await api.call<{ subjects: { subjectId: string }[] }>(
      'POST',
      '/v1/subjects/search',
      { externalRef },
    );
    for (const { subjectId } of body.subjects) paths.push(`/v1/subjects/${subjectId}/timeline`);
  }
  if (paths.length < PEOPLE) throw new Error(`${paths.length} of ${PEOPLE} people are known`);
  return paths;
}

async function medianTime({ url, key }: Server, paths: readonly string[]): Promise<number> {
  const { hostname, port } = new URL(url);
  const connection = new Connection(Number(port), hostname);
  const times: number[] = [];
  for (let n = 0; n < ASKED; n++) {
    const path = paths[n % paths.length] as string;
    const headers = { authorization: `Bearer ${key}` };
    const began = performance.now();
    const answer = await connection.send(written({ method: 'GET', path, headers }));
    times.push(performance.now() - began);
    if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`);
  }
  connection.close();
  return spreadOf(times).median;
}
