import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Global, Module } from '@nestjs/common';
import { CqrsModule, QueryHandler } from '@nestjs/cqrs';
import { pino } from 'pino';
import supertest from 'supertest';
import { newId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { START } from '#core/kernel/position.js';
import { SCOPES } from '#core/kernel/scopes.js';
import { readConfig } from '#core/platform/config.js';
import { type Application, createApplication } from '#core/platform/http/application.js';
import { AUTHENTICATOR } from '#core/platform/http/auth.guard.js';
import { DIGEST, IDEMPOTENCY_STORE } from '#core/platform/http/idempotency.js';
import { AskPrivacyCentre } from '#domains/purposes/queries/privacy-centre.message.js';
import { unknownSubject } from '../domain/answer.js';
import { Decide, type DecisionAnswer } from '../queries/decide.message.js';
import { DecisionsController } from './decisions.controller.js';

/** How many questions were asked together, each time. */
let asked: number[] = [];
beforeEach(() => {
  asked = [];
});

@QueryHandler(Decide)
class CountingDecide {
  execute({ questions }: Decide): Promise<readonly DecisionAnswer[]> {
    asked.push(questions.length);
    const moment = { asOf: '2026-03-01T12:00:00.000Z' as Instant, knownAt: '', position: START };
    return Promise.resolve(questions.map(() => ({ ...unknownSubject, ...moment })));
  }
}

@QueryHandler(AskPrivacyCentre)
class OnePurpose {
  execute(): Promise<object> {
    return Promise.resolve({ purposes: { newsletter: {} }, topics: {} });
  }
}

let app: Application;
beforeAll(async () => {
  const principal = { kind: 'service', id: 'x', keyId: 'x', scopes: new Set(SCOPES) };
  const ports = [
    { provide: AUTHENTICATOR, useValue: { authenticate: () => Promise.resolve(principal) } },
    { provide: IDEMPOTENCY_STORE, useValue: {} },
    { provide: DIGEST, useValue: {} },
  ];
  @Global()
  @Module({
    imports: [CqrsModule.forRoot()],
    controllers: [DecisionsController],
    providers: [...ports, CountingDecide, OnePurpose],
    exports: ports.map(({ provide }) => provide),
  })
  class SpecModule {}
  app = await createApplication(SpecModule, readConfig({ PORT: '0' }), {
    logger: pino({ level: 'silent' }),
  });
});
afterAll(() => app.stop());

async function batch(lines: readonly object[]) {
  const { text } = await supertest(app.nest.getHttpServer())
    .post('/v1/decisions/batch')
    .set({ authorization: 'Bearer clk_x', 'content-type': 'application/x-ndjson' })
    .serialize((body) => body as unknown as string)
    .send(lines.map((line) => `${JSON.stringify(line)}\n`).join('') as never)
    .buffer(true)
    .parse((response, done) => {
      let all = '';
      response.on('data', (chunk: Buffer) => (all += chunk.toString()));
      response.on('end', () => done(null, all));
    })
    .then(({ body }) => ({ text: body as string }));
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { line?: number; code?: string; error?: { code: string } });
}

test('questions that can not be asked are told by themselves, and the others asked together', async () => {
  const subjectId = newId('sub');
  const good = { subjectId, purpose: 'newsletter' };
  const verdicts = await batch([
    good,
    { subjectId, purpose: 'typo' },
    { contactPoint: { kind: 'email', value: 'nobody' }, purpose: 'newsletter' },
    good,
    { subjectId, purpose: 'newsletter', topic: 'tours' },
    good,
  ]);
  expect(verdicts.map(({ line, code, error }) => [line, error?.code ?? code])).toEqual([
    [undefined, 'unknown-subject'],
    [2, 'unknown-purpose'],
    [3, 'malformed-email'],
    [undefined, 'unknown-subject'],
    [5, 'unknown-topic'],
    [undefined, 'unknown-subject'],
  ]);
  expect(asked).toEqual([3]);
});

test('no more than 1,000 are asked together', async () => {
  const good = { subjectId: newId('sub'), purpose: 'newsletter' };
  const verdicts = await batch(Array.from({ length: 3_000 }, () => good));
  expect(verdicts).toHaveLength(3_000);
  expect(asked.reduce((sum, count) => sum + count)).toBe(3_000);
  expect(Math.max(...asked)).toBeLessThanOrEqual(1_000);
});
