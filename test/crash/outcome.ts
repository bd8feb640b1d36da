import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { until } from '../support/until.js';
import { type Caller, startCaller } from './caller.js';
import type { CallerSettings } from './caller-process.js';
import { checkLog, type LogFindings } from './log-check.js';
import { Product, type ProductOptions } from './product.js';
import { checkReadModels } from './read-model-check.js';
import type { Context, Counts } from './scenario.js';

/** Milliseconds after which every call has an answer. */
export const DEADLINE = 15_000;

export interface UnderLoad {
  readonly product: Product;
  readonly caller: Caller;
  /** Resolves once so many more events were acknowledged than now. */
  served(events: number): Promise<void>;
}

/**
 * Runs the product while a caller calls, does `round` again and again, lets everything come to rest and compares log and
 * read models with what the caller was told. `round` ends the run by returning true.
 */
export async function underLoad(
  { rounds, directory, progress }: Context,
  options: Omit<ProductOptions, 'directory'> & {
    readonly calling?: Partial<CallerSettings>;
    /** Where the caller calls. Absent: at the server itself. */
    readonly through?: (product: Product) => string;
    /** Others record things as well: what nobody remembers to have asked for is not counted. */
    readonly others?: boolean;
  },
  round: (load: UnderLoad, done: number) => Promise<boolean | void>,
): Promise<Counts> {
  const { calling, through = ({ url }: Product) => url, others = false, ...more } = options;
  const product = await Product.start({ directory, ...more });
  const caller = startCaller({
    url: through(product),
    key: product.key,
    file: join(directory, 'acknowledged.ndjson'),
    connections: 8,
    ...calling,
  });
  const served = async (events: number) => {
    const before = caller.soFar().acknowledged;
    await until('somebody is served', () => caller.soFar().acknowledged >= before + events, 90_000);
  };
  try {
    let done = 0;
    for (let ended = false; done < rounds && !ended;) {
      ended = (await round({ product, caller, served }, done)) === true;
      progress(++done, { acknowledged: caller.soFar().acknowledged });
    }
    return await settled(product, caller, { rounds: done, complete: !others });
  } finally {
    caller.kill();
    await product.stop();
  }
}

async function settled(
  product: Product,
  caller: Caller,
  { rounds, complete }: { readonly rounds: number; readonly complete: boolean },
): Promise<Counts> {
  await caller.stop();
  // What a call that broke off has begun is done by then.
  await sleep(500);
  const log = await checkLog(product.ownerUrl, caller.acknowledged(), complete);
  return countsOf(product, caller, { rounds, log });
}

/** What is told of a run whose caller has stopped: the log held against its receipts, and the read models against the log. */
export async function countsOf(
  product: Product,
  caller: Caller,
  { rounds, log }: { readonly rounds: number; readonly log: LogFindings },
): Promise<Counts> {
  const runtime = await product.open();
  const rows = await checkReadModels(runtime).finally(() => runtime.close());
  const { acknowledged, longest, findings } = caller.soFar();
  return {
    rounds,
    acknowledged,
    lost: log.lost,
    skipped: rows.skipped,
    doubled: log.doubled + rows.doubled,
    longest: { took: longest, deadline: DEADLINE },
    findings: [...findings, ...log.findings, ...rows.findings],
  };
}
