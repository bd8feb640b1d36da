/** The provider's token of the process's log: pino's `Logger`. */
export const LOGGER = Symbol('Logger');

/** The provider's token of what tells the time: the kernel's `Clock`. */
export const CLOCK = Symbol('Clock');

/** The provider's token of the read models' database: a Kysely over the runtime role. */
export const DATABASE = Symbol('Database');

/** The provider's token of the same for what is asked over and over and finds few rows: each session plans it once. */
export const LOOKUPS = Symbol('Lookups');
