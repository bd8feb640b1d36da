import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Operation, Problem, Receipt } from '../support/answers.js';
import { catalogue } from '../support/catalogue.js';
import { type Call, type RunningLedger, startLedger } from '../support/server.js';

interface Change {
  readonly what: string;
  readonly purpose?: string;
  readonly topic?: string;
  readonly kind?: string;
  readonly from?: unknown;
  readonly to?: unknown;
  readonly byTime: boolean;
  readonly events: readonly { readonly type: string; readonly text: string }[];
}
interface Compared {
  readonly subjectId: string;
  readonly from: { readonly asOf: string; readonly knownAt: string; readonly position: string };
  readonly to: { readonly asOf: string; readonly knownAt: string; readonly position: string };
  readonly changes: readonly Change[];
}

const day = (n: number) => new Date(Date.UTC(2026, 0, 1) + n * 86_400_000).toISOString();

describe('given Grace, who chose, was restricted and learned of late', () => {
  let ledger: RunningLedger;
  let grace = '';
  let registered: Receipt;
  let plain = '';

  const interact = async (occurredAt: string, ...choices: readonly object[]) => {
    const reply = await ledger.api.post<Receipt>(`/v1/subjects/${grace}/interactions`, {
      source: 'web-form',
      occurredAt,
      choices,
    });
    expect(reply.status).toBe(201);
    return reply.body;
  };
  const compare = async (query: Record<string, string>, call?: Call) => {
    const asked = new URLSearchParams(query).toString();
    const path = `/v1/subjects/${grace}/compare?${asked}`;
    return (await ledger.api.get<Compared>(path, call)).body;
  };
  const told = ({ changes }: Compared) =>
    changes.map(({ what, purpose, topic, kind, events }) => [
      what,
      purpose ?? topic ?? kind,
      events.map(({ type }) => type),
    ]);

  beforeAll(async () => {
    ledger = await startLedger();
    await ledger.api.post('/v1/catalogue', catalogue);
    plain = await ledger.keyWith('subjects:read');
    const reply = await ledger.api.post<Receipt>('/v1/subjects', {
      source: 'web-form',
      occurredAt: day(1),
      name: 'Grace Hopper',
      contactPoints: [{ kind: 'email', value: 'grace@linden.example' }],
    });
    registered = reply.body;
    grace = registered.subjectId;
  }, 60_000);
  afterAll(() => ledger.stop(), 20_000);

  test('when she gives and withdraws, then each difference names what made it, in both languages', async () => {
    await interact(day(5), { purpose: 'profiling', decision: 'give' });
    await interact(day(9), { purpose: 'profiling', decision: 'withdraw' });
    await interact(day(9), { topic: 'offers', channel: 'email', decision: 'on' });
    const compared = await compare({ from: day(6), to: day(10) });
    expect(told(compared)).toEqual([
      ['topic', 'offers', ['TopicSwitchedOn']],
      ['purpose', 'profiling', ['ConsentWithdrawn']],
    ]);
    expect(compared.changes[1]).toMatchObject({
      from: { allowed: true, basis: 'consent' },
      to: { allowed: false, code: 'consent-withdrawn' },
      byTime: false,
      events: [{ text: 'Consent withdrawn for Profiling [profiling]' }],
    });
    const german = await compare({ from: day(6), to: day(10), language: 'de' });
    expect(german.changes[1]?.events[0]?.text).toBe('Einwilligung widerrufen: profiling');
    expect((await compare({ from: day(6), to: day(6) })).changes).toEqual([]);
  });

  test('when asked from before her registration, then she herself is the difference', async () => {
    const compared = await compare({ from: day(0), to: day(2) });
    expect(told(compared).slice(0, 2)).toEqual([
      ['registered', undefined, ['SubjectRegistered']],
      ['contact-kind', 'email', ['ContactPointAdded']],
    ]);
    for (const { what, from, to } of compared.changes.slice(2)) {
      expect(what).toBe('purpose');
      expect([from, to]).toMatchObject([{ code: 'unknown-subject' }, { code: 'no-basis' }]);
    }
  });

  test('when one day is asked about as known at two moments, then it tells what was learned', async () => {
    const compared = await compare({
      from: day(6),
      to: day(6),
      fromKnownAt: `position:${registered.position}`,
    });
    expect(told(compared)).toEqual([['purpose', 'profiling', ['ConsentGiven']]]);
    expect(compared.from.knownAt).toBe(`position:${registered.position}`);
    // Asked again in the words of the answer it gives the same answer, whatever came since.
    await interact(day(6), { purpose: 'profiling', decision: 'withdraw' });
    const again = await compare({
      from: compared.from.asOf,
      to: compared.to.asOf,
      fromKnownAt: compared.from.knownAt,
      toKnownAt: compared.to.knownAt,
    });
    expect(again).toEqual(compared);
  });

  test('when a term runs out, then time alone is named, and the grant that set it', async () => {
    await interact(day(40), { purpose: 'profiling', decision: 'give' });
    const compared = await compare({ from: day(41), to: day(41 + 40) });
    expect(told(compared)).toEqual([['purpose', 'profiling', ['ConsentGiven']]]);
    expect(compared.changes[0]).toMatchObject({ byTime: true, to: { code: 'consent-expired' } });
  });

  test('when she objects and is restricted, then these are told beside what they do to each purpose', async () => {
    await interact(day(90), { objection: 'marketing', decision: 'raise' });
    await ledger.api.post(`/v1/subjects/${grace}/restriction`, {
      ground: 'accuracy-contested',
      purposes: ['sales'],
    });
    const compared = await compare({ from: day(89) });
    expect(told(compared)).toEqual([
      ['marketing-objection', undefined, ['ObjectionRaised']],
      ['restriction', undefined, ['ProcessingRestricted']],
      ['purpose', 'newsletter', ['ObjectionRaised']],
      ['purpose', 'profiling', ['ObjectionRaised']],
      ['purpose', 'sales', ['ProcessingRestricted']],
    ]);
    expect(compared.changes[1]).toMatchObject({ from: [], to: ['sales'] });
  });

  test('when a purpose is retired, then the rule that changed is named', async () => {
    const before = await ledger.head();
    const retired = await ledger.api.post('/v1/purposes/profiling/retire', {});
    expect(retired.status).toBe(200);
    const compared = await compare({ from: day(89), fromKnownAt: `position:${before}` });
    const profiling = compared.changes.find(({ purpose }) => purpose === 'profiling');
    expect(profiling?.events.map(({ type }) => type)).toContain('PurposeRetired');
    expect(profiling?.to).toMatchObject({ allowed: false });
  });

  test('when she is erased, then the difference stays visible to those who may see behind it', async () => {
    const asked = await ledger.api.post<Operation>(`/v1/subjects/${grace}/erasure`, {
      ground: 'objected',
    });
    for (let status = asked.body.status; status !== 'succeeded'; await sleep(50)) {
      const path = `/v1/operations/${asked.body.operationId}`;
      ({ status } = (await ledger.api.get<Operation>(path)).body);
    }
    const compared = await compare({ from: day(6) });
    const erased = compared.changes.find(({ what }) => what === 'erased');
    expect(erased?.events.map(({ type }) => type)).toEqual([
      'ErasureRequested',
      'ErasureApproved',
      'KeyDestroyed',
      'ErasureCompleted',
    ]);
    expect(JSON.stringify(compared)).not.toMatch(/Hopper|grace@/);
    const hidden = await compare({ from: day(6) }, { key: plain });
    expect(hidden.changes.map(({ what }) => what)).toEqual(['erased']);
  });

  test.each([
    ['to=2026-01-01T00:00:00Z', 'from'],
    ['from=yesterday', 'from'],
    ['from=2026-01-01T00:00:00Z&toKnownAt=position:x', 'toKnownAt'],
    ['from=2026-01-01T00:00:00Z&language=fr', 'language'],
  ])('refuses %s', async (query, parameter) => {
    const reply = await ledger.api.get<Problem>(`/v1/subjects/${grace}/compare?${query}`);
    expect([reply.status, reply.body.errors]).toMatchObject([400, [{ parameter }]]);
  });
});
