import { beforeEach, describe, expect, it } from '@jest/globals';
import { ownerOf, type StreamName, type SubjectId } from '#core/kernel/ids.js';
import { type Position, START } from '#core/kernel/position.js';
import { MemoryLedger } from '#core/ledger/memory/memory.ledger.js';
import { sampleEvent, sampleStream } from '#core/ledger/contract/samples.js';
import { FollowEvents, FollowEventsHandler, type News, type Wanted } from './follow-events.js';

let log: MemoryLedger;
beforeEach(() => {
  log = new MemoryLedger();
});

async function record(stream: StreamName, ...types: readonly string[]): Promise<void> {
  for (const type of types)
    await log.append({
      stream,
      expected: { kind: 'any' },
      events: [sampleEvent(stream, { type })],
    });
}

/** Follows until `count` news came, and tells them in short; `meanwhile` runs once after the first. */
async function follow(
  { after = START, wanted, count }: { after?: Position; wanted?: Wanted; count: number },
  meanwhile: () => Promise<void> = () => Promise.resolve(),
): Promise<string[]> {
  const ending = new AbortController();
  const following = await new FollowEventsHandler(log).execute(new FollowEvents(after, wanted));
  const told: string[] = [];
  let waited = false;
  for await (const some of following.news(ending.signal)) {
    told.push(...some.map(inShort));
    if (told.length >= count) ending.abort();
    if (!waited) await meanwhile();
    waited = true;
  }
  return told;
}

const inShort = (news: News) =>
  `${news.position} ${'caughtUp' in news ? 'caught up' : news.event.type}`;

describe('following the log', () => {
  it('tells at once that there is nothing to catch up with', async () => {
    expect(await follow({ count: 1 })).toEqual(['0 caught up']);
    await record(sampleStream(), 'A', 'B');
    expect(await follow({ after: '2' as Position, count: 1 })).toEqual(['2 caught up']);
  });

  it('tells what was recorded, once that it has caught up, then what is recorded', async () => {
    const stream = sampleStream();
    await record(stream, 'A', 'B');
    expect(await follow({ count: 5 }, () => record(stream, 'C', 'D'))).toEqual([
      '1 A',
      '2 B',
      '2 caught up',
      '3 C',
      '4 D',
    ]);
  });

  it('goes on after a position', async () => {
    await record(sampleStream(), 'A', 'B', 'C');
    expect(await follow({ after: '1' as Position, count: 3 })).toEqual([
      '2 B',
      '3 C',
      '3 caught up',
    ]);
  });

  it('leaves out what is not wanted, and says how far it has come all the same', async () => {
    const [one, other] = [sampleStream(), sampleStream()];
    await record(one, 'A');
    await record(other, 'A', 'B');
    await record(sampleStream('purpose'), 'A');
    const wanted = { types: ['A'], subjectId: ownerOf(one) as SubjectId };
    expect(await follow({ wanted, count: 2 })).toEqual(['1 A', '4 caught up']);
    expect(await follow({ wanted: { types: ['B'] }, count: 2 })).toEqual(['3 B', '4 caught up']);
  });

  it('gives the envelope with its position', async () => {
    const stream = sampleStream();
    await record(stream, 'A');
    const ending = new AbortController();
    const { news } = await new FollowEventsHandler(log).execute(new FollowEvents(START));
    for await (const [first] of news(ending.signal)) {
      expect(first).toMatchObject({ event: { stream, revision: 0, position: '1', type: 'A' } });
      ending.abort();
    }
  });
});
