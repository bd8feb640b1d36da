import { describe, expect, test } from '@jest/globals';
import { sampleStream } from './contract/samples.js';
import type { StoredEvent } from './port.js';
import { RecentStreams } from './recent-streams.js';

describe('recent streams', () => {
  test('are known as they were kept last, for a second', () => {
    let now = 0;
    const recent = new RecentStreams(() => now);
    const [first, second] = [sampleStream(), sampleStream()];
    const [earlier, later]: StoredEvent[][] = [[], []];
    expect(recent.of(first)).toBeUndefined();
    recent.keep(first, earlier as StoredEvent[]);
    recent.keep(second, earlier as StoredEvent[]);
    now = 600;
    recent.keep(first, later as StoredEvent[]);
    expect(recent.of(first)).toBe(later);
    expect(recent.of(second)).toBe(earlier);
    now = 1_000;
    expect(recent.of(second)).toBeUndefined();
    expect(recent.of(first)).toBe(later);
    expect(recent.size).toBe(1);
    now = 1_600;
    expect(recent.of(first)).toBeUndefined();
    expect(recent.size).toBe(0);
  });
});
