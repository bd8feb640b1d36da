import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Temporal } from 'temporal-polyfill';
import {
  after,
  END_OF_TIME,
  type Instant,
  instantOf,
  parseInstant,
  parsePeriod,
  type Period,
} from './instant.js';

describe('parseInstant', () => {
  test.each([
    ['2026-03-01T12:00:00Z', '2026-03-01T12:00:00.000Z'],
    ['2026-03-01T12:00:00.5+02:00', '2026-03-01T10:00:00.500Z'],
    ['2026-03-01t12:00:00.123456z', '2026-03-01T12:00:00.123Z'],
    ['2024-02-29T00:00:00-00:30', '2024-02-29T00:30:00.000Z'],
  ])('reads %s', (text, instant) => expect(parseInstant(text)).toBe(instant));

  test.each([
    '2026-03-01T12:00:00',
    '2026-03-01',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-03-01T24:00:00Z',
    '2026-03-01T23:59:60Z',
    '2026-03-01T12:00:00+25:00',
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00+01:00',
    '9999-12-31T23:59:59-01:00',
    ' 2026-03-01T12:00:00Z',
    '',
  ])('refuses %j', (text) => expect(parseInstant(text)).toBeUndefined());

  test('what it reads is the moment that the text says, in one spelling that sorts', () => {
    const moment = fc.integer({ min: Date.UTC(1900, 0), max: Date.UTC(2200, 0) });
    fc.assert(
      fc.property(moment, moment, fc.integer({ min: -23 * 60, max: 23 * 60 }), (a, b, zone) => {
        const sign = zone < 0 ? '-' : '+';
        const [hours, minutes] = [Math.floor(Math.abs(zone) / 60), Math.abs(zone) % 60];
        const offset = `${sign}${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`;
        const local = new Date(a + zone * 60_000).toISOString().slice(0, -1);
        expect(parseInstant(local + offset)).toBe(instantOf(a));
        expect(instantOf(a) < instantOf(b)).toBe(a < b);
      }),
    );
  });
});

describe('after', () => {
  test.each([
    ['2024-01-31T10:00:00.000Z', 'P1M', '2024-02-29T10:00:00.000Z'],
    ['2023-01-31T10:00:00.000Z', 'P1M', '2023-02-28T10:00:00.000Z'],
    ['2024-02-29T10:00:00.000Z', 'P12M', '2025-02-28T10:00:00.000Z'],
    ['2024-02-29T10:00:00.000Z', 'P4Y', '2028-02-29T10:00:00.000Z'],
    ['2024-08-31T23:59:59.999Z', 'P6M', '2025-02-28T23:59:59.999Z'],
    ['2024-12-30T00:00:00.000Z', 'P24M', '2026-12-30T00:00:00.000Z'],
    ['2024-03-01T00:00:00.000Z', 'P1W', '2024-03-08T00:00:00.000Z'],
    ['9999-11-30T00:00:00.000Z', 'P2M', END_OF_TIME],
  ])('%s and %s is %s', (from, period, end) =>
    expect(after(from as Instant, period as Period)).toBe(end),
  );

  test('agrees with the calendar of Temporal', () => {
    const moment = fc.integer({ min: Date.UTC(1970, 0), max: Date.UTC(2100, 0) });
    const parts = fc.tuple(
      fc.integer({ min: 0, max: 20 }),
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 0, max: 800 }),
    );
    fc.assert(
      fc.property(moment, parts, (from, [years, months, weeks, days]) => {
        const period = parsePeriod(`P${years}Y${months}M${weeks}W${days}D`) as Period;
        const start = Temporal.Instant.fromEpochMilliseconds(from).toZonedDateTimeISO('UTC');
        // Months first, then days, as the law counts: Temporal does it in this order in one addition.
        const end = start.add({ years, months, weeks, days }).epochMilliseconds;
        expect(after(instantOf(from), period)).toBe(instantOf(end));
      }),
      { numRuns: 500 },
    );
  });

  test.each(['P', '24M', 'P1H', 'PT1H', 'P-1M', 'P1.5M', ''])('%j is no period', (text) =>
    expect(parsePeriod(text)).toBeUndefined(),
  );
});
