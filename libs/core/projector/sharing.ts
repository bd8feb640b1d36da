import { type Kysely, sql } from 'kysely';
import { Nudge } from './nudge.js';

/**
 * Who of the processes that follow projections keeps which partition. Each says once a second that it is
 * there, sees who else is, and works out the same shares; each then gives away what is another's and takes
 * what is its own and free. Nothing depends on their agreement but that the work is spread: what two take
 * for theirs, the lease gives to one.
 */

/** One partition as its checkpoint has it. */
export interface Part {
  readonly name: string;
  readonly partition: number;
  /** Who drives it now, perhaps a process that is no more; undefined: nobody. */
  readonly owner: string | undefined;
}

/** A process that could drive the projection `name` as its tables are now. */
export interface Member {
  readonly name: string;
  readonly owner: string;
}

/** The partitions of one process, by projection. */
export type Share = ReadonlyMap<string, ReadonlySet<number>>;

/**
 * The share of each member: of each projection's partitions as many as of any other member's, give or take
 * one, and of all together as even as that allows. Who has a partition keeps it where that is as fair.
 */
export function shareOut(
  parts: readonly Part[],
  members: readonly Member[],
): ReadonlyMap<string, Share> {
  const shares = new Map<string, Map<string, ReadonlySet<number>>>();
  const totals = new Map<string, number>();
  const total = (owner: string) => totals.get(owner) ?? 0;
  for (const [name, own] of byName(parts)) {
    const has = (owner: string) => own.filter((part) => part.owner === owner).length;
    const owners = members.filter((one) => one.name === name).map(({ owner }) => owner);
    if (owners.length === 0) continue;
    // What can not be divided evenly goes to those who have least to do, and then to those who have it.
    owners.sort((a, b) => total(a) - total(b) || has(b) - has(a) || (a < b ? -1 : 1));
    const [least, more] = [Math.floor(own.length / owners.length), own.length % owners.length];
    const quota = new Map(owners.map((owner, n) => [owner, least + (n < more ? 1 : 0)]));
    const taken = new Map<string, Set<number>>(owners.map((owner) => [owner, new Set()]));
    const give = (owner: string, partition: number) => {
      const having = taken.get(owner);
      if (having === undefined || having.size >= (quota.get(owner) ?? 0)) return false;
      having.add(partition);
      return true;
    };
    const left = own.filter(
      ({ owner, partition }) => owner === undefined || !give(owner, partition),
    );
    for (const { partition } of left) owners.some((owner) => give(owner, partition));
    for (const [owner, having] of taken) {
      totals.set(owner, total(owner) + having.size);
      shares.set(owner, (shares.get(owner) ?? new Map()).set(name, having));
    }
  }
  return shares;
}

/** The projections with most partitions first: they are the hardest to divide evenly. */
function byName(parts: readonly Part[]): [string, Part[]][] {
  const names = new Map<string, Part[]>();
  for (const part of [...parts].sort((a, b) => a.partition - b.partition))
    names.set(part.name, [...(names.get(part.name) ?? []), part]);
  return [...names].sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1));
}

/** How often a process says that it is there, in milliseconds; unheard for a few times, it is not counted. */
const EVERY = 1_000;
const MISSED = 3.5;

interface Row {
  readonly kind: 'member' | 'part';
  readonly name: string;
  readonly partition: number;
  readonly owner: string | null;
  readonly version: number;
}

/** What this process is to keep, as of the last look. */
export class Sharing {
  private share: Share = new Map();
  private others = false;
  private readonly nudge = new Nudge();
  private readonly every: number;

  constructor(
    private readonly db: Kysely<unknown>,
    private readonly owner: string,
    private readonly followed: readonly { readonly name: string; readonly version: number }[],
    leaseMilliseconds: number,
    private readonly changed: (name: string) => void,
  ) {
    this.every = Math.min(EVERY, leaseMilliseconds / 4);
  }

  of(name: string): ReadonlySet<number> {
    return this.share.get(name) ?? NONE;
  }

  /** Whether another process is there that could take up what this one gives away. */
  get hasOthers(): boolean {
    return this.others;
  }

  /** Looks again now: checkpoints were made or replaced. */
  lookAgain(): void {
    this.nudge.fire();
  }

  /** Until `signal` aborts; then this process counts no more. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // Where the database is away, what was known last is as good as anything.
      await this.look().catch(() => undefined);
      await this.nudge.sleep(this.every, signal);
    }
    await sql`delete from projector.members where owner = ${this.owner}`
      .execute(this.db)
      .catch(() => undefined);
  }

  private async look(): Promise<void> {
    const { owner, followed } = this;
    const names = followed.map(({ name }) => name);
    const stays = sql`clock_timestamp() + ${this.every * MISSED} * interval '1 millisecond'`;
    const { rows } = await sql<Row>`
      with here as (
        insert into projector.members (name, owner, version, until)
        select name, ${owner}, version, ${stays} from unnest(
          ${names}::text[], ${followed.map(({ version }) => version)}::integer[]) as f (name, version)
        on conflict (name, owner) do update set version = excluded.version, until = excluded.until
      ), gone as (
        delete from projector.members
         where until < clock_timestamp() - interval '1 hour' and owner <> ${owner}
      )
      select 'member' as kind, name, 0 as partition, owner, version from projector.members
       where owner <> ${owner} and until > clock_timestamp()
      union all
      select 'part', name, partition, owner, version from projector.checkpoints
       where name = any(${names}) and kind = 'projection'`.execute(this.db);
    const parts = rows
      .filter(({ kind }) => kind === 'part')
      .map((row) => ({ ...row, owner: row.owner ?? undefined }));
    const versions = new Map(parts.map(({ name, version }) => [name, version]));
    const members = rows
      .filter(({ kind }) => kind === 'member')
      .concat(followed.map((one) => ({ ...one, kind: 'member', partition: 0, owner })))
      // Code of another version can not write these tables; before there are any, everybody can.
      .filter(({ name, version }) => [version, 0].includes(versions.get(name) ?? 0));
    this.others = rows.some(({ kind }) => kind === 'member');
    const before = this.share;
    this.share = shareOut(parts, members as unknown as Member[]).get(owner) ?? new Map();
    for (const name of names)
      if (!equal(before.get(name) ?? NONE, this.of(name))) this.changed(name);
  }
}

const NONE: ReadonlySet<number> = new Set();

function equal(a: ReadonlySet<number>, b: ReadonlySet<number>): boolean {
  return a.size === b.size && [...a].every((one) => b.has(one));
}
