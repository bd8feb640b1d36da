import type { Arms, Row } from '../row.js';
import type { Server, Stage } from '../stage.js';

export default {
  name: 'start',
  subject: 'a second start, from the process to the first call it answers',
  goal: { kind: 'limit', unit: 's', atMost: 3 },
  prepare: (stage) => starting(stage, (server) => server.stop()),
} satisfies Row;

/** Starts on a ledger after its last server was ended in some way. */
export async function starting(
  stage: Stage,
  end: (server: Server) => Promise<void>,
): Promise<Arms> {
  let server = await stage.ledger(stage.size.events);
  return {
    subject: async () => {
      await end(server);
      const began = performance.now();
      server = await stage.ledger(stage.size.events);
      return { value: (performance.now() - began) / 1_000 };
    },
  };
}
