import { setTimeout as sleep } from 'node:timers/promises';
import { isId, type SubjectId } from '#core/kernel/ids.js';
import type { Api } from './api.js';
import { EXIT, type Output } from './output.js';

type Options = Readonly<Record<string, string | boolean | undefined>>;

export type Named =
  | { readonly subjectId: SubjectId }
  | { readonly externalRef: { readonly system: string; readonly id: string } };

/** A person by subject id, or by `system:id`. */
export function named(subject: string): Named {
  if (isId('sub', subject)) return { subjectId: subject };
  const colon = subject.indexOf(':');
  if (colon < 1) throw new Error('name a person by subject id, or by system:id');
  return { externalRef: { system: subject.slice(0, colon), id: subject.slice(colon + 1) } };
}

export async function subjectIdOf(api: Api, subject: string): Promise<string> {
  if (isId('sub', subject)) return subject;
  const { body } = await api.call<{ subjects: { subjectId: string }[] }>(
    'POST',
    '/v1/subjects/search',
    named(subject),
  );
  const [found] = body.subjects;
  if (!found) throw new Error('there is no such person');
  return found.subjectId;
}

function query(options: Options): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(options))
    if (value !== undefined) params.set(name, String(value));
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

interface TimelineItem {
  readonly type: string;
  readonly position: string;
  readonly occurredAt: string;
  readonly recordedAt: string;
  readonly text: string;
  readonly source: string;
}

export async function showTimeline(
  api: Api,
  subject: string,
  options: Options,
  out: Output,
): Promise<void> {
  const id = await subjectIdOf(api, subject);
  let cursor: string | undefined;
  do {
    const { body } = await api.call<{ items: TimelineItem[]; page: { next?: string } }>(
      'GET',
      `/v1/subjects/${id}/timeline${query({ ...options, limit: '200', cursor })}`,
    );
    for (const item of body.items)
      out.item(
        item,
        `${item.occurredAt}  ${item.text}  (${item.source}, recorded ${item.recordedAt} at ${item.position})`,
      );
    cursor = body.page.next;
  } while (cursor !== undefined);
}

interface Decision {
  readonly allowed: boolean;
  readonly code: string;
  readonly reasons: readonly string[];
  readonly basis?: string;
  readonly since?: string;
}

export async function askDecision(
  api: Api,
  subject: string,
  purpose: string,
  options: Options,
  out: Output,
): Promise<number> {
  const { body } = await api.call<Decision>('POST', '/v1/decisions', {
    ...named(subject),
    purpose,
    ...options,
  });
  const since = body.since ? ` since ${body.since}` : '';
  out.result(
    body,
    body.allowed ? `yes: ${body.basis}${since}` : `no: ${body.reasons.join(', ')}${since}`,
  );
  return body.allowed ? EXIT.ok : EXIT.findings;
}

interface Summary {
  readonly allowed: number;
  readonly asOf: string;
  readonly position: string;
  readonly excluded?: Readonly<Record<string, number>>;
}

async function summaryOf(
  api: Api,
  question: object,
  person?: (id: string) => void,
): Promise<Summary> {
  let summary: Summary | undefined;
  for await (const line of api.lines<{ subjectId: string } | { summary: Summary }>(
    'POST',
    '/v1/audiences',
    question,
  ))
    if ('summary' in line) summary = line.summary;
    else person?.(line.subjectId);
  if (!summary) throw new Error('the audience broke off before its summary');
  return summary;
}

export async function askAudience(
  api: Api,
  purpose: string,
  options: Options,
  out: Output,
): Promise<void> {
  const { ids, ...question } = options;
  const person = ids ? (subjectId: string) => out.item({ subjectId }, subjectId) : undefined;
  const summary = await summaryOf(api, { purpose, ...question, summary: 'full' }, person);
  out.result(
    { summary },
    `${purpose} as of ${summary.asOf}, known at position ${summary.position}\n${countsIn(summary)}`,
  );
}

/** Everybody, by purpose and answer. */
export async function askCounts(api: Api, options: Options, out: Output): Promise<void> {
  const { body } = await api.call<{ data: { key: string }[] }>('GET', '/v1/purposes?limit=200');
  for (const { key } of body.data) {
    const summary = await summaryOf(api, { purpose: key, ...options, summary: 'full' });
    out.item({ purpose: key, ...summary }, `${key}\n${countsIn(summary)}`);
  }
}

function countsIn({ allowed, excluded = {} }: Summary): string {
  return [['allowed', allowed] as const, ...Object.entries(excluded)]
    .map(([code, count]) => `${String(count).padStart(9)}  ${code}`)
    .join('\n');
}

interface Operation {
  readonly operationId: string;
  readonly status: 'running' | 'waiting' | 'succeeded' | 'failed';
  readonly result?: object;
}

export async function eraseSubject(
  api: Api,
  subject: string,
  options: { readonly ground: string; readonly note?: string },
  out: Output,
): Promise<number> {
  const id = await subjectIdOf(api, subject);
  let { body } = await api.call<Operation>('POST', `/v1/subjects/${id}/erasure`, options);
  while (body.status === 'running') {
    out.progress(`erasure ${body.operationId} is under way`);
    await sleep(250);
    ({ body } = await api.call<Operation>('GET', `/v1/operations/${body.operationId}`));
  }
  out.result(
    body,
    `erasure ${body.operationId}: ${body.status}\n${JSON.stringify(body.result ?? {}, null, 2)}`,
  );
  return body.status === 'succeeded' ? EXIT.ok : EXIT.findings;
}
