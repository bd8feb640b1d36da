import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Operation, Receipt } from '../support/answers.js';
import {
  changed,
  type Files,
  filesIn,
  forged,
  linesOf,
  textOf,
  zipped,
} from '../support/bundle.js';
import { catalogue } from '../support/catalogue.js';
import { type RunningLedger, startLedger } from '../support/server.js';
import { until } from '../support/until.js';
import {
  type Cut,
  load,
  programWithout,
  type Signer,
  signerIn,
  verify,
  workingFolder,
} from './program.js';

/** What this ledger hands out, verified by a program that was written from the documents and not from the code. */

interface Proof {
  readonly index: number;
  readonly hashes: readonly string[];
}
interface Event {
  readonly id: string;
  readonly type: string;
}

const { parseVerifierKey } = await load<{ parseVerifierKey: (key: string) => object }>('note.mjs');
const { Report } = await load<{ Report: new (print: (line: string) => void) => object }>(
  'report.mjs',
);
const { checkBundle } = await load<{
  checkBundle: (zip: Buffer, trusted: object, kept: undefined, report: object) => Promise<void>;
}>('bundle.mjs');

// Many processes, on a machine that others use as well.
jest.setTimeout(120_000);

const root = workingFolder();
afterAll(() => rmSync(root, { recursive: true, force: true }));
let made = 0;
const saved = (bytes: Uint8Array | string) => {
  const path = join(root, `file-${++made}`);
  writeFileSync(path, bytes);
  return path;
};

describe('given Ada and Emmy, who made their choices, and Ada was erased later', () => {
  const directory = join(root, 'data');
  let ledger: RunningLedger;
  let signer: Signer;
  let ada = '';
  let emmy = '';
  /** Both of them, before the erasure, with everything opened. */
  let before: Uint8Array;
  /** After it, with the proof that the log was only added to since the first bundle. */
  let after: Uint8Array;

  const bundle = async (body: object): Promise<Uint8Array> => {
    const answer = await fetch(`${ledger.url}/v1/evidence`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ledger.key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(await answer.text());
    return new Uint8Array(await answer.arrayBuffer());
  };
  const register = async (name: string) => {
    const { body } = await ledger.api.post<Receipt>('/v1/subjects', {
      source: 'web-form',
      occurredAt: '2026-03-01T09:00:00Z',
      name,
      contactPoints: [{ kind: 'email', value: `${name}@linden.example` }],
    });
    return body.subjectId;
  };
  const choose = async (subjectId: string, at: string, ...choices: object[]) => {
    const path = `/v1/subjects/${subjectId}/interactions`;
    const interaction = { source: 'web-form', language: 'en', occurredAt: at, choices };
    expect((await ledger.api.post(path, interaction)).status).toBe(201);
  };

  beforeAll(async () => {
    ledger = await startLedger({ LEDGER_DATA_DIR: directory });
    await ledger.api.post('/v1/catalogue', catalogue);
    [ada, emmy] = [await register('Ada'), await register('Emmy')];
    for (const person of [ada, emmy]) {
      await choose(person, '2026-03-02T09:00:00Z', {
        purpose: 'newsletter',
        decision: 'give',
        noticeVersion: 1,
        confirmation: { method: 'double-opt-in', at: '2026-03-02T09:05:00Z' },
      });
      await choose(person, '2026-04-01T09:00:00Z', {
        topic: 'offers',
        channel: 'email',
        decision: 'on',
      });
      await choose(person, '2026-05-01T09:00:00Z', {
        purpose: 'profiling',
        decision: 'give',
        noticeVersion: 1,
      });
    }
    before = await bundle({ subjects: [ada, emmy], reveal: true });

    const asked = await ledger.api.post<Operation>(`/v1/subjects/${ada}/erasure`, {
      ground: 'consent-withdrawn',
    });
    const path = `/v1/operations/${asked.body.operationId}`;
    await until('the erasure is complete', async () => {
      return (await ledger.api.get<Operation>(path)).body.status === 'succeeded';
    });
    const since = textOf(await filesIn(before), 'checkpoint');
    after = await bundle({ subjects: [ada, emmy], reveal: true, since });

    signer = signerIn(directory);
  }, 120_000);
  afterAll(() => ledger.stop(), 20_000);

  const check = (zip: Uint8Array, more: readonly string[] = [], program?: string) =>
    verify(['bundle', saved(zip), '--key', signer.verifierKey, ...more], program);
  const verdictOn = async (zip: Uint8Array, program?: string) => {
    const { code, fails } = await check(zip, [], program);
    return [code, Object.keys(fails)];
  };

  /** The checks that fail, without a process for it. */
  const failingIn = async (zip: Uint8Array): Promise<readonly string[]> => {
    const lines: string[] = [];
    const trusted = { origin: signer.name, keys: [parseVerifierKey(signer.verifierKey)] };
    const report = new Report((line) => lines.push(line));
    await checkBundle(Buffer.from(zip), trusted, undefined, report);
    return lines.flatMap((line) => /^FAILS +(\S+)/.exec(line)?.[1] ?? []);
  };

  describe('a bundle', () => {
    test('made before the erasure holds after it', async () => {
      const { code, holds, fails } = await check(before);
      expect([code, fails]).toEqual([0, {}]);
      expect(Object.keys(holds)).toEqual([
        'archive',
        'files',
        'trust',
        'events',
        'contents',
        'streams',
        'notices',
        'keys',
        'opened',
      ]);
      expect(holds.keys).toBe('2 people not erased');
    });

    test('made after it holds, says who was erased, and that the log was only added to', async () => {
      const kept = saved(textOf(await filesIn(before), 'checkpoint'));
      const { code, holds } = await check(after, ['--against', kept]);
      expect(code).toBe(0);
      expect(holds.keys).toMatch(new RegExp(`^1 people not erased; ${ada} erased on 2\\d{3}-`));
      expect(holds.consistency).toMatch(/^nothing but added to since/);
      expect(holds.kept).toBe('the earlier checkpoint is the one that was kept');
    });

    test('without an earlier checkpoint is not compared with one that was kept', async () => {
      const kept = saved(textOf(await filesIn(after), 'checkpoint'));
      expect(await check(before, ['--against', kept])).toMatchObject({ code: 2, fails: {} });
    });

    test.each([
      ['a purpose', { purpose: 'newsletter' }],
      ['a period', { period: { to: '2126-01-01T00:00:00Z' } }],
      ['a purpose and a person', () => ({ purpose: 'profiling', subjects: [emmy] })],
    ])('on %s holds', async (_, asked) => {
      const { code, fails } = await check(
        await bundle(typeof asked === 'function' ? asked() : asked),
      );
      expect([code, fails]).toEqual([0, {}]);
    });

    test('under another key, another origin, or without any, is not called good', async () => {
      const other = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
      const zip = saved(after);
      expect(await verify(['bundle', zip, '--key', other])).toMatchObject({
        code: 1,
        fails: { trust: expect.any(String) },
      });
      expect(
        await verify(['bundle', zip, '--key', signer.verifierKey, '--origin', 'another']),
      ).toMatchObject({
        code: 1,
      });
      expect(await verify(['bundle', zip])).toMatchObject({ code: 2, holds: {} });
      expect(
        await verify(['bundle', join(root, 'nothing'), '--key', signer.verifierKey]),
      ).toMatchObject({ code: 2 });
      expect(await verify(['bundle', zip, '--key', 'a+b+c'])).toMatchObject({ code: 2 });
    });

    test('with one byte changed in any of its files is found out', async () => {
      const paths = [...(await filesIn(after)).keys()];
      expect(paths.length).toBeGreaterThan(15);
      for (const path of paths)
        expect([path, (await failingIn(await changed(after, path)))[0]]).toEqual([path, 'files']);
    });

    test('with one byte changed anywhere is found out, or is the same bundle', async () => {
      const files = await filesIn(after);
      let same = 0;
      for (let n = 0; n < 300; n++) {
        const at = Math.floor(((after.length - 1) * n) / 299);
        const bytes = Uint8Array.from(after);
        bytes[at] = (bytes[at] as number) ^ 0x10;
        const failing = await failingIn(bytes);
        if (failing.length > 0) continue;
        // The bits that fill up the last byte of a deflated stream say nothing (RFC 1951).
        expect(await filesIn(bytes)).toEqual(files);
        same++;
      }
      expect(same).toBeLessThan(5);
    });
  });

  const eventsOf = (files: Files, folder = 'people/0001') =>
    linesOf<Event>(files, `${folder}/events.ndjson`);
  /** Lines of a file, as text, through a function. */
  const rewrite = (
    files: Map<string, Uint8Array>,
    path: string,
    how: (lines: string[]) => readonly string[],
  ) => {
    const lines = how(textOf(files, path).split('\n').slice(0, -1));
    files.set(path, Buffer.from(lines.map((line) => `${line}\n`).join('')));
  };
  const replace = (files: Map<string, Uint8Array>, path: string, from: string, to: string) => {
    const text = textOf(files, path);
    expect(text).toContain(from);
    files.set(path, Buffer.from(text.replace(from, to)));
  };

  /**
   * What somebody would do who can write zip, manifest and all, what finds it, and the check whose absence would let it
   * through: the same program with that piece changed is run over the same forgery, and has to call it good.
   */
  const FORGERIES: readonly {
    readonly forgery: string;
    readonly found: string;
    readonly make: () => Promise<Uint8Array>;
    readonly without: Cut;
  }[] = [
    {
      forgery: 'a byte in a header of the zip',
      found: 'archive',
      make: () => Promise.resolve(Uint8Array.from(after, (byte, at) => (at === 10 ? 1 : byte))),
      without: ['zip.mjs', '!found.equals(expected)', 'false'],
    },
    {
      forgery: 'other words in the timeline',
      found: 'files',
      make: () => changed(after, 'people/0001/timeline.en.html'),
      without: ['bundle.mjs', 'computed !== expected || ', ''],
    },
    {
      forgery: 'a file that the manifest does not list',
      found: 'files',
      make: async () => zipped((await filesIn(after)).set('more.txt', Buffer.from('more'))),
      without: [
        'bundle.mjs',
        'known.size !== files.size || listed.length + 2 !== files.size',
        'false',
      ],
    },
    {
      forgery: 'a checkpoint that nobody signed',
      found: 'trust',
      make: () =>
        forged(after, (files) => {
          replace(files, 'checkpoint', `— ${signer.name} `, `— nobody `);
          replace(files, 'consistency', `— ${signer.name} `, `— nobody `);
        }),
      without: ['note.mjs', 'known.length === 0', 'false'],
    },
    {
      forgery: 'a checkpoint with a signature that does not hold',
      found: 'trust',
      make: () =>
        forged(after, (files) => {
          const [, start = ''] = / (\S{10})\S+\n$/.exec(textOf(files, 'checkpoint')) ?? [];
          const other = start.slice(0, -1) + (start.endsWith('A') ? 'B' : 'A');
          for (const path of ['checkpoint', 'consistency']) replace(files, path, start, other);
        }),
      without: ['note.mjs', '!verify(null, Buffer.from(text), key.key, signature)', 'false'],
    },
    {
      forgery: 'a checkpoint of another log with the same key',
      found: 'trust',
      make: () =>
        forged(before, (files) => {
          const [, size, hash] = textOf(files, 'checkpoint').split('\n');
          files.set('checkpoint', Buffer.from(signer.sign(`another\n${size}\n${hash}\n`)));
          return { origin: 'another' };
        }),
      without: ['note.mjs', 'name !== origin', '(origin = name, false)'],
    },
    {
      forgery: 'a choice that was never made',
      found: 'events',
      make: () =>
        forged(after, (files) =>
          replace(
            files,
            'people/0001/events.ndjson',
            '"purpose":"newsletter"',
            '"purpose":"profiling"',
          ),
        ),
      without: ['merkle.mjs', '!computed.equals(stated)', 'false'],
    },
    {
      forgery: 'an event of the catalogue that is there twice',
      found: 'events',
      make: () =>
        forged(after, (files) => {
          for (const name of ['events', 'proofs'])
            rewrite(files, `catalogue/${name}.ndjson`, (lines) => [...lines, lines[0] ?? '']);
        }),
      without: ['bundle.mjs', 'indexes.size < all.length', 'false'],
    },
    {
      forgery: 'an event left out, with its proof',
      found: 'streams',
      make: () =>
        forged(after, (files, { events }) => {
          const at = eventsOf(files).findIndex(({ type }) => type === 'TopicSwitchedOn');
          for (const name of ['events', 'proofs'])
            rewrite(files, `people/0001/${name}.ndjson`, (lines) => lines.toSpliced(at, 1));
          return { events: events - 1 };
        }),
      without: ['bundle.mjs', 'event.revision !== revision', 'false'],
    },
    {
      forgery: 'a count in the manifest that is not that of the files',
      found: 'contents',
      make: () => forged(after, (_, { events }) => ({ events: events + 1 })),
      without: ['bundle.mjs', 'manifest[name] !== number', 'false'],
    },
    {
      forgery: 'somebody asked for of whom nothing is there',
      found: 'contents',
      make: () => forged(after, () => ({ scope: { subjects: [ada, emmy, 'sub_other'] } })),
      without: ['bundle.mjs', 'if (only !== undefined)', 'if (false)'],
    },
    {
      forgery: 'words that nobody published',
      found: 'notices',
      make: () =>
        forged(after, (files) => {
          const words = Buffer.from('I agree to everything.');
          const hash = createHash('sha256').update(words).digest('hex');
          files.set(`notices/${hash}.txt`, words);
        }),
      without: ['bundle.mjs', 'published.get(hash)?.text !== textOf(bytes)', 'false'],
    },
    {
      forgery: 'words that are missing',
      found: 'notices',
      make: () =>
        forged(after, (files) => {
          const notice = [...files.keys()].find((path) => path.startsWith('notices/'));
          files.delete(notice ?? '');
        }),
      without: ['bundle.mjs', 'hashes.size > 0', 'false'],
    },
    {
      forgery: 'an erasure with another day',
      found: 'keys',
      make: () =>
        forged(after, (files) =>
          replace(files, 'people/0001/keys.json', '"destroyedAt": "20', '"destroyedAt": "19'),
        ),
      without: ['bundle.mjs', 'data?.destroyedAt !== destroyedAt || ', ''],
    },
    {
      forgery: 'an erasure that is concealed',
      found: 'keys',
      make: () =>
        forged(after, (files) => replace(files, 'people/0001/keys.json', '"destroyed"', '"held"')),
      without: ['bundle.mjs', "status !== (data ? 'destroyed' : 'held')", 'false'],
    },
    {
      forgery: 'a field that is opened although the person is erased',
      found: 'opened',
      make: () =>
        forged(after, (files) =>
          replace(files, 'people/0001/opened.ndjson', '"name":{"erased":true}', '"name":"Ada"'),
        ),
      without: ['bundle.mjs', 'gone.has(event.stream) && ', 'false && '],
    },
    {
      forgery: 'a proof of consistency from another size',
      found: 'consistency',
      make: () =>
        forged(after, (files) => {
          const size = textOf(files, 'earlier-checkpoint').split('\n')[1];
          replace(files, 'consistency', `old ${size}\n`, `old ${Number(size) - 1}\n`);
        }),
      without: ['bundle.mjs', 'size !== before.size', 'false'],
    },
    {
      forgery: 'an earlier checkpoint of another history, under the same key',
      found: 'consistency',
      make: () =>
        forged(after, (files) => {
          const [origin, size] = textOf(files, 'earlier-checkpoint').split('\n');
          const other = createHash('sha256').update('another history').digest('base64');
          files.set(
            'earlier-checkpoint',
            Buffer.from(signer.sign(`${origin}\n${size}\n${other}\n`)),
          );
        }),
      without: [
        'merkle.mjs',
        'checkSame(`the root at size ${before.size}`, first, before.root)',
        'void 0',
      ],
    },
  ];

  describe('a forgery', () => {
    test.each(FORGERIES)(
      '$forgery is found by $found, and by nothing if that is absent',
      async ({ found, make, without }) => {
        const zip = await make();
        expect(await verdictOn(zip)).toEqual([1, [found]]);

        expect(await verdictOn(zip, programWithout(without, root))).toEqual([0, []]);
      },
    );
  });

  describe('checkpoints', () => {
    const checkpoint = (file: string, kept: string) =>
      verify(['checkpoint', file, '--key', signer.verifierKey, '--against', kept]);

    test('before and after: the later log only added to the earlier one', async () => {
      const files = await filesIn(after);
      const earlier = saved(textOf(files, 'earlier-checkpoint'));
      const { code, holds } = await checkpoint(saved(textOf(files, 'consistency')), earlier);
      expect([code, Object.keys(holds)]).toEqual([0, ['checkpoint', 'consistency']]);
      expect((await checkpoint(earlier, earlier)).code).toBe(0);
    });

    test('without a proof nothing is said of two sizes', async () => {
      const files = await filesIn(after);
      const verdict = await checkpoint(
        saved(textOf(files, 'checkpoint')),
        saved(textOf(files, 'earlier-checkpoint')),
      );
      expect(verdict).toMatchObject({ code: 2, errors: expect.stringContaining('proof') });
    });

    test('one of another history is refused, although the key is right', async () => {
      const files = await filesIn(after);
      const earlier = textOf(files, 'earlier-checkpoint');
      const [origin, size] = earlier.split('\n');
      const other = createHash('sha256').update('another history').digest('base64');
      const fork = signer.sign(`${origin}\n${size}\n${other}\n`);
      expect(await verify(['checkpoint', saved(fork), '--key', signer.verifierKey])).toMatchObject({
        code: 0,
      });
      expect(await checkpoint(saved(fork), saved(earlier))).toMatchObject({
        code: 1,
        fails: { consistency: expect.stringContaining(other) },
      });
      const consistency = textOf(files, 'consistency');
      expect(await checkpoint(saved(consistency), saved(fork))).toMatchObject({ code: 1 });
    });
  });

  describe('a proof in a file', () => {
    const checkProof = (proof: string, entry: string) =>
      verify(['proof', saved(proof), '--entry', saved(entry), '--key', signer.verifierKey]);

    test('as the ledger gives it holds for its event, and for no other', async () => {
      const files = await filesIn(after);
      const [entry = '', other = ''] = textOf(files, 'people/0001/events.ndjson').split('\n');
      const { id, stream } = JSON.parse(entry) as { id: string; stream: string };
      const { status, body, text } = await ledger.api.post<{ tlogProof: string }>(
        '/v1/log/proofs',
        { eventId: id, subjectId: stream.replace('subject-', '') },
        { idempotencyKey: null },
      );
      expect([status, text]).toEqual([200, expect.any(String)]);
      expect(await checkProof(body.tlogProof, entry)).toMatchObject({ code: 0, fails: {} });
      expect(await checkProof(body.tlogProof, `${entry}\n`)).toMatchObject({ code: 0 });
      expect(await checkProof(body.tlogProof, other)).toMatchObject({
        code: 1,
        fails: { inclusion: expect.any(String) },
      });
    });

    test('as anybody can put it together from a bundle holds too', async () => {
      const files = await filesIn(after);
      const [proof] = linesOf<Proof>(files, 'people/0001/proofs.ndjson');
      const [entry = ''] = textOf(files, 'people/0001/events.ndjson').split('\n');
      const lines = ['c2sp.org/tlog-proof@v1', `index ${proof?.index}`, ...(proof?.hashes ?? [])];
      const file = [...lines, '', textOf(files, 'checkpoint')].join('\n');
      expect(await checkProof(file, entry)).toMatchObject({ code: 0, fails: {} });
    });
  });
});
