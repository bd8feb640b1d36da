import { describe, expect, test } from '@jest/globals';
import { seededLines } from './seed-events.js';

describe('seeded lines', () => {
  test('are the same for the same seed, and others for another', () => {
    const lines = (seed: string, events: number) => [...seededLines(seed, events)];
    expect(lines('a', 500)).toEqual(lines('a', 500));
    expect(lines('a', 500)).not.toEqual(lines('b', 500));
    // More events are more people: those before do the same.
    const few = lines('a', 200);
    expect(lines('a', 500).slice(0, few.length)).toEqual(few);
  });

  test('record as many events as asked for, and no person more', () => {
    const lines = [...seededLines('a', 1_000)];
    const recorded = lines.reduce((sum, { events }) => sum + events, 0);
    expect(recorded).toBeGreaterThanOrEqual(1_000);
    expect(recorded).toBeLessThan(1_020);
  });

  test('are a mixture of what happens in a ledger', () => {
    const text = [...seededLines('a', 3_000)].map((line) => line.text).join('');
    for (const word of ['register', 'give', 'withdraw', 'topic', 'objection', 'evidence', 'phone'])
      expect(text).toContain(`"${word}"`);
  });
});
