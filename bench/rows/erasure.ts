import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import pg from 'pg';
import { newId, type StreamName, streamOf } from '#core/kernel/ids.js';
import { instantOf } from '#core/kernel/instant.js';
import { Codec, type Draft } from '#core/ledger/codec.js';
import { PostgresLedger } from '#core/ledger/postgres/postgres.ledger.js';
import { openVault } from '#core/vault/postgres/open-vault.js';
import { eventCatalogue } from '#domains/slices.js';
import { withPeople } from '../people.js';
import type { Row } from '../row.js';

/** People who are erased in one sample. */
const AT_ONCE = 3;

export default {
  name: 'erasure',
  subject: 'the keys of a person with 10,000 events destroyed',
  reference: 'those of a person with one event that is sealed under the same keys',
  goal: { kind: 'time', unit: 'ms', atMost: 1.2 },
  async prepare(stage) {
    const registering = await stage.emptyServer('erasure');
    const each = AT_ONCE * (stage.size.rounds + 1);
    const people = await withPeople(registering, 2 * each);
    await registering.stop();
    // Nobody makes read models of what follows while keys are destroyed: that would be measured too.
    const server = await stage.server('erasure', { LEDGER_ROLES: 'api' });
    const [long, short] = [people.slice(0, each), people.slice(each)];
    stage.say(`  ${stage.size.fewEvents} events for each of ${each} people`);
    const pool = new pg.Pool({ connectionString: server.databaseUrl, max: 2 });
    // Its sessions end with the server.
    pool.on('error', () => undefined);
    const { vault } = await openVault({
      pool,
      keyFile: join(server.directory, 'keys', 'epoch-keys.json'),
    });
    const store = new PostgresLedger({ connectionString: server.databaseUrl });
    const codec = new Codec(eventCatalogue, vault);
    for (const person of long) await sayALot({ store, codec }, person, stage.size.fewEvents);
    for (const person of short) await sayALot({ store, codec }, person, 1);
    await store.close();
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

/** So many travel in one append. */
const IN_ONE = 500;

/**
 * Choices with evidence that is sealed under the person's key, appended as a command appends them, without asking
 * anybody what was chosen before: through the API each would first fold all those before it.
 */
async function sayALot(
  log: { readonly store: PostgresLedger; readonly codec: Codec },
  subjectId: string,
  events: number,
): Promise<void> {
  const stream = streamOf('subject', subjectId);
  for (let said = 0; said < events; said += IN_ONE) {
    const drafts = Array.from({ length: Math.min(IN_ONE, events - said) }, (_, n) =>
      choice(stream, said + n),
    );
    const [first, ...rest] = await log.codec.encode(drafts);
    if (first === undefined) return;
    await log.store.append({ stream, expected: { kind: 'exists' }, events: [first, ...rest] });
  }
}

function choice(stream: StreamName, n: number): Draft {
  return {
    id: newId('evt'),
    type: n % 2 === 0 ? 'ConsentRefused' : 'ConsentWithdrawn',
    stream,
    occurredAt: instantOf(Date.UTC(2026, 0, 2) + n * 1_000),
    actor: { kind: 'system', id: 'bench' },
    source: 'web-form',
    interactionId: newId('rcp'),
    correlationId: 'bench',
    salt: randomBytes(16).toString('base64url'),
    data: { purpose: 'newsletter', purposeRevision: 0, evidence: { form: `f-${n}` } },
  };
}
