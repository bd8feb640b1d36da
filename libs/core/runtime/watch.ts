import { Gauge } from 'prom-client';
import { instantOf } from '#core/kernel/instant.js';
import type { Ledger } from '#core/ledger/ledger.js';
import type { HealthChecks } from '#core/platform/http/health.js';
import type { Metrics } from '#core/platform/metrics.js';
import type { Projector } from '#core/projector/projector.js';

/** Seconds that this machine's clock may lie behind what the ledger recorded last. */
const CLOCK_TOLERANCE = 60;
/** Seconds that a read model may be behind. */
const LAG_TOLERANCE = 10;

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

  const labelNames = ['name'] as const;
  const lag = new Gauge({
    name: 'ledger_projection_lag_seconds',
    help: 'How long ago the moment lies up to which a read model or reaction misses nothing.',
    labelNames,
    registers: [registry],
  });
  const stopped = new Gauge({
    name: 'ledger_projection_stopped',
    help: '1 where a read model or reaction stands still until somebody has looked at it.',
    labelNames,
    registers: [registry],
  });
  const parked = new Gauge({
    name: 'ledger_reaction_parked_events',
    help: 'Events whose effect failed and will be tried again, and those that wait behind them.',
    labelNames,
    registers: [registry],
    collect: async () => {
      for (const one of await projector.status()) {
        const { name } = one;
        lag.set({ name }, one.laggingSeconds);
        stopped.set({ name }, one.status === 'stopped' ? 1 : 0);
        parked.set({ name }, one.parked);
      }
    },
  });
}
