import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Product } from '../product.js';
import { checkReadModels } from '../read-model-check.js';
import type { Context, Counts, Scenario } from '../scenario.js';

const PEOPLE = 400;
/** What each of them does, in this order, and the events that this is recorded as. */
const LIFE = ['register', 'give', 'withdraw', 'give', 'withdraw'] as const;
const RECORDED = [
  'SubjectRegistered',
  'ConsentGiven',
  'ConsentWithdrawn',
  'ConsentGiven',
  'ConsentWithdrawn',
];
const VICTIMS = ['sender', 'server', 'postgres'] as const;
/** What `ledgerctl` ends with where all lines have a verdict and some were rejected, and where it could not go on. */
const [REJECTED, FAILED] = [1, 3];

export const importKilled: Scenario = {
  name: 'import-killed',
  about:
    'whoever sends an import, the server or PostgreSQL is killed with -9 half-way, and the same file is sent again',
  promises: [1, 5, 6],
  rounds: { long: 30, short: 1 },
  run: (context) => run(context, byCommand),
  canaries: [
    {
      mutant: 'lines that have neither a time nor the name of their import',
      rounds: 1,
      run: (context) => run(context, nameless),
      caught: ({ doubled }) => doubled > 0,
    },
  ],
};

interface Sending {
  /** Whether all lines have their verdict. */
  readonly ended: Promise<boolean>;
  kill(): void;
}

type Send = (product: Product, file: string) => Sending;

async function run({ rounds, random, directory, progress }: Context, send: Send): Promise<Counts> {
  const product = await Product.start({ directory });
  try {
    const findings: string[] = [];
    for (let done = 0; done < rounds;) {
      const file = join(directory, `people-${done}.ndjson`);
      await writeFile(file, linesOf(done));
      if (!(await brokenOff(product, send(product, file), random)))
        findings.push('an import was not broken off');
      while (!(await send(product, file).ended));
      progress(++done, { acknowledged: done * PEOPLE * LIFE.length });
    }
    const log = await checkLives(product.ownerUrl, rounds * PEOPLE);
    const runtime = await product.open();
    const rows = await checkReadModels(runtime).finally(() => runtime.close());
    return {
      rounds,
      acknowledged: rounds * PEOPLE * LIFE.length,
      lost: log.lost,
      skipped: rows.skipped,
      doubled: log.doubled + rows.doubled,
      findings: [...findings, ...log.findings, ...rows.findings],
    };
  } finally {
    await product.stop();
  }
}

/** Everybody's first line, then everybody's second, and so on; some lines between them nobody can record. */
function linesOf(round: number): string {
  const source = 'import';
  const people = Array.from({ length: PEOPLE }, (_, n) => n);
  return LIFE.flatMap((step) =>
    people.flatMap((n): readonly object[] => {
      const externalRef = { system: 'crm', id: `${round}-${n}` };
      if (step === 'register') return [{ type: step, externalRef, source }];
      const purposes = n % 50 === 0 ? ['sales', 'no-such-purpose'] : ['sales'];
      return purposes.map((purpose) => ({
        type: 'interaction',
        externalRef,
        interaction: { source, choices: [{ purpose, decision: step }] },
      }));
    }),
  )
    .map((line) => `${JSON.stringify(line)}\n`)
    .join('');
}

function byCommand(product: Product, file: string): Sending {
  const command = product.ledgerctl('import', file);
  const ended = once(command, 'exit').then(([code]) => {
    if (code !== null && code !== REJECTED && code !== FAILED)
      throw new Error(`the import ended with ${code}`);
    return code === REJECTED;
  });
  return { ended, kill: () => void command.kill('SIGKILL') };
}

function nameless(product: Product, file: string): Sending {
  const giveUp = new AbortController();
  const send = async () => {
    const answer = await fetch(`${product.url}/v1/interactions/bulk`, {
      method: 'POST',
      headers: { authorization: `Bearer ${product.key}`, 'content-type': 'application/x-ndjson' },
      body: await readFile(file),
      signal: giveUp.signal,
    });
    return (await answer.text()).endsWith('\n');
  };
  return { ended: send().catch(() => false), kill: () => giveUp.abort() };
}

/** Kills somebody when a part of the lines is recorded, and brings them back. Resolves with whether lines were left. */
async function brokenOff(
  product: Product,
  { ended, kill }: Sending,
  random: () => number,
): Promise<boolean> {
  // Late enough for people to have changed their mind, so that lines which are taken for new ones are seen.
  const share = 0.45 + random() * 0.3;
  const enough = (await eventsIn(product.ownerUrl)) + share * PEOPLE * LIFE.length;
  let isOver = false;
  void ended.finally(() => (isOver = true)).catch(() => undefined);
  while (!isOver && (await eventsIn(product.ownerUrl)) < enough) await sleep(5);
  const wasOver = isOver;
  const victim = VICTIMS[Math.floor(random() * VICTIMS.length)] as (typeof VICTIMS)[number];
  if (victim === 'sender') kill();
  else {
    await product.kill(victim);
    await product.bring(victim);
  }
  await ended;
  return !wasOver;
}

async function eventsIn(url: string): Promise<number> {
  const statement = 'select max(position) as events from ledger.events';
  const [row] = await ask<{ events: string | null }>(url, statement);
  return Number(row?.events ?? 0);
}

interface Lives {
  readonly lost: number;
  readonly doubled: number;
  readonly findings: readonly string[];
}

/** Holds every person's stream against what the files said of them. */
async function checkLives(url: string, people: number): Promise<Lives> {
  const lives = await ask<{ events: readonly string[]; lines: readonly (string | null)[] }>(
    url,
    `select array_agg(type order by position) as events,
            array_agg(event -> 'provenance' ->> 'line' order by position) as lines
       from (select position, stream, type, convert_from(bytes, 'UTF8')::json as event
               from ledger.events where stream like 'subject-%') as events group by stream`,
  );
  let lost = Math.max(0, people - lives.length) * LIFE.length;
  let doubled = Math.max(0, lives.length - people);
  const findings = new Set<string>();
  for (const { events, lines } of lives) {
    lost += Math.max(0, RECORDED.length - events.length);
    doubled += Math.max(0, events.length - RECORDED.length);
    const inOrder = lines.every((line, n) => n === 0 || Number(line) > Number(lines[n - 1]));
    if (events.length === RECORDED.length && !(inOrder && events.join() === RECORDED.join()))
      findings.add(`somebody's lines ${lines.join(', ')} are ${events.join(', ')}`);
  }
  return { lost, doubled, findings: [...findings].slice(0, 5) };
}

async function ask<Row extends pg.QueryResultRow>(
  url: string,
  statement: string,
): Promise<readonly Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(statement)).rows;
  } finally {
    await client.end();
  }
}
