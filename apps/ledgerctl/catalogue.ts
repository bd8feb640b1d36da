import type { Api } from './api.js';
import type { Output } from './output.js';

export async function applyCatalogue(api: Api, file: object, out: Output): Promise<void> {
  const { body, consistencyToken } = await api.call<object>('POST', '/v1/catalogue', file);
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
  out.result(body, JSON.stringify(body, null, 2));
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
