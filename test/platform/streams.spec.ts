import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Position } from '#core/kernel/position.js';
import { Refused } from '#core/kernel/refused.js';
import { type Principal, Requires } from '#core/platform/http/auth.guard.js';
import { type Line, readNdjson } from '#core/platform/http/ndjson.js';
import { LastEventId, ndjsonOf, sendEvents, sendNdjson } from '#core/platform/http/streaming.js';
import { bearer, PRINCIPALS, type Sample, sample } from './sample.js';

let produced = 0;
let aborted = 0;

async function* numbers(signal: AbortSignal, howMany: number, failAt = -1) {
  produced = 0;
  try {
    for (let i = 0; i < howMany && !signal.aborted; i++) {
      if (i === failAt) throw new Refused('conflict', 'sample', 'As asked.');
      produced++;
      yield { i, padding: 'x'.repeat(1000) };
    }
  } finally {
    if (signal.aborted) aborted++;
  }
}

@Controller('v1/streams')
@Requires('events:read')
class StreamsController {
  @Get('numbers/:n')
  numbers(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { n, failAt } = { ...(request.params as object), ...(request.query as object) } as Record<
      string,
      string
    >;
    return sendNdjson(reply, (signal) => numbers(signal, Number(n), Number(failAt ?? -1)));
  }

  @Post('echo')
  @HttpCode(200)
  echo(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const lines = readNdjson(ndjsonOf(request));
    return sendNdjson(reply, async function* () {
      for await (const some of lines)
        yield some.map((one) =>
          'value' in one ? one : { line: one.line, code: one.refused.code },
        );
    });
  }

  @Get('events')
  events(@Res() reply: FastifyReply, @LastEventId() after: Position | undefined): Promise<void> {
    return sendEvents(reply, async function* (signal) {
      const from = Number(after ?? 0);
      yield [1, 2].map((i) => ({ id: String(from + i), event: 'fact', data: { text: 'a\nb' } }));
      if (!signal.aborted) await once(signal, 'abort');
    });
  }
}

let app: Sample;
let port: number;
beforeAll(async () => {
  app = await sample({ controllers: [StreamsController] });
  ({ port } = await app.listen());
});
afterAll(() => app.stop());

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`http://127.0.0.1:${port}/v1/streams${path}`, {
    headers: { ...bearer('clk_all'), ...headers },
  });

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 5_000; !condition() && Date.now() < end;)
    await new Promise((resolve) => setTimeout(resolve, 5));
  expect(condition()).toBe(true);
}

async function lines(...chunks: (string | Buffer)[]): Promise<string[]> {
  async function* source() {
    for (const chunk of chunks) yield Buffer.from(chunk);
  }
  const found: Line[] = [];
  for await (const some of readNdjson(source(), 20)) found.push(...some);
  return found.map((one) =>
    'value' in one ? `${one.line} ${JSON.stringify(one.value)}` : `${one.line} ${one.refused.code}`,
  );
}

describe('NDJSON in', () => {
  it('reads lines however they are cut', async () => {
    const text = '{"a":1}\r\n"zwei ü"\n3';
    const expected = ['1 {"a":1}', '2 "zwei ü"', '3 3'];
    expect(await lines(text)).toEqual(expected);
    expect(await lines(...Array.from(Buffer.from(text), (byte) => Buffer.from([byte])))).toEqual(
      expected,
    );
    expect(await lines(`${text}\n`)).toEqual(expected);
    expect(await lines(`\ufeff${text}`)).toEqual(expected);
    expect(await lines()).toEqual([]);
  });

  it('refuses bad lines alone', async () => {
    const bad = Buffer.from([0x22, 0xc3, 0x28, 0x22, 0x0a]);
    expect(
      await lines(
        '1\n',
        '\n',
        ' \t\r\n',
        bad,
        '{"a"\n',
        '"\\u0000"\n',
        `"${'x'.repeat(30)}`,
        `${'x'.repeat(9)}"\n`,
        '2',
      ),
    ).toEqual([
      '1 1',
      '2 blank-line',
      '3 blank-line',
      '4 invalid-utf8',
      '5 malformed-json',
      '6 invalid-character',
      '7 line-too-large',
      '8 2',
    ]);
  });

  it('answers each line over HTTP, more than a body may have', async () => {
    const count = 30_000;
    const body = Array.from(
      { length: count },
      (_, i) => `{"i":${i},"text":"${'x'.repeat(60)}"}\n`,
    ).join('');
    expect(body.length).toBeGreaterThan(2 * 1024 * 1024);
    const answer = await fetch(`http://127.0.0.1:${port}/v1/streams/echo`, {
      method: 'POST',
      body: `${body}nonsense`,
      headers: { ...bearer('clk_all'), 'content-type': 'application/x-ndjson' },
    });
    expect(answer.headers.get('content-type')).toBe('application/x-ndjson');
    const verdicts = (await answer.text()).trimEnd().split('\n');
    expect(verdicts).toHaveLength(count + 1);
    expect(JSON.parse(verdicts.at(-1) as string)).toEqual({
      line: count + 1,
      code: 'malformed-json',
    });
    expect(JSON.parse(verdicts[count - 1] as string)).toMatchObject({
      line: count,
      value: { i: count - 1 },
    });
  });

  it('refuses another kind of body', async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/streams/echo`, {
      method: 'POST',
      body: '{}',
      headers: { ...bearer('clk_all'), 'content-type': 'application/json' },
    });
    expect(answer.status).toBe(415);
  });

  it('answers while the request is still being sent', async () => {
    const sending = httpRequest({
      port,
      path: '/v1/streams/echo',
      method: 'POST',
      headers: { ...bearer('clk_all'), 'content-type': 'application/x-ndjson' },
    });
    sending.write('1\n');
    const [answer] = (await once(sending, 'response')) as [IncomingMessage];
    const [first] = (await once(answer, 'data')) as [Buffer];
    expect(JSON.parse(first.toString())).toEqual({ line: 1, value: 1 });
    sending.write('2\n');
    const [second] = (await once(answer, 'data')) as [Buffer];
    expect(JSON.parse(second.toString())).toEqual({ line: 2, value: 2 });
    sending.end();
    answer.resume();
    await once(answer, 'end');
  });

  it('does not take a client that hangs up in mid-sentence for a fault', async () => {
    const sending = httpRequest({
      port,
      path: '/v1/streams/echo',
      method: 'POST',
      headers: { ...bearer('clk_all'), 'content-type': 'application/x-ndjson' },
    });
    sending.on('error', () => undefined);
    sending.write('1\n');
    const [answer] = (await once(sending, 'response')) as [IncomingMessage];
    answer.on('error', () => undefined);
    sending.destroy();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(app.logged()).not.toContain('unexpected failure');
  });
});

describe('NDJSON out', () => {
  it('streams to the end', async () => {
    const text = await (await get('/numbers/3000')).text();
    expect(text.trimEnd().split('\n')).toHaveLength(3000);
    expect(text.endsWith('\n')).toBe(true);
    await until(() => app.logged().includes('"route":"/v1/streams/numbers/:n","status":200'));
  });

  it('answers a failure before the first line as a problem', async () => {
    const answer = await get('/numbers/3?failAt=0');
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject({ code: 'sample' });
  });

  it('breaks the connection on a failure after it', async () => {
    const answer = await get('/numbers/1000?failAt=500');
    expect(answer.status).toBe(200);
    await expect(answer.text()).rejects.toThrow();
  });

  it('waits for a slow client, and ends the source when the client goes', async () => {
    aborted = 0;
    const sending = httpRequest({
      port,
      path: '/v1/streams/numbers/1000000',
      headers: bearer('clk_all'),
    }).end();
    const [answer] = (await once(sending, 'response')) as [IncomingMessage];
    await until(() => produced > 0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const stalledAt = produced;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(produced).toBe(stalledAt);
    expect(stalledAt).toBeLessThan(100_000);
    answer.on('error', () => undefined);
    answer.destroy();
    await until(() => aborted === 1);
  });
});

describe('server-sent events', () => {
  it('go on where the client left off, until the process stops', async () => {
    const other = await sample({ controllers: [StreamsController] });
    const { port: otherPort } = await other.listen();
    const answer = await fetch(`http://127.0.0.1:${otherPort}/v1/streams/events`, {
      headers: { ...bearer('clk_all'), 'last-event-id': '7' },
    });
    expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const text = answer.text();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await other.stop();
    expect(await text).toBe(
      ': open\n\nid: 8\nevent: fact\ndata: {"text":"a\\nb"}\n\nid: 9\nevent: fact\ndata: {"text":"a\\nb"}\n\n',
    );
  });

  it('end with the key that opened them, and with no other', async () => {
    const keys = PRINCIPALS as Record<string, Principal>;
    keys['clk_short'] = { ...(PRINCIPALS['clk_all'] as Principal), keyId: 'key_short' };
    // Not by fetch: after a stream is left it opens a connection that it never uses, and stopping waits for that.
    const follow = async (key: string) => {
      const asked = httpRequest({
        port,
        path: '/v1/streams/events',
        headers: bearer(key),
        agent: false,
      });
      const [answer] = (await once(asked.end(), 'response')) as [IncomingMessage];
      return { asked, answer: answer.resume() };
    };
    const [short, other] = await Promise.all([follow('clk_short'), follow('clk_all')]);
    delete keys['clk_short'];
    await once(short.answer, 'end');
    // Both were asked about at the same time.
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(other.answer.readableEnded).toBe(false);
    other.asked.destroy();
  }, 10_000);

  it('refuse a place that is none', async () => {
    const answer = await get('/events', { 'last-event-id': 'erika' });
    expect(answer.status).toBe(400);
    expect(await answer.text()).not.toContain('erika');
  });
});
