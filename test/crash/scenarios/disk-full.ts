import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { until } from '../../support/until.js';
import { underLoad } from '../outcome.js';
import type { Product } from '../product.js';
import type { Context, Counts, Scenario } from '../scenario.js';

/** MiB: an empty cluster, its log of transactions, and little more. */
const SIZE = 200;

export const diskFull: Scenario = {
  name: 'disk-full',
  about: 'the disk of PostgreSQL is full for a while, in the middle of everything',
  promises: [6, 11],
  rounds: { long: 10, short: 1 },
  missing: noSmallDisk,
  run: (context) => onSmallDisk(context, () => Promise.resolve()),
  canaries: [
    {
      mutant: 'a database that says yes to what it has no room for',
      rounds: 1,
      run: (context) => onSmallDisk(context, sayYes),
      caught: ({ lost }) => lost > 0,
    },
  ],
};

async function onSmallDisk(
  context: Context,
  prepare: (product: Product) => Promise<void>,
): Promise<Counts> {
  const disk = join(context.directory, 'disk');
  mkdirSync(disk, { mode: 0o711 });
  mount(disk);
  const ballast = join(disk, 'ballast');
  // Few segments, which are used again: else the log of transactions takes what there is.
  const settings = { max_wal_size: '48MB', min_wal_size: '32MB' };
  const options = { settings, clusterDirectory: join(disk, 'cluster') };
  try {
    return await underLoad(context, options, async ({ product, caller, served }, done) => {
      if (done === 0) await prepare(product);
      await served(20);
      const before = caller.soFar().refused;
      fill(ballast);
      // Asked of who keeps receipts: a call of our own that is recorded, or might be, is one that nobody accounts for.
      await until('writes are refused', () => caller.soFar().refused > before, 60_000);
      await sleep(1_000);
      rmSync(ballast);
      // By itself: nothing is started again.
      await served(20);
    });
  } finally {
    umount(disk);
  }
}

/** Everything that is left, to the last block. */
function fill(file: string): void {
  const descriptor = openSync(file, 'w');
  try {
    for (let size = 1 << 20; size >= 512;) {
      try {
        writeSync(descriptor, Buffer.alloc(size));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        size >>= 1;
      }
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Appends are answered as always; some of their rows are not kept. */
async function sayYes({ ownerUrl }: Product): Promise<void> {
  const owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
  await owner.query(`
    create function public.say_yes() returns trigger language plpgsql as
      $$ begin return case when random() < 0.1 then null else new end; end $$;
    create trigger say_yes before insert on ledger.events for each row
      execute function public.say_yes()`);
  await owner.end();
}

function mount(directory: string): void {
  const { status, stderr } = spawnSync('mount', [
    ...['-t', 'tmpfs', '-o', `size=${SIZE}m,mode=0711`, 'tmpfs', directory],
  ]);
  if (status !== 0) throw new Error(`mount: ${String(stderr)}`);
}

function umount(directory: string): void {
  spawnSync('umount', [directory]);
}

async function noSmallDisk(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'a small file system can only be mounted by root';
  const directory = await mkdtemp(join(tmpdir(), 'consent-ledger-disk-'));
  try {
    mount(directory);
    umount(directory);
    return undefined;
  } catch {
    return 'this machine does not let a file system be mounted';
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
