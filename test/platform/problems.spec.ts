import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request } from 'node:http';
import { connect } from 'node:net';
import fc from 'fast-check';
import { bearer, type Sample, sample } from './sample.js';

let app: Sample;
let port: number;
beforeAll(async () => {
  app = await sample();
  ({ port } = await app.listen());
});
afterAll(() => app.stop());

interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown> & { errors?: Record<string, string>[] };
}

async function call(method: string, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    ...init,
    headers: { ...bearer('clk_all'), ...(init.headers as Record<string, string>) },
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: (text === '' ? {} : JSON.parse(text)) as Answer['body'],
  };
}

const post = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
  call('POST', '/v1/sample/x/interactions', {
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });

const choices = [{ purpose: 'newsletter', decision: 'give' }];
const valid = { source: 'web-form', choices };

describe('problems', () => {
  it.each([
    ['invalid', 422],
    ['not-found', 404],
    ['conflict', 409],
    ['gone', 410],
    ['precondition', 412],
    ['forbidden', 403],
    ['unavailable', 503],
  ])('answers a refusal of kind %s with %i', async (kind, status) => {
    const answer = await call('GET', `/v1/sample/refused/${kind}`);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(answer.body).toEqual({
      type: `/problems/sample-${kind}`,
      title: `Sample ${kind.replace('-', ' ')}`,
      status,
      detail: 'As asked.',
      code: `sample-${kind}`,
      subjectId: 'sub_x',
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect(answer.headers.get('retry-after')).toBe(kind === 'unavailable' ? '7' : null);
  });

  it('takes the trace id from a valid traceparent and no other', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const of = (traceparent: string) => call('GET', '/nowhere', { headers: { traceparent } });
    const answer = await of(`00-${traceId}-00f067aa0ba902b7-01`);
    expect(answer.body['traceId']).toBe(traceId);
    expect(answer.headers.get('traceresponse')).toMatch(
      new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`),
    );
    for (const bad of ['x', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, `00-${traceId}-1-01`])
      expect((await of(bad)).body['traceId']).not.toBe(traceId);
  });

  it('answers what the server refuses itself', async () => {
    expect(await call('GET', '/erika@example.org?x=erika@example.org')).toMatchObject({
      status: 404,
      body: { code: 'not-found', type: '/problems/not-found' },
    });
    const other = await call('DELETE', '/v1/sample/x/interactions');
    expect(other).toMatchObject({ status: 405, body: { code: 'method-not-allowed' } });
    expect(other.headers.get('allow')).toBe('POST');
    expect(await post(JSON.stringify(valid), { 'content-type': 'text/plain' })).toMatchObject({
      status: 415,
      body: { code: 'unsupported-media-type' },
    });
    expect(
      await post(JSON.stringify(valid), { 'content-type': 'application/json; charset=latin1' }),
    ).toMatchObject({ status: 415 });
    expect(
      await post(JSON.stringify(valid), { 'content-type': 'application/x-ndjson' }),
    ).toMatchObject({ status: 415 });
    expect(await post(`"${'x'.repeat(1024 * 1024)}"`)).toMatchObject({
      status: 413,
      body: { code: 'body-too-large' },
    });
    expect(await call('GET', '/%zz')).toMatchObject({
      status: 400,
      body: { code: 'malformed-request' },
    });
    expect(await call('GET', `/v1/sample/refused/${'x'.repeat(300)}`)).toMatchObject({
      status: 414,
      headers: expect.anything(),
    });
    const huge = await call('GET', '/v1/sample', { headers: { 'x-huge': 'x'.repeat(20_000) } });
    expect(huge).toMatchObject({ status: 431, body: { code: 'headers-too-large' } });
  });

  it('answers what is not HTTP', async () => {
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      const socket = connect(port, '127.0.0.1', () => socket.write('erika@example.org\r\n\r\n'));
      socket.on('data', (chunk) => (text += chunk.toString())).on('close', () => resolve(text));
    });
    expect(answer).toMatch(
      /^HTTP\/1\.1 400 Bad Request\r\ncontent-type: application\/problem\+json/,
    );
    expect(answer).not.toContain('erika');
  });

  it('tells nothing of what went wrong inside, and logs no message', async () => {
    for (const how of ['database', 'other']) {
      const answer = await call('GET', `/v1/sample/broken/${how}`);
      expect(answer).toMatchObject({ status: 500, body: { code: 'internal' } });
      expect(app.logged()).toContain(answer.body['traceId']);
    }
    expect(app.logged()).toMatch(/"name":"DatabaseError","code":"23505"/);
    expect(app.logged()).toContain('"name":"TypeError"');
    expect(app.logged()).not.toContain('erika');
    expect(await call('GET', '/v1/sample/broken/away')).toMatchObject({
      status: 503,
      body: { code: 'database-unavailable' },
    });
  });

  it('logs a request by its template', async () => {
    await call('GET', '/v1/sample/me?secret=erika');
    const line = app
      .logged()
      .split('\n')
      .filter((text) => text.includes('"request"'))
      .at(-1) as string;
    const fields = JSON.parse(line) as object;
    expect(fields).toMatchObject({
      method: 'GET',
      route: '/v1/sample/me',
      status: 200,
      keyId: 'key_all',
    });
    expect(Object.keys(fields).sort()).toEqual([
      'hostname',
      'keyId',
      'level',
      'method',
      'ms',
      'msg',
      'pid',
      'route',
      'status',
      'time',
      'traceId',
    ]);
  });

  it('forbids to keep, sniff and embed answers', async () => {
    const { headers } = await call('GET', '/v1/sample/me');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  });
});

describe('bodies', () => {
  it('reads a valid one', async () => {
    const answer = await post(
      JSON.stringify({ ...valid, occurredAt: '2026-03-01T13:00:00+01:00' }),
    );
    expect(answer).toMatchObject({
      status: 201,
      body: { body: { ...valid, occurredAt: '2026-03-01T12:00:00.000Z' } },
    });
  });

  it.each([
    ['malformed-json', '{"a":'],
    ['malformed-json', '{"a":1}}'],
    ['body-missing', ''],
    ['invalid-utf8', Uint8Array.from([0x22, 0xc3, 0x28, 0x22])],
    ['invalid-utf8', Uint8Array.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ])('refuses what can not be read: %s', async (code, body) => {
    expect(await post(body)).toMatchObject({ status: 400, body: { code } });
  });

  it('refuses characters that can not be stored, with their place', async () => {
    const answer = await post(
      '{"source":"a\\u0000","comment":"\\ud83d","choices":[{"purpose":"x","a\\udc00b":1}],"ok":"\\ud83d\\ude00"}',
    );
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid-character' } });
    expect(answer.body.errors?.map(({ pointer }) => pointer)).toEqual([
      '/source',
      '/comment',
      '/choices/0',
    ]);
  });

  it('refuses numbers that it could not keep', async () => {
    const answer = await post(
      '{"evidence":{"a":1e999,"b":[12345678901234567890],"c":1.5,"d":9007199254740991}}',
    );
    expect(answer.status).toBe(422);
    expect(answer.body.errors?.map(({ pointer, code }) => `${pointer} ${code}`)).toEqual([
      '/evidence/a number-out-of-range',
      '/evidence/b/0 number-out-of-range',
    ]);
  });

  it('never fails and never repeats a value, whatever is sent', async () => {
    const canary = 'kanarienvogel';
    const json = fc.jsonValue({ maxDepth: 4 }).map((value) => ({
      ...valid,
      ...(typeof value === 'object' && !Array.isArray(value) ? value : { evidence: value }),
      comment: `${canary}\u0007`,
    }));
    await fc.assert(
      fc.asyncProperty(json, async (body) => {
        const answer = await post(JSON.stringify(body));
        expect(answer.status).toBe(422);
        expect(JSON.stringify(answer.body)).not.toContain(canary);
      }),
      { numRuns: 150 },
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 60 }), async (bytes) => {
        expect([400, 422]).toContain((await post(new Uint8Array(bytes))).status);
      }),
      { numRuns: 150 },
    );
    expect(app.logged()).not.toContain(canary);
  });

  it('refuses prototypes and depth', async () => {
    expect((await post('{"evidence":{"__proto__":{"x":1}}}')).body.errors).toMatchObject([
      { pointer: '/evidence/__proto__', code: 'unknown-field' },
    ]);
    expect((await post('{"evidence":{"\\u005f_proto__":{"x":1}}}')).status).toBe(422);
    const deep = `{"evidence":${'['.repeat(200_000)}${']'.repeat(200_000)}}`;
    expect(await post(deep)).toMatchObject({ status: 422, body: { code: 'nested-too-deeply' } });
  });

  it('takes an empty body for none', async () => {
    const answer = await call('POST', '/v1/sample/done', {
      headers: { 'content-type': 'application/json' },
    });
    expect(answer.status).toBe(201);
    expect((await call('POST', '/v1/sample/done')).status).toBe(201);
  });

  it('ignores a body where none is taken', async () => {
    const status = await new Promise((resolve, reject) => {
      const headers = {
        ...bearer('clk_all'),
        'content-type': 'application/json',
        'content-length': 5,
      };
      request({ port, path: '/v1/sample/me', method: 'GET', headers }, ({ statusCode }) =>
        resolve(statusCode),
      )
        .on('error', reject)
        .end('{"a":');
    });
    expect(status).toBe(200);
  });

  it('names every violation at once, each with its place and rule', async () => {
    const answer = await post(
      JSON.stringify({
        occurredAt: '2026-03-01',
        source: 7,
        language: 'not_a_language',
        declaredBy: { kind: 'nobody', name: 'Erika' },
        evidence: { text: 'x'.repeat(100) },
        comment: 'bell \u0007',
        choices: [
          { purpose: 'newsletter', decision: 'give' },
          { topic: 'news', purpose: 'x', decision: 'on' },
          { decision: 'on' },
          { topic: 'UPPER', decision: null },
          'text',
        ],
        'a/b~c': 1,
      }),
    );
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid-body' } });
    expect(answer.body.errors?.map(({ pointer, code }) => `${pointer} ${code}`).sort()).toEqual(
      [
        '/a~1b~0c unknown-field',
        '/choices/1/topic ambiguous',
        '/choices/2 required',
        '/choices/3/decision not-one-of',
        '/choices/3/topic malformed-code',
        '/choices/4 not-an-object',
        '/comment invalid-character',
        '/declaredBy/kind not-one-of',
        '/declaredBy/name unknown-field',
        '/evidence too-large',
        '/language malformed-language',
        '/occurredAt malformed-instant',
        '/source not-a-string',
      ].sort(),
    );
    expect(JSON.stringify(answer.body)).not.toMatch(/Erika|nobody|UPPER|bell/);
  });

  it('tells missing from null and from empty', async () => {
    const codes = async (body: object) =>
      (await post(JSON.stringify(body))).body.errors?.map(
        ({ pointer, code }) => `${pointer} ${code}`,
      );
    expect(await codes({})).toEqual(['/source required', '/choices required']);
    expect(await codes({ ...valid, comment: null })).toEqual(['/comment not-a-string']);
    expect(await codes({ ...valid, comment: '' })).toEqual(['/comment empty']);
    expect(await codes({ ...valid, comment: '  ' })).toEqual(['/comment empty']);
    expect(await codes({ ...valid, comment: 'x'.repeat(21) })).toEqual(['/comment too-long']);
    expect(await codes({ ...valid, choices: [] })).toEqual(['/choices too-few']);
    expect(await codes({ ...valid, choices: {} })).toEqual(['/choices not-an-array']);
    expect(await codes([])).toEqual([' not-an-object']);
    expect(await codes({ ...valid, choices: Array(101).fill(choices[0]) })).toEqual([
      '/choices too-many',
    ]);
  });

  it('asks for exactly one of several fields', async () => {
    const ask = (body: object) =>
      call('POST', '/v1/sample/questions', {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      });
    expect((await ask({ subjectId: 'x' })).status).toBe(200);
    expect((await ask({})).body.errors).toMatchObject([{ pointer: '', code: 'required' }]);
    expect((await ask({ subjectId: 'x', contactPoint: 'y' })).body.errors).toMatchObject([
      { pointer: '/contactPoint', code: 'ambiguous' },
    ]);
  });

  it('reads a query, or names the parameters', async () => {
    expect((await call('GET', '/v1/sample')).body).toEqual({ limit: 50 });
    expect(
      (await call('GET', '/v1/sample?limit=7&reveal=true&purpose=a&asOf=2026-01-01T00:00:00Z'))
        .body,
    ).toEqual({ limit: 7, reveal: true, purpose: ['a'], asOf: '2026-01-01T00:00:00.000Z' });
    const answer = await call(
      'GET',
      '/v1/sample?limit=0&reveal=maybe&asOf=a&asOf=b&purpose=A&x=erika',
    );
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid-query' } });
    expect(answer.body.errors?.map(({ parameter, code }) => `${parameter} ${code}`)).toEqual([
      'limit too-small',
      'reveal not-a-boolean',
      'asOf not-a-string',
      'purpose malformed-code',
      'x unknown-parameter',
    ]);
    expect(JSON.stringify(answer.body)).not.toMatch(/erika|maybe/);
  });
});
