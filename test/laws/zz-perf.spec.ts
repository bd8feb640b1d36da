import { test, jest } from '@jest/globals';
import { fold, evolve } from '#core/kernel/model.js';
import { personFacts } from '#domains/consents/domain/facts.js';
import { standingOf } from '#domains/consents/domain/standing.js';
import { personSpans } from '#domains/consents/domain/person.js';
import { recorded } from '#core/kernel/spec.js';
jest.setTimeout(600000);
const t = (n: number) => new Date(Date.UTC(2024, 0, 1) + n * 60000).toISOString() as any;
const make = (n: number, kind: string) => Array.from({ length: n }, (_, i) => {
  if (i === 0) return { type: 'SubjectRegistered', occurredAt: t(0), data: {} };
  if (kind === 'topics') return { type: i % 2 ? 'TopicSwitchedOn' : 'TopicSwitchedOff', occurredAt: t(i), data: { topic: 'a', channel: 'email' } };
  return i % 2 ? { type: 'ConsentGiven', occurredAt: t(i), data: { purpose: 'news', noticeEvidence: 'none', confirmation: { method: 'double-opt-in', at: t(i) } } } : { type: 'ConsentWithdrawn', occurredAt: t(i), data: { purpose: 'news' } };
}).map((f, i) => recorded(f as any, i)) as any[];
test('perf', () => {
  const rules = { key: 'news', marketing: true, doubleOptIn: true, minimumEvidence: 'none' } as const;
  const out: any[] = [];
  for (const kind of ['topics', 'consent']) for (const n of [1000, 2000, 10000]) {
    const ev = make(n, kind);
    let s = performance.now(); const f = fold(personFacts, ev); const a = performance.now() - s;
    s = performance.now(); standingOf(f, rules); const b = performance.now() - s;
    s = performance.now(); personSpans(f); const c = performance.now() - s;
    out.push([kind, n, 'fold', a | 0, 'one standingOf', b | 0, 'one personSpans', c | 0]);
  }
  for (const kind of ['topics', 'consent']) { const ev = make(2000, kind); let s = performance.now(); let st = personFacts.initial; for (const e of ev) { st = evolve(personFacts, st, e); standingOf(st, rules); personSpans(st); } out.push([kind, 2000, 'projected one by one ms', (performance.now() - s) | 0]); }
  console.log(out.map(String).join('\n'));
});
