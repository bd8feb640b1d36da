import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { compiled } from '../support/compiled.js';
import { catches, randomFrom, wrongIn } from './scenario.js';
import { scenarios } from './scenarios.js';

/** A few rounds of each; `npm run test:crash` does many. */
jest.setTimeout(600_000);

/** How long things take is judged there: here others may use the machine. */
const LENIENCE = 3;

beforeAll(() => void compiled());

// Known before the first test, so that what can not run here is skipped in so many words and never passes.
const reasons = await Promise.all(scenarios.map(async ({ missing }) => missing?.()));

describe.each(scenarios.map((scenario, index) => ({ ...scenario, reason: reasons[index] })))(
  '$name: $about',
  ({ name, rounds, reason, run, canaries }) => {
    let directory: string;
    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), `consent-ledger-${name}-`));
      // PostgreSQL runs as another user where this one is root.
      await chmod(directory, 0o711);
    });
    afterEach(() => rm(directory, { recursive: true, force: true }));

    const context = (most: number) => ({
      rounds: most,
      random: randomFrom(Date.now()),
      directory,
      lenience: LENIENCE,
      progress: () => undefined,
    });
    const [attempt, why] = reason === undefined ? [test, ''] : [test.skip, ` (${reason})`];

    attempt(`nothing is lost, skipped or doubled${why}`, async () => {
      expect(wrongIn(await run(context(rounds.short)), LENIENCE)).toEqual([]);
    });

    if (canaries.length === 0) return;
    attempt.each(canaries)(`is caught: $mutant${why}`, (canary) =>
      catches(canary, async (attempt) => {
        const own = join(directory, String(attempt));
        await mkdir(own, { mode: 0o711 });
        return { ...context(canary.rounds), directory: own };
      }),
    );
  },
);
