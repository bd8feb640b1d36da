import type { Api } from './api.js';
import type { Output } from './output.js';

interface Tally {
  readonly defined: number;
  readonly revised: number;
  readonly unchanged: number;
}

export async function applyCatalogue(api: Api, file: object, out: Output): Promise<void> {
  const { body, consistencyToken } = await api.call<Readonly<Record<string, Tally | string>>>(
    'POST',
    '/v1/catalogue',
    file,
  );
  // Back when visible: a question that follows is answered by these rules.
  if (consistencyToken)
    await api
      .call(
        'POST',
        '/v1/subjects/search',
        { externalRef: { system: 'none', id: 'none' } },
        { consistencyToken },
      )
      .catch(() => undefined);
  const tallies = Object.entries(body).filter((entry): entry is [string, Tally] => {
    return typeof entry[1] === 'object';
  });
  const words = tallies.map(([kind, { defined, revised, unchanged }]) => {
    return `${kind}: ${defined} new, ${revised} revised, ${unchanged} as before`;
  });
  out.result(body, words.join('\n'));
}

export async function listCatalogue(api: Api, plural: string, out: Output): Promise<void> {
  let cursor = '';
  for (;;) {
    const { body } = await api.call<{ data: object[]; page: { next?: string } }>(
      'GET',
      `/v1/${plural}?limit=200${cursor}`,
    );
    for (const item of body.data) out.item(item, JSON.stringify(item));
    if (body.page.next === undefined) return;
    cursor = `&cursor=${body.page.next}`;
  }
}
