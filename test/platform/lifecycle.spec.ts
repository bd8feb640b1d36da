import { request as httpRequest, Agent, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import {
  Controller,
  Get,
  Module,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { HealthChecks } from '#core/platform/http/health.js';
import { Public } from '#core/platform/http/auth.guard.js';
import { openApiOf } from '#core/platform/http/openapi.js';
import { readConfig } from '#core/platform/config.js';
import { createApplication, DOCUMENT } from '#core/platform/http/application.js';
import { pino } from 'pino';
import { sample, SignIn } from './sample.js';

const happened: string[] = [];

@Controller('v1/slow')
@Public()
class SlowController {
  @Get()
  async slow(): Promise<object> {
    happened.push('begun');
    await new Promise((resolve) => setTimeout(resolve, 200));
    happened.push('answered');
    return { ok: true };
  }
}

@Module({ controllers: [SlowController] })
class Resource implements OnApplicationShutdown, OnModuleDestroy {
  onModuleDestroy(): void {
    happened.push('destroyed');
  }
  onApplicationShutdown(): void {
    happened.push('closed');
  }
}

describe('a process', () => {
  it('takes the next free port where none was asked for', async () => {
    const logger = pino({ level: 'silent' });
    const apps = [];
    for (let i = 0; i < 2; i++)
      apps.push(await createApplication(SignIn, readConfig({}), { logger }));
    const listening = [];
    for (const app of apps) listening.push(await app.listen());
    const [first, second] = listening;
    expect(second?.port).toBeGreaterThan(first?.port as number);
    expect(second?.notice).toContain(String(second?.port));
    const taken = await createApplication(SignIn, readConfig({ PORT: String(first?.port) }), {
      logger,
    });
    await expect(taken.listen()).rejects.toThrow(`PORT ${first?.port} is in use`);
    for (const app of [...apps, taken]) await app.stop();
  });

  it('without the api role serves health and metrics only', async () => {
    const logger = pino({ level: 'silent' });
    const app = await createApplication(
      { module: SignIn, controllers: [SlowController] },
      readConfig({ PORT: '0', LEDGER_ROLES: 'projector' }),
      { logger },
    );
    const { port } = await app.listen();
    const status = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
    expect(await status('/health/live')).toBe(200);
    expect(await status('/health/ready')).toBe(200);
    expect(await status('/metrics')).toBe(200);
    expect(await status('/v1/slow')).toBe(404);
    expect(await status('/v1/openapi.json')).toBe(404);
    await app.stop();
  });

  it('can show its routes without anything behind them', async () => {
    const app = await createApplication(SignIn, readConfig({}), {
      logger: pino({ level: 'silent' }),
      preview: true,
    });
    const document = openApiOf(app.nest, DOCUMENT) as { paths: object };
    expect(Object.keys(document.paths)).toEqual([
      '/health/live',
      '/health/ready',
      '/metrics',
      '/v1/openapi.json',
    ]);
    await app.stop();
  });

  it('says what it lacks', async () => {
    const app = await sample();
    const { port } = await app.listen();
    const get = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`);
      return {
        status: answer.status,
        retry: answer.headers.get('retry-after'),
        text: await answer.text(),
      };
    };
    const checks = app.nest.get(HealthChecks);
    let ok = true;
    checks.add({ name: 'database', check: () => Promise.resolve({ ok }) });
    checks.add({
      name: 'log',
      check: () => (ok ? Promise.resolve({ ok }) : Promise.reject(new Error('erika'))),
    });
    expect(await get('/health/live')).toMatchObject({ status: 200 });
    expect(await get('/health/ready')).toMatchObject({ status: 200, retry: null });
    ok = false;
    expect(await get('/health/live')).toMatchObject({ status: 200 });
    const { status, retry, text } = await get('/health/ready');
    expect([status, retry]).toEqual([503, '2']);
    expect(JSON.parse(text)).toEqual({
      status: 'unavailable',
      checks: { database: { ok: false }, log: { ok: false, detail: 'failed' } },
    });
    await get('/nowhere/erika@example.org');
    const { text: metrics } = await get('/metrics');
    expect(metrics).toContain(
      'ledger_http_request_seconds_count{method="GET",route="/health/ready",status="503"} 1',
    );
    expect(metrics).toContain('process_cpu_seconds_total');
    expect(metrics).not.toContain('erika');
    await app.stop();
  });

  it('finishes what is under way, then closes', async () => {
    const app = await sample({ imports: [Resource] });
    const { port } = await app.listen();
    const agent = new Agent({ keepAlive: true });
    const call = httpRequest({ port, path: '/v1/slow', agent }).end();
    const idle = new Agent({ keepAlive: true });
    const first = httpRequest({ port, path: '/health/live', agent: idle }).end();
    ((await once(first, 'response')) as [IncomingMessage])[0].resume();
    while (!happened.includes('begun')) await new Promise((resolve) => setTimeout(resolve, 5));
    const began = performance.now();
    const stopping = app.stop();
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    answer.resume();
    expect(answer.statusCode).toBe(200);
    await stopping;
    expect(happened).toEqual(['begun', 'answered', 'destroyed', 'closed']);
    expect(performance.now() - began).toBeLessThan(2_000);
    await expect(fetch(`http://127.0.0.1:${port}/health/live`)).rejects.toThrow();
    agent.destroy();
    idle.destroy();
  });
});
