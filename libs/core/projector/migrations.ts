import { type Kysely, sql } from 'kysely';

/** The schema of this part, in steps; each runs once, in a transaction, as the owner of the database. */
export const migrations: readonly { name: string; up(db: Kysely<unknown>): Promise<void> }[] = [
  { name: '0001-checkpoints', up: (db) => run(db, CHECKPOINTS) },
  { name: '0002-partitions', up: (db) => run(db, PARTITIONS) },
];

async function run(db: Kysely<unknown>, script: string): Promise<void> {
  await sql.raw(script).execute(db);
}

/**
 * `position` says how far the rows are; `event_id` at `anchor_position` proves which log they came from:
 * the same event, or, where the position was only scanned past and holds none, the last one before it.
 * `caught_up_at`: everything recorded before that moment is in the rows.
 *
 * The role that runs the ledger owns the schema of the read models, and gets schemas to rebuild in from a
 * function: it needs no right to create any other. The function brings the read models' schema back as well
 * where it was dropped: everything in it can be made again.
 *
 * Of the parked events of one stream only the first has a time; those behind it wait for `infinity`.
 */
const CHECKPOINTS = `
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_runtime') THEN
    CREATE ROLE ledger_runtime NOLOGIN NOBYPASSRLS;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

CREATE SCHEMA projector;
CREATE SCHEMA read_models AUTHORIZATION ledger_runtime;

CREATE TABLE projector.checkpoints (
  name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_-]{0,39}$'),
  kind text NOT NULL CHECK (kind IN ('projection', 'reactor')),
  version integer NOT NULL DEFAULT 0,
  position bigint NOT NULL DEFAULT 0,
  anchor_position bigint NOT NULL DEFAULT 0,
  event_id text,
  ledger_id text,
  applied bigint NOT NULL DEFAULT 0,
  caught_up_at timestamptz,
  objects jsonb NOT NULL DEFAULT '[]',
  owner text,
  epoch bigint NOT NULL DEFAULT 0,
  lease_until timestamptz,
  status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'rebuilding', 'stopped')),
  error jsonb,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 25, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE projector.rebuilds (LIKE projector.checkpoints INCLUDING ALL) WITH (fillfactor = 25);

CREATE TABLE projector.parked (
  reactor text NOT NULL,
  position bigint NOT NULL,
  stream text NOT NULL,
  reason text NOT NULL,
  attempts integer NOT NULL,
  next_attempt_at timestamptz NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (reactor, position)
);
CREATE INDEX parked_by_stream ON projector.parked (reactor, stream, position);
CREATE INDEX parked_by_time ON projector.parked (reactor, next_attempt_at);

CREATE FUNCTION projector.create_rebuild_schema(projection text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF projection !~ '^[a-z][a-z0-9_-]{0,39}$' THEN
    RAISE EXCEPTION 'not the name of a projection';
  END IF;
  EXECUTE format('CREATE SCHEMA %I AUTHORIZATION ledger_runtime', 'rebuild_' || projection);
  CREATE SCHEMA IF NOT EXISTS read_models AUTHORIZATION ledger_runtime;
END $$;
REVOKE ALL ON FUNCTION projector.create_rebuild_schema(text) FROM PUBLIC;

GRANT USAGE ON SCHEMA projector TO ledger_runtime;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA projector TO ledger_runtime;
GRANT EXECUTE ON FUNCTION projector.create_rebuild_schema(text) TO ledger_runtime;
`;

/**
 * A checkpoint for each partition of a projection; what is projected in one piece, reactors and rebuilds
 * have partition 0 alone. Processes that follow projections say in `members` that they are there.
 */
const PARTITIONS = `
ALTER TABLE projector.checkpoints
  ADD COLUMN partition integer NOT NULL DEFAULT 0 CHECK (partition BETWEEN 0 AND 1023),
  DROP CONSTRAINT checkpoints_pkey,
  ADD PRIMARY KEY (name, partition);
ALTER TABLE projector.rebuilds
  ADD COLUMN partition integer NOT NULL DEFAULT 0 CHECK (partition = 0);

CREATE TABLE projector.members (
  name text NOT NULL,
  owner text NOT NULL,
  version integer NOT NULL,
  until timestamptz NOT NULL,
  PRIMARY KEY (name, owner)
) WITH (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
GRANT SELECT, INSERT, UPDATE, DELETE ON projector.members TO ledger_runtime;
`;
