import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import { Installation, type InstallationOptions } from '../crash/installation.js';
import { compiled } from '../support/compiled.js';

jest.setTimeout(240_000);

/** More of them: RACE_ROUNDS=1000. */
const ROUNDS = Number(process.env.RACE_ROUNDS ?? 60);
const SERVERS = ['server-1', 'server-2'] as const;

interface Answer {
  readonly status: number;
  readonly code: unknown;
  readonly text: string;
}

beforeAll(() => void compiled());

/** Two servers that are sent a call with one Idempotency-Key at the same moment. */
class Race {
  private constructor(
    private readonly installation: Installation,
    private readonly database: pg.Client,
  ) {}

  static async on(options: Partial<InstallationOptions> = {}): Promise<Race> {
    const installation = await Installation.start({ servers: 2, workers: 1, ...options });
    const database = new pg.Client({ connectionString: installation.ownerUrl });
    await database.connect();
    return new Race(installation, database);
  }

  /** Sent again, where it was told to, until each has its answer. */
  run(path: string, bodies: readonly [object, object], key: string): Promise<readonly Answer[]> {
    return Promise.all(
      SERVERS.map(async (server, n) => {
        for (;;) {
          const reply = await this.installation.call(server, 'POST', path, bodies[n], key);
          const text = await reply.text();
          const { code } = JSON.parse(text) as Record<string, unknown>;
          if (code !== 'idempotency-in-flight') return { status: reply.status, code, text };
          expect([reply.status, reply.headers.get('retry-after')]).toEqual([409, '1']);
        }
      }),
    );
  }

  async person(): Promise<string> {
    const answer = await this.installation.call('server-1', 'POST', '/v1/subjects', {
      source: 'web-form',
    });
    return ((await answer.json()) as { subjectId: string }).subjectId;
  }

  /** Events of these streams, or of all people. */
  async recorded(stream = 'subject-%'): Promise<number> {
    const { rows } = await this.database.query<{ count: number }>(
      'select count(*)::integer as count from ledger.events where stream like $1',
      [stream],
    );
    return rows[0]?.count as number;
  }

  async stop(): Promise<void> {
    await this.database.end();
    await this.installation.stop();
  }
}

const choosing = (decision: string) => ({
  source: 'web-form',
  choices: [{ purpose: 'sales', decision }],
});

describe('one Idempotency-Key, sent to two servers at the same moment', () => {
  let race: Race;
  beforeAll(async () => {
    race = await Race.on();
  });
  afterAll(() => race.stop());

  test('with the same interaction: one decision, and the same answer from both', async () => {
    const person = await race.person();
    const before = await race.recorded(`subject-${person}`);
    for (let round = 1; round <= ROUNDS; round++) {
      const body = choosing(round % 2 === 0 ? 'withdraw' : 'give');
      const path = `/v1/subjects/${person}/interactions`;
      const [first, second] = await race.run(path, [body, body], `same-${round}`);
      expect(first?.status).toBe(201);
      // Which of the two was first is not said; `visible` may have become true meanwhile.
      expect(withoutVisible(second)).toEqual(withoutVisible(first));
      expect(await race.recorded(`subject-${person}`)).toBe(before + round);
    }
  });

  test('with the same registration: one person', async () => {
    for (let round = 1; round <= ROUNDS; round++) {
      const before = await race.recorded();
      const body = {
        source: 'web-form',
        contactPoints: [{ kind: 'email', value: `race-${round}@linden.example` }],
        externalRefs: [{ system: 'race', id: String(round) }],
      };
      const [first, second] = await race.run('/v1/subjects', [body, body], `person-${round}`);
      expect(first?.status).toBe(201);
      expect(withoutVisible(second)).toEqual(withoutVisible(first));
      expect(await race.recorded()).toBe(before + 2);
    }
  });

  test('with other contents: one decision, and 422 for the other', async () => {
    const person = await race.person();
    const before = await race.recorded(`subject-${person}`);
    for (let round = 1; round <= ROUNDS; round++) {
      const path = `/v1/subjects/${person}/interactions`;
      const bodies = [choosing('give'), choosing('withdraw')] as const;
      const answers = await race.run(path, bodies, `other-${round}`);
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 422]);
      expect(answers.map(({ code }) => code)).toContain('idempotency-key-reused');
      expect(await race.recorded(`subject-${person}`)).toBe(before + round);
    }
  });
});

test('canary: servers that each remember for themselves record both', async () => {
  const race = await Race.on({ mutant: { name: 'own-memory', of: 'server' } });
  try {
    const person = await race.person();
    const before = await race.recorded(`subject-${person}`);
    const body = choosing('give');
    await race.run(`/v1/subjects/${person}/interactions`, [body, body], 'once');
    expect(await race.recorded(`subject-${person}`)).toBe(before + 2);
  } finally {
    await race.stop();
  }
});

function withoutVisible(answer: Answer | undefined): unknown {
  return { ...(JSON.parse(answer?.text ?? '{}') as object), visible: undefined };
}
