import { describe, expect, test } from '@jest/globals';
import { type StreamName, streamOf } from '#core/kernel/ids.js';
import { type Position, START } from '#core/kernel/position.js';
import type { StoredEvent } from '../port.js';
import { SeenStreams } from './seen-streams.js';

const [a, b] = [streamOf('subject', 'a'), streamOf('subject', 'b')];
const event = (stream: StreamName, revision: number, position: number): StoredEvent => ({
  stream,
  revision,
  position: String(position) as Position,
  bytes: Buffer.alloc(100),
});
const at = (position: number) => String(position) as Position;

describe('streams that were seen along the log', () => {
  test('are known from their first event to the end of the page', () => {
    const seen = new SeenStreams();
    const events = [event(a, 0, 10), event(b, 0, 20), event(a, 1, 30)];
    seen.note(events, at(40));
    expect(seen.upTo(a, at(40))).toEqual([events[0], events[2]]);
    expect(seen.upTo(a, at(29))).toEqual([events[0]]);
    expect(seen.upTo(b, at(40))).toEqual([events[1]]);
  });

  test('are not known beyond it, before it grows', () => {
    const seen = new SeenStreams();
    seen.note([event(a, 0, 10)], at(40));
    expect(seen.upTo(a, at(41))).toBeUndefined();
    seen.note([event(a, 1, 50)], at(60));
    expect(seen.upTo(a, at(60))).toHaveLength(2);
  });

  test('are not known where their beginning or something between was not seen', () => {
    const seen = new SeenStreams();
    seen.note([event(a, 1, 30)], at(40));
    expect(seen.upTo(a, at(40))).toBeUndefined();
    seen.note([event(b, 0, 10)], at(10));
    seen.note([event(b, 2, 50)], at(60));
    expect(seen.upTo(b, at(60))).toBeUndefined();
    expect(seen.upTo(b, at(10))).toHaveLength(1);
  });

  test('seen again, by another reader who is not as far, stay as they are', () => {
    const seen = new SeenStreams();
    const events = [event(a, 0, 10), event(a, 1, 30)];
    seen.note(events, at(40));
    seen.note(events.slice(0, 1), at(20));
    expect(seen.upTo(a, at(40))).toEqual(events);
  });

  test('are forgotten where another log has taken their place', () => {
    const seen = new SeenStreams();
    seen.note([event(a, 0, 10)], at(40));
    seen.note([event(a, 0, 11)], at(40));
    expect(seen.upTo(a, at(40))).toBeUndefined();
  });

  test('are there for who takes what may be out of date, from the first event on', () => {
    const seen = new SeenStreams();
    expect(seen.all(a)).toEqual([]);
    seen.note([event(a, 1, 30)], at(40));
    expect(seen.all(a)).toEqual([]);
    const events = [event(a, 0, 10), event(a, 1, 30)];
    seen.note(events, at(30));
    expect(seen.all(a)).toEqual(events);
  });

  test('are forgotten, all of them, where the log lost what was seen', () => {
    const seen = new SeenStreams(250);
    expect(seen.to).toBe(START);
    seen.note([event(a, 0, 10), event(b, 0, 20)], at(40));
    expect(seen.to).toBe(at(20));
    seen.clear();
    expect([seen.to, seen.all(a), seen.all(b)]).toEqual([START, [], []]);
    seen.note([event(b, 0, 15), event(a, 0, 17)], at(20));
    expect([seen.to, seen.all(a).length, seen.all(b).length]).toEqual([at(17), 1, 1]);
  });

  test('are forgotten, those that grew longest ago first, where they are too many', () => {
    const seen = new SeenStreams(250);
    seen.note([event(a, 0, 10), event(b, 0, 20)], at(20));
    seen.note([event(a, 1, 30)], at(30));
    expect(seen.upTo(b, at(20))).toBeUndefined();
    expect(seen.upTo(a, at(30))).toHaveLength(2);
  });
});
