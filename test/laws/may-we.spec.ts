import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { fold } from '#core/kernel/model.js';
import { type Answer, answer } from '#domains/consents/domain/answer.js';
import { personFacts } from '#domains/consents/domain/facts.js';
import { personAt, personSpans } from '#domains/consents/domain/person.js';
import { standingAt, standingOf } from '#domains/consents/domain/standing.js';
import {
  ALL_TIMES,
  historyOf,
  inOrderOf,
  anyLife,
  PURPOSES,
  questionsAbout,
  rulesOf,
  shown,
  topic,
} from './histories.js';
import { type Asked, type History, mayWe, type Rules, type Verdict } from './oracle.js';

/** `LAW_RUNS` asks for more lives than a build has time for. */
const RUNS = Number(process.env.LAW_RUNS ?? 400);

jest.setTimeout(60_000 + RUNS * 100);

describe('what the domain answers is what the rules say, read a second time', () => {
  test.each(PURPOSES)(
    'of %s: every moment, every prefix of the log, every channel and topic',
    (key) => {
      fc.assert(
        fc.property(anyLife(key), rulesOf(key), topic, (life, rules, of) => {
          const history = historyOf(life);
          const questions = questionsAbout(of);
          let next = 0;
          for (let known = 0; known <= history.length; known++) {
            const prefix = history.slice(0, known);
            const ask = domain(prefix, rules);
            for (const asOf of ALL_TIMES) {
              // In turn: over the prefixes and moments of one life every question is put many times.
              const asked = { rules, asOf, ...questions[next++ % questions.length] };
              agree(ask(asked), mayWe(prefix, asked), () => shown(prefix, asked));
            }
          }
        }),
        { numRuns: RUNS },
      );
    },
  );
});

describe('what the ledger learned first does not matter', () => {
  test.each(PURPOSES)(
    'the answers about %s, as of any moment, are those of the same facts',
    (key) => {
      const priorities = fc.array(fc.nat(99), { minLength: 16, maxLength: 16 });
      fc.assert(
        fc.property(anyLife(key), priorities, rulesOf(key), topic, (life, order, rules, of) => {
          const history = historyOf(life);
          const other = inOrderOf(history, order);
          const [one, another] = [domain(history, rules), domain(other, rules)];
          const questions = questionsAbout(of);
          let next = 0;
          for (const asOf of ALL_TIMES) {
            const asked = { rules, asOf, ...questions[next++ % questions.length] };
            // Of facts that are equal in all that matters either may be named as the proof.
            const [first, second] = [one(asked), another(asked)].map(({ event: _, ...answered }) =>
              JSON.stringify(answered),
            );
            if (first !== second)
              throw new Error(
                `${first}\n${second}\n${shown(history, asked)}\nor\n${shown(other, asked)}`,
              );
          }
        }),
        { numRuns: RUNS },
      );
    },
  );
});

function domain(history: History, rules: Rules): (asked: Asked) => Answer {
  const facts = fold(personFacts, history);
  const persons = personSpans(facts);
  const spans = rules.key in facts.purposes ? standingOf(facts, rules) : [];
  return (asked) => answer(personAt(persons, asked.asOf), standingAt(spans, asked.asOf), asked);
}

function agree(answered: Answer, verdict: Verdict, story: () => string): void {
  const { allowed, code, reasons, basis, since, event } = answered;
  const have = allowed
    ? { allowed, code, reasons, basis, since, event: event?.id }
    : { allowed, code, reasons };
  const { allowed: yes, code: name, reasons: why, basis: on, since: from, event: proof } = verdict;
  const want = yes
    ? { allowed: yes, code: name, reasons: why, basis: on, since: from, event: proof }
    : { allowed: yes, code: name, reasons: why };
  if (JSON.stringify(have) !== JSON.stringify(want))
    throw new Error(`domain: ${JSON.stringify(have)}\noracle: ${JSON.stringify(want)}\n${story()}`);
  expect(have).toBeDefined();
}
