import { written } from '../http-client.js';
import type { MakeRequests } from '../load.js';

export interface Decisions {
  readonly key: string;
  readonly people: readonly string[];
  readonly path: string;
}

/** May we send this person the newsletter by e-mail? The same bytes for both arms. */
export const requests: MakeRequests<Decisions> = ({ key, people, path }) => {
  let n = 0;
  return () =>
    written({
      method: 'POST',
      path,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      // A stride that meets everybody, in no order that a cache would like.
      body: JSON.stringify({
        subjectId: people[(n++ * 7_919) % people.length],
        purpose: 'newsletter',
        channel: 'email',
      }),
    });
};
