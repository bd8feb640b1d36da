import { join } from 'node:path';
import { Readable } from 'node:stream';
import pg from 'pg';
import { openVault } from '#core/vault/postgres/open-vault.js';
import { apiOf, withPeople } from '../people.js';
import type { Row } from '../row.js';
import type { Server } from '../stage.js';

/** People who are erased in one sample. */
const AT_ONCE = 3;

export default {
  name: 'erasure',
  subject: 'the keys of a person with 10,000 events destroyed',
  reference: 'those of a person with a registration only',
  goal: { kind: 'time', unit: 'ms', atMost: 1.2 },
  async prepare(stage) {
    const server = await stage.emptyServer('erasure');
    const each = AT_ONCE * (stage.size.rounds + 1);
    const people = await withPeople(server, 2 * each);
    const [long, short] = [people.slice(0, each), people.slice(each)];
    stage.say(`  ${stage.size.fewEvents} events for each of ${each} people`);
    for (const person of long) await sayALot(server, person, stage.size.fewEvents);
    const pool = new pg.Pool({ connectionString: server.databaseUrl, max: 2 });
    // Its sessions end with the server.
    pool.on('error', () => undefined);
    const { vault } = await openVault({
      pool,
      keyFile: join(server.directory, 'keys', 'epoch-keys.json'),
    });
    const arm = (some: string[]) => async () => {
      const owners = some.splice(0, AT_ONCE);
      if (owners.length < AT_ONCE) throw new Error('nobody is left: ask for fewer rounds');
      const began = performance.now();
      for (const owner of owners) await vault.destroy(owner);
      return { value: (performance.now() - began) / AT_ONCE };
    };
    return { subject: arm(long), reference: arm(short) };
  },
} satisfies Row;

/** One choice after the other, each with evidence that is sealed under the person's key. */
async function sayALot(server: Server, subjectId: string, events: number): Promise<void> {
  const lines = Readable.from(choices(subjectId, events), { objectMode: false });
  for await (const { status } of apiOf(server).lines<{ status: string }>(
    'POST',
    '/v1/interactions/bulk',
    lines,
  ))
    if (status !== 'recorded') throw new Error(`a choice was ${status}`);
}

function* choices(subjectId: string, count: number): Generator<string> {
  for (let n = 0; n < count; n++)
    yield `${JSON.stringify({
      type: 'interaction',
      subjectId,
      interaction: {
        source: 'web-form',
        occurredAt: new Date(Date.UTC(2026, 0, 2) + n * 1_000).toISOString(),
        evidence: { form: `f-${n}` },
        choices: [{ purpose: 'newsletter', decision: n % 2 === 0 ? 'refuse' : 'withdraw' }],
      },
    })}\n`;
}
