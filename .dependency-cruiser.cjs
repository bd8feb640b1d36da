/**
 * Who may import what. One rule for each row of the table; a row lists what is allowed, everything else in the
 * repository is refused, and so are the frameworks and drivers below where a row does not name them.
 *
 * Two halves: libs/core knows nothing about consent, libs/domains know nothing about how events are stored.
 */

const SPEC = '\\.spec\\.ts$';

const KERNEL = '^libs/core/kernel/';
const VAULT = '^libs/core/vault/';
/** The interfaces, the tokens they are injected by, and ids derived through them. */
const VAULT_PORT = '^libs/core/vault/(port|tokens|derivation)\\.ts$';
/** Files that survive a power failure. */
const DURABLE_FILE = '^libs/core/vault/durable-file\\.ts$';
const LEDGER = '^libs/core/ledger/';
/** Without the folders of its adapters. */
const LEDGER_PORT = '^libs/core/ledger/[^/]+\\.ts$';
const PROJECTOR = '^libs/core/projector/';
const PROOF = '^libs/core/proof/';
/** Without what talks to PostgreSQL. */
const PROOF_PORT = '^libs/core/proof/[^/]+\\.ts$';
/** What of the proof is arithmetic: without a store, a clock or any part of Node. */
const PURE_PROOF = '^libs/core/proof/(checkpoint|encoding|merkle|note)\\.ts$';
/** The check of an evidence bundle: what a browser and the command line run with nothing else. */
const VERIFIER = '^libs/domains/evidence/domain/verify-bundle\\.ts$';
const PLATFORM = '^libs/core/platform/';
const RUNTIME = '^libs/core/runtime/';

const EVENT_TYPES = '^libs/domains/[^/]+/domain/[^/]+\\.events\\.ts$';
/** Lists of codes and pure rules that look at nothing but what they are given: what a slice lets any other know. */
const VOCABULARY = '^libs/domains/[^/]+/domain/[^/]+\\.vocabulary\\.ts$';
const BUS_MESSAGES = '^libs/domains/[^/]+/(commands|queries)/[^/]+\\.message\\.ts$';
/** What calls take, and a line of a stream repeats: the contract's vocabulary. */
const SHAPES = '^libs/domains/[^/]+/api/[^/]+\\.shapes\\.ts$';
/** What a command gives back. */
const RESULTS = '^libs/core/ledger/(ledger|receipt)\\.ts$';
const SLICE_MODULE = '^libs/domains/([^/]+/[^/]+\\.module|slices(\\.module)?)\\.ts$';
const PERSON_SLICES = '(subjects|consents|preferences|erasure)';

/** npm packages that shape the code around them. Others (pino, libphonenumber-js, ...) are a file's own business. */
const npm = (names) => `(^|/)node_modules/(${names})/`;
const NEST = npm('@nestjs/[^/]+|fastify');
const NEST_CQRS = npm('@nestjs/cqrs|@nestjs/common');
const VALIDATION = npm('class-validator');
const KYSELY = npm('kysely');
const POSTGRES_DRIVER = npm('pg|pg-[^/]+');
const KURRENTDB_DRIVER = npm('@eventstore/db-client|@grpc/grpc-js');
const FRAMEWORKS = npm(
  '@nestjs/[^/]+|fastify|@fastify/[^/]+|rxjs|class-validator|' +
    'kysely|pg|pg-[^/]+|@eventstore/db-client|@grpc/grpc-js',
);

/** Pure functions of what is written in a telephone number or a domain name. */
const SPELLING = `${npm('libphonenumber-js')}|^(node:)?url$`;

/** Parts of Node that reach other processes and machines. */
const OUTSIDE_WORLD =
  '^(node:)?(child_process|cluster|dgram|dns|http|http2|https|inspector|net|repl|tls|vm|worker_threads)(/|$)';
const FILES = '^(node:)?fs(/|$)';

/** A file named after its store, or in a folder named after it. */
const adapter = (folder, store) => `^libs/core/${folder}/(${store}/|[^/]*${store}[^/]*\\.ts$)`;

/**
 * @param {string} name the row
 * @param {string} comment why the row is as it is
 * @param {string} from the folder
 * @param {string[]} may what it may import
 * @param {{pathNot?: string | string[], outside?: string}} options files of the folder that have a row of their own;
 *   the parts of Node it may not use
 */
function row(name, comment, from, may, { pathNot = [], outside = OUTSIDE_WORLD } = {}) {
  return {
    name,
    comment,
    severity: 'error',
    from: { path: from, pathNot: [SPEC, ...[pathNot].flat()] },
    to: { path: ['^(libs|apps|test|bench)/', FRAMEWORKS, outside], pathNot: may },
  };
}

module.exports = {
  forbidden: [
    {
      name: 'kernel',
      comment:
        'The kernel is pure TypeScript and imports nothing, neither a package nor a part of Node: what is true in it ' +
        'is true everywhere, and every folder may import it.',
      severity: 'error',
      from: { path: KERNEL, pathNot: SPEC },
      to: { pathNot: KERNEL },
    },
    row(
      'vault',
      'Keys know nothing of events or of the web; of the libraries they need cryptography only. ' +
        'How a key is kept in PostgreSQL is known to one place.',
      VAULT,
      [KERNEL, VAULT],
      { pathNot: adapter('vault', 'postgres') },
    ),
    row(
      'vault-postgres',
      'The one place in the vault that talks to PostgreSQL, with Kysely and the driver below it.',
      adapter('vault', 'postgres'),
      [KERNEL, VAULT, KYSELY, POSTGRES_DRIVER],
    ),
    row(
      'ledger',
      'The port and the codec seal through the vault and know no store: adapters can be exchanged because a driver is ' +
        'known inside its own adapter only.',
      LEDGER,
      [KERNEL, VAULT, LEDGER],
      { pathNot: [adapter('ledger', 'postgres'), adapter('ledger', 'kurrentdb')] },
    ),
    row(
      'ledger-postgres',
      'The PostgreSQL adapter knows its own driver and no other adapter.',
      adapter('ledger', 'postgres'),
      [KERNEL, VAULT, LEDGER, KYSELY, POSTGRES_DRIVER],
    ),
    row(
      'ledger-kurrentdb',
      'The KurrentDB adapter knows its own driver and no other adapter.',
      adapter('ledger', 'kurrentdb'),
      [KERNEL, VAULT, LEDGER, KURRENTDB_DRIVER],
    ),
    row(
      'projector',
      'It carries events from the ledger to rows: it needs both ends and nothing of what the events mean.',
      PROJECTOR,
      [KERNEL, LEDGER, PROJECTOR, KYSELY],
    ),
    row(
      'proof',
      'A proof reads the log and computes; what it needs must be little enough to be read by an auditor. Its keys and ' +
        'what they signed last lie in files that are written as the vault writes its own; witnesses are asked by fetch.',
      PROOF,
      [KERNEL, LEDGER, PROOF, DURABLE_FILE],
      { pathNot: adapter('proof', 'postgres') },
    ),
    row(
      'proof-postgres',
      'The one place in the proof that talks to PostgreSQL, with Kysely and the driver below it.',
      adapter('proof', 'postgres'),
      [KERNEL, LEDGER, PROOF, KYSELY, POSTGRES_DRIVER],
    ),
    row(
      'platform',
      'The ground the process stands on: configuration, database, HTTP. It knows no domain and no other part of core.',
      PLATFORM,
      [KERNEL, PLATFORM, NEST, VALIDATION, KYSELY, POSTGRES_DRIVER, npm('rxjs|@fastify/[^/]+')],
      { outside: '^$' },
    ),
    row(
      'runtime',
      'It wires the ports of core into one process, so it sees all of core; what the process is about it learns from ' +
        'the modules it is given.',
      RUNTIME,
      ['^libs/core/', NEST, KYSELY, POSTGRES_DRIVER, npm('rxjs')],
      { outside: '^$' },
    ),
    {
      name: 'domain',
      comment:
        'A decision is (input) => (state) => events: no clock, randomness, store or framework can be asked, so nothing ' +
        'but the kernel, the pure part of the proof and the vocabulary of other slices can be imported; numbering plans and ' +
        'the spelling of domain names are facts that others keep.',
      severity: 'error',
      from: { path: '^libs/domains/([^/]+)/domain/', pathNot: SPEC },
      to: { pathNot: [KERNEL, PURE_PROOF, '^libs/domains/$1/domain/', EVENT_TYPES, SPELLING] },
    },
    row(
      'commands',
      'A use case decides with its own domain and appends to the ledger; other slices are spoken to through the bus.',
      '^libs/domains/([^/]+)/commands/',
      [
        KERNEL,
        LEDGER_PORT,
        PLATFORM,
        NEST_CQRS,
        '^libs/domains/$1/(commands|domain)/',
        BUS_MESSAGES,
        // What the two rows below decide.
        '^libs/domains/[^/]+/domain/',
        VAULT_PORT,
      ],
    ),
    {
      name: 'commands-of-other-domains',
      comment:
        'The domain of another slice is private, except among the slices that share the stream of a person: one ' +
        'append folds the models of all of them.',
      severity: 'error',
      from: {
        path: '^libs/domains/([^/]+)/commands/',
        pathNot: [SPEC, `^libs/domains/${PERSON_SLICES}/`],
      },
      to: {
        path: '^libs/domains/[^/]+/domain/',
        pathNot: ['^libs/domains/$1/domain/', EVENT_TYPES, VOCABULARY],
      },
    },
    {
      name: 'commands-of-the-person',
      comment:
        'The slices that share the stream of a person fold the models of each other, and of nobody else.',
      severity: 'error',
      from: { path: `^libs/domains/${PERSON_SLICES}/commands/`, pathNot: SPEC },
      to: {
        path: '^libs/domains/[^/]+/domain/',
        pathNot: [`^libs/domains/${PERSON_SLICES}/domain/`, EVENT_TYPES, VOCABULARY],
      },
    },
    {
      name: 'commands-and-keys',
      comment:
        'Keys are made for a person, destroyed in an erasure and used for a look: only these slices ask the vault.',
      severity: 'error',
      from: {
        path: '^libs/domains/[^/]+/commands/',
        pathNot: [SPEC, '^libs/domains/(subjects|erasure|access)/'],
      },
      to: { path: VAULT },
    },
    row(
      'projections',
      'A read model is made of events alone, of whatever slice, and is the only code that touches its table. What ' +
        'the events amount to is decided in its own domain: a row equals the fold because it is the fold.',
      '^libs/domains/([^/]+)/projections/',
      [
        KERNEL,
        KYSELY,
        '^libs/core/projector/projection\\.ts$',
        '^libs/domains/$1/(projections|domain)/',
        EVENT_TYPES,
      ],
    ),
    row(
      'queries',
      'A question is answered from the read models of its slice, from the log or from what was proven of it, never from ' +
        'the table of another slice.',
      '^libs/domains/([^/]+)/queries/',
      [
        KERNEL,
        LEDGER_PORT,
        PROOF_PORT,
        PLATFORM,
        NEST_CQRS,
        '^libs/domains/$1/(queries|projections|domain)/',
        BUS_MESSAGES,
        EVENT_TYPES,
        VOCABULARY,
        // What the row below decides.
        VAULT_PORT,
      ],
    ),
    {
      name: 'queries-and-keys',
      comment:
        'People are found through the keyed index that lies beside their keys, and the certificate of an erasure ' +
        'says since when no copy of the keys can be read, which the vault alone knows; no other question asks it.',
      severity: 'error',
      from: {
        path: '^libs/domains/[^/]+/queries/',
        pathNot: [SPEC, '^libs/domains/(subjects|erasure)/'],
      },
      to: { path: VAULT },
    },
    row(
      'reactions',
      'What follows from an event is a command of its own slice, driven from the log.',
      '^libs/domains/([^/]+)/reactions/',
      [KERNEL, PROJECTOR, NEST_CQRS, '^libs/domains/$1/(reactions|commands|queries)/', EVENT_TYPES],
    ),
    row(
      'edges',
      'The edge translates between HTTP and the bus: it sees messages, their results and the words of slices, never state, ' +
        'tables or keys.',
      '^libs/domains/([^/]+)/(api|views)/',
      [
        KERNEL,
        PLATFORM,
        NEST,
        VALIDATION,
        npm('rxjs'),
        RESULTS,
        '^libs/domains/$1/(api|views|commands|queries)/',
        BUS_MESSAGES,
        SHAPES,
        EVENT_TYPES,
        VOCABULARY,
      ],
    ),
    {
      name: 'messages-only',
      comment:
        'A slice speaks to another through messages that are declared as such, never to their handlers.',
      severity: 'error',
      from: { path: '^libs/domains/([^/]+)/', pathNot: [SPEC, SLICE_MODULE] },
      to: {
        path: '^libs/domains/[^/]+/(commands|queries)/',
        pathNot: ['^libs/domains/$1/', BUS_MESSAGES],
      },
    },
    {
      name: 'event-types-only',
      comment:
        'Between slices event types cross, not code: `import type`, so that nothing of another slice runs here.',
      severity: 'error',
      from: { path: '^libs/domains/([^/]+)/(domain|projections|reactions)/', pathNot: SPEC },
      to: {
        path: EVENT_TYPES,
        pathNot: '^libs/domains/$1/',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'domains-without-files',
      comment: 'Slices know nothing about how anything is stored: files are for core.',
      severity: 'error',
      from: { path: '^libs/domains/', pathNot: [SPEC, SLICE_MODULE] },
      to: { path: FILES },
    },
    row(
      'slice-modules',
      'Wiring may see everything it wires: all slices, all of core and Nest.',
      SLICE_MODULE,
      ['^libs/(core|domains)/', NEST, npm('rxjs')],
    ),
    {
      name: 'slice-layout',
      comment:
        'Inside a slice the folders are api, commands, domain, projections, queries, reactions and views, beside its ' +
        'module: a file elsewhere would be under no rule.',
      severity: 'error',
      from: { pathNot: SPEC },
      to: {
        path: '^libs/domains/',
        pathNot: [
          SLICE_MODULE,
          SPEC,
          '^libs/domains/[^/]+/(api|commands|domain|projections|queries|reactions|views)/',
        ],
      },
    },
    row(
      'apps',
      'An app puts modules together and talks to whoever started it: what it does is in the libraries, where it can be ' +
        'tested without the app.',
      '^apps/([^/]+)/',
      ['^apps/$1/', '^libs/core/', BUS_MESSAGES, SLICE_MODULE, VERIFIER, NEST, npm('rxjs')],
      { outside: '^$' },
    ),
    {
      name: 'nothing-imports-apps',
      comment: 'Apps are the end of the line.',
      severity: 'error',
      from: { path: '^(libs|apps/([^/]+))/' },
      to: { path: '^apps/', pathNot: '^apps/$2/' },
    },
    {
      name: 'no-specs-in-code',
      comment:
        'Specs may import anything; nothing that runs may import them, or the rules would end there.',
      severity: 'error',
      from: { path: '^(libs|apps)/', pathNot: SPEC },
      to: { path: ['^test/', '^bench/', SPEC] },
    },
    {
      name: 'sources-only',
      comment:
        'What was compiled is under no rule: an import that leads there has slipped past all of them.',
      severity: 'error',
      from: { path: '^(libs|apps|test)/' },
      to: { path: '^dist/' },
    },
    {
      name: 'resolvable',
      comment: 'An import that leads nowhere is under no rule.',
      severity: 'error',
      from: { path: '^(libs|apps|test)/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules', '^dist/'] },
    exclude: { path: '^apps/console/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    webpackConfig: { fileName: '.dependency-cruiser.resolve.cjs' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.js', '.json'],
    },
  },
};
