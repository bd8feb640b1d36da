import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Product } from './product.js';

/** One call of every route that the product declares, with the body that its documentation shows. */
export interface RouteCall {
  readonly method: string;
  /** With ids of the same kind in place of its parameters. */
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
  /** It never ends by itself: its head is its answer. */
  readonly endless: boolean;
}

interface Media {
  readonly example?: unknown;
}
interface OpenApi {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<string, { readonly requestBody?: { readonly content: Record<string, Media> } }>
      >
    >
  >;
}

const QUESTION = { purpose: 'sales' };

/** `subjectId`: somebody who is registered. */
export function everyRoute(subjectId: string): readonly RouteCall[] {
  const file = join(import.meta.dirname, '..', '..', 'docs', 'api', 'openapi.json');
  const { paths } = JSON.parse(readFileSync(file, 'utf8')) as OpenApi;
  return Object.entries(paths).flatMap(([template, methods]) =>
    Object.entries(methods).map(([method, { requestBody }]) => {
      const [[contentType, media] = []] = Object.entries(requestBody?.content ?? {});
      const example = media?.example ?? { ...QUESTION, subjectId };
      const text = typeof example === 'string' ? example : JSON.stringify(example);
      return {
        method: method.toUpperCase(),
        path: filledIn(template, subjectId),
        ...(media ? { contentType, body: `${text}\n` } : {}),
        endless: template === '/v1/events/stream',
      };
    }),
  );
}

function filledIn(template: string, subjectId: string): string {
  const uuid = subjectId.slice(4);
  const kinds: readonly [RegExp, string][] = [
    [/^\/v1\/subjects/, subjectId],
    [/^\/v1\/operations/, `op_${uuid}`],
    [/^\/v1\/receipts/, `rcp_${uuid}`],
    [/^\/v1\/api-keys/, `key_${uuid}`],
    [/^\/v1\/notices/, `ntc_${uuid}`],
  ];
  const id = kinds.find(([route]) => route.test(template))?.[1] ?? subjectId;
  return template
    .replace('{contactPointId}', `cpt_${uuid}`)
    .replace('{hash}', 'a'.repeat(64))
    .replace(/\{(key|purpose)\}/, 'sales')
    .replace(/\{\w+\}/g, id);
}

export interface Answered {
  readonly status: number;
  readonly retryAfter: number;
  readonly code: unknown;
  /** Milliseconds until its last byte. */
  readonly took: number;
}

/** Status 0: no answer, or none within `patience` milliseconds. */
export async function answered(
  { url, key }: Pick<Product, 'url' | 'key'>,
  { method, path, body, contentType, endless }: RouteCall,
  patience: number,
): Promise<Answered> {
  const began = performance.now();
  const signal = AbortSignal.timeout(patience);
  try {
    const answer = await fetch(url + path, {
      method,
      body,
      signal,
      headers: {
        authorization: `Bearer ${key}`,
        'idempotency-key': crypto.randomUUID(),
        ...(contentType === undefined ? {} : { 'content-type': contentType }),
      },
    });
    const text = endless && answer.ok ? (await answer.body?.cancel(), '') : await answer.text();
    return {
      status: answer.status,
      retryAfter: Number(answer.headers.get('retry-after')),
      code: answer.headers.get('content-type')?.includes('problem+json')
        ? (JSON.parse(text) as { code: unknown }).code
        : undefined,
      took: performance.now() - began,
    };
  } catch {
    return { status: 0, retryAfter: 0, code: undefined, took: performance.now() - began };
  }
}
