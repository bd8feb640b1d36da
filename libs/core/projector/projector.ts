import type { Kysely } from 'kysely';
import { comparePositions, type Position, START } from '#core/kernel/position.js';
import { type Checkpoint, readCheckpoints, type Status, type StopReason } from './checkpoint.js';
import type { Notice, Surroundings } from './keep.js';
import { resume } from './lease.js';
import { type LogReader, settled } from './log-reader.js';
import { countParked, hurry } from './parked.js';
import type { Projection } from './projection.js';
import { type Reactor, type ReactorOptions, ReactorRunner } from './reactor.js';
import { rebuild, type RebuildOptions } from './rebuild.js';
import { ProjectionRunner, type RunnerOptions } from './runner.js';
import { checkName } from './tables.js';
import { Waiting } from './waiting.js';

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
      (name) => this.runners.get(name)?.leading ?? false,
      (name) => {
        const runner = this.runners.get(name);
        if (runner?.leading) runner.nudge.fire();
      },
    );
    const runners = [
      ...projections.map(
        (projection) =>
          new ProjectionRunner(this.surroundings, projection, this.waiting, options.runner),
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
    const ended = Promise.all(started.map((one) => one.run(stopping.signal)));
    this.running = { stopping, ended };
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
   * a `timeoutMs` of 0 it tells how things are now.
   */
  waitFor(
    position: Position,
    names: readonly string[],
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<boolean> {
    return this.waiting.waitFor(position, names, options);
  }

  /** How far each is, by name, as the database has it now. */
  checkpoints(): Promise<ReadonlyMap<string, Checkpoint>> {
    return readCheckpoints(this.surroundings.db, { names: [...this.runners.keys()] });
  }

  /** In the order in which they were given, projections first; also those that another process drives. */
  async status(): Promise<readonly ProjectionStatus[]> {
    const { db, log } = this.surroundings;
    const [live, rebuilds, parked, head] = await Promise.all([
      this.checkpoints(),
      readCheckpoints(db, { table: 'rebuilds' }),
      countParked(db),
      // Status is asked for most when something is away; then the log's end is not known.
      log.head().then(
        (last) => last?.position ?? START,
        () => undefined,
      ),
    ]);
    return [...this.runners].map(([name, runner]) => {
      const checkpoint = live.get(name);
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
