import { randomUUID } from 'node:crypto';
import { spreadOf } from '../measure.js';
import { apiOf } from '../people.js';
import type { Row } from '../row.js';
import { grantsOver } from './grant-http.js';

export default {
  name: 'visible',
  subject: 'from the receipt of a grant to the answer that reflects it, under the grant load',
  goal: { kind: 'limit', unit: 'ms at the 99th percentile', atMost: 250 },
  async prepare(stage) {
    const { server, people, subject } = await grantsOver(stage);
    const api = apiOf(server);
    let probe = people.length;
    return {
      subject: async () => {
        let loading = true;
        const load = subject().finally(() => (loading = false));
        const times: number[] = [];
        while (loading) {
          const person = people[--probe % people.length];
          const grant = { purpose: 'newsletter', decision: 'give', noticeVersion: 2 };
          const said = { source: 'web-form', language: 'en', choices: [grant] };
          const recorded = await api.call('POST', `/v1/subjects/${person}/interactions`, said, {
            idempotencyKey: randomUUID(),
          });
          const began = performance.now();
          const question = { subjectId: person, purpose: 'newsletter' };
          await api.call('POST', '/v1/decisions', question, recorded);
          times.push(performance.now() - began);
        }
        const { value: grantsPerSecond } = await load;
        times.sort((a, b) => a - b);
        const p99 = times[Math.ceil((times.length - 1) * 0.99)] as number;
        return {
          value: p99,
          more: { p50Ms: spreadOf(times).median, probes: times.length, grantsPerSecond },
        };
      },
    };
  },
} satisfies Row;
