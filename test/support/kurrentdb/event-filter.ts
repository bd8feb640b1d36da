import type { ReadReq } from '@eventstore/db-client/generated/streams_pb.js';
import type { LogRecord } from './server-log.js';

export type EventFilter = (record: LogRecord) => boolean;

/** What nobody sees in `$all`: the server's notes on its own elections and on persistent subscriptions. */
const HIDDEN = /^\$epoch-information$|^\$persistentsubscription-\$all::.*-(checkpoint|parked)$/s;

export const EVERYTHING: EventFilter = ({ stream }) => !HIDDEN.test(stream);

/** The filter that a client asks for. One without prefixes and expression finds nothing. */
export function filterOf(options: ReadReq.Options.FilterOptions): EventFilter {
  const [text, expression] = options.hasEventType()
    ? [typeOf, options.getEventType()]
    : [streamOf, options.getStreamIdentifier()];
  const regex = expression?.getRegex();
  const prefixes = expression?.getPrefixList() ?? [];
  const matches = regex
    ? new RegExp(regex)
    : { test: (value: string) => prefixes.some((prefix) => value.startsWith(prefix)) };
  return (record) => EVERYTHING(record) && matches.test(text(record));
}

function typeOf({ type }: LogRecord): string {
  return type;
}

function streamOf({ stream }: LogRecord): string {
  return stream;
}
