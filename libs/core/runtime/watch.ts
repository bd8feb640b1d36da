import { setTimeout as sleep } from 'node:timers/promises';
import { Gauge } from 'prom-client';
import { instantOf } from '#core/kernel/instant.js';
import type { Ledger } from '#core/ledger/ledger.js';
import type { HealthChecks } from '#core/platform/http/health.js';
import type { Metrics } from '#core/platform/metrics.js';
import type { PartitionStatus, ProjectionStatus, Projector } from '#core/projector/projector.js';

/** Seconds that this machine's clock may lie behind what the ledger recorded last. */
const CLOCK_TOLERANCE = 60;
/** Seconds that a read model may be behind. */
const LAG_TOLERANCE = 10;
/** Milliseconds that measurements wait for the database. */
const LOOK = 2_000;

/** Tells Prometheus and `/health/ready` the truth about log and read models. */
export function watch(
  { ledger, projector }: { readonly ledger: Ledger; readonly projector: Projector },
  checks: HealthChecks,
  { registry }: Metrics,
): void {
  checks.add({
    name: 'ledger',
    check: async () => {
      const head = await ledger.head();
      const latest = instantOf(Date.now() + CLOCK_TOLERANCE * 1_000);
      return head && head.recordedAt > latest
        ? { ok: false, detail: 'the clock lies behind the last recorded event' }
        : { ok: true };
    },
  });
  checks.add({
    name: 'read-models',
    check: async () => {
      const late = (await projector.status()).filter(
        ({ status, laggingSeconds }) => status !== 'running' || laggingSeconds > LAG_TOLERANCE,
      );
      if (late.length === 0) return { ok: true };
      return { ok: false, detail: late.map(({ name, status }) => `${name}: ${status}`).join(', ') };
    },
  });

  new Gauge({
    name: 'ledger_check_failed',
    help: '1 where readiness lacks this, as /health/ready says.',
    labelNames: ['name'],
    registers: [registry],
    async collect() {
      for (const [name, { ok }] of Object.entries(await checks.findings()))
        this.set({ name }, ok ? 0 : 1);
    },
  });

  // One look for all measurements that are taken together.
  let look: Promise<readonly ProjectionStatus[]> | undefined;
  const looked = () =>
    (look ??= Promise.race([projector.status(), sleep(LOOK, [], { ref: false })])
      .catch(() => [])
      .finally(() => (look = undefined)));

  gauge('ledger_projection_lag_seconds', {
    help: 'How long ago the moment lies up to which a read model or reaction misses nothing.',
    of: ({ laggingSeconds }) => laggingSeconds,
  });
  gauge('ledger_projection_stopped', {
    help: '1 where a read model or reaction stands still until somebody has looked at it.',
    of: ({ status }) => (status === 'stopped' ? 1 : 0),
  });
  gauge('ledger_reaction_parked_events', {
    help: 'Events whose effect failed and will be tried again, and those that wait behind them.',
    of: ({ parked }) => parked,
  });
  partitionGauge('ledger_partition_owned', {
    help: '1 where this process drives the partition: over all processes the sum is 1.',
    of: ({ ours }) => (ours ? 1 : 0),
  });
  partitionGauge('ledger_partition_position', {
    help: 'Up to where in the log everything is in the rows of the partition.',
    of: ({ position }) => Number(position),
  });
  partitionGauge('ledger_partition_lag_seconds', {
    help: 'How long ago the moment lies up to which the partition misses nothing.',
    of: ({ laggingSeconds }) => laggingSeconds,
  });
  partitionGauge('ledger_partition_epoch', {
    help: 'How often the partition was given to a process; grows where owners die or freeze.',
    of: ({ epoch }) => Number(epoch),
  });

  function gauge(
    name: string,
    { help, of }: { help: string; of: (status: ProjectionStatus) => number },
  ): void {
    new Gauge({
      name,
      help,
      labelNames: ['name'],
      registers: [registry],
      async collect() {
        // What is not known now has no value, rather than the one it had.
        this.reset();
        for (const one of await looked()) this.set({ name: one.name }, of(one));
      },
    });
  }

  function partitionGauge(
    name: string,
    { help, of }: { help: string; of: (partition: PartitionStatus) => number },
  ): void {
    new Gauge({
      name,
      help,
      labelNames: ['name', 'partition'],
      registers: [registry],
      async collect() {
        this.reset();
        for (const { name, partitions } of await looked())
          for (const one of partitions) this.set({ name, partition: one.partition }, of(one));
      },
    });
  }
}
