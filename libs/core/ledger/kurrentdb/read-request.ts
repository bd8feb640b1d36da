import shared from '@eventstore/db-client/generated/shared_pb.js';
import streams, {
  type ReadReq,
  type ReadResp,
} from '@eventstore/db-client/generated/streams_pb.js';
import type { Position } from '#core/kernel/position.js';

/** How many events the server looks at in one go where few of them match, and how often it then says how far it is. */
const WINDOW = 2_000;

/** A place in `$all`: of an event of ours both numbers are its position. */
export interface LogPosition {
  readonly commit: string;
  readonly prepare: string;
}

export function placeOf(position: Position): LogPosition {
  return { commit: position, prepare: position };
}

/** A stream's events from `fromRevision` on, followed by the stream's last revision. */
export function streamForwards(name: string, fromRevision: number, count: number): ReadReq {
  const stream = new streams.ReadReq.Options.StreamOptions();
  const identifier = new shared.StreamIdentifier();
  identifier.setStreamName(Buffer.from(name));
  stream.setStreamIdentifier(identifier);
  stream.setRevision(String(fromRevision));
  const options = optionsOf();
  options.setStream(stream);
  options.setCount(String(count));
  options.setNoFilter(new shared.Empty());
  // From the first version of the protocol that tells where a stream ends.
  const control = new streams.ReadReq.Options.ControlOption();
  control.setCompatibility(1);
  options.setControlOption(control);
  return requestOf(options);
}

/** Events of all streams whose names begin with one of `prefixes`; the one at `from` among them. */
export function allForwards(
  from: LogPosition | undefined,
  count: number,
  prefixes: readonly string[],
): ReadReq {
  const options = optionsOf();
  options.setAll(allFrom(from));
  options.setCount(String(count));
  options.setFilter(filterOf(prefixes));
  return requestOf(options);
}

/** The last event, whoever wrote it: the server need not search for it. */
export function lastOfAll(): ReadReq {
  const options = fromTheEnd();
  options.setNoFilter(new shared.Empty());
  return requestOf(options);
}

/** The last event of all streams whose names begin with `prefix`. */
export function lastOf(prefix: string): ReadReq {
  const options = fromTheEnd();
  options.setFilter(filterOf([prefix]));
  return requestOf(options);
}

/** Whatever lies at `position`, or comes next. */
export function oneOfAll(position: Position): ReadReq {
  const options = optionsOf();
  options.setAll(allFrom(placeOf(position)));
  options.setCount('1');
  options.setNoFilter(new shared.Empty());
  return requestOf(options);
}

/** Events after (exclusive) `after` as they come, for ever. */
export function subscription(after: LogPosition | undefined, prefixes: readonly string[]): ReadReq {
  const options = optionsOf();
  options.setAll(allFrom(after));
  options.setSubscription(new streams.ReadReq.Options.SubscriptionOptions());
  options.setFilter(filterOf(prefixes));
  return requestOf(options);
}

function requestOf(options: ReadReq.Options): ReadReq {
  const request = new streams.ReadReq();
  request.setOptions(options);
  return request;
}

function optionsOf(): ReadReq.Options {
  const options = new streams.ReadReq.Options();
  const uuids = new streams.ReadReq.Options.UUIDOption();
  uuids.setString(new shared.Empty());
  options.setUuidOption(uuids);
  options.setReadDirection(streams.ReadReq.Options.ReadDirection.FORWARDS);
  return options;
}

function fromTheEnd(): ReadReq.Options {
  const all = new streams.ReadReq.Options.AllOptions();
  all.setEnd(new shared.Empty());
  const options = optionsOf();
  options.setReadDirection(streams.ReadReq.Options.ReadDirection.BACKWARDS);
  options.setAll(all);
  options.setCount('1');
  return options;
}

function allFrom(place: LogPosition | undefined): ReadReq.Options.AllOptions {
  const all = new streams.ReadReq.Options.AllOptions();
  if (place === undefined) all.setStart(new shared.Empty());
  else {
    const position = new streams.ReadReq.Options.Position();
    position.setCommitPosition(place.commit);
    position.setPreparePosition(place.prepare);
    all.setPosition(position);
  }
  return all;
}

function filterOf(prefixes: readonly string[]): ReadReq.Options.FilterOptions {
  const names = new streams.ReadReq.Options.FilterOptions.Expression();
  names.setPrefixList([...prefixes]);
  const filter = new streams.ReadReq.Options.FilterOptions();
  filter.setStreamIdentifier(names);
  filter.setMax(WINDOW);
  filter.setCheckpointintervalmultiplier(1);
  return filter;
}

/** How far a subscription says that it has come, where it says that. */
export function checkpointIn(answer: ReadResp): LogPosition | undefined {
  const checkpoint = answer.getCheckpoint();
  return (
    checkpoint && {
      commit: checkpoint.getCommitPosition(),
      prepare: checkpoint.getPreparePosition(),
    }
  );
}
