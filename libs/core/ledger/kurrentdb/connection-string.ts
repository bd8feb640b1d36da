/** A connection string that can not be used. Holds nothing of it: it may contain a password. */
export class BadConnectionString extends Error {
  override readonly name = 'BadConnectionString';
}

export interface EndPoint {
  readonly address: string;
  readonly port: number;
}

/** `esdb://user:password@host:2113,host2?tls=true&tlsCAFile=ca.crt`, taken apart. */
export interface ConnectionString {
  readonly hosts: readonly [EndPoint, ...EndPoint[]];
  /** True for `esdb+discover://`: the one host is a name behind which the nodes of a cluster are found. */
  readonly discover: boolean;
  readonly user: { readonly username: string; readonly password: string } | undefined;
  readonly options: ConnectionOptions;
}

/** The options of the vendor's connection strings that mean something here. */
export interface ConnectionOptions {
  readonly tls: boolean;
  readonly tlsCAFile?: string;
  readonly userCertFile?: string;
  readonly userKeyFile?: string;
  readonly nodePreference?: (typeof NODE_PREFERENCES)[number];
  readonly connectionName?: string;
  readonly maxDiscoverAttempts?: number;
  /** Milliseconds. */
  readonly discoveryInterval?: number;
  /** Seconds. */
  readonly gossipTimeout?: number;
  /** Milliseconds. */
  readonly keepAliveInterval?: number;
  /** Milliseconds. */
  readonly keepAliveTimeout?: number;
}

const NODE_PREFERENCES = ['leader', 'follower', 'random', 'read_only_replica'] as const;

const SHAPE =
  /^(?:esdb|kurrentdb)(\+discover)?:\/\/(?:([^:@/?]+):([^@/?]*)@)?([^/?@]+)\/?(?:\?(.*))?$/;
const HOST = /^([^\s:$+!?*'(),;[\]{}|"%~#<>=&]+)(?::(\d{1,5}))?$/;
const DEFAULT_PORT = 2113;

/**
 * Takes a connection string apart. The client's own parser is not asked: it quotes the string, password
 * and all, in its errors and warnings.
 * @throws BadConnectionString
 */
export function parseConnectionString(text: string): ConnectionString {
  const shape = SHAPE.exec(text.trim());
  if (!shape)
    throw new BadConnectionString(
      'must be esdb://[user:password@]host[:port][,...][?option=value&...]',
    );
  const [, discover, username, password, names = '', query = ''] = shape;
  const [first, ...others] = names.split(',').map(hostOf) as [EndPoint, ...EndPoint[]];
  if (discover !== undefined && others.length > 0)
    throw new BadConnectionString('takes one host where it is esdb+discover://');
  const user =
    username === undefined
      ? undefined
      : { username: decoded(username, 'user'), password: decoded(password ?? '', 'password') };
  return {
    hosts: [first, ...others],
    discover: discover !== undefined,
    user,
    options: optionsOf(query),
  };
}

function hostOf(text: string): EndPoint {
  const [, address, port] = HOST.exec(text) ?? [];
  if (address === undefined || Number(port) > 65_535)
    throw new BadConnectionString('names a host that is none');
  return { address, port: Number(port ?? DEFAULT_PORT) };
}

function optionsOf(query: string): ConnectionOptions {
  const options: Record<string, string | number | boolean> = { tls: true };
  for (const pair of query.split('&').filter((one) => one !== '')) {
    const [name = '', ...rest] = pair.split('=');
    const flat = flatten(name);
    const known = Object.keys(READERS).find((option) => flatten(option) === flat);
    if (known === undefined)
      throw new BadConnectionString(`has an option that is not known: ${printable(name)}`);
    const value = READERS[known]?.(known, decoded(rest.join('='), known));
    if (value !== undefined) options[known] = value;
  }
  if ((options.userCertFile === undefined) !== (options.userKeyFile === undefined))
    throw new BadConnectionString('needs userCertFile and userKeyFile together');
  return options as unknown as ConnectionOptions;
}

type Reader = (name: string, value: string) => string | number | boolean | undefined;

/** What reads each option; `undefined` where nothing is left to be set. */
const READERS: Readonly<Record<string, Reader>> = {
  tls: flag,
  tlsCAFile: given,
  userCertFile: given,
  userKeyFile: given,
  nodePreference: preference,
  connectionName: given,
  maxDiscoverAttempts: count,
  discoveryInterval: count,
  gossipTimeout: count,
  keepAliveInterval: count,
  keepAliveTimeout: count,
  // Every call has a deadline of its own here.
  defaultDeadline: (name, value) => void count(name, value),
  // The client would answer with a revision that is wrong.
  throwOnAppendFailure: (name, value) => void mustBe(true, name, value),
  // The client would go on to verify.
  tlsVerifyCert: (name, value) => void mustBe(true, name, value),
};

function flag(name: string, value: string): boolean {
  if (value !== 'true' && value !== 'false')
    throw new BadConnectionString(`has ${name}, which must be true or false`);
  return value === 'true';
}

function mustBe(wanted: boolean, name: string, value: string): void {
  if (flag(name, value) !== wanted)
    throw new BadConnectionString(`has ${name}=${value}, which is not supported`);
}

function given(name: string, value: string): string {
  if (value === '') throw new BadConnectionString(`has ${name} without a value`);
  return value;
}

function count(name: string, value: string): number {
  if (!/^\d{1,9}$/.test(value) || Number(value) === 0)
    throw new BadConnectionString(`has ${name}, which must be a whole number above 0`);
  return Number(value);
}

function preference(name: string, value: string): string {
  const found = NODE_PREFERENCES.find((one) => flatten(one) === flatten(value));
  if (found === undefined)
    throw new BadConnectionString(
      `has ${name}, which must be one of ${NODE_PREFERENCES.join(', ')}`,
    );
  return found;
}

function decoded(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new BadConnectionString(`has a ${what} that is not percent-encoded as it must be`);
  }
}

/** As the vendor compares names: without case, hyphens and underscores. */
function flatten(name: string): string {
  return name.toLowerCase().replace(/[_-]/g, '');
}

/** A name may be a password that was pasted into the wrong place. */
function printable(name: string): string {
  return /^[A-Za-z]{1,30}$/.test(name) ? name : '(not shown)';
}
