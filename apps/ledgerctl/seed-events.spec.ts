import { describe, expect, test } from '@jest/globals';
import { type SeededLine, seededLines } from './seed-events.js';

function personOf({ text }: SeededLine): string {
  return (JSON.parse(text) as { externalRef: { id: string } }).externalRef.id;
}

function ofEach(events: number): ReadonlyMap<string, readonly SeededLine[]> {
  const found = new Map<string, SeededLine[]>();
  for (const line of seededLines('a', events)) {
    const person = personOf(line);
    found.set(person, [...(found.get(person) ?? []), line]);
  }
  return found;
}

describe('seeded lines', () => {
  test('are the same for the same seed, and others for another', () => {
    const lines = (seed: string, events: number) => [...seededLines(seed, events)];
    expect(lines('a', 500)).toEqual(lines('a', 500));
    expect(lines('a', 500)).not.toEqual(lines('b', 500));
  });

  test('are more people where they are more events, and those before do the same', () => {
    const [few, many] = [ofEach(200), ofEach(3_000)];
    expect(many.size).toBeGreaterThan(few.size);
    for (const [person, lines] of few) expect(many.get(person)).toEqual(lines);
  });

  test('are of people who take turns', () => {
    const people = [...seededLines('a', 1_000)].map(personOf);
    const inARow = people.filter((person, n) => person === people[n - 1]);
    expect(inARow.length).toBeLessThan(people.length / 20);
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
