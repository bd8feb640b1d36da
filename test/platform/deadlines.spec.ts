import { EventEmitter, once } from 'node:events';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Get, Global, HttpCode, Module, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Requires } from '#core/platform/http/auth.guard.js';
import { DIGEST, Idempotent, IDEMPOTENCY_STORE } from '#core/platform/http/idempotency.js';
import { ndjsonOf, sendEvents, sendNdjson } from '#core/platform/http/streaming.js';
import { bearer, PurposeChoice, type Sample, sample } from './sample.js';

/** Milliseconds. */
const DEADLINE = 600;
const PURPOSE = { purpose: 'sales', decision: 'give' };

/** What handlers wait for until they are let go. */
const silence = new EventEmitter();
let ended = 0;

@Controller('v1/waits')
@Requires('events:read')
class WaitingController {
  @Get()
  async wait(): Promise<object> {
    await once(silence, 'over');
    ended++;
    return { late: true };
  }

  @Post()
  @Idempotent()
  async command(): Promise<object> {
    await once(silence, 'over');
    return { late: true };
  }

  @Post('bodies')
  @HttpCode(200)
  body(@Body() body: PurposeChoice): object {
    return body;
  }

  @Get('lines')
  lines(@Res() reply: FastifyReply): Promise<void> {
    return sendNdjson(reply, async function* () {
      await once(silence, 'over');
      ended++;
      yield { late: true };
    });
  }

  @Post('echo')
  @HttpCode(200)
  echo(@Req() received: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const body = ndjsonOf(received);
    return sendNdjson(reply, async function* () {
      for await (const bytes of body) {
        if (Buffer.from(bytes).toString('utf8').includes('hang')) await once(silence, 'over');
        yield bytes;
      }
    });
  }

  @Get('events')
  events(@Res() reply: FastifyReply): Promise<void> {
    return sendEvents(reply, async function* () {
      for (let n = 1; n <= 3; n++) {
        await sleep(DEADLINE);
        yield { data: n };
      }
    });
  }
}

@Global()
@Module({
  providers: [
    { provide: DIGEST, useValue: { digest: () => new Uint8Array(32) } },
    {
      provide: IDEMPOTENCY_STORE,
      useValue: {
        claim: () => Promise.resolve({ kind: 'claimed', lease: '' }),
        complete: () => Promise.resolve(),
        release: () => Promise.resolve(),
      },
    },
  ],
  exports: [DIGEST, IDEMPOTENCY_STORE],
})
class Stores {}

let app: Sample;
let url: string;
// One connection: what an answer that came too late leaves behind is in the way of the next one.
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
beforeAll(async () => {
  app = await sample(
    { controllers: [WaitingController], imports: [Stores] },
    { deadline: DEADLINE },
  );
  url = `http://127.0.0.1:${(await app.listen()).port}/v1/waits`;
});
afterAll(() => app.stop());

interface Answered {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly took: number;
}

function call(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  send: (call: ClientRequest) => void = (sent) => sent.end(),
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const all = { ...bearer('clk_all'), ...headers };
    const sent = request(url + path, { method, agent, headers: all }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status, headers } = response;
        resolve({ status, headers, text, took: performance.now() - began });
      });
    });
    sent.on('error', reject);
    send(sent);
  });
}

/** The handlers come to their end, after their calls have. */
async function letGo(): Promise<void> {
  silence.emit('over');
  await sleep(50);
}

const slowly =
  (...parts: readonly string[]) =>
  (sent: ClientRequest) =>
    void (async () => {
      for (const part of parts) {
        await sleep(DEADLINE * 1.5);
        sent.write(part);
      }
      sent.end();
    })();

describe('a call that nobody answers', () => {
  it('is a 503 when its time is over, and its late answer disturbs nobody', async () => {
    const { status, headers, text, took } = await call('GET', '');
    expect(status).toBe(503);
    expect(headers['retry-after']).toBe('1');
    expect(headers['content-type']).toContain('application/problem+json');
    expect(JSON.parse(text)).toMatchObject({ status: 503, code: 'too-late' });
    expect(took).toBeGreaterThanOrEqual(DEADLINE);
    const before = ended;
    await letGo();
    expect(ended).toBe(before + 1);
    expect(await call('POST', '/echo', { 'content-type': 'application/x-ndjson' })).toMatchObject({
      status: 200,
      text: '',
    });
    expect(app.logged()).not.toContain('unexpected failure');
  });

  it('says of a command that it may have been recorded', async () => {
    const { status, headers, text } = await call('POST', '', { 'idempotency-key': 'a' });
    expect(status).toBe(503);
    expect(headers['retry-after']).toBe('1');
    expect(JSON.parse(text)).toMatchObject({ code: 'outcome-unknown' });
    expect(text).toContain('repeat it with the same Idempotency-Key');
    await letGo();
  });

  it('is a 503 also where it would be answered by a stream, which then has no reader', async () => {
    expect(await call('GET', '/lines')).toMatchObject({ status: 503 });
    const before = ended;
    await letGo();
    expect(ended).toBe(before + 1);
    expect(app.logged()).not.toContain('unexpected failure');
  });

  it('is a 503 where the first line of its body leads nowhere', async () => {
    const ndjson = { 'content-type': 'application/x-ndjson' };
    const hanging = call('POST', '/echo', ndjson, (sent) => sent.write('"hang"\n'));
    expect(await hanging).toMatchObject({ status: 503 });
    await letGo();
  });
});

describe('the time of the caller', () => {
  it('is not counted while a body arrives', async () => {
    const text = JSON.stringify(PURPOSE);
    const json = {
      'content-type': 'application/json',
      'content-length': String(text.length),
    };
    const answered = await call(
      'POST',
      '/bodies',
      json,
      slowly(text.slice(0, 5), text.slice(5, 9), text.slice(9)),
    );
    expect(answered).toMatchObject({ status: 200, text });
  });

  it('is not counted between the lines of a stream', async () => {
    const ndjson = { 'content-type': 'application/x-ndjson' };
    const answered = await call('POST', '/echo', ndjson, slowly('"a"\n', '"b"\n'));
    expect(answered).toMatchObject({ status: 200, text: '"a"\n"b"\n' });
  });
});

it('a stream of events goes on for longer than any deadline', async () => {
  const { status, text } = await call('GET', '/events');
  expect(status).toBe(200);
  expect(text).toContain('data: 3');
});
