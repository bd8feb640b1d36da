import type { Kysely } from 'kysely';
import type { StreamName } from '#core/kernel/ids.js';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import {
  type Checkpoint,
  readCheckpoints,
  readPartitions,
  type Status,
  type StopReason,
  wholeOf,
} from './checkpoint.js';
import type { Notice, Surroundings } from './keep.js';
import { resume } from './lease.js';
import { type LogReader, settled } from './log-reader.js';
import { countParked, hurry } from './parked.js';
import { partitionFor, partitionsOf, type Projection } from './projection.js';
import { type Reactor, type ReactorOptions, ReactorRunner } from './reactor.js';
import { rebuild, type RebuildOptions } from './rebuild.js';
import { ProjectionRunner, type RunnerOptions } from './runner.js';
import { Sharing } from './sharing.js';
import { checkName } from './tables.js';
import { type Place, Waiting } from './waiting.js';

export interface ProjectorOptions {
  /**
   * Its sessions have the role that owns the read models. Needs a session for each runner and two to
   * spare, and no deadline for statements on the client's side: batches of a rebuild may take their time.
   */
  readonly db: Kysely<unknown>;
  readonly log: LogReader;
  readonly projections: readonly Projection[];
  readonly reactors?: readonly Reactor[];
  /** Names this process; another one after every start. */
  readonly owner?: string;
  /** How long an owner that says nothing keeps others out, in milliseconds. */
  readonly leaseMilliseconds?: number;
  readonly report?: (notice: Notice) => void;
  readonly runner?: RunnerOptions;
  readonly reactor?: ReactorOptions;
}

/** What of it a process follows the log with. */
export interface Followers {
  readonly projections: boolean;
  readonly reactors: boolean;
}

/** One projection or reactor, for operators. */
export interface ProjectionStatus {
  readonly name: string;
  readonly kind: Checkpoint['kind'];
  /** Of the tables that are read; 0 where there are none. */
  readonly version: number;
  readonly status: Status;
  readonly position: Position;
  /** How long ago the moment lies up to which nothing is missing; 0 at the log's end, Infinity before the first event. */
  readonly laggingSeconds: number;
  readonly applied: number;
  readonly owner: string | undefined;
  readonly error: StopReason | undefined;
  /** Why this process could not go on for now; it tries again. */
  readonly retrying: string | undefined;
  readonly rebuild: RebuildStatus | undefined;
  /** Events of a reactor whose effect failed, and those that wait behind them. */
  readonly parked: number;
  /** In order; what is said above is of the one that is furthest behind, or stopped. */
  readonly partitions: readonly PartitionStatus[];
}

export interface PartitionStatus {
  readonly partition: number;
  readonly status: Status;
  readonly position: Position;
  readonly laggingSeconds: number;
  /** How often it changed hands. */
  readonly epoch: string;
  readonly owner: string | undefined;
  /** Whether that is this process. */
  readonly ours: boolean;
}

export interface RebuildStatus {
  readonly version: number;
  readonly position: Position;
  readonly applied: number;
  /** Undefined: nobody is at it; the next rebuild goes on from there. */
  readonly owner: string | undefined;
  readonly error: StopReason | undefined;
}

/**
 * Everything that follows the log in this process: each projection and reactor in a loop and transactions
 * of its own, so that one that stops or lags holds up no other. A process that runs none makes one as well,
 * without starting it, to wait and to ask.
 */
export class Projector {
  private readonly surroundings: Surroundings;
  private readonly runners: ReadonlyMap<string, ProjectionRunner | ReactorRunner>;
  private readonly waiting: Waiting;
  private readonly sharing: Sharing;
  private closing = new AbortController();
  private readonly rebuilding = new Set<Promise<unknown>>();
  private running:
    { readonly stopping: AbortController; readonly ended: Promise<unknown> } | undefined;

  constructor(private readonly options: ProjectorOptions) {
    const { db, log, projections, reactors = [] } = options;
    this.surroundings = {
      db,
      log,
      owner: options.owner ?? crypto.randomUUID(),
      leaseMilliseconds: options.leaseMilliseconds ?? 10_000,
      report: options.report ?? (() => undefined),
    };
    const versions = new Map(projections.map(({ name, version }) => [name, version]));
    this.waiting = new Waiting(
      db,
      (name) => versions.get(name),
      ({ name, partition }) => this.runners.get(name)?.holds(partition) ?? false,
      (name) => this.runners.get(name)?.nudge.fire(),
    );
    const { owner, leaseMilliseconds } = this.surroundings;
    this.sharing = new Sharing(db, owner, projections, leaseMilliseconds, (name) => {
      const runner = this.runners.get(name);
      if (runner instanceof ProjectionRunner) runner.shareChanged();
    });
    const runners = [
      ...projections.map(
        (projection) =>
          new ProjectionRunner(
            this.surroundings,
            projection,
            this.waiting,
            this.sharing,
            options.runner,
          ),
      ),
      ...reactors.map(
        (reactor) => new ReactorRunner(this.surroundings, reactor, this.waiting, options.reactor),
      ),
    ];
    this.runners = new Map(runners.map((runner) => [nameOf(runner), runner]));
    for (const name of this.runners.keys()) checkName(name);
    if (this.runners.size < runners.length)
      throw new Error('two projections or reactors have the same name');
  }

  /** Begins to follow the log; returns at once. What is left out here is left to other processes. */
  start({ projections = true, reactors = true }: Partial<Followers> = {}): void {
    if (this.running) return;
    const stopping = new AbortController();
    const started = [...this.runners.values()].filter((runner) =>
      runner instanceof ProjectionRunner ? projections : reactors,
    );
    const sharing = projections ? [this.sharing.run(stopping.signal)] : [];
    const ended = Promise.all([...started.map((one) => one.run(stopping.signal)), ...sharing]);
    this.running = { stopping, ended };
  }

  /**
   * Where another process is there to go on: finishes the batches under way and leaves everything to it,
   * while this one still waits and asks for those it answers. Alone, it goes on until `stop`.
   */
  async handOver(): Promise<void> {
    if (!this.sharing.hasOthers) return;
    this.running?.stopping.abort();
    await this.running?.ended;
  }

  /**
   * Finishes the batches under way and gives the leases back, so that another process goes on at once.
   * Rebuilds asked for here are cancelled.
   */
  async stop(): Promise<void> {
    const { running, closing } = this;
    running?.stopping.abort();
    closing.abort(new Error('the projector stops'));
    this.closing = new AbortController();
    await Promise.all([running?.ended, ...this.rebuilding]);
    this.running = undefined;
    this.waiting.close();
  }

  /**
   * True as soon as all of these have committed everything up to `position`; false after `timeoutMs`, on
   * abort, or as soon as one of them is stopped before it. A token from a command is such a position. With
   * a `timeoutMs` of 0 it tells how things are now. With `streams`, only the partitions that these are in
   * have to come so far.
   */
  waitFor(
    position: Position,
    names: readonly string[],
    options: {
      readonly timeoutMs: number;
      readonly signal?: AbortSignal;
      readonly streams?: readonly StreamName[];
    },
  ): Promise<boolean> {
    const places = names.flatMap((name) => this.placesOf(name, options.streams));
    return this.waiting.waitFor(position, places, options);
  }

  /** The partitions that these streams are in, of a projection by name; all of them where none are given. */
  placesOf(name: string, streams?: readonly StreamName[]): readonly Place[] {
    const runner = this.runners.get(name);
    if (!(runner instanceof ProjectionRunner)) return [{ name, partition: 0 }];
    const { projection } = runner;
    const own = streams?.map((stream) => partitionFor(projection, stream));
    const partitions =
      own === undefined || own.includes(undefined)
        ? partitionsOf(projection)
        : new Set(own as number[]);
    return [...partitions].map((partition) => ({ name, partition }));
  }

  /** How far each is, by name, as the database has it now. */
  checkpoints(): Promise<ReadonlyMap<string, Checkpoint>> {
    return readCheckpoints(this.surroundings.db, { names: [...this.runners.keys()] });
  }

  /** In the order in which they were given, projections first; also those that another process drives. */
  async status(): Promise<readonly ProjectionStatus[]> {
    const { db, log, owner } = this.surroundings;
    const names = [...this.runners.keys()];
    const [all, rebuilds, parked, head] = await Promise.all([
      readPartitions(db, { names }),
      readCheckpoints(db, { table: 'rebuilds' }),
      countParked(db),
      // Status is asked for most when something is away; then the log's end is not known.
      log.head().then(
        (last) => last?.position ?? START,
        () => undefined,
      ),
    ]);
    return [...this.runners].map(([name, runner]) => {
      const parts = all.filter((one) => one.name === name);
      const checkpoint = parts.length > 0 ? wholeOf(parts as [Checkpoint]) : undefined;
      const rebuilding = rebuilds.get(name);
      return {
        ...stateOf(runner, checkpoint, rebuilding),
        name,
        kind: runner instanceof ProjectionRunner ? 'projection' : 'reactor',
        version: checkpoint?.version ?? 0,
        position: checkpoint?.position ?? START,
        laggingSeconds: lagOf(checkpoint, head),
        applied: checkpoint?.applied ?? 0,
        owner: checkpoint?.owner,
        retrying: runner.retries.reason,
        rebuild: rebuilding && {
          version: rebuilding.version,
          position: rebuilding.position,
          applied: rebuilding.applied,
          owner: rebuilding.owner,
          error: rebuilding.error,
        },
        parked: parked.get(name) ?? 0,
        partitions: parts.map((one) => ({
          partition: one.partition,
          status: stateOf(runner, one, rebuilding).status,
          position: one.position,
          laggingSeconds: lagOf(one, head),
          epoch: one.epoch,
          owner: one.owner,
          ours: one.owner === owner,
        })),
      };
    });
  }

  /**
   * Tries again what was stopped, in whichever process: an operator has looked at it. For a reactor also
   * what is parked. True where something was stopped.
   */
  async resume(name: string): Promise<boolean> {
    const { db } = this.surroundings;
    const runner = this.runners.get(name);
    const resumed = await Promise.all([
      resume(db, 'checkpoints', name),
      resume(db, 'rebuilds', name),
      hurry(db, name),
    ]);
    if (runner instanceof ReactorRunner) runner.hurry();
    else runner?.nudge.fire();
    return resumed[0] || resumed[1];
  }

  /**
   * Rebuilds these projections beside the live ones, one after the other, and switches each when it is
   * ready; needs no `start`. Returns for each where the log stood at its switch. See `rebuild`.
   */
  async rebuild(
    names: readonly string[],
    options: RebuildOptions = {},
  ): Promise<ReadonlyMap<string, Position>> {
    const chosen = names.map((name) => {
      const projection = this.options.projections.find((one) => one.name === name);
      if (projection === undefined) throw new RangeError(`there is no projection ${name}`);
      return projection;
    });
    const switched = new Map<string, Position>();
    const limit = options.limit ?? this.options.runner?.rebuildLimit;
    const asked = options.signal ? [options.signal] : [];
    const signal = AbortSignal.any([this.closing.signal, ...asked]);
    for (const projection of chosen) {
      const rebuilding = rebuild(this.surroundings, projection, { ...options, limit, signal });
      const ended = settled(rebuilding);
      this.rebuilding.add(ended);
      void ended.then(() => this.rebuilding.delete(ended));
      switched.set(projection.name, await rebuilding);
      this.waiting.forget(projection.name);
      this.sharing.lookAgain();
      this.runners.get(projection.name)?.nudge.fire();
    }
    return switched;
  }
}

function nameOf(runner: ProjectionRunner | ReactorRunner): string {
  return runner instanceof ProjectionRunner ? runner.projection.name : runner.reactor.name;
}

/** Tables of another version than the code's are not what its queries read, whoever keeps them going. */
function stateOf(
  runner: ProjectionRunner | ReactorRunner,
  live: Checkpoint | undefined,
  rebuilding: Checkpoint | undefined,
): { status: Status; error: StopReason | undefined } {
  if (runner instanceof ReactorRunner || live?.version === runner.projection.version)
    return { status: live?.status ?? 'running', error: live?.error };
  if (rebuilding?.status === 'stopped') return { status: 'stopped', error: rebuilding.error };
  if (live?.status === 'stopped') return { status: 'stopped', error: live.error };
  return { status: 'rebuilding', error: undefined };
}

function lagOf(checkpoint: Checkpoint | undefined, head: Position | undefined): number {
  if (head !== undefined && comparePositions(checkpoint?.position ?? START, head) >= 0) return 0;
  return Math.max(0, checkpoint?.behindSeconds ?? Infinity);
}
