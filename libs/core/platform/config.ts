import { resolve } from 'node:path';
import {
  IsIn,
  IsISO31661Alpha2,
  IsNotEmpty,
  IsOptional,
  Matches,
  ValidateBy,
  ValidateIf,
  validateSync,
} from 'class-validator';
import type { LimitSettings } from './http/call-limits.js';

/** What one process does. All of them together is the default; large installations split them. */
export const ROLES = ['api', 'projector', 'sealer', 'jobs'] as const;
export type Role = (typeof ROLES)[number];

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const EVENT_STORES = ['postgres', 'kurrentdb'] as const;
export type EventStoreKind = (typeof EVENT_STORES)[number];

/** The port that is tried first where none is given. */
export const DEFAULT_PORT = 3000;

/** Calls a minute, where nothing else is said: generous for who is known, strict for who is not. */
const DEFAULT_LIMITS: LimitSettings = { perKey: 600_000, public: 120, failed: 30 };

/** The settings of a process, read once at start. Immutable; printing it shows no secret. */
export class Config {
  /** Undefined where none was given: then 3000, or the next one that is free. 0: any free one. */
  readonly port: number | undefined;
  readonly host: string;
  readonly logLevel: LogLevel;
  /** Undefined: an embedded PostgreSQL in `dataDirectory`. */
  readonly databaseUrl: string | undefined;
  /** Absolute. */
  readonly dataDirectory: string;
  readonly eventStore: EventStoreKind;
  readonly kurrentdbUrl: string | undefined;
  readonly kurrentdbStreamPrefix: string;
  /** Undefined: the vault is a schema of the ledger's own database. */
  readonly vaultDatabaseUrl: string | undefined;
  /** Absolute; undefined: below `dataDirectory`. */
  readonly vaultKeyFile: string | undefined;
  readonly roles: ReadonlySet<Role>;
  /** ISO 3166-1 alpha-2, for national phone numbers; undefined: only E.164 is accepted. */
  readonly defaultRegion: string | undefined;
  /** How often who may call, over all servers together. */
  readonly limits: LimitSettings;
  /** How many proxies stand before this process and say whom they speak for. */
  readonly proxies: number;
  /** What checkpoints of this log are signed as; undefined: a name made of the ledger's id. */
  readonly origin: string | undefined;
  /** Absolute; where checkpoints are written a second time. */
  readonly witnessFile: string | undefined;
  /** The submission prefix of a witness, c2sp.org/tlog-witness. */
  readonly witnessUrl: string | undefined;
  /** A timestamp authority, RFC 3161. */
  readonly timestampUrl: string | undefined;
  /** A key with every scope to install at first start. */
  readonly bootstrapKey: string | undefined;
  /** The server that the command line talks to; undefined: it opens the store itself. */
  readonly ledgerUrl: string | undefined;
  readonly ledgerApiKey: string | undefined;

  constructor(variables: Variables) {
    this.port = variables.PORT === undefined ? undefined : Number(variables.PORT);
    // A server with a database of its own is deployed and must be reachable; one with the embedded
    // database is somebody's trial and must not be, unless asked for.
    this.host = variables.HOST ?? (variables.DATABASE_URL ? '0.0.0.0' : '127.0.0.1');
    this.logLevel = (variables.LOG_LEVEL ?? 'info') as LogLevel;
    this.databaseUrl = variables.DATABASE_URL;
    this.dataDirectory = resolve(variables.LEDGER_DATA_DIR ?? './data');
    this.eventStore = (variables.EVENT_STORE ?? 'postgres') as EventStoreKind;
    // The newer name of the same scheme, which the client does not know.
    this.kurrentdbUrl = variables.KURRENTDB_URL?.replace(/^kurrentdb/, 'esdb');
    this.kurrentdbStreamPrefix = variables.KURRENTDB_STREAM_PREFIX ?? 'consent-';
    this.vaultDatabaseUrl = variables.VAULT_DATABASE_URL;
    this.vaultKeyFile = variables.VAULT_KEY_FILE && resolve(variables.VAULT_KEY_FILE);
    this.roles = new Set(listed(variables.LEDGER_ROLES ?? ROLES.join(',')) as Role[]);
    this.defaultRegion = variables.LEDGER_DEFAULT_REGION;
    this.limits = Object.freeze({
      perKey: Number(variables.LEDGER_LIMIT_PER_KEY ?? DEFAULT_LIMITS.perKey),
      public: Number(variables.LEDGER_LIMIT_PUBLIC ?? DEFAULT_LIMITS.public),
      failed: Number(variables.LEDGER_LIMIT_FAILED ?? DEFAULT_LIMITS.failed),
    });
    this.proxies = Number(variables.LEDGER_PROXIES ?? 0);
    this.origin = variables.LEDGER_ORIGIN;
    this.witnessFile = variables.LEDGER_WITNESS_FILE && resolve(variables.LEDGER_WITNESS_FILE);
    this.witnessUrl = variables.LEDGER_WITNESS_URL;
    this.timestampUrl = variables.LEDGER_TIMESTAMP_URL;
    this.bootstrapKey = variables.LEDGER_BOOTSTRAP_KEY;
    this.ledgerUrl = variables.LEDGER_URL?.replace(/\/+$/, '');
    this.ledgerApiKey = variables.LEDGER_API_KEY;
    Object.freeze(this);
  }

  /** The same but for these. */
  with(
    changes: Partial<Pick<Config, 'databaseUrl' | 'dataDirectory' | 'eventStore' | 'roles'>>,
  ): Config {
    return Object.freeze(Object.assign(Object.create(Config.prototype) as Config, this, changes));
  }

  /** What may be shown: no URL with a password, no key. */
  toJSON(): object {
    return {
      port: this.port,
      host: this.host,
      logLevel: this.logLevel,
      database: this.databaseUrl === undefined ? 'embedded' : 'external',
      dataDirectory: this.dataDirectory,
      eventStore: this.eventStore,
      roles: [...this.roles],
      limits: this.limits,
      proxies: this.proxies,
      origin: this.origin,
      defaultRegion: this.defaultRegion,
    };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): object {
    return this.toJSON();
  }
}

/** A variable that can not be used, and the rule it breaks. The value is not repeated: it may be a secret. */
export interface BadVariable {
  readonly variable: string;
  readonly rule: string;
}

/** The environment can not be used; all bad variables at once. */
export class BadConfiguration extends Error {
  override readonly name = 'BadConfiguration';
  constructor(readonly variables: readonly BadVariable[]) {
    super(
      `the configuration can not be used:\n${variables.map(({ variable, rule }) => `  ${variable} ${rule}`).join('\n')}`,
    );
  }
}

/**
 * Reads and checks the environment: the only place that does. An empty variable counts as unset, as
 * compose files write it. A `.env` file is not read: `node --env-file=.env` does that.
 * Throws BadConfiguration, which names every bad variable.
 */
export function readConfig(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Config {
  const variables = new Variables();
  for (const name of VARIABLES) {
    const value = environment[name]?.trim();
    if (value !== undefined && value !== '') variables[name] = value;
  }
  const bad = validateSync(variables, { forbidUnknownValues: false }).flatMap((error) =>
    Object.values(error.constraints ?? {}).map((rule) => ({ variable: error.property, rule })),
  );
  if (bad.length > 0) throw new BadConfiguration(bad);
  return new Config(variables);
}

function listed(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** A connection string may have no host (`postgresql:///name?host=/socket`) or several, so it is no URL to a parser. */
const IsDatabaseUrl = () =>
  Matches(/^postgres(ql)?:\/\/\S+$/, { message: 'must be a postgresql:// connection string' });

const IsHttpUrl = () =>
  Matches(/^https?:\/\/[^\s/]\S*$/, { message: 'must be an http:// or https:// address' });

const IsCallsAMinute = () =>
  Matches(/^\d{1,9}$/, { message: 'must be a number of calls a minute; 0: no limit' });

const OneOf = (values: readonly string[]) =>
  IsIn(values, { message: `must be one of ${values.join(', ')}` });

class Variables {
  @IsOptional()
  @ValidateBy(
    {
      name: 'isPort',
      validator: {
        validate: (value: unknown) => /^\d{1,5}$/.test(String(value)) && Number(value) <= 65_535,
      },
    },
    { message: 'must be a port, 0 to 65535' },
  )
  PORT?: string;

  @IsOptional()
  @Matches(/^[A-Za-z0-9.:_-]+$/, { message: 'must be an address or a host name to listen on' })
  HOST?: string;

  @IsOptional()
  @OneOf(LOG_LEVELS)
  LOG_LEVEL?: string;

  @IsOptional()
  @IsDatabaseUrl()
  DATABASE_URL?: string;

  @IsOptional()
  @IsNotEmpty()
  LEDGER_DATA_DIR?: string;

  @IsOptional()
  @OneOf(EVENT_STORES)
  EVENT_STORE?: string;

  @ValidateIf(
    (all: Variables) => all.EVENT_STORE === 'kurrentdb' || all.KURRENTDB_URL !== undefined,
  )
  @Matches(/^(esdb|kurrentdb)(\+discover)?:\/\/\S+$/, {
    message:
      'must be an esdb:// connection string, and must be given where EVENT_STORE is kurrentdb',
  })
  KURRENTDB_URL?: string;

  @IsOptional()
  @Matches(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, {
    message: 'must be up to 64 letters, digits, hyphens or underscores',
  })
  KURRENTDB_STREAM_PREFIX?: string;

  @IsOptional()
  @IsDatabaseUrl()
  VAULT_DATABASE_URL?: string;

  @IsOptional()
  @IsNotEmpty()
  VAULT_KEY_FILE?: string;

  @IsOptional()
  @ValidateBy(
    {
      name: 'isRoles',
      validator: {
        validate: (value: unknown) => {
          const roles = listed(String(value));
          return roles.length > 0 && roles.every((role) => ROLES.some((known) => known === role));
        },
      },
    },
    { message: `must be a list of ${ROLES.join(', ')}, separated by commas` },
  )
  LEDGER_ROLES?: string;

  @IsOptional()
  @IsISO31661Alpha2({ message: 'must be an ISO 3166 country code of two letters' })
  LEDGER_DEFAULT_REGION?: string;

  @IsOptional()
  @IsCallsAMinute()
  LEDGER_LIMIT_PER_KEY?: string;

  @IsOptional()
  @IsCallsAMinute()
  LEDGER_LIMIT_PUBLIC?: string;

  @IsOptional()
  @IsCallsAMinute()
  LEDGER_LIMIT_FAILED?: string;

  @IsOptional()
  @Matches(/^\d$/, { message: 'must be a number of proxies, 0 to 9' })
  LEDGER_PROXIES?: string;

  @IsOptional()
  @Matches(/^clk_[A-Za-z0-9_]{32,}$/, {
    message: 'must be clk_ and at least 32 letters, digits or underscores',
  })
  LEDGER_BOOTSTRAP_KEY?: string;

  @IsOptional()
  @Matches(/^[\x21-\x2a\x2c-\x7e]{1,200}$/, {
    message: 'must be up to 200 characters of ASCII, without spaces and plus',
  })
  LEDGER_ORIGIN?: string;

  @IsOptional()
  @IsNotEmpty()
  LEDGER_WITNESS_FILE?: string;

  @IsOptional()
  @IsHttpUrl()
  LEDGER_WITNESS_URL?: string;

  @IsOptional()
  @IsHttpUrl()
  LEDGER_TIMESTAMP_URL?: string;

  @IsOptional()
  @IsHttpUrl()
  LEDGER_URL?: string;

  @IsOptional()
  @Matches(/^clk_[A-Za-z0-9_]+$/, { message: 'must be an API key, clk_...' })
  LEDGER_API_KEY?: string;
}

/** Every variable that is read. */
export const VARIABLES = [
  'PORT',
  'HOST',
  'LOG_LEVEL',
  'DATABASE_URL',
  'LEDGER_DATA_DIR',
  'EVENT_STORE',
  'KURRENTDB_URL',
  'KURRENTDB_STREAM_PREFIX',
  'VAULT_DATABASE_URL',
  'VAULT_KEY_FILE',
  'LEDGER_ROLES',
  'LEDGER_DEFAULT_REGION',
  'LEDGER_BOOTSTRAP_KEY',
  'LEDGER_LIMIT_PER_KEY',
  'LEDGER_LIMIT_PUBLIC',
  'LEDGER_LIMIT_FAILED',
  'LEDGER_PROXIES',
  'LEDGER_ORIGIN',
  'LEDGER_WITNESS_FILE',
  'LEDGER_WITNESS_URL',
  'LEDGER_TIMESTAMP_URL',
  'LEDGER_URL',
  'LEDGER_API_KEY',
] as const satisfies readonly (keyof Variables)[];

/** The environment of a process that we start: ours, but for these. */
export function environmentWith(
  changes: Readonly<Record<string, string>>,
): Record<string, string | undefined> {
  return { ...process.env, ...changes };
}
