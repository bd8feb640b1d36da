import { once } from 'node:events';
import { CONNECTIONS } from '../stage.js';
import type { Row } from '../row.js';
import { grantsOver } from './grant-http.js';

export default {
  name: 'grant-emmett',
  subject: 'durable grants over HTTP, 64 connections, everything on',
  reference: 'appends of one event with @event-driven-io/emmett-postgresql, in process, 64 at once',
  goal: { kind: 'rate', unit: 'per second', atLeast: 3 },
  async prepare(stage) {
    const { server, subject } = await grantsOver(stage);
    const database = await stage.database(server, 'bench_emmett');
    const { process: emmett } = await stage.referenceWithPackages('emmett', 'append.mjs', database);
    const { seconds, warmUpSeconds } = stage.size;
    return {
      subject,
      reference: async () => {
        emmett.send({ seconds, warmUpSeconds, connections: CONNECTIONS });
        const [{ perSecond, failed }] = (await once(emmett, 'message')) as [
          { perSecond?: number; failed?: string },
        ];
        if (perSecond === undefined) throw new Error(`emmett: ${failed}`);
        return { value: perSecond };
      },
    };
  },
} satisfies Row;
