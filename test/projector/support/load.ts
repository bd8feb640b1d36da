import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Position, START } from '#core/kernel/position.js';
import { someEvents } from './table-log.js';
import { headOf, type World } from './world.js';

/** Appends a few events every few milliseconds until it is stopped. */
export class Writer {
  private writing = true;
  private readonly ended: Promise<Position>;

  constructor(
    private readonly w: World,
    private readonly streams: number,
  ) {
    this.ended = this.run();
  }

  async stop(): Promise<Position> {
    this.writing = false;
    return this.ended;
  }

  private async run(): Promise<Position> {
    let position = await headOf(this.w.log);
    while (this.writing) {
      position = await this.w.log.append(someEvents(5, this.streams, Number(position)));
      await sleep(5);
    }
    return position;
  }
}

const READ = `
  with checkpoint as (select position from projector.checkpoints where name = 'tally')
  select checkpoint.position::text as position, sum(tally.count)::integer as count,
         (select count(*)::integer from test_log.events e
           where e.position <= checkpoint.position and e.stream like 'subject-%') as expected
    from checkpoint left join read_models.tally on true group by checkpoint.position`;

/**
 * Reads the rows with their checkpoint, without a pause, in as many sessions as asked: with statements
 * made anew each time, prepared ones, and cursors in a transaction. Every answer is compared with the log.
 */
export class Readers {
  readonly failures: string[] = [];
  private reads = 0;
  private longest = 0;
  private reading = true;
  private readonly ended: Promise<unknown>;

  constructor(w: World, sessions: number) {
    const kinds = [plain, prepared, withCursor];
    this.ended = Promise.all(
      Array.from({ length: sessions }, (_, n) => this.run(w.url, kinds[n % 3] as typeof plain)),
    );
  }

  async stop(): Promise<{ failures: readonly string[]; reads: number; longest: number }> {
    this.reading = false;
    await this.ended;
    return { failures: this.failures, reads: this.reads, longest: this.longest };
  }

  private async run(connectionString: string, read: typeof plain): Promise<void> {
    const client = new pg.Client({ connectionString });
    client.on('error', () => undefined);
    await client.connect();
    await client.query('set role ledger_runtime');
    let last: string = START;
    while (this.reading) {
      const began = Date.now();
      try {
        const row = await read(client);
        this.reads++;
        if (row === undefined) this.failures.push('no checkpoint');
        else if (row.count !== row.expected)
          this.failures.push(`at ${row.position}: ${row.count} rather than ${row.expected}`);
        else if (BigInt(row.position) < BigInt(last))
          this.failures.push(`from ${last} back to ${row.position}`);
        last = row?.position ?? last;
      } catch (error) {
        this.failures.push(`${read.name}: ${(error as Error).message}`);
        await client.query('rollback').catch(() => undefined);
      }
      this.longest = Math.max(this.longest, Date.now() - began);
    }
    await client.end();
  }
}

interface Read {
  position: string;
  count: number;
  expected: number;
}

async function plain(client: pg.Client): Promise<Read | undefined> {
  return (await client.query<Read>(READ)).rows[0];
}

async function prepared(client: pg.Client): Promise<Read | undefined> {
  return (await client.query<Read>({ name: 'read', text: READ })).rows[0];
}

async function withCursor(client: pg.Client): Promise<Read | undefined> {
  await client.query('begin');
  await client.query(`declare reading cursor for ${READ}`);
  const { rows } = await client.query<Read>('fetch all from reading');
  await client.query('commit');
  return rows[0];
}
