import { randomUUID } from 'node:crypto';
import { closeSync, fdatasync, openSync, write } from 'node:fs';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Acknowledged, CallsSoFar } from './caller.js';

/**
 * `caller-process.ts <settings as JSON>`: registers people and records their choices, each call repeated with its
 * Idempotency-Key until it has an answer. A receipt is on the disk before the next call is made. Ends when its
 * standard input does. Says in lines of JSON how far it is.
 */
export interface CallerSettings {
  readonly url: string;
  /** Asked in turn where one gives no answer, as a load balancer would. */
  readonly others?: readonly string[];
  readonly key: string;
  /** Where receipts are kept, a line of JSON each. */
  readonly file: string;
  readonly connections: number;
  /** Milliseconds between two calls of a connection. */
  readonly pause?: number;
  /** The broken twin of a caller: every repetition has a key of its own. */
  readonly forgetful?: boolean;
  /** Every so many-th answer gets lost on its way. */
  readonly losing?: number;
  /** Milliseconds after which a call is given up: by then a server has long failed to keep its own deadline. */
  readonly patience?: number;
}

const settings = JSON.parse(process.argv[2] as string) as CallerSettings;

const { patience = 60_000 } = settings;
const servers = [settings.url, ...(settings.others ?? [])];
/** What a retry may be answered: no server, not now, or somebody is at it. */
const RETRIED = [503, 409];

const agent = new Agent({ keepAlive: true, maxSockets: settings.connections });
const file = openSync(settings.file, 'a');
const findings = new Set<string>();
let acknowledged = 0;
let longest = 0;
let givenUp = 0;
let refused = 0;
let answers = 0;
/** Which server a call is sent to first. */
let turn = 0;
let going = true;

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: Record<string, unknown>;
}

/** Undefined: the connection broke, or it took too long. */
function send(url: string, body: string, idempotencyKey: string): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const began = performance.now();
    let text = '';
    const call = request(url, {
      method: 'POST',
      agent,
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${settings.key}`,
        'idempotency-key': idempotencyKey,
      },
    });
    const timer = setTimeout(() => {
      givenUp++;
      call.destroy();
    }, patience);
    // Also of an answer that ends before its end.
    call.on('error', () => resolve(undefined));
    call.on('close', () => {
      clearTimeout(timer);
      longest = Math.max(longest, performance.now() - began);
      resolve(undefined);
    });
    call.on('response', (response) => {
      response.on('error', () => undefined);
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          retryAfter: response.headers['retry-after'],
          body: JSON.parse(text) as Record<string, unknown>,
        }),
      );
    });
    call.end(body);
  });
}

/** Some answers do not arrive, although what was asked for was done. */
async function sendAndLose(...call: Parameters<typeof send>): Promise<Answer | undefined> {
  const answer = await send(...call);
  return answer !== undefined && settings.losing && ++answers % settings.losing === 0
    ? undefined
    : answer;
}

/** Until there is a receipt, however often it is sent; undefined where the answer was none that may be repeated. */
async function insist(
  path: string,
  asked: number,
  body: object,
): Promise<Acknowledged | undefined> {
  let key = randomUUID();
  const text = JSON.stringify(body);
  for (let [attempts, server] = [1, turn++]; ; attempts++) {
    if (settings.forgetful) key = randomUUID();
    const answer = await sendAndLose(servers[server % servers.length] + path, text, key);
    if (answer === undefined) server++;
    if (answer?.status === 201) {
      const receipt = answer.body as unknown as Acknowledged;
      const { receiptId, subjectId } = receipt;
      const events = receipt.events.map(({ id, revision, position }) => ({
        id,
        revision,
        position,
      }));
      await keep({ status: 201, receiptId, subjectId, asked, events, attempts });
      return receipt;
    }
    if (answer && !RETRIED.includes(answer.status)) {
      findings.add(
        `${path.replace(/sub_[^/]+/, 'id')}: ${answer.status} ${String(answer.body.code)}`,
      );
      return undefined;
    }
    if (answer?.status === 503) {
      refused++;
      if (!(Number(answer.retryAfter) > 0))
        findings.add(`503 ${String(answer.body.code)} without Retry-After`);
    }
    await sleep(20 + Math.random() * 100);
  }
}

const [writeLine, sync] = [promisify(write), promisify(fdatasync)];

async function keep(line: Acknowledged): Promise<void> {
  await writeLine(file, `${JSON.stringify(line)}\n`);
  await sync(file);
  acknowledged += line.events.length;
}

/** What the example catalogue asks for, with the words that a grant must have been shown. */
const PURPOSES = [
  { purpose: 'sales' },
  { purpose: 'profiling', noticeVersion: 1 },
  { purpose: 'newsletter', noticeVersion: 2 },
];
let serial = 0;

async function call(known: string[]): Promise<void> {
  const subjectId = known.at(-1);
  // A person says several things, then the next one comes.
  if (subjectId === undefined || Math.random() < 0.15) {
    const email = { kind: 'email', value: `${randomUUID()}@linden.example` };
    const receipt = await insist('/v1/subjects', 2, { source: 'web-form', contactPoints: [email] });
    if (receipt) known.push(receipt.subjectId);
    return;
  }
  const choices = PURPOSES.slice(0, 1 + (serial++ % PURPOSES.length)).map(
    ({ purpose, noticeVersion }) =>
      Math.random() < 0.6
        ? { purpose, decision: 'give', noticeVersion }
        : { purpose, decision: 'withdraw' },
  );
  await insist(`/v1/subjects/${subjectId}/interactions`, choices.length, {
    source: 'web-form',
    choices,
  });
}

async function connection(): Promise<void> {
  const known: string[] = [];
  while (going) {
    await call(known);
    if (settings.pause) await sleep(settings.pause);
  }
}

function report(): void {
  const soFar: CallsSoFar = {
    acknowledged,
    longest: Math.round(longest),
    givenUp,
    refused,
    findings: [...findings],
  };
  process.stdout.write(`${JSON.stringify(soFar)}\n`);
}

process.stdin.on('end', () => (going = false)).resume();
const reporting = setInterval(report, 50);
await Promise.all(Array.from({ length: settings.connections }, connection));
clearInterval(reporting);
report();
closeSync(file);
agent.destroy();
