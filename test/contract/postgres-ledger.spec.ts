import { describeEventStore } from '#core/ledger/contract/event-store.js';
import { ledgerDatabase } from './ledger-database.js';

describeEventStore('the ledger in PostgreSQL', async () => {
  const database = await ledgerDatabase();
  const store = database.open();
  const other = database.open();
  return {
    store,
    other,
    gapless: true,
    loseNotifications: () => database.terminate('listener', { forEver: true }),
    cleanup: async () => {
      await Promise.all([store.close(), other.close()]);
      await database.drop();
    },
  };
});
