import { beforeEach, describe, expect, it } from '@jest/globals';
import type { StreamName } from '#core/kernel/ids.js';
import { type Position, START } from '#core/kernel/position.js';
import { MemoryLedger } from '#core/ledger/memory/memory.ledger.js';
import { sampleEvents, sampleStream } from '#core/ledger/contract/samples.js';
import { FeedEvents, FeedEventsHandler } from './feed-events.js';

interface Line {
  readonly position: string;
  readonly stream: string;
  readonly revision: number;
}

let log: MemoryLedger;
beforeEach(() => {
  log = new MemoryLedger();
});

async function record(stream: StreamName, count: number): Promise<void> {
  await log.append({ stream, expected: { kind: 'any' }, events: sampleEvents(stream, count) });
}

async function ask(after: Position = START, categories?: readonly string[]) {
  return new FeedEventsHandler(log).execute(new FeedEvents(after, categories));
}

async function lines(feed: Awaited<ReturnType<typeof ask>>): Promise<Line[]> {
  let text = '';
  for await (const bytes of feed.lines()) text += Buffer.from(bytes).toString('utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
}

const positionsOf = (all: readonly Line[]) => all.map(({ position }) => position);
const upTo = (n: number, from = 1) =>
  Array.from({ length: n - from + 1 }, (_, i) => String(i + from));

describe('the feed', () => {
  it('is empty for an empty log', async () => {
    const feed = await ask();
    expect(feed.head).toBe(START);
    expect(await lines(feed)).toEqual([]);
  });

  it('has every event after a position, over any number of pages', async () => {
    for (let i = 0; i < 12; i++) await record(sampleStream(), 100);
    expect(positionsOf(await lines(await ask()))).toEqual(upTo(1200));
    expect(positionsOf(await lines(await ask('700' as Position)))).toEqual(upTo(1200, 701));
    expect(positionsOf(await lines(await ask('1200' as Position)))).toEqual([]);
  });

  it('ends where the log ended when it was asked for', async () => {
    await record(sampleStream(), 3);
    const feed = await ask();
    await record(sampleStream(), 600);
    expect(feed.head).toBe('3');
    expect(positionsOf(await lines(feed))).toEqual(['1', '2', '3']);
  });

  it('gives the stored bytes as they are, and the position', async () => {
    const stream = sampleStream();
    await record(stream, 2);
    const texts: string[] = [];
    for await (const bytes of (await ask()).lines())
      texts.push(...Buffer.from(bytes).toString('utf8').trimEnd().split('\n'));
    const stored = (await log.read(stream)).map(({ bytes }) => Buffer.from(bytes).toString('utf8'));
    expect(texts.map((text) => text.replace(/,"position":"\d+"\}$/, '}'))).toEqual(stored);
  });

  it('leaves out other categories', async () => {
    const purpose = sampleStream('purpose');
    await record(sampleStream(), 700);
    await record(purpose, 2);
    await record(sampleStream(), 700);
    const found = await lines(await ask(START, ['purpose', 'topic']));
    expect(found.map(({ stream, position }) => [stream, position])).toEqual([
      [purpose, '701'],
      [purpose, '702'],
    ]);
  });
});
