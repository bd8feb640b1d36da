import type { Branded } from './ids.js';

/**
 * A moment as RFC 3339 in UTC with milliseconds, `2026-03-01T12:00:00.000Z`. In this one spelling
 * instants compare as strings, so `<` means before.
 */
export type Instant = Branded<string, 'instant'>;

/** Before and after every moment that can be recorded. */
export const BEGINNING = '0001-01-01T00:00:00.000Z' as Instant;
export const END_OF_TIME = '9999-12-31T23:59:59.999Z' as Instant;

const RFC3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?([Zz]|[+-](\d{2}):(\d{2}))$/;

/**
 * Reads an RFC 3339 date-time with zone, cutting what is finer than a millisecond.
 * Undefined where the text is no such time: no zone, a day the month does not have, a leap second.
 */
export function parseInstant(text: string): Instant | undefined {
  const parts = RFC3339.exec(text);
  if (!parts) return undefined;
  const [, year, month, day, hour, minute, second] = parts.map(Number) as number[];
  const [zoneHour, zoneMinute] = [Number(parts[9] ?? 0), Number(parts[10] ?? 0)];
  const validDay =
    (day as number) >= 1 && (day as number) <= daysIn(year as number, month as number);
  if ((month as number) < 1 || (month as number) > 12 || !validDay || (year as number) < 1)
    return undefined;
  if ((hour as number) > 23 || (minute as number) > 59 || (second as number) > 59) return undefined;
  if (zoneHour > 23 || zoneMinute > 59) return undefined;
  const millisecond = (parts[7] ?? '').slice(0, 3).padEnd(3, '0');
  const local = `${parts[1]}-${parts[2]}-${parts[3]}T${parts[4]}:${parts[5]}:${parts[6]}.${millisecond}`;
  const zone = (parts[8] as string).toUpperCase();
  const time = new Date(local + zone);
  const iso = time.toISOString();
  return iso.length === 24 && iso >= BEGINNING ? (iso as Instant) : undefined;
}

export function instantOf(milliseconds: number): Instant {
  return new Date(milliseconds).toISOString() as Instant;
}

export function millisecondsOf(instant: Instant): number {
  return Date.parse(instant);
}

function daysIn(year: number, month: number): number {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/** A calendar period as in ISO 8601: years, months, weeks and days, `P24M`. */
export type Period = Branded<string, 'period'>;

const PERIOD = /^P(?=\d)(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?$/;

export function parsePeriod(text: string): Period | undefined {
  return PERIOD.test(text) ? (text as Period) : undefined;
}

/**
 * `period` after `from`, in UTC. Months keep the day of the month, or take the month's last day
 * where it has none (Regulation 1182/71, Art. 3(2)(c)); weeks and days are added after the months.
 */
export function after(from: Instant, period: Period): Instant {
  const [, years, months, weeks, days] = (PERIOD.exec(period) ?? []).map((n) => Number(n ?? 0));
  const start = new Date(from);
  const wanted = start.getUTCMonth() + (years ?? 0) * 12 + (months ?? 0);
  const year = start.getUTCFullYear() + Math.floor(wanted / 12);
  const month = wanted % 12;
  const day = Math.min(start.getUTCDate(), daysIn(year, month + 1));
  const end = new Date(start);
  end.setUTCFullYear(year, month, day);
  end.setUTCDate(end.getUTCDate() + (weeks ?? 0) * 7 + (days ?? 0));
  const iso = end.toISOString();
  return iso.length === 24 ? (iso as Instant) : END_OF_TIME;
}

/** What tells the time. Decisions never ask; their callers do, and pass the answer in. */
export interface Clock {
  now(): Instant;
}

export const systemClock: Clock = { now: () => instantOf(Date.now()) };
