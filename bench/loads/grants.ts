import { randomUUID } from 'node:crypto';
import { written } from '../http-client.js';
import type { MakeRequests } from '../load.js';

export interface Grants {
  readonly key: string;
  /** The people who give their consent, one after the other from the `first` on, again and again. */
  readonly people: readonly string[];
  readonly first: number;
  /** The one path to send all to, where it does not name the person. */
  readonly path?: string;
}

/**
 * A person gives consent to the newsletter: under a version of its notice, confirmed, with evidence that is
 * personal and therefore sealed. The same bytes for both arms, headers included.
 */
export const requests: MakeRequests<Grants> = ({ key, people, first, path }) => {
  let n = first;
  return () => {
    const person = people[n++ % people.length] as string;
    const at = new Date(Date.now() - 1_000).toISOString();
    return written({
      method: 'POST',
      path: path ?? `/v1/subjects/${person}/interactions`,
      headers: {
        authorization: `Bearer ${key}`,
        'idempotency-key': randomUUID(),
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        occurredAt: at,
        source: 'web-form',
        collectionPoint: 'checkout',
        language: 'en',
        evidence: { address: '192.0.2.17', agent: 'Mozilla/5.0 (X11; Linux x86_64)', form: 'f-17' },
        choices: [
          {
            purpose: 'newsletter',
            decision: 'give',
            noticeVersion: 2,
            confirmation: { method: 'double-opt-in', at },
          },
        ],
      }),
    });
  };
};
