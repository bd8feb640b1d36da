import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { Api } from '../apps/ledgerctl/api.js';
import type { Server } from './stage.js';

const examples = join(import.meta.dirname, '..', 'examples');

export function apiOf({ url, key }: Server): Api {
  return new Api({ url, key, close: () => Promise.resolve() });
}

/** The catalogue of the examples, and this many registered people; gives their ids. Again changes nothing. */
export async function withPeople(server: Server, count: number): Promise<string[]> {
  const api = apiOf(server);
  const catalogue = JSON.parse(await readFile(join(examples, 'catalogue.json'), 'utf8')) as object;
  await api.call('POST', '/v1/catalogue', catalogue);
  const { ids, receiptId } = await registered(api, count);
  while (!(await api.call<{ visible: boolean }>('GET', `/v1/receipts/${receiptId}`)).body.visible);
  return ids;
}

/** A busy machine may make the server break off; what was recorded before is found recorded. */
const TRIES = 10;

async function registered(
  api: Api,
  count: number,
): Promise<{ readonly ids: string[]; readonly receiptId: string }> {
  for (let attempt = 1; ; attempt++) {
    const ids: string[] = [];
    let receiptId = '';
    const lines = Readable.from(registrations(count), { objectMode: false });
    try {
      for await (const verdict of api.lines<Verdict>('POST', '/v1/interactions/bulk', lines)) {
        if (verdict.subjectId === undefined)
          throw new Error(`not registered: ${JSON.stringify(verdict)}`);
        ids.push(verdict.subjectId);
        ({ receiptId } = verdict);
      }
      return { ids, receiptId };
    } catch (error) {
      lines.destroy();
      if (attempt === TRIES || (error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
    }
  }
}

interface Verdict {
  readonly subjectId?: string;
  readonly receiptId: string;
}

function* registrations(count: number): Generator<string> {
  for (let n = 0; n < count; n++)
    yield `${JSON.stringify({
      type: 'register',
      externalRef: { system: 'bench', id: String(n) },
      name: `Person ${n}`,
      language: 'en',
      contactPoints: [{ kind: 'email', value: `person-${n}@example.com` }],
      source: 'import',
      occurredAt: '2026-01-01T00:00:00Z',
    })}\n`;
}
