import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { compiled } from '../support/compiled.js';
import { isCaught, randomFrom, wrongIn } from './scenario.js';
import { scenarios } from './scenarios.js';

/** A few rounds of each; `npm run test:crash` does many. */
jest.setTimeout(300_000);

beforeAll(() => void compiled());

describe.each(scenarios)('$name: $about', ({ name, rounds, missing, run, canaries }) => {
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
    progress: () => undefined,
  });

  test('nothing is lost, skipped or doubled', async () => {
    if (await missing?.()) return;
    expect(wrongIn(await run(context(rounds.short)))).toEqual([]);
  });

  test.each(canaries)('is caught: $mutant', async (canary) => {
    if (await missing?.()) return;
    expect(isCaught(canary, await canary.run(context(canary.rounds)))).toBe(true);
  });
});
