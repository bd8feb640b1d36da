import { describeEventStore } from '#core/ledger/contract.js';
import { ledgerDatabase } from './ledger-database.js';

describeEventStore('the ledger in PostgreSQL', async () => {
  const database = await ledgerDatabase();
  const store = database.open();
  return {
    store,
    gapless: true,
    loseNotifications: () => database.terminate('listener', { forEver: true }),
    cleanup: async () => {
      await store.close();
      await database.drop();
    },
  };
});
