import { type Kysely, sql } from 'kysely';
import { appendEvents } from './append-events.sql.js';
import { eventsTable, turnTables } from './events-table.sql.js';
import { positionAt } from './position-at.sql.js';
import { refuseChange } from './refuse-change.sql.js';
import { runtimeRights, runtimeRole } from './runtime-role.sql.js';
import { timeMarksTable } from './time-marks.sql.js';

/**
 * The log's own schema, step by step. Run each once, in order, in a transaction, as the owner; a step is
 * never edited once it was released.
 */
export const ledgerMigrations: readonly {
  readonly name: string;
  up(db: Kysely<unknown>): Promise<void>;
}[] = [
  {
    name: '0001-events',
    async up(db) {
      const statements = [
        runtimeRole,
        'create schema ledger;',
        eventsTable,
        turnTables,
        refuseChange,
        appendEvents,
        positionAt,
        runtimeRights,
      ];
      for (const statement of statements) await sql.raw(statement).execute(db);
    },
  },
  {
    name: '0002-time-marks',
    async up(db) {
      await sql.raw(timeMarksTable).execute(db);
    },
  },
];
