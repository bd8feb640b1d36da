import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';

/**
 * The process's measurements for Prometheus. Labels come from code (route templates, names of projections),
 * never from requests: a path or an id must not be in one.
 */
export class Metrics {
  /** Other parts register theirs here. */
  readonly registry = new Registry();

  private readonly requests = new Histogram({
    name: 'ledger_http_request_seconds',
    help: 'Time from the arrival of a request to the end of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  requested(method: string, route: string, status: number, milliseconds: number): void {
    this.requests.observe({ method, route, status }, milliseconds / 1_000);
  }
}
