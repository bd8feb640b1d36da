import { describe, expect, test } from '@jest/globals';
import type { Recorded } from '#core/kernel/event.js';
import type { Position } from '#core/kernel/position.js';
import type { StoredEvent } from './port.js';
import { RecentEvents } from './recent-events.js';

const stored = (position: number, text: string): StoredEvent => ({
  stream: 'subject-a' as StoredEvent['stream'],
  revision: position,
  position: String(position) as Position,
  bytes: Buffer.from(text),
});

/** Decodes through `recent`, and tells whether it had to. */
function read(recent: RecentEvents, event: StoredEvent): 'decoded' | 'known' {
  let outcome: 'decoded' | 'known' = 'known';
  recent.of(event, () => {
    outcome = 'decoded';
    return { position: event.position } as Recorded;
  });
  return outcome;
}

describe('recent events', () => {
  test('are decoded once, whoever reads them', () => {
    const recent = new RecentEvents();
    expect(read(recent, stored(1, 'one'))).toBe('decoded');
    expect(read(recent, stored(1, 'one'))).toBe('known');
  });

  test('are known by their bytes: another log at the same position gives its own', () => {
    const recent = new RecentEvents();
    read(recent, stored(1, 'one'));
    expect(read(recent, stored(1, 'two'))).toBe('decoded');
    expect(read(recent, stored(1, 'two'))).toBe('known');
  });

  test('are few', () => {
    const recent = new RecentEvents();
    for (let position = 1; position <= 5_000; position++) read(recent, stored(position, 'x'));
    expect(read(recent, stored(5_000, 'x'))).toBe('known');
    expect(read(recent, stored(1, 'x'))).toBe('decoded');
  });

  test('that can not be decoded are tried anew', () => {
    const recent = new RecentEvents();
    const broken = () => {
      throw new Error('broken');
    };
    expect(() => recent.of(stored(1, 'one'), broken)).toThrow('broken');
    expect(read(recent, stored(1, 'one'))).toBe('decoded');
  });
});
