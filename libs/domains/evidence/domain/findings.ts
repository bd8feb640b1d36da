/** What the checks of an evidence bundle find, and the order in which it is told. */

export const CHECKS = [
  'archive',
  'files',
  'trust',
  'signature',
  'events',
  'streams',
  'notices',
  'consistency',
  'keys',
] as const;
export type Check = (typeof CHECKS)[number];

/**
 * - holds: proved
 * - fails: it is not as it should be
 * - open: nothing is wrong, and it is not proved either
 */
export type Verdict = 'holds' | 'fails' | 'open';

export interface Finding {
  readonly check: Check;
  readonly verdict: Verdict;
  /** The reason in plain words. */
  readonly says: Words;
}

export interface Words {
  readonly en: string;
  readonly de: string;
}

/** Flaws of one check that are told by name; of more only their number. */
const TOLD = 5;

/** What is wrong with one check. */
export class Flaws {
  private readonly told: Words[] = [];
  private count = 0;

  constructor(private readonly check: Check) {}

  add(en: string, de: string): void {
    this.count++;
    if (this.told.length < TOLD) this.told.push({ en, de });
  }

  /** Its words, where nothing is wrong. */
  finding(en: string, de: string, verdict: Verdict = 'holds'): Finding {
    const { check, told, count } = this;
    if (count === 0) return { check, verdict, says: { en, de } };
    const more = count - told.length;
    const joined = (language: keyof Words) => told.map((words) => words[language]).join('; ');
    return {
      check,
      verdict: 'fails',
      says: {
        en: `${joined('en')}${more > 0 ? `; and ${more} more` : ''}.`,
        de: `${joined('de')}${more > 0 ? `; und ${more} weitere` : ''}.`,
      },
    };
  }
}

export function holds(check: Check, en: string, de: string): Finding {
  return { check, verdict: 'holds', says: { en, de } };
}

export function fails(check: Check, en: string, de: string): Finding {
  return { check, verdict: 'fails', says: { en, de } };
}

export function open(check: Check, en: string, de: string): Finding {
  return { check, verdict: 'open', says: { en, de } };
}
