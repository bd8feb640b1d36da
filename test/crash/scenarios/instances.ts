import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Runtime } from '#core/runtime/runtime.js';
import { until } from '../../support/until.js';
import { checkApplied, countApplied } from '../applied-check.js';
import { type Caller, startCaller } from '../caller.js';
import { Installation, type InstallationOptions, type Name } from '../installation.js';
import { readKurrentDbLog } from '../kurrentdb-log.js';
import { checkLog, compareLog, type LogFindings } from '../log-check.js';
import { checkReadModels } from '../read-model-check.js';
import type { Context, Counts, Scenario } from '../scenario.js';

/** Milliseconds after which a caller asks another server. */
const DEADLINE = 8_000;
/** Milliseconds: longer than the lease of ten seconds, so that others have taken over when it wakes. */
const FROZEN = 12_000;
const CONNECTIONS = 24;
/** Every so many-th answer gets lost on its way, so that another server is asked for it. */
const LOSING = 20;
const PATIENCE = 120_000;
const { KURRENTDB_URL: kurrentdbUrl } = process.env;

type Blow = 'kill' | 'freeze' | 'stop';
type Options = Omit<InstallationOptions, 'servers' | 'workers'>;

/** Who is hit in a round, and how. */
type Choice = (
  done: number,
  context: Context,
  installation: Installation,
) => Promise<readonly [Name, Blow]>;

export const instances: Scenario = {
  name: 'instances',
  about:
    'three servers and three workers on one store, killed with -9, frozen beyond the lease and told to stop, while people choose',
  promises: [1, 5, 6, 7],
  rounds: { long: 60, short: 2 },
  run: (context) => run(context, {}, everything),
  canaries: [
    {
      mutant: 'a worker that was frozen goes on as if it still had its partitions',
      rounds: 1,
      run: (context) =>
        run(context, { mutant: { name: 'no-fence', of: 'worker' } }, freezeWhoHasPartitions),
      // What is applied twice comes out as it is, or can not be: then its read model has stopped.
      caught: ({ doubled, findings }) => doubled > 0 || findings.some((one) => /stopped/.test(one)),
    },
    {
      mutant: 'what was asked before is known to the server alone that was asked',
      rounds: 1,
      run: (context) =>
        run(context, { mutant: { name: 'own-memory', of: 'server' } }, () =>
          Promise.resolve(['server-1', 'kill']),
        ),
      caught: ({ doubled }) => doubled > 0,
    },
  ],
};

export const instancesOnKurrentdb: Scenario = {
  ...instances,
  name: 'instances-kurrentdb',
  about: `${instances.about}, with the log on KurrentDB`,
  rounds: { long: 20, short: 1 },
  missing: () =>
    Promise.resolve(kurrentdbUrl ? undefined : 'KURRENTDB_URL names no KurrentDB server'),
  run: runOnKurrentdb,
  // What is checked is the same, and shown to be noticed there.
  canaries: [],
};

/** What takes a lease's time is left out of a run that is to be short. */
const everything: Choice = (done, { random, rounds }, { servers, workers }) => {
  const blow = random() < 0.5 ? 'kill' : random() < 0.6 && rounds > 3 ? 'freeze' : 'stop';
  return Promise.resolve([oneOf(done % 2 === 0 ? servers : workers, random), blow]);
};

const freezeWhoHasPartitions: Choice = async (_done, _context, installation) => {
  let owner: Name | undefined;
  await until('a worker has partitions', async () => {
    [owner] = [...(await installation.owners()).values()].flat();
    return owner !== undefined;
  });
  return [owner as Name, 'freeze'];
};

async function run(
  context: Context,
  options: Options,
  choose: Choice,
  readLog?: (caller: Caller) => Promise<LogFindings>,
): Promise<Counts> {
  const { directory, rounds, progress } = context;
  const installation = await Installation.start({ servers: 3, workers: 3, ...options });
  const [url, ...others] = installation.servers.map((name) => installation.urlOf(name));
  let caller: Caller | undefined;
  let runtime: Runtime | undefined;
  try {
    runtime = await installation.open();
    const before = await countApplied(runtime);
    if (before.finding !== undefined) throw new Error(before.finding);
    caller = startCaller({
      url: url as string,
      others,
      key: installation.key,
      file: join(directory, 'acknowledged.ndjson'),
      connections: CONNECTIONS,
      pause: 20,
      losing: LOSING,
      patience: DEADLINE,
    });
    let frozenServers = 0;
    for (let done = 0; done < rounds; done++) {
      await served(caller);
      const [name, blow] = await choose(done, context, installation);
      if (installation.servers.includes(name) && blow === 'freeze') frozenServers++;
      await strike(installation, name, blow, context.random);
      progress(done + 1, { acknowledged: caller.soFar().acknowledged });
    }
    await served(caller);
    await caller.stop();
    // What a call that broke off has begun is done by then.
    await sleep(500);
    const rows = await checkReadModels(runtime);
    const applied = rows.findings.length > 0 ? undefined : await checkApplied(runtime, before);
    const log = await (readLog?.(caller) ??
      checkLog(installation.ownerUrl, caller.acknowledged(), true));
    const { acknowledged, longest, givenUp, findings } = caller.soFar();
    return {
      rounds,
      acknowledged,
      lost: log.lost,
      skipped: rows.skipped + (applied?.skipped ?? 0),
      doubled: log.doubled + rows.doubled + (applied?.doubled ?? 0),
      longest: { took: longest, deadline: DEADLINE },
      findings: [
        // Each connection may meet a frozen server again before it wakes.
        ...tooMany(givenUp, frozenServers * CONNECTIONS * 2),
        ...findings,
        ...log.findings,
        ...rows.findings,
        ...(applied?.findings ?? []),
        // Two who write the same partitions were noticed already, and would go on for ever.
        ...(applied?.findings.length === 0 && applied.doubled === 0
          ? await unowned(installation)
          : []),
      ],
    };
  } finally {
    caller?.kill();
    await runtime?.close();
    await installation.stop();
  }
}

async function served(caller: Caller): Promise<void> {
  const before = caller.soFar().acknowledged;
  await until('people are served', () => caller.soFar().acknowledged > before + 40, PATIENCE);
}

async function strike(
  installation: Installation,
  name: Name,
  blow: Blow,
  random: () => number,
): Promise<void> {
  await sleep(random() * 300);
  switch (blow) {
    case 'freeze':
      installation.send(name, 'SIGSTOP');
      await sleep(FROZEN);
      installation.send(name, 'SIGCONT');
      return;
    case 'kill':
    case 'stop':
      installation.send(name, blow === 'kill' ? 'SIGKILL' : 'SIGTERM');
      await installation.ended(name);
      await sleep(random() * 500);
      await installation.bring(name);
  }
}

/** Each partition has one owner, and every process with a share of them says the same. */
async function unowned(installation: Installation): Promise<readonly string[]> {
  let wrong: readonly string[] = ['no partition is there'];
  const settles = async () => {
    const owners = [...(await installation.owners())];
    wrong = owners.flatMap(([place, of]) =>
      of.length === 1 ? [] : [`${place} is driven by ${of.join(' and ') || 'nobody'}`],
    );
    return owners.length > 0 && wrong.length === 0;
  };
  return until('every partition has one owner', settles, 60_000).then(
    () => [],
    () => wrong,
  );
}

function runOnKurrentdb(context: Context): Promise<Counts> {
  const url = kurrentdbUrl as string;
  const prefix = `instances-${randomUUID()}-`;
  const environment = {
    EVENT_STORE: 'kurrentdb',
    KURRENTDB_URL: url,
    KURRENTDB_STREAM_PREFIX: prefix,
  };
  return run(context, { environment }, everything, async (caller) =>
    compareLog(await readKurrentDbLog(url, prefix), caller.acknowledged(), true),
  );
}

function tooMany(givenUp: number, explained: number): readonly string[] {
  if (givenUp <= explained) return [];
  return [
    `${givenUp} calls had no answer after ${DEADLINE} ms; frozen servers explain ${explained}`,
  ];
}

function oneOf<T>(all: readonly T[], random: () => number): T {
  return all[Math.floor(random() * all.length)] as T;
}
