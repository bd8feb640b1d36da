import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module } from '@nestjs/common';
import { pino } from 'pino';
import { readConfig } from '#core/platform/config.js';
import { createApplication, UndeclaredAccess } from '#core/platform/http/application.js';
import supertest from 'supertest';
import { bearer, type Sample, sample, SignIn } from './sample.js';

let app: Sample;
beforeAll(async () => {
  app = await sample();
});
afterAll(() => app.stop());

const get = (headers: Record<string, string>) =>
  supertest(app.nest.getHttpServer()).get('/v1/sample/me').set(headers);

describe('access', () => {
  it.each([
    [{}, 'credentials-missing', 'Bearer realm="consent-ledger"'],
    [{ authorization: 'Basic eDp5' }, 'credentials-malformed', 'invalid_request'],
    [{ authorization: 'Bearer ' }, 'credentials-malformed', 'invalid_request'],
    [{ authorization: 'Bearer a b' }, 'credentials-malformed', 'invalid_request'],
    [{ authorization: 'Bearer clk_nobody' }, 'credentials-invalid', 'invalid_token'],
  ])('refuses who is not signed in: %j', async (headers, code, challenge) => {
    const answer = await get(headers as Record<string, string>);
    expect(answer.status).toBe(401);
    expect(answer.body).toMatchObject({ code });
    expect(answer.headers['www-authenticate']).toContain(challenge);
    expect(answer.text).not.toContain('nobody');
  });

  it('refuses who lacks the scope, naming it', async () => {
    const answer = await get(bearer('clk_reader'));
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({ code: 'scope-missing', scope: 'events:read audit:read' });
  });

  it('lets in who may', async () => {
    expect((await get(bearer('clk_all'))).body).toEqual({ id: 'svc_all' });
  });

  it('does not start while a route declares no access', async () => {
    @Controller('open')
    class Forgotten {
      @Get() all(): void {}
    }
    @Module({ imports: [SignIn], controllers: [Forgotten] })
    class Bad {}
    const starting = createApplication(Bad, readConfig({}), { logger: pino({ level: 'silent' }) });
    await expect(starting).rejects.toBeInstanceOf(UndeclaredAccess);
    await expect(starting).rejects.toThrow('Forgotten.all');
  });
});
