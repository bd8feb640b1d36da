import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Lifecycle } from '../lifecycle.js';
import { Metrics } from '../metrics.js';
import { Public } from './auth.guard.js';
import { HealthChecks, type HealthFinding } from './health.js';
import { Operation } from './operation.js';

const RETRY_AFTER = 2;

/** For whoever keeps the process running and watches it. */
@Public()
@Controller()
export class HealthController {
  constructor(
    @Inject(HealthChecks) private readonly checks: HealthChecks,
    @Inject(Lifecycle) private readonly lifecycle: Lifecycle,
    @Inject(Metrics) private readonly metrics: Metrics,
  ) {}

  /** The process answers. Says nothing of what it needs: restarting it would not bring the database back. */
  @Get('health/live')
  @Operation({
    summary: 'Is the process alive?',
    tag: 'service',
    answers: { 200: { description: 'It answers.', body: { type: 'object' } } },
  })
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  /** The process can do its work now; with 503 it names what it lacks. */
  @Get('health/ready')
  @Operation({
    summary: 'Can it do its work?',
    tag: 'service',
    answers: {
      200: { description: 'It can.', body: { type: 'object' } },
      503: { description: 'It can not; `checks` tells what it lacks.', body: { type: 'object' } },
    },
  })
  async ready(
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ status: string; checks: Readonly<Record<string, HealthFinding>> }> {
    const checks = this.lifecycle.draining.aborted
      ? { process: { ok: false, detail: 'stopping' } }
      : await this.checks.findings();
    const ready = Object.values(checks).every(({ ok }) => ok);
    if (!ready) void reply.status(503).header('retry-after', String(RETRY_AFTER));
    return { status: ready ? 'ok' : 'unavailable', checks };
  }

  @Get('metrics')
  @Operation({
    summary: 'Measurements for Prometheus',
    tag: 'service',
    answers: { 200: { description: 'In the text format of Prometheus.' } },
  })
  async measurements(@Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    void reply.type(this.metrics.registry.contentType);
    return this.metrics.registry.metrics();
  }
}
