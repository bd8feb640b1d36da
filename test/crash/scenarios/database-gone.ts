import { setTimeout as sleep } from 'node:timers/promises';
import { FaultProxy } from '../../support/fault-proxy.js';
import { DEADLINE, underLoad } from '../outcome.js';
import type { Product } from '../product.js';
import { answered, everyRoute, type RouteCall } from '../routes.js';
import type { Context, Counts, Scenario } from '../scenario.js';

/** Milliseconds in which readiness and metrics tell that it is gone. */
const AT_ONCE = 5_000;
/** Milliseconds in which everything works again by itself, and they tell that. */
const RECOVERY = 10_000;
/** Routes that are called at the same time. */
const AT_A_TIME = 12;
const WATCHED = ['server', 'worker'] as const;

interface Absence {
  readonly name: string;
  readonly begin: (product: Product) => Promise<void>;
  readonly end: (product: Product) => Promise<void>;
}

const ABSENCES: readonly Absence[] = [
  {
    name: 'killed',
    begin: (product) => product.kill('postgres'),
    end: (product) => product.bring('postgres'),
  },
  {
    name: 'unreachable, and nobody says so',
    begin: ({ proxy }) => Promise.resolve(proxy.set('blackhole')),
    end: ({ proxy }) => Promise.resolve(proxy.set('none')),
  },
  {
    name: 'silent',
    begin: ({ proxy }) => Promise.resolve(proxy.set('silent')),
    end: ({ proxy }) => Promise.resolve(proxy.set('none')),
  },
];

const UNNOTICED: Absence = {
  name: 'unnoticed',
  begin: () => Promise.resolve(),
  end: () => Promise.resolve(),
};

export const databaseGone: Scenario = {
  name: 'database-gone',
  about:
    'the database is killed, unreachable or silent while every route is called, and comes back',
  promises: [1, 5, 6, 7, 11],
  rounds: { long: 30, short: ABSENCES.length },
  run: (context) => run(context, ABSENCES),
  canaries: [
    {
      mutant: 'processes that do not notice that their database is gone',
      rounds: 1,
      run: (context) => run(context, [UNNOTICED]),
      caught: ({ findings }) => findings.some((what) => what.includes('not red')),
    },
    {
      mutant: 'a server that hears its callers and waits for ever',
      rounds: 1,
      run: forEver,
      caught: ({ longest }) => longest !== undefined && longest.took > longest.deadline + 1_000,
    },
  ],
};

async function run(context: Context, absences: readonly Absence[]): Promise<Counts> {
  const findings = new Set<string>();
  const { lenience } = context;
  let longest = 0;
  let routes: readonly RouteCall[] = [];
  const calling = { connections: 8, pause: 20 };
  const counts = await underLoad(context, { calling, others: true }, async (load, done) => {
    const { product, served } = load;
    if (done === 0) routes = everyRoute(await somebody(product));
    const absence = absences[done % absences.length] as Absence;
    const wrong = (what: string) => findings.add(`database ${absence.name}: ${what}`);
    await served(10);
    const stream = await openStream(product);
    await absence.begin(product);
    const late = sleep((DEADLINE + 1_000) * lenience, false, { ref: false });
    const ended = Promise.race([stream.ended, late]);
    const told = (to: 'red' | 'green') =>
      Promise.all(WATCHED.map((part) => turns(product.urlOf(part), to, lenience)));
    const red = told('red');
    for (let at = 0; at < routes.length; at += AT_A_TIME)
      await Promise.all(
        routes.slice(at, at + AT_A_TIME).map(async (route) => {
          const { status, retryAfter, took } = await answered(
            product,
            route,
            DEADLINE * 2 * lenience,
          );
          longest = Math.max(longest, Math.round(took));
          const said = `${route.method} ${route.path.replace(/_[0-9a-f-]{36}/g, '')}: ${status}`;
          if (status === 0 || (status >= 500 && status !== 503)) wrong(said);
          if (status === 503 && !(retryAfter > 0)) wrong(`${said} without Retry-After`);
        }),
      );
    for (const what of (await red).flat()) wrong(what);
    if (absence !== UNNOTICED && !(await ended)) wrong('a stream of events did not end');
    await absence.end(product);
    const [green, working] = await Promise.all([told('green'), works(product, lenience)]);
    for (const what of [...green.flat(), ...working]) wrong(what);
  });
  return {
    ...counts,
    longest: { took: Math.max(longest, counts.longest?.took ?? 0), deadline: DEADLINE },
    findings: [...counts.findings, ...findings],
  };
}

/** A stream of events whose head is there; `ended` resolves when it ends, well or not. */
async function openStream({ url, key }: Product): Promise<{ readonly ended: Promise<true> }> {
  const answer = await fetch(`${url}/v1/events/stream`, {
    headers: { authorization: `Bearer ${key}` },
  });
  if (!answer.ok || answer.body === null) throw new Error(`no stream: ${answer.status}`);
  const sink = new WritableStream();
  const ended = answer.body.pipeTo(sink).then(
    () => true as const,
    () => true as const,
  );
  return { ended };
}

/** What has not turned in time, of readiness and metrics. */
async function turns(
  url: string,
  to: 'red' | 'green',
  lenience: number,
): Promise<readonly string[]> {
  const ready = { method: 'GET', path: '/health/ready', endless: false };
  const within = (to === 'red' ? AT_ONCE : RECOVERY) * lenience;
  let lacking = '';
  const isTurned = {
    readiness: async (left: number) =>
      (await answered({ url, key: '' }, ready, left)).status === (to === 'red' ? 503 : 200),
    metrics: async (left: number) => {
      const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(left) });
      const checks = (await answer.text()).match(/^ledger_check_failed\{.*$/gm) ?? [];
      const failed = checks.filter((line) => !line.endsWith(' 0'));
      lacking = failed.join(', ');
      return checks.length > 0 && failed.length > 0 === (to === 'red');
    },
  };
  const late = await Promise.all(
    Object.entries(isTurned).map(async ([what, holds]) =>
      (await soon(holds, within)) ? [] : [`${what} was not ${to} within ${within} ms: ${lacking}`],
    ),
  );
  return late.flat();
}

/** Writes are recorded, and questions about them answered. */
async function works(product: Product, lenience: number): Promise<readonly string[]> {
  const within = RECOVERY * lenience;
  const source = JSON.stringify({ source: 'web-form' });
  const json = { contentType: 'application/json', endless: false };
  const register = { method: 'POST', path: '/v1/subjects', body: source, ...json };
  const body = JSON.stringify({ contactPoint: { kind: 'email', value: 'nobody@linden.example' } });
  const search = { method: 'POST', path: '/v1/subjects/search', body, ...json };
  const late = await Promise.all(
    [register, search].map(async (call) => {
      const holds = async (left: number) => {
        const { status } = await answered(product, call, left);
        return status === 200 || status === 201;
      };
      return (await soon(holds, within)) ? [] : [`${call.path} did not work within ${within} ms`];
    }),
  );
  return late.flat();
}

/** Whether it holds in time, looked at again and again; it is told how many milliseconds are left. */
async function soon(
  holds: (left: number) => Promise<boolean>,
  milliseconds: number,
): Promise<boolean> {
  for (const until = Date.now() + milliseconds; Date.now() < until; await sleep(50))
    if (await holds(Math.max(1, until - Date.now())).catch(() => false)) return true;
  return false;
}

async function somebody(product: Product): Promise<string> {
  const answer = await product.call('POST', '/v1/subjects', { source: 'web-form' });
  const { subjectId } = (await answer.json()) as { subjectId?: string };
  if (subjectId === undefined) throw new Error(`nobody can be registered: ${answer.status}`);
  return subjectId;
}

/** The same calls to something that accepts them and says nothing. */
async function forEver({ rounds }: Context): Promise<Counts> {
  const proxy = await FaultProxy.to({ port: 1 });
  proxy.set('blackhole');
  const call: RouteCall = { method: 'GET', path: '/v1/purposes', endless: false };
  const deadline = 500;
  const to = { url: `http://127.0.0.1:${proxy.port}`, key: '' };
  const { took } = await answered(to, call, deadline * 4);
  await proxy.close();
  const longest = { took, deadline };
  return { rounds, acknowledged: 0, lost: 0, skipped: 0, doubled: 0, longest, findings: [] };
}
