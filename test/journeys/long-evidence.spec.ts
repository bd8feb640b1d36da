import { QueryBus } from '@nestjs/cqrs';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Fact, Occasion } from '#core/kernel/event.js';
import { newId, streamOf, type SubjectId } from '#core/kernel/ids.js';
import type { Instant } from '#core/kernel/instant.js';
import { ProvenLog } from '#core/proof/proven-log.js';
import type { ConsentEvent } from '#domains/consents/domain/consents.events.js';
import type { Evidence } from '#domains/evidence/queries/evidence.js';
import { GatherEvidence } from '#domains/evidence/queries/gather-evidence.js';
import type { Receipt } from '../support/answers.js';
import { failing, filesIn, forged, linesOf, textOf, verified } from '../support/bundle.js';
import { catalogue } from '../support/catalogue.js';
import { heldMegabytes } from '../support/held-memory.js';
import { type RunningLedger, startLedger } from '../support/server.js';
import { until } from '../support/until.js';

jest.setTimeout(300_000);

interface Line {
  readonly stream: string;
  readonly revision: number;
}

type Evident = Readonly<Record<string, unknown>>;

/** Far more than a part holds. */
const EVENTS = 4_000;
/** Of somebody else, each near to what one may have. */
const LARGE = 80;
const second = (n: number) => new Date(Date.UTC(2026, 0, 2) + n * 1_000).toISOString() as Instant;

describe('given Longina, of whom thousands of events are on record, between two others', () => {
  let ledger: RunningLedger;
  let longina: SubjectId;
  let broad: SubjectId;
  let trusted: { origin: string; keys: readonly string[] };
  let zip: Uint8Array;

  const register = async () => {
    const { body } = await ledger.api.post<Receipt>('/v1/subjects', {
      source: 'web-form',
      occurredAt: second(0),
    });
    return body.subjectId as SubjectId;
  };
  /** Through the ledger itself, thousands at a time: each call through the API would read all that is there. */
  const record = async (subjectId: SubjectId, from: number, count: number, evidence?: Evident) => {
    const facts = Array.from({ length: count }, (_, n): Fact<ConsentEvent> => ({
      type: (from + n) % 2 === 0 ? 'ConsentRefused' : 'ConsentWithdrawn',
      data: { purpose: 'newsletter', purposeRevision: 1, ...(evidence ? { evidence } : {}) },
      occurredAt: second(from + n),
    }));
    const occasion: Occasion = {
      occurredAt: second(from),
      actor: { kind: 'system', id: 'test' },
      source: 'web-form',
      interactionId: newId('rcp'),
      correlationId: 'long',
    };
    const nothing = { name: 'nothing', initial: undefined, evolve: {} };
    await ledger.runtime.ledger.transact(streamOf('subject', subjectId), occasion, [
      { model: nothing, decide: () => facts },
    ]);
  };
  const gather = (subjects: readonly SubjectId[]): Promise<Evidence> =>
    ledger.nest
      .get(QueryBus)
      .execute(
        new GatherEvidence(
          { subjects, reveal: false },
          { actor: { kind: 'system', id: 'test' }, correlationId: 'long' },
        ),
      );

  beforeAll(async () => {
    // Without read models: that of the standing is made anew with every fact.
    ledger = await startLedger({ LEDGER_ROLES: 'api,sealer' });
    await ledger.api.post('/v1/catalogue', catalogue);
    const people = [await register(), await register(), await register()].sort();
    [, longina] = people as [SubjectId, SubjectId];
    for (let from = 0; from < EVENTS; from += 250) await record(longina, from, 250);
    broad = await register();
    await record(broad, 0, LARGE, { form: 'x'.repeat(16_000) });
    await until('everything is sealed', async () => {
      const newest = await ledger.nest.get(ProvenLog).newest();
      return newest !== undefined && newest.size > EVENTS + LARGE;
    });
    const response = await fetch(`${ledger.url}/v1/evidence`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ledger.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ subjects: people }),
    });
    zip = new Uint8Array(await response.arrayBuffer());
    trusted = await ledger.nest.get(ProvenLog).identity();
  }, 300_000);
  afterAll(() => ledger.stop(), 20_000);

  test('then her bundle has many small parts, one going on where the other ends, and is proved', async () => {
    const report = await verified(zip, trusted);
    expect(failing(report)).toEqual([]);
    expect(report.verdict).toBe('holds');
    expect(report.manifest).toMatchObject({ people: 3, events: EVENTS + 3 });
    const files = await filesIn(zip);
    const parts = [...files.keys()].filter((path) => path.endsWith('/events.ndjson')).slice(0, -1);
    expect(parts.length).toBeGreaterThan(EVENTS / 200);
    const events = parts.map((path) => linesOf<Line>(files, path));
    for (const lines of events) expect(lines.length).toBeLessThan(250);
    const hers = events.flat().filter(({ stream }) => stream === `subject-${longina}`);
    expect(hers.map(({ revision }) => revision)).toEqual([...Array(EVENTS + 1).keys()]);
  });

  test('then keys are listed once, with her last event, and pages say that she goes on', async () => {
    const files = await filesIn(zip);
    const listed = [...files.keys()]
      .filter((path) => path.endsWith('/keys.json'))
      .map((path) => JSON.parse(textOf(files, path)) as { subjectId: string }[]);
    expect(listed.flat()).toHaveLength(3);
    const at = listed.findIndex((part) => part.some(({ subjectId }) => subjectId === longina));
    expect(at).toBe(listed.length - 1);
    expect(textOf(files, 'people/0001/timeline.en.html')).not.toContain('(continued)');
    expect(textOf(files, 'people/0002/timeline.en.html')).toContain(
      `${longina}</code> (continued)`,
    );
    expect(textOf(files, 'people/0002/timeline.de.html')).toContain('(Fortsetzung)');
  });

  test('then her record is one, whose states lie with the events that they rest on', async () => {
    const files = await filesIn(zip);
    const graph = [...files.keys()]
      .filter((path) => path.endsWith('/records.jsonld'))
      .flatMap((path) => {
        const document = JSON.parse(textOf(files, path)) as { '@graph': Record<string, unknown>[] };
        const ids = new Set(
          linesOf<{ id: string }>(files, path.replace('records.jsonld', 'events.ndjson')).map(
            ({ id }) => id,
          ),
        );
        const records = document['@graph'].filter((node) => node['@type'] === 'dpv:ConsentRecord');
        for (const { 'dct:source': source } of records.flatMap(statuses))
          expect(ids).toContain(source);
        return records;
      });
    expect(new Set(graph.map((node) => node['@id'])).size).toBe(1);
    expect(graph.filter((node) => 'dct:identifier' in node)).toHaveLength(1);
    expect(graph.flatMap(statuses)).toHaveLength(EVENTS);
    const { body } = await ledger.api.get<{ '@graph': Record<string, unknown>[] }>(
      `/v1/subjects/${longina}/records`,
    );
    const [whole] = body['@graph'];
    expect(graph.flatMap(statuses)).toEqual(statuses(whole as Record<string, unknown>));
  });

  test('then an event that is left out where one part ends is missed', async () => {
    const shorter = await forged(zip, (files, manifest) => {
      for (const name of ['events', 'proofs']) {
        const path = `people/0003/${name}.ndjson`;
        const lines = textOf(files, path).split('\n');
        files.set(path, Buffer.from(lines.slice(1).join('\n')));
      }
      return { events: manifest.events - 1 };
    });
    expect(failing(await verified(shorter, trusted)).map(({ check }) => check)).toEqual([
      'streams',
    ]);
  });

  test('then a part of large events has fewer of them', async () => {
    const sizes: number[] = [];
    for await (const { events } of (await gather([broad])).parts())
      sizes.push(events.reduce((sum, { length }) => sum + length, 0));
    expect(sizes.length).toBeGreaterThan(1);
    for (const size of sizes) expect(size).toBeLessThan(512 * 1_024);
  });

  test('then memory holds a part of it, whatever there is', async () => {
    /** Of all parts: how many are held at most at a time, and MB more at the last than at the third. */
    const heldWhile = async (take: (part: object) => void) => {
      const parts: WeakRef<object>[] = [];
      const marks: number[] = [];
      let most = 0;
      for await (const part of (await gather([longina])).parts()) {
        take(part);
        marks.push(heldMegabytes());
        parts.push(new WeakRef(part));
        most = Math.max(most, parts.filter((one) => one.deref() !== undefined).length);
      }
      return { of: parts.length, most, grown: (marks.at(-1) as number) - (marks[2] as number) };
    };
    const flat = await heldWhile(() => undefined);
    expect(flat.of).toBe(Math.ceil((EVENTS + 1) / 100));
    expect(flat.most).toBeLessThan(4);
    expect(flat.grown).toBeLessThan(2);
    // Twins that hold what they should not: every part, or the whole stream at once.
    const kept: object[] = [];
    expect((await heldWhile((part) => kept.push(part))).most).toBe(kept.length);
    const before = heldMegabytes();
    const whole = await ledger.runtime.ledger.read(streamOf('subject', longina));
    expect(heldMegabytes() - before).toBeGreaterThan(2);
    expect(whole).toHaveLength(EVENTS + 1);
  });
});

function statuses(record: Record<string, unknown>): Record<string, unknown>[] {
  return record['dpv:hasConsentStatus'] as Record<string, unknown>[];
}
