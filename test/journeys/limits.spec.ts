import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Problem } from '../support/answers.js';
import { type Another, type Reply, type RunningLedger, startLedger } from '../support/server.js';

const WRONG = 'clk_wrongwrongwrongwrongwrongwrongwrong';
const problem = (reply: Reply<unknown>) => ({
  status: reply.status,
  code: (reply.body as Problem).code,
  type: reply.headers['content-type'],
});
const TOO_MANY = {
  status: 429,
  code: 'too-many-requests',
  type: 'application/problem+json; charset=utf-8',
};

describe('given two servers on one store, and callers who call too often', () => {
  let ledger: RunningLedger;
  let other: Another;

  beforeAll(async () => {
    ledger = await startLedger({
      LEDGER_LIMIT_PER_KEY: '30',
      LEDGER_LIMIT_PUBLIC: '10',
      LEDGER_LIMIT_FAILED: '6',
    });
    // This one stands behind a proxy that says whom it speaks for.
    other = await ledger.another({ LEDGER_ROLES: 'api', LEDGER_PROXIES: '1' });
  }, 60_000);
  afterAll(async () => {
    await other.stop();
    await ledger.stop();
  }, 30_000);

  const from = (address: string) => ({ key: null, headers: { 'x-forwarded-for': address } });

  /** Calls one server and the other in turn; how many were admitted, and the first refusal. */
  async function inTurn(calls: number, call: (n: number) => Promise<Reply<unknown>>) {
    const began = performance.now();
    let [admitted, refused]: [number, Reply<unknown> | undefined] = [0, undefined];
    for (let n = 0; n < calls; n++) {
      const reply = await call(n);
      if (reply.status === 429) refused ??= reply;
      else admitted++;
    }
    const minutes = (performance.now() - began) / 60_000;
    return { admitted, refused: refused as Reply<unknown>, minutes };
  }

  test('when one key calls both, then they share its budget, and Retry-After is true', async () => {
    const key = await ledger.keyWith('subjects:read');
    const call = (n: number) =>
      (n % 2 === 0 ? ledger.api : other.api).get('/v1/subjects/sub_none', { key });
    const { admitted, refused, minutes } = await inTurn(40, call);
    expect(admitted).toBeGreaterThanOrEqual(30);
    expect(admitted).toBeLessThanOrEqual(30 + Math.ceil(minutes * 30));
    expect(problem(refused)).toEqual(TOO_MANY);
    expect(refused.headers.ratelimit).toMatch(/^"perKey";r=0;t=\d+$/);
    expect(refused.headers['ratelimit-policy']).toBe('"perKey";q=30;w=60');
    const last = await call(0);
    if (last.status === 429) {
      await sleep(Number(last.headers['retry-after']) * 1_000);
      expect((await call(1)).status).not.toBe(429);
    }
    // Others are not concerned.
    expect((await ledger.api.get('/v1/api-keys')).status).toBe(200);
  });

  test('when anybody calls what is public, then each address has a budget of its own', async () => {
    const call = (address: string) => () => other.api.get('/v1/openapi.json', from(address));
    const { admitted, refused, minutes } = await inTurn(15, call('192.0.2.1'));
    expect(admitted).toBeGreaterThanOrEqual(10);
    expect(admitted).toBeLessThanOrEqual(10 + Math.ceil(minutes * 10));
    expect(problem(refused)).toEqual(TOO_MANY);
    expect((await call('192.0.2.2')()).status).toBe(200);
    // One customer's network of IPv6 is one address, however it is written.
    const spread = await inTurn(15, (n) => call(`2001:db8:0:7::${n.toString(16)}`)());
    expect(problem(spread.refused)).toEqual(TOO_MANY);
    expect((await call('2001:db8::8:0:0:0:1')()).status).toBe(200);
  });

  test('when a caller says for whom it calls, and no proxy is there, then it is not believed', async () => {
    const calling = (n: number) => ledger.api.get('/v1/openapi.json', from(`192.0.2.${n}`));
    expect(problem((await inTurn(15, calling)).refused)).toEqual(TOO_MANY);
  });

  test('when health and measurements are asked for, then always', async () => {
    for (let call = 0; call < 20; call++)
      for (const path of ['/health/live', '/health/ready', '/metrics'])
        expect((await ledger.api.get(path, { key: null })).status).not.toBe(429);
  });

  test('when keys are guessed, then soon none is looked at but those that opened something before', async () => {
    const [known, fresh] = [
      await ledger.keyWith('subjects:read'),
      await ledger.keyWith('subjects:read'),
    ];
    const at = (key: string | null) =>
      other.api.get('/v1/subjects/sub_none', { ...from('198.51.100.1'), key });
    expect((await at(known)).status).toBe(404);
    const guesses = await inTurn(10, (n) => at(n % 2 === 0 ? WRONG : null));
    expect(guesses.admitted).toBeGreaterThanOrEqual(6);
    expect(problem(guesses.refused)).toEqual(TOO_MANY);
    expect((await at(known)).status).toBe(404);
    const guessed = await at(fresh);
    expect(problem(guessed)).toEqual(TOO_MANY);
    await sleep(Number(guessed.headers['retry-after']) * 1_000);
    expect((await at(fresh)).status).toBe(404);
  }, 30_000);

  test('when calls were refused, then Prometheus is told why', async () => {
    const { text } = await other.api.get('/metrics', { key: null });
    for (const limit of ['perKey', 'public', 'failed'])
      expect(text).toMatch(new RegExp(`ledger_http_limited_total\\{limit="${limit}"\\} [1-9]`));
  });
});
