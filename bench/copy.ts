import pg from 'pg';

/** COPY over a session of its own: the fastest way in and out that PostgreSQL has. */

/** Reads what a `copy ... to stdout` gives, piece by piece. */
export function copyOut(
  connectionString: string,
  statement: string,
  take: (piece: Buffer) => void,
): Promise<void> {
  return copy(connectionString, statement, { take });
}

/** Writes pieces through a `copy ... from stdin`. */
export function copyIn(
  connectionString: string,
  statement: string,
  pieces: readonly Buffer[],
): Promise<void> {
  return copy(connectionString, statement, { pieces });
}

interface Wire {
  query(text: string): void;
  sendCopyFromChunk(piece: Buffer): void;
  endCopyFrom(): void;
}

async function copy(
  connectionString: string,
  statement: string,
  { take, pieces = [] }: { take?: (piece: Buffer) => void; pieces?: readonly Buffer[] },
): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await new Promise<void>((resolve, reject) => {
      let failed: Error | undefined;
      // What the driver calls on the query that is under way.
      const query = {
        submit: (wire: Wire) => wire.query(statement),
        handleCopyData: ({ chunk }: { chunk: Buffer }) => take?.(chunk),
        handleCopyInResponse: (wire: Wire) => {
          for (const piece of pieces) wire.sendCopyFromChunk(piece);
          wire.endCopyFrom();
        },
        handleCommandComplete: () => undefined,
        handleError: (error: Error) => (failed = error),
        handleReadyForQuery: () => (failed ? reject(failed) : resolve()),
      };
      client.query(query as unknown as pg.Submittable);
    });
  } finally {
    await client.end();
  }
}
