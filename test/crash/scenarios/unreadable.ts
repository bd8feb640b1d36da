import { setTimeout as sleep } from 'node:timers/promises';
import { type StreamName, streamOf, type SubjectId } from '#core/kernel/ids.js';
import { partitionOf } from '#core/kernel/partition.js';
import { PostgresLedger } from '#core/ledger/postgres/postgres.ledger.js';
import { sampleEvents, sampleStream } from '#core/ledger/contract/samples.js';
import { STANDING_PARTITIONS } from '#domains/consents/projections/standing.projection.js';
import type { FollowerSettings } from '../follower-process.js';
import { Product } from '../product.js';
import type { Context, Counts, Scenario } from '../scenario.js';

/** Milliseconds in which readiness and metrics must tell. */
const AT_ONCE = 5_000;

export const unreadable: Scenario = {
  name: 'unreadable',
  about: 'an event that no code can read comes into the log',
  promises: [8],
  rounds: { long: 5, short: 1 },
  run: (context) => run(context),
  canaries: [
    {
      mutant: 'whoever follows the log goes on behind what it can not read',
      rounds: 1,
      run: (context) => run(context, 'skips'),
    },
  ],
};

async function run(context: Context, twin?: FollowerSettings['twin']): Promise<Counts> {
  const findings: string[] = [];
  for (let done = 1; done <= context.rounds; done++) {
    const directory = `${context.directory}/${done}`;
    const followers = twin && { leaseMilliseconds: 400, twin };
    const product = await Product.start({ directory, followers });
    try {
      findings.push(...(await troublesWith(product, AT_ONCE * context.lenience)));
    } finally {
      await product.stop();
    }
    context.progress(done, {});
  }
  const { rounds } = context;
  return { rounds, acknowledged: rounds, lost: 0, skipped: 0, doubled: 0, findings };
}

async function troublesWith(product: Product, within: number): Promise<readonly string[]> {
  const registered = await product.call('POST', '/v1/subjects', { source: 'web-form' });
  const { subjectId } = (await registered.json()) as { subjectId: SubjectId };
  const question = { subjectId, purpose: 'sales' };
  const before = await status(product, 'POST', '/v1/decisions', question);

  // As a version that is rolled back leaves behind: valid, in order, and unknown to this code.
  const store = new PostgresLedger({ connectionString: product.ownerUrl });
  // Beside the person in the read model's partition: of the others nobody is held up.
  const stream = streamBeside(streamOf('subject', subjectId));
  await store.append({ stream, expected: { kind: 'any' }, events: sampleEvents(stream, 1) });
  await store.close();

  const findings: string[] = [];
  const expect = (what: string, holds: boolean) => void (holds || findings.push(what));
  expect(`decisions before: ${before}`, before === 200);
  const told = async (what: string, holds: () => Promise<boolean>) => {
    for (const until = Date.now() + within; Date.now() < until; await sleep(50))
      if (await holds()) return;
    findings.push(`${what}: not within ${within} ms`);
  };
  await Promise.all([
    told('readiness red', async () => (await product.call('GET', '/health/ready')).status === 503),
    told('metric', async () =>
      /^ledger_projection_stopped\{name="standing"\} 1$/m.test(
        await (await product.call('GET', '/metrics')).text(),
      ),
    ),
    told('decisions stale', async () => {
      const answer = await product.call('POST', '/v1/decisions', question);
      const { code } = (await answer.json()) as { code: string };
      const retry = Number(answer.headers.get('retry-after'));
      return answer.status === 503 && code === 'read-model-stale' && retry > 0;
    }),
  ]);
  // Whoever needs no read model goes on, and so does the one that such events do not concern.
  const page = await status(product, 'GET', `/v1/subjects/${subjectId}`);
  expect(`the person's page: ${page}`, page === 200);
  const another = await status(product, 'POST', '/v1/subjects', { source: 'web-form' });
  expect(`registration: ${another}`, another === 201);
  const alive = await status(product, 'GET', '/health/live');
  expect(`liveness: ${alive}`, alive === 200);
  const trail = await status(product, 'GET', '/v1/audit-events');
  expect(`audit trail: ${trail}`, trail === 200);
  return findings;
}

function streamBeside(person: StreamName): StreamName {
  const partition = partitionOf(person, STANDING_PARTITIONS);
  for (;;) {
    const stream = sampleStream();
    if (partitionOf(stream, STANDING_PARTITIONS) === partition) return stream;
  }
}

async function status(
  product: Product,
  method: string,
  path: string,
  body?: object,
): Promise<number> {
  const answer = await product.call(method, path, body);
  await answer.body?.cancel();
  return answer.status;
}
