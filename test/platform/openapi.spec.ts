import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  Body,
  Controller,
  Get,
  Global,
  Module,
  Param,
  Post,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { FastifyReply, FastifyRequest } from 'fastify';
import supertest from 'supertest';
import { Requires } from '#core/platform/http/auth.guard.js';
import { DOCUMENT } from '#core/platform/http/application.js';
import { PageQuery } from '#core/platform/http/cursor.js';
import { DIGEST, Idempotent, IDEMPOTENCY_STORE } from '#core/platform/http/idempotency.js';
import { ndjsonOf, sendNdjson } from '#core/platform/http/streaming.js';
import { readNdjson } from '#core/platform/http/ndjson.js';
import { openApiText } from '#core/platform/http/openapi.js';
import { Operation } from '#core/platform/http/operation.js';
import { ConsistentAt, type ExpectedRevision, IfMatch } from '#core/platform/http/preconditions.js';
import { InteractionBody, QuestionBody, type Sample, sample } from './sample.js';

@Controller('v1/things')
class ThingsController {
  @Post(':id')
  @Requires('choices:write')
  @Idempotent()
  @Operation({
    summary: 'Record choices',
    description: 'One interaction.',
    example: { source: 'web-form', choices: [{ purpose: 'newsletter', decision: 'give' }] },
    answers: {
      201: { description: 'Recorded.', body: QuestionBody, headers: { ETag: 'The revision.' } },
    },
    problems: { 409: ['already-registered'] },
  })
  record(
    @Param('id') _id: string,
    @Body() _body: InteractionBody,
    @IfMatch() _expected: ExpectedRevision | undefined,
  ): void {}

  @Get()
  @Requires('subjects:read')
  list(@Query() _query: PageQuery, @ConsistentAt() _at: string | undefined): void {}

  @Post('batch/stream')
  @Requires('decisions:read', 'audit:read')
  @Operation({
    summary: 'Ask many',
    takesNdjson: QuestionBody,
    answers: { 200: { description: 'Answers in order.', ndjson: { type: 'object' } } },
  })
  batch(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    return sendNdjson(reply, () => readNdjson(ndjsonOf(request)));
  }
}

@Global()
@Module({
  providers: [IDEMPOTENCY_STORE, DIGEST].map((provide) => ({ provide, useValue: {} })),
  exports: [IDEMPOTENCY_STORE, DIGEST],
})
class Stores {}

interface Json {
  [key: string]: Json;
}
let app: Sample;
let document: Json;
beforeAll(async () => {
  app = await sample({ imports: [Stores], controllers: [ThingsController] });
  document = (await supertest(app.nest.getHttpServer()).get('/v1/openapi.json').expect(200))
    .body as Json;
});
afterAll(() => app.stop());

const at = (...path: string[]): Json => path.reduce((value, key) => value[key] as Json, document);

describe('the OpenAPI document', () => {
  it('is 3.1, the same every time', () => {
    expect(document['openapi']).toBe('3.1.0');
    const text = openApiText(app.nest, DOCUMENT);
    expect(JSON.parse(text)).toEqual(document);
    expect(openApiText(app.nest, DOCUMENT)).toBe(text);
  });

  it('has schemas that are valid JSON Schema, and agree with what is accepted', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const schemas = at('components', 'schemas');
    for (const [name, schema] of Object.entries(schemas)) {
      expect(ajv.validateSchema(schema)).toBe(true);
      expect(name).not.toBe('');
    }
    ajv.addSchema(document, 'openapi');
    const accepts = (name: string, value: object) =>
      ajv.validate({ $ref: `openapi#/components/schemas/${name}` }, value);
    const choices = [{ purpose: 'newsletter', decision: 'give' }];
    expect(accepts('InteractionBody', { source: 'web-form', choices })).toBe(true);
    expect(
      accepts('InteractionBody', { source: 'web-form', choices: [{ topic: 'a', decision: 'on' }] }),
    ).toBe(true);
    for (const bad of [
      { choices },
      { source: 'UPPER', choices },
      { source: 'web-form', choices: [] },
      { source: 'web-form', choices, more: 1 },
      { source: 'web-form', choices: [{ purpose: 'a', topic: 'b', decision: 'on' }] },
    ])
      expect(accepts('InteractionBody', bad)).toBe(false);
    expect(accepts('QuestionBody', { subjectId: 'x' })).toBe(true);
    expect(accepts('QuestionBody', {})).toBe(false);
    expect(accepts('QuestionBody', { subjectId: 'x', contactPoint: 'y' })).toBe(false);
  });

  it('tells rights, headers, answers and refusals of a call', () => {
    const post = at('paths', '/v1/things/{id}', 'post');
    expect(post).toMatchObject({
      operationId: 'thingsRecord',
      summary: 'Record choices',
      security: [{ bearer: [] }],
      'x-required-scope': 'choices:write',
      description: 'One interaction.\n\nNeeds the scope `choices:write`.',
      parameters: [
        { in: 'header', name: 'Idempotency-Key', required: true },
        { in: 'header', name: 'If-Match', required: false },
        { in: 'path', name: 'id', required: true, schema: { type: 'string' } },
      ],
      requestBody: {
        content: {
          'application/json': {
            schema: { $ref: '#/components/schemas/InteractionBody' },
            example: { source: 'web-form' },
          },
        },
      },
    });
    expect(Object.keys(post['responses'] as Json)).toEqual([
      '201',
      '400',
      '401',
      '403',
      '404',
      '409',
      '410',
      '412',
      '413',
      '415',
      '422',
      '429',
      '503',
    ]);
    expect(at('paths', '/v1/things/{id}', 'post', 'responses', '409', 'description')).toContain(
      '`already-registered`',
    );
    expect(at('paths', '/v1/things', 'get')).toMatchObject({
      parameters: [
        { in: 'header', name: 'Consistency-Token' },
        { in: 'query', name: 'cursor', required: false, schema: { type: 'string' } },
        {
          in: 'query',
          name: 'limit',
          schema: { type: 'integer', minimum: 1, maximum: 200, default: 50 },
        },
      ],
    });
    expect(at('paths', '/v1/things/batch/stream', 'post')).toMatchObject({
      'x-required-scope': ['decisions:read', 'audit:read'],
      requestBody: {
        content: {
          'application/x-ndjson': { schema: { $ref: '#/components/schemas/QuestionBody' } },
        },
      },
      responses: { 200: { content: { 'application/x-ndjson': {} } } },
    });
    expect(at('paths', '/health/ready', 'get')['security']).toEqual([]);
  });

  it('refers to nothing that is not there', () => {
    for (const [, reference] of JSON.stringify(document).matchAll(
      /"\$ref":"#\/components\/schemas\/(\w+)"/g,
    ))
      expect(Object.keys(at('components', 'schemas'))).toContain(reference);
    const ids = [...JSON.stringify(document).matchAll(/"operationId":"(\w+)"/g)].map(
      ([, id]) => id,
    );
    expect(new Set(ids).size).toBe(ids.length);
  });
});
