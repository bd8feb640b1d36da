import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { readConfig, ROLES } from '#core/platform/config.js';

/**
 * What the compose files promise, as far as it can be seen without an engine: variables that the product knows and can
 * use, roles that leave nothing undone, processes without rights they do not need.
 */

const repository = path.resolve(import.meta.dirname, '..');
const read = (file: string) => fs.readFileSync(path.join(repository, file), 'utf8');

interface Service {
  readonly image?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: object;
  readonly extends?: { readonly file: string; readonly service: string };
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly user?: string;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const composeOf = (file: string) => parse(read(file), { merge: true }) as Compose;

/** As compose does: `${NAME:-default}` and `${NAME:?what is missing}`, with what the reader put into .env. */
const given: Readonly<Record<string, string>> = {
  POSTGRES_PASSWORD: 'a1b2c3',
  KURRENTDB_PASSWORD: 'd4e5f6',
  LEDGER_BOOTSTRAP_KEY: `clk_${'0123456789abcdef'.repeat(4)}`,
};
const filledIn = (value: string | number) =>
  String(value).replace(
    /\$\{(\w+)(?::([-?])([^}]*))?\}/g,
    (_, name: string, kind: string | undefined, text: string | undefined) =>
      given[name] ?? (kind === '-' ? (text ?? '') : `missing ${name}`),
  );

const known = new Set([...read('.env.example').matchAll(/^#([A-Z_]+)=/gm)].map(([, name]) => name));

/** Named as KurrentDB's documentation of its options names them, version 26.0. */
const NODE_OPTIONS = [
  'KURRENTDB_CERTIFICATE_FILE',
  'KURRENTDB_CERTIFICATE_PRIVATE_KEY_FILE',
  'KURRENTDB_CLUSTER_SIZE',
  'KURRENTDB_DEFAULT_ADMIN_PASSWORD',
  'KURRENTDB_DEFAULT_OPS_PASSWORD',
  'KURRENTDB_DISCOVER_VIA_DNS',
  'KURRENTDB_GOSSIP_SEED',
  'KURRENTDB_NODE_HOST_ADVERTISE_AS',
  'KURRENTDB_NODE_PORT',
  'KURRENTDB_REPLICATION_HOST_ADVERTISE_AS',
  'KURRENTDB_REPLICATION_PORT',
  'KURRENTDB_RUN_PROJECTIONS',
  'KURRENTDB_TELEMETRY_OPTOUT',
  'KURRENTDB_TRUSTED_ROOT_CERTIFICATES_PATH',
];

describe.each(['docker-compose.yml', 'docker-compose.cluster.yml'])('%s', (file) => {
  const { services, volumes } = composeOf(file);
  const serviceOf = (name: string): Service => {
    const service = services[name];
    if (service === undefined) throw new Error(`${file} has no service ${name}`);
    return service;
  };
  const product = ['server', 'worker'].map((name) => [name, serviceOf(name)] as const);
  const nodes = Object.entries(services).filter(([name]) => name.startsWith('kurrentdb'));
  const settingsOf = ({ environment = {} }: Service) =>
    Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, filledIn(value)]));

  test.each(product)('given %s, then it can read its settings', (_, service) => {
    expect(Object.keys(service.environment ?? {}).filter((name) => !known.has(name))).toEqual([]);
    const config = readConfig(settingsOf(service));
    expect(config.eventStore).toBe('kurrentdb');
    expect(config.databaseUrl).toBe('postgresql://ledger:a1b2c3@postgres:5432/ledger');
  });

  test('given server and worker, then every role is somebody’s', () => {
    const roles = product.flatMap(([, service]) => [...readConfig(settingsOf(service)).roles]);
    expect([...roles].sort()).toEqual([...ROLES].sort());
  });

  test.each(product)('given %s, then it waits for its stores and shares the keys', (_, service) => {
    expect(Object.keys(service.depends_on ?? {})).toEqual([
      'postgres',
      ...nodes.map(([name]) => name),
    ]);
    expect(
      Object.values(service.depends_on ?? {}).every(
        ({ condition }) => condition === 'service_healthy',
      ),
    ).toBe(true);
    expect(service.volumes).toContain('keys:/var/lib/consent-ledger-keys');
    expect(read('Dockerfile')).toContain('VAULT_KEY_FILE=/var/lib/consent-ledger-keys/');
  });

  test.each(product)('given %s, then it can change nothing but its volumes', (_, service) => {
    expect(service.read_only).toBe(true);
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toEqual(['no-new-privileges:true']);
    expect(read('Dockerfile')).toMatch(/^USER node$/m);
  });

  test.each(nodes)('given %s, then it can read its key, which nobody else can', (_, service) => {
    // Where the vendor publishes it, and as whom it runs there.
    expect(filledIn(service.image ?? '')).toBe('docker.kurrent.io/kurrent-lts/kurrentdb:26.0');
    const { certificates } = composeOf('docker-compose.yml').services;
    expect(filledIn(certificates?.environment?.KURRENTDB_UID ?? '')).toBe('1001');
    const script = read('docker/make-certificates');
    expect(script).toContain('owner=${KURRENTDB_UID:-1001}');
    expect(script).toMatch(/chown -R "\$owner:\$owner" "\$folder"\n +chmod 700 "\$folder"/);
  });

  test.each(nodes)('given %s, then it is secure and its options exist', (name, service) => {
    expect(
      Object.keys(service.environment ?? {}).filter((option) => !NODE_OPTIONS.includes(option)),
    ).toEqual([]);
    expect(service.environment).toMatchObject({
      KURRENTDB_CERTIFICATE_FILE: `/nodes/${name}/node.crt`,
      KURRENTDB_CERTIFICATE_PRIVATE_KEY_FILE: `/nodes/${name}/node.key`,
      KURRENTDB_CLUSTER_SIZE: nodes.length,
    });
    expect(serviceOf('certificates').command).toContain(name);
    const seeds = service.environment?.KURRENTDB_GOSSIP_SEED;
    const others = nodes.map(([other]) => other).filter((other) => other !== name);
    expect(seeds?.toString().split(',') ?? []).toEqual(others.map((other) => `${other}:2113`));
  });

  test('given the client, then it trusts the authority of this installation and asks the leader', () => {
    const url = String(serviceOf('server').environment?.KURRENTDB_URL);
    expect(url).toContain(nodes.map(([name]) => `${name}:2113`).join(','));
    expect(url).toMatch(/[?&]tls=true&tlsCAFile=\/trust\/ca\.crt/);
    if (nodes.length > 1) expect(url).toContain('nodePreference=leader');
  });

  test('given every service that keeps something, then its volume is declared, and everybody who can is watched', () => {
    const named = Object.values(services)
      .map((service) =>
        service.extends
          ? composeOf(service.extends.file).services[service.extends.service]
          : service,
      )
      .flatMap((service) => service?.volumes ?? [])
      .map((volume) => volume.split(':')[0] ?? '')
      .filter((source) => !source.startsWith('.'));
    expect(Object.keys(volumes).sort()).toEqual([...new Set(named)].sort());
    expect(nodes.every(([, service]) => service.healthcheck !== undefined)).toBe(true);
    expect(read('Dockerfile')).toMatch(/^HEALTHCHECK .*"healthy"\]$/m);
  });
});
