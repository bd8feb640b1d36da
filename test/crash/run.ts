import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { startEmbeddedPostgres } from '#core/platform/embedded-postgres/start.js';
import {
  catches,
  type Context,
  type Counts,
  randomFrom,
  type Scenario,
  wrongIn,
} from './scenario.js';
import { scenarios } from './scenarios.js';

/** `npm run test:crash`, once everything is compiled: runs the scenarios asked for, and says what came of each. */

interface Asked {
  readonly names: readonly string[];
  readonly rounds: number | undefined;
  readonly seed: number;
}

interface Row {
  readonly scenario: string;
  readonly counts?: Counts;
  /** Why it was not run, or what broke it. */
  readonly instead?: string;
  readonly canaries: readonly { readonly mutant: string; readonly caught: boolean }[];
  readonly wrong: readonly string[];
}

const say = (line: string) => process.stderr.write(`${line}\n`);

async function main(): Promise<number> {
  const asked = understand(process.argv.slice(2));
  const chosen = scenarios.filter(
    ({ name }) => asked.names.length === 0 || asked.names.includes(name),
  );
  say(`Seed ${asked.seed}: --seed ${asked.seed} makes the same choices again.`);
  const folder = await mkdtemp(join(tmpdir(), 'consent-ledger-crash-'));
  // PostgreSQL runs as another user where this one is root.
  await chmod(folder, 0o711);
  const shared = await startEmbeddedPostgres({ directory: join(folder, 'shared') });
  process.env.TEST_POSTGRES_URL = shared.url;
  const rows: Row[] = [];
  try {
    for (const scenario of chosen) {
      rows.push(await rowOf(scenario, asked, folder));
      say('');
    }
  } finally {
    await shared.stop();
    await rm(folder, { recursive: true, force: true });
  }
  process.stdout.write(`${table(rows)}\nSeed ${asked.seed}, Node ${process.version}\n`);
  const wrong = rows.flatMap((row) => row.wrong.map((what) => `${row.scenario}: ${what}`));
  for (const line of wrong) say(`WRONG: ${line}`);
  return wrong.length === 0 ? 0 : 1;
}

function understand(words: readonly string[]): Asked {
  const names: string[] = [];
  const numbers = { rounds: undefined as number | undefined, seed: Date.now() % 1_000_000 };
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    if (word === '--rounds' || word === '--seed') {
      const number = Number(words[++at]);
      if (!Number.isInteger(number) || number < 1) refuse(`${word} takes a whole number from 1 on`);
      numbers[word === '--rounds' ? 'rounds' : 'seed'] = number;
    } else if (scenarios.some(({ name }) => name === word)) names.push(word);
    else
      refuse(`${word} is no scenario; there are ${scenarios.map(({ name }) => name).join(', ')}`);
  }
  return { names, ...numbers };
}

function refuse(why: string): never {
  say(`npm run test:crash -- [NAME ...] [--rounds N] [--seed S]: ${why}.`);
  process.exit(2);
}

async function rowOf(scenario: Scenario, { rounds, seed }: Asked, folder: string): Promise<Row> {
  const { name, about } = scenario;
  say(`${name}: ${about}`);
  const missing = await scenario.missing?.();
  if (missing !== undefined) {
    say(`  not run: ${missing}`);
    return { scenario: name, instead: `not run: ${missing}`, canaries: [], wrong: [] };
  }
  const wrong: string[] = [];
  const context = async (label: string, most: number) => {
    const directory = join(folder, `${name}-${label}`);
    await mkdir(directory, { mode: 0o711 });
    return contextOf(directory, label, most, seed);
  };
  const counts = await context('run', rounds ?? scenario.rounds.long)
    .then(scenario.run)
    .catch((error: unknown) => void wrong.push(`broke: ${inspect(error)}`));
  for (const measured of counts?.measured ?? []) say(`  ${measured}`);
  if (counts) wrong.push(...wrongIn(counts));
  const canaries: { mutant: string; caught: boolean }[] = [];
  for (const [index, canary] of scenario.canaries.entries()) {
    say(`  canary: ${canary.mutant}`);
    const contextFor = (attempt: number) =>
      context(`canary-${index + 1}-${attempt}`, canary.rounds);
    const caught = await catches(canary, contextFor).then(
      () => true,
      (error: unknown) => {
        wrong.push(inspect(error));
        return false;
      },
    );
    canaries.push({ mutant: canary.mutant, caught });
  }
  return { scenario: name, counts, canaries, wrong };
}

function contextOf(directory: string, label: string, rounds: number, seed: number): Context {
  let told = 0;
  return {
    directory,
    rounds,
    lenience: 1,
    random: randomFrom(seed),
    progress: (done, counts) => {
      if (done < rounds && Date.now() - told < 5_000) return;
      told = Date.now();
      const soFar = Object.entries(counts).map(([what, count]) => `${String(count)} ${what}`);
      say(`  ${label} ${done} of ${rounds}: ${soFar.join(', ')}`);
    },
  };
}

function table(rows: readonly Row[]): string {
  const head = [
    'scenario',
    'rounds',
    'acknowledged',
    'lost',
    'skipped',
    'doubled',
    'longest call',
    'canaries caught',
  ];
  const lines = rows.map(({ scenario, counts, instead, canaries }) => {
    const caught = canaries.map(({ mutant, caught }) => `${mutant}: ${caught ? 'yes' : 'NO'}`);
    if (!counts) return [scenario, instead ?? 'broke', '', '', '', '', '', caught.join('; ')];
    const { rounds, acknowledged, lost, skipped, doubled, longest } = counts;
    return [
      scenario,
      ...[rounds, acknowledged, lost, skipped, doubled].map(String),
      longest ? `${longest.took} of ${longest.deadline} ms` : '',
      caught.join('; '),
    ];
  });
  const widths = head.map((_, at) =>
    Math.max(...[head, ...lines].map((line) => line[at]?.length ?? 0)),
  );
  const ruled = [head, widths.map((width) => '-'.repeat(width)), ...lines];
  return ruled
    .map((line) => `| ${line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`)
    .join('\n');
}

process.exitCode = await main();
