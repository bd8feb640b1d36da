import { QueryBus } from '@nestjs/cqrs';
import type { SubjectId } from '#core/kernel/ids.js';
import { type Instant, parseInstant } from '#core/kernel/instant.js';
import { type KnownAt, parseKnownAt } from '#core/kernel/moment.js';
import type { Position } from '#core/kernel/position.js';
import type { Config } from '#core/platform/config.js';
import { createApplication } from '#core/platform/http/application.js';
import { compareWithLog, NotComparable, type TableCompared } from '#core/projector/compare.js';
import type { Runtime } from '#core/runtime/runtime.js';
import { RuntimeModule } from '#core/runtime/runtime.module.js';
import {
  type ReplayedPerson,
  ReplayPeople,
} from '#domains/consents/queries/replay-people.message.js';
import { projections } from '#domains/slices.js';
import { SlicesModule } from '#domains/slices.module.js';
import { FindSubjects } from '#domains/subjects/queries/find-subjects.message.js';
import { EXIT, type Output } from './output.js';
import { named } from './people.js';
import { onStore } from './store.js';

export interface ReplayOptions {
  readonly asOf?: string;
  readonly knownAt?: string;
  readonly subject?: string;
}

/** How everybody, or one person, stood: folded from the log, a line each, whatever the read models say. */
export function replay(config: Config, options: ReplayOptions, out: Output): Promise<number> {
  const asOf = understood('--as-of', options.asOf, parseInstant);
  const knownAt = understood('--known-at', options.knownAt, parseKnownAt);
  return onStore(config, (runtime) =>
    asking(config, runtime, async (queries) => {
      const subjectId = options.subject && (await personNamed(queries, options.subject));
      return fold(queries, { asOf, knownAt, subjectId: subjectId || undefined }, out);
    }),
  );
}

/**
 * Folds the log into tables of its own and compares them with the live read models, table by table. Finds
 * what was changed, lost or added in them, and what was skipped or doubled on the way there.
 */
export function checkReadModels(config: Config, out: Output): Promise<number> {
  return onStore(config, async ({ following, ledger }) => {
    let holds = true;
    for (const projection of projections()) {
      const { name } = projection;
      const onProgress = (done: number) => out.progress(`${name}: ${done} events`);
      try {
        const { tables, position } = await compareWithLog(
          { db: following, log: ledger },
          projection,
          {
            onProgress,
          },
        );
        for (const compared of tables) {
          const equal = compared.missing + compared.surplus === 0;
          holds &&= equal;
          out.item(
            { readModel: name, position, equal, ...compared },
            wordsForTable(compared, position),
          );
        }
      } catch (error) {
        if (!(error instanceof NotComparable)) throw error;
        holds = false;
        out.item(
          { readModel: name, equal: false, reason: error.message },
          `${name}: ${error.message}`,
        );
      }
    }
    return holds ? EXIT.ok : EXIT.findings;
  });
}

function wordsForTable(compared: TableCompared, position: Position): string {
  const { table, rows, missing, surplus, examples } = compared;
  if (missing + surplus === 0)
    return `${table}: ${rows} rows are those of the log up to ${position}`;
  return [
    `${table}: ${missing} rows are missing, ${surplus} are not of the log up to ${position}`,
    ...examples.map((row) => `  ${row}`),
  ].join('\n');
}

async function fold(
  queries: QueryBus,
  asked: { asOf?: Instant; knownAt?: KnownAt; subjectId?: SubjectId },
  out: Output,
): Promise<number> {
  const replayed = await queries.execute(new ReplayPeople(asked));
  let people = 0;
  for await (const page of replayed.pages()) {
    for (const person of page) out.item(person, wordsFor(person));
    people += page.length;
    out.progress(`${people} people`);
  }
  const { asOf, knownAt, position } = replayed;
  out.result(
    { summary: { people, asOf, knownAt, position } },
    `${people} people as of ${asOf}, known at position ${position}`,
  );
  return people === 0 && asked.subjectId ? EXIT.findings : EXIT.ok;
}

function wordsFor({ subjectId, person, purposes }: ReplayedPerson): string {
  if (!person) return `${subjectId}  not registered then`;
  const state = person.erased
    ? '  erased'
    : person.objectsToMarketing
      ? '  objects to marketing'
      : '';
  const answers = purposes.map(({ purpose, code, basis, since }) => {
    return `  ${purpose}: ${code}${basis ? ` on ${basis}` : ''}${since ? ` since ${since}` : ''}`;
  });
  return [`${subjectId}${state}`, ...answers].join('\n');
}

async function personNamed(queries: QueryBus, subject: string): Promise<SubjectId> {
  const reference = named(subject);
  if ('subjectId' in reference) return reference.subjectId;
  const [found] = await queries.execute(new FindSubjects([reference]));
  if (!found?.[0]) throw new Error('there is no such person');
  return found[0];
}

/** The slices over an opened store, to be asked; nothing listens and nothing follows the log. */
async function asking<T>(
  config: Config,
  runtime: Runtime,
  ask: (queries: QueryBus) => Promise<T>,
): Promise<T> {
  const imports = [RuntimeModule.with(runtime), SlicesModule.over(runtime)];
  const { nest, stop } = await createApplication({ module: Asked, imports }, config, runtime);
  try {
    return await ask(nest.get(QueryBus));
  } finally {
    await stop();
  }
}

class Asked {}

function understood<T>(
  option: string,
  text: string | undefined,
  parse: (text: string) => T | undefined,
): T | undefined {
  if (text === undefined) return undefined;
  const value = parse(text);
  if (value === undefined) throw new Error(`${option}: ${text} is no time with zone`);
  return value;
}
