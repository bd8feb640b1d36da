import { parentPort } from 'node:worker_threads';
import pg from 'pg';
import type { EventCatalogue } from '#core/kernel/catalogue.js';
import type { Position } from '#core/kernel/position.js';
import { Codec } from '#core/ledger/codec.js';
import { ReadWithColumns } from '#core/ledger/postgres/columns.js';
import { Shapes } from '#core/ledger/shapes.js';
import { isDatabaseUnavailable, openPool, RUNTIME_ROLE } from '#core/platform/database.js';
import type { VouchedPage } from '#core/proof/vouched-page.js';
import { Voucher } from '#core/proof/voucher.js';
import { MemoryVault } from '#core/vault/memory/vault.js';

/** What is asked of a worker; it answers with a VouchedPage, or undefined where it does not vouch for it. */
export interface PageToLookAt {
  readonly databaseUrl: string;
  readonly positionsFrom: Position;
  readonly after: Position;
  readonly events: number;
}

/** The whole work of a thread that `VerifyWorkers` has started; `eventCatalogue` has what the log may hold. */
export function vouchForPages(eventCatalogue: EventCatalogue): void {
  // A vault without keys: sealed fields stay sealed.
  const shapes = new Shapes(new Codec(eventCatalogue, new MemoryVault()), eventCatalogue);
  let voucher: Voucher | undefined;
  let before: Promise<void> = Promise.resolve();
  parentPort?.on('message', (asked: PageToLookAt) => {
    voucher ??= new Voucher(new ReadWithColumns(poolOn(asked), asked.positionsFrom), shapes);
    const asking = voucher;
    before = before.then(async () => answer(await pageFrom(asking, asked)));
  });
}

function answer(page: VouchedPage | undefined): void {
  const parts = page && [page.leaves, page.tiles, page.origins, page.runs, page.runStarts];
  parentPort?.postMessage(
    page,
    parts?.map(({ buffer }) => buffer as ArrayBuffer),
  );
}

/** What the database refuses it refuses to whoever reads the events themselves, and there it is said. */
async function pageFrom(
  voucher: Voucher,
  { after, events }: PageToLookAt,
): Promise<VouchedPage | undefined> {
  try {
    return await voucher.page(after, events);
  } catch (error) {
    if (error instanceof pg.DatabaseError || isDatabaseUnavailable(error)) return undefined;
    throw error;
  }
}

function poolOn({ databaseUrl }: PageToLookAt): pg.Pool {
  return openPool({
    connectionString: databaseUrl,
    applicationName: 'consent-ledger verify',
    role: RUNTIME_ROLE,
    max: 1,
    // Whoever waits for the session that failed is told.
    onError: () => undefined,
  });
}
