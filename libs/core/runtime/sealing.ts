import type { Logger } from 'pino';
import { Gauge } from 'prom-client';
import type { Config } from '#core/platform/config.js';
import type { HealthChecks } from '#core/platform/http/health.js';
import { failureOf } from '#core/platform/logging.js';
import type { Metrics } from '#core/platform/metrics.js';
import { Sealer, type SealerNotice } from '#core/proof/sealer.js';
import { timestampAuthority } from '#core/proof/timestamps.js';
import {
  httpWitness,
  type Witness,
  witnessFile,
  type WitnessNotice,
} from '#core/proof/witnesses.js';
import type { Runtime } from './runtime.js';

/** Seconds that what was recorded may wait for its seal before the process says that it is not ready. */
const BEHIND_TOLERANCE = 60;

/** Seals the log of this runtime until it is stopped, and tells Prometheus and `/health/ready` how it goes. */
export function startSealing(
  { proof, store, config, logger }: Pick<Runtime, 'proof' | 'store' | 'config' | 'logger'>,
  checks: HealthChecks,
  metrics: Metrics,
): { stop(): Promise<void> } {
  const witnesses = witnessesOf(config, proof, logger);
  const sealer = new Sealer({
    ...proof,
    store,
    witnesses,
    report: (notice) => tell(logger, notice),
  });
  checks.add({ name: 'sealing', check: () => Promise.resolve(findingOf(sealer)) });
  gauges(sealer, witnesses, metrics);
  sealer.start();
  return {
    stop: async () => {
      await sealer.stop();
      await Promise.all(witnesses.map((witness) => witness.stop()));
    },
  };
}

function witnessesOf(
  { witnessFile: file, witnessUrl, timestampUrl }: Config,
  { log, tables, origin }: Runtime['proof'],
  logger: Logger,
): readonly Witness[] {
  const failed = ({ witness, size, error }: WitnessNotice) =>
    logger.warn({ witness, size, failure: failureOf(error) }, 'a checkpoint was not delivered');
  const checkpointOf = async (size: number) => {
    const checkpoint = await log.ofSize(size);
    if (checkpoint === undefined) throw new RangeError(`no checkpoint of size ${size} is known`);
    return checkpoint;
  };
  const consistency = async (from: number, to: number) =>
    log.consistency(await checkpointOf(from), await checkpointOf(to));
  const keep = (size: number, token: Uint8Array) => tables.addTimestamp(origin, size, token);
  return [
    ...(file === undefined ? [] : [witnessFile(file, failed)]),
    ...(witnessUrl === undefined ? [] : [httpWitness(witnessUrl, consistency, failed)]),
    ...(timestampUrl === undefined ? [] : [timestampAuthority(timestampUrl, keep, failed)]),
  ];
}

function tell(logger: Logger, notice: SealerNotice): void {
  switch (notice.kind) {
    case 'sealed':
      return logger.debug({ notice }, 'sealed');
    case 'took-over':
    case 'key-made':
      return logger.info({ notice }, 'sealer');
    case 'refused':
      return logger.error({ notice }, 'nothing is signed: the log is not as it was sealed');
    case 'failed':
      return logger.warn({ failure: failureOf(notice.error) }, 'sealing failed; it goes on');
  }
}

function findingOf(sealer: Sealer): { ok: boolean; detail?: string } {
  const { refusal, behindSeconds } = sealer.status();
  if (refusal !== undefined) return { ok: false, detail: `nothing is signed: ${refusal.code}` };
  return behindSeconds > BEHIND_TOLERANCE ? { ok: false, detail: 'behind' } : { ok: true };
}

function gauges(sealer: Sealer, witnesses: readonly Witness[], { registry }: Metrics): void {
  const gauge = (name: string, help: string, of: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(of());
      },
    });
  gauge(
    'ledger_sealed_leaves',
    'Leaves that the newest checkpoint covers; 0 where another process seals.',
    () => sealer.status().size,
  );
  gauge(
    'ledger_sealer_refused',
    '1 where nothing is signed because the log is not as it was sealed.',
    () => (sealer.status().refusal ? 1 : 0),
  );
  gauge(
    'ledger_sealer_behind_seconds',
    'How long ago the moment lies up to which everything is sealed.',
    () => sealer.status().behindSeconds,
  );
  if (witnesses.length === 0) return;
  new Gauge({
    name: 'ledger_witness_behind_seconds',
    help: 'Since when a witness lacks a checkpoint; 0 where it has the newest.',
    labelNames: ['name'],
    registers: [registry],
    collect() {
      for (const witness of witnesses) this.set({ name: witness.name }, witness.behindSeconds());
    },
  });
}
