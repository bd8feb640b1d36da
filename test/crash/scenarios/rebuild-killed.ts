import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import pg from 'pg';
import { until } from '../../support/until.js';
import { underLoad } from '../outcome.js';
import type { Product } from '../product.js';
import type { Context, Counts, Scenario } from '../scenario.js';

/** People who are there from the start, so that a rebuild lasts. */
const PEOPLE = 2_000;
const AT_A_TIME = 100;
const ATTEMPTS = 5;
const PROJECTION = 'standing';

export const rebuildKilled: Scenario = {
  name: 'rebuild-killed',
  about:
    'a read model is rebuilt while people choose and ask, and whoever rebuilds it is killed half-way',
  promises: [7, 9],
  rounds: { long: 30, short: 1 },
  run: (context) => run(context, killedOnce),
  canaries: [
    {
      mutant: 'a rebuild in place: the rows are removed and come back as the log is followed',
      rounds: 1,
      run: (context) => run(context, inPlace),
      caught: ({ findings }) => findings.some((what) => what.startsWith('asked meanwhile')),
    },
  ],
};

type Rebuild = (product: Product, random: () => number) => Promise<readonly string[]>;

async function run(context: Context, rebuild: Rebuild): Promise<Counts> {
  const findings = new Set<string>();
  let asking: Asking | undefined;
  const calling = { connections: 4, pause: 20 };
  try {
    const counts = await underLoad(context, { calling, others: true }, async (load, done) => {
      const { product, served } = load;
      if (done === 0) {
        await populate(product);
        asking = await Asking.begin(product);
      }
      await served(10);
      for (const what of await rebuild(product, context.random)) findings.add(what);
      await served(10);
      if (done + 1 === context.rounds) await asking?.end();
    });
    const noticed = asking?.noticed ?? ['nobody asked'];
    return { ...counts, findings: [...counts.findings, ...findings, ...noticed] };
  } finally {
    await asking?.end();
  }
}

async function killedOnce(product: Product, random: () => number): Promise<readonly string[]> {
  const owner = new pg.Client({ connectionString: product.ownerUrl });
  await owner.connect();
  try {
    let left = 0;
    // One that was done before the blow fell is begun anew, and hit sooner.
    for (let attempt = 1; left === 0 && attempt <= ATTEMPTS; attempt++)
      left = await strike(product, owner, (random() * 100) / attempt);
    const findings = left === 0 ? ['it was not killed half-way'] : [];
    // Who was killed keeps others out until its lease ends.
    await until('it is rebuilt', () => rebuilt(product), 60_000);
    if ((await halfDone(owner)) > 0) findings.push('the rebuild has left something');
    return findings;
  } finally {
    await owner.end();
  }
}

/** Kills a rebuild some milliseconds after it has begun; resolves with the events that it had applied by then. */
async function strike(product: Product, owner: pg.Client, delay: number): Promise<number> {
  const rebuild = product.ledgerctl('rebuild', PROJECTION);
  const ended = once(rebuild, 'exit');
  const begun = async () => (await halfDone(owner)) > 0 || rebuild.exitCode !== null;
  await until('some of it is rebuilt', begun, 60_000);
  await sleep(delay);
  rebuild.kill('SIGKILL');
  await ended;
  return halfDone(owner);
}

async function rebuilt(product: Product): Promise<boolean> {
  const [code] = (await once(product.ledgerctl('rebuild', PROJECTION), 'exit')) as [number | null];
  return code === 0;
}

/** Events that a rebuild has applied beside the live rows; 0 where there is none. */
async function halfDone(owner: pg.Client): Promise<number> {
  const { rows } = await owner.query<{ applied: string }>(
    'select applied from projector.rebuilds where name = $1',
    [PROJECTION],
  );
  return Number(rows[0]?.applied ?? 0);
}

/** What one would first think of. */
async function inPlace(product: Product): Promise<readonly string[]> {
  const owner = new pg.Client({ connectionString: product.ownerUrl });
  await owner.connect();
  try {
    await owner.query('begin');
    // First the checkpoint, as who follows the log does: in another order they wait for each other.
    await owner.query(
      `update projector.checkpoints set position = 0, anchor_position = 0, event_id = null,
              owner = null, epoch = epoch + 1 where name = $1`,
      [PROJECTION],
    );
    await owner.query('truncate read_models.standings, read_models.persons');
    await owner.query('commit');
    return [];
  } finally {
    await owner.end();
  }
}

async function populate(product: Product): Promise<void> {
  for (let from = 0; from < PEOPLE; from += AT_A_TIME) {
    const lines = Array.from({ length: AT_A_TIME }, (_, n) =>
      JSON.stringify({
        type: 'register',
        externalRef: { system: 'crm', id: `rebuilt-${from + n}` },
        source: 'import',
      }),
    );
    const answer = await fetch(`${product.url}/v1/interactions/bulk`, {
      method: 'POST',
      headers: { authorization: `Bearer ${product.key}`, 'content-type': 'application/x-ndjson' },
      body: `${lines.join('\n')}\n`,
    });
    const verdicts = (await answer.text()).trimEnd().split('\n');
    if (!answer.ok || verdicts.length !== AT_A_TIME)
      throw new Error(`${verdicts.length} people of ${AT_A_TIME}: ${answer.status}`);
  }
}

/** Asks the same question about somebody who has decided, again and again: its answer must stay, and never be older. */
class Asking {
  readonly noticed: string[] = [];
  private going = true;
  private readonly ended: Promise<void>;

  private constructor(
    private readonly product: Product,
    private readonly subjectId: string,
  ) {
    this.ended = this.ask();
  }

  static async begin(product: Product): Promise<Asking> {
    const registered = await product.call('POST', '/v1/subjects', { source: 'web-form' });
    const { subjectId } = (await registered.json()) as { subjectId: string };
    const path = `/v1/subjects/${subjectId}/interactions`;
    const choices = [{ purpose: 'sales', decision: 'give' }];
    const given = await product.call('POST', path, { source: 'web-form', choices });
    if (!given.ok) throw new Error(`no grant: ${await given.text()}`);
    await until('it is visible', async () => (await answerTo(product, subjectId)).allowed === true);
    return new Asking(product, subjectId);
  }

  async end(): Promise<void> {
    this.going = false;
    await this.ended;
  }

  private async ask(): Promise<void> {
    let last = 0n;
    while (this.going && this.noticed.length < 5) {
      const answer = await answerTo(this.product, this.subjectId).catch((error: unknown) => {
        // Thrown here it would hide what has ended the product.
        this.noticed.push(`asked meanwhile: ${inspect(error)}`);
      });
      if (answer === undefined) return;
      const { status, allowed, position = '0' } = answer;
      if (status !== 200 || allowed !== true)
        this.noticed.push(`asked meanwhile: ${status}, allowed: ${allowed}`);
      else if (BigInt(position) < last)
        this.noticed.push(`asked meanwhile: from ${last} back to ${position}`);
      else last = BigInt(position);
    }
  }
}

interface Answer {
  readonly status: number;
  readonly allowed?: boolean;
  readonly position?: string;
}

async function answerTo(product: Product, subjectId: string): Promise<Answer> {
  const answer = await product.call('POST', '/v1/decisions', { subjectId, purpose: 'sales' });
  return { ...((await answer.json()) as Omit<Answer, 'status'>), status: answer.status };
}
