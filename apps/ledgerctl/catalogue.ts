import type { Api } from './api.js';
import type { Output } from './output.js';

interface Tally {
  readonly defined: number;
  readonly revised: number;
  readonly unchanged: number;
}

type Applied = Readonly<Record<string, Tally | string | boolean>> & { readonly visible: boolean };

/** Applies a catalogue file, and comes back when questions are answered by it. */
export async function applyCatalogue(api: Api, file: object, out: Output): Promise<void> {
  const apply = async () => (await api.call<Applied>('POST', '/v1/catalogue', file)).body;
  const applied = await apply();
  // Again changes nothing, and waits a little longer.
  for (let { visible } = applied; !visible; { visible } = await apply())
    out.progress('applied; waiting for the read models');
  const words = Object.entries(applied).flatMap(([kind, tally]) =>
    typeof tally === 'object'
      ? [`${kind}: ${tally.defined} new, ${tally.revised} revised, ${tally.unchanged} as before`]
      : [],
  );
  out.result({ ...applied, visible: true }, words.join('\n'));
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
