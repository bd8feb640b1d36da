import { pathToFileURL } from 'node:url';
import { Connection } from './http-client.js';

/**
 * The load generator: a process of its own, the same for both arms. Each of its connections sends a
 * request, waits for the answer, and sends the next. Told what to do by messages, one run after the other.
 */

export interface LoadAsked {
  readonly url: string;
  readonly connections: number;
  /** Before anything is counted. */
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** File that exports `requests`, and what that is called with. */
  readonly requests: string;
  readonly parameters: unknown;
  /** The only status that counts as an answer. */
  readonly status: number;
}

export interface LoadDone {
  /** Requests in all, warming up included. */
  readonly sent: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What a file of requests exports: each call gives the next request, written out whole. */
export type MakeRequests<Parameters> = (parameters: Parameters) => () => string;

async function generate(asked: LoadAsked): Promise<LoadDone> {
  const { requests } = (await import(pathToFileURL(asked.requests).href)) as {
    requests: MakeRequests<unknown>;
  };
  const next = requests(asked.parameters);
  const { hostname, port } = new URL(asked.url);
  const open = Array.from(
    { length: asked.connections },
    () => new Connection(Number(port), hostname),
  );
  const began = performance.now();
  const from = began + asked.warmUpSeconds * 1_000;
  const until = from + asked.seconds * 1_000;
  const times: number[] = [];
  let requestsSent = 0;
  const work = async (connection: Connection) => {
    for (;;) {
      const sent = performance.now();
      if (sent >= until) return;
      requestsSent++;
      const answer = await connection.send(next());
      const arrived = performance.now();
      if (answer.status !== asked.status) throw new Error(`${answer.status}: ${answer.text}`);
      if (sent >= from && arrived < until) times.push(arrived - sent);
    }
  };
  try {
    await Promise.all(open.map(work));
  } finally {
    for (const connection of open) connection.close();
  }
  if (times.length === 0) throw new Error(`nobody was answered within ${asked.seconds} s`);
  times.sort((a, b) => a - b);
  const percentile = (share: number) => times[Math.ceil((times.length - 1) * share)] as number;
  return {
    sent: requestsSent,
    perSecond: times.length / asked.seconds,
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
  };
}

process.on('message', (asked: LoadAsked) => {
  generate(asked).then(
    (done) => process.send?.({ done }),
    (error: Error) => process.send?.({ failed: error.message }),
  );
});
process.send?.('ready');
