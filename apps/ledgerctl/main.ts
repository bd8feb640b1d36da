import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import { Command, CommanderError, Option } from 'commander';
import { EVENT_STORES, readConfig } from '#core/platform/config.js';
import { Api } from './api.js';
import { connect } from './connection.js';
import { checkBundle, type EvidenceOptions, type TrustOptions, writeEvidence } from './evidence.js';
import { importFile } from './import-file.js';
import { EXIT, Output, ReaderGone } from './output.js';
import { issueKey, listKeys, revokeKey } from './keys.js';
import { askAudience, askCounts, askDecision, eraseSubject, showTimeline } from './people.js';
import { applyCatalogue, listCatalogue } from './catalogue.js';
import { copy, type CopyOptions } from './copy.js';
import { checkReadModels, replay, type ReplayOptions } from './replay.js';
import { seedDemo, seedEvents } from './seed.js';
import { doctor, migrateStore, rebuild, rotateVault, serve, vaultStatus } from './store.js';
import {
  rebuildTiles,
  replaceSigningKey,
  retireSigningKey,
  rotateSigningKey,
  showSealing,
  acceptLoss,
} from './sealing.js';
import { verifyLog, type VerifyOptions } from './verify.js';
import { checkProof, type ProofOptions } from './verify-proof.js';

/** `ledgerctl`: for operators and auditors. */

const { version } = JSON.parse(
  await readFile(new URL('../../../package.json', import.meta.url), 'utf8'),
) as { version: string };

const program = new Command('ledgerctl')
  .description('The consent ledger’s command line.')
  .option('--json', 'machine-readable results')
  .version(version, '--version')
  .exitOverride()
  .showHelpAfterError()
  .configureHelp({ sortSubcommands: true })
  .addHelpText(
    'after',
    `
Talks to the server of LEDGER_URL with LEDGER_API_KEY; else to the one that runs on LEDGER_DATA_DIR;
else opens the store itself.

Exit codes: 0 done; 1 done, and something was rejected or found; 2 not understood; 3 could not be done.`,
  );

let exitCode: number = EXIT.ok;
const output = () => new Output(program.opts<{ json?: boolean }>().json ?? false);

/** Runs something that asks the API, and closes what was opened for it. */
async function online(run: (api: Api, out: Output) => Promise<number | void>): Promise<void> {
  const connection = await connect(readConfig());
  try {
    exitCode = (await run(new Api(connection), output())) ?? EXIT.ok;
  } finally {
    await connection.close();
  }
}

/** Runs something that works on the store itself. */
async function offline(
  run: (config: ReturnType<typeof readConfig>, out: Output) => Promise<number | void>,
): Promise<void> {
  exitCode = (await run(readConfig(), output())) ?? EXIT.ok;
}

const asOf = new Option('--as-of <time>', 'what was true then (RFC 3339 with zone)');
const knownAt = new Option('--known-at <when>', 'what the ledger knew: a time, or position:N');
const json = async (file: string): Promise<object> => {
  const text = await readFile(file, 'utf8');
  try {
    return JSON.parse(text) as object;
  } catch {
    throw new Error(`${file} holds no JSON document`);
  }
};

program
  .command('serve')
  .description('serve the API and follow the log, until stopped')
  .action(() => serve());

const catalogue = program.command('catalogue').description('the privacy centre');
catalogue
  .command('apply <file>')
  .description(
    'purposes, controllers, notices and topics from one JSON file; again changes nothing',
  )
  .action((file: string) => online(async (api, out) => applyCatalogue(api, await json(file), out)));
for (const [kind, plural] of [
  ['purpose', 'purposes'],
  ['notice', 'notices'],
  ['topic', 'topics'],
] as const) {
  const command = program.command(kind).description(`${plural} of the privacy centre`);
  command
    .command('list')
    .description(`list ${plural}`)
    .action(() => online((api, out) => listCatalogue(api, plural, out)));
  command
    .command('add <file>')
    .description(`add one from a JSON file, the body of POST /v1/${plural}`)
    .action((file: string) =>
      online(async (api, out) => {
        const { body } = await api.call<object>('POST', `/v1/${plural}`, await json(file));
        out.result(body, JSON.stringify(body));
      }),
    );
}

program
  .command('import <file>')
  .description(
    'registrations and interactions from a file, one JSON document a line; again changes nothing',
  )
  .option('--receipts <file>', 'write the verdict of every line there')
  .action((file: string, { receipts }: { receipts?: string }) =>
    online((api, out) => importFile(api, file, out, receipts)),
  );

program
  .command('timeline <subject>')
  .description('every event of a person, in words; a subject id or system:id')
  .addOption(asOf)
  .addOption(knownAt)
  .option('--purpose <key>', 'what bears on this purpose only')
  .option('--language <tag>', 'en or de')
  .option('--reveal', 'with personal fields; the look is recorded')
  .action((subject: string, options: Record<string, string | boolean>) =>
    online((api, out) => showTimeline(api, subject, options, out)),
  );

program
  .command('decide <subject> <purpose>')
  .description('may we? for a subject id or system:id')
  .option('--channel <channel>', 'email, sms, phone, post or push')
  .option('--topic <key>', 'a topic of the purpose; needs a channel')
  .addOption(asOf)
  .addOption(knownAt)
  .action((subject: string, purpose: string, options: Record<string, string>) =>
    online((api, out) => askDecision(api, subject, purpose, options, out)),
  );

program
  .command('audience <purpose>')
  .description('everyone for whom a purpose is allowed: the counts, or with --ids the people')
  .option('--channel <channel>', 'email, sms, phone, post or push')
  .option('--topic <key>', 'a topic of the purpose; needs a channel')
  .addOption(asOf)
  .addOption(knownAt)
  .option('--ids', 'list the subject ids')
  .action((purpose: string, options: Record<string, string | boolean>) =>
    online((api, out) => askAudience(api, purpose, options, out)),
  );

program
  .command('counts')
  .description('people per purpose and answer')
  .addOption(asOf)
  .addOption(knownAt)
  .action((options: Record<string, string>) => online((api, out) => askCounts(api, options, out)));

program
  .command('evidence [subject...]')
  .description('a bundle that proves what is on record, for people, a purpose or a period')
  .requiredOption('--out <file>', 'the zip to write')
  .option('--list <file>', 'more people, one a line: subject ids or system:id')
  .option('--purpose <key>', 'what bears on this purpose only')
  .option('--from <time>', 'of whom something was recorded from then on')
  .option('--to <time>', 'what was recorded until then')
  .option('--since <file>', 'an earlier checkpoint: that the log was only added to since is proved')
  .option('--reveal', 'with personal fields in the clear')
  .action((people: string[], options: EvidenceOptions) =>
    online((api, out) => writeEvidence(api, people, options, out)),
  );
program
  .command('verify-bundle <file>')
  .description('check an evidence bundle; needs no server and no store')
  .option('--origin <name>', 'of the log, as you know it from elsewhere')
  .option('--key <key...>', 'its verifier key (name+id+key), as you know it from elsewhere')
  .option('--earlier <file>', 'a checkpoint that you keep from an earlier day')
  .addOption(new Option('--language <tag>', 'of the reasons').choices(['en', 'de']).default('en'))
  .action(async (file: string, options: TrustOptions) => {
    exitCode = await checkBundle(file, options, output());
  });
program
  .command('verify-proof <file>')
  .description('check a .tlog-proof receipt of one event; needs no server and no store')
  .requiredOption('--event <file>', 'the event, as the feed or a bundle has it')
  .requiredOption('--origin <name>', 'of the log, as you know it from elsewhere')
  .requiredOption('--key <key...>', 'its verifier key (name+id+key), as you know it from elsewhere')
  .action(async (file: string, options: ProofOptions) => {
    exitCode = await checkProof(file, options, output());
  });

program
  .command('erase <subject>')
  .description('forget a person; waits for the certificate')
  .requiredOption(
    '--ground <ground>',
    'Art. 17(1): no-longer-needed, consent-withdrawn, objected, unlawful, legal-obligation, child',
  )
  .option('--note <text>', 'sealed')
  .action((subject: string, options: { ground: string; note?: string }) =>
    online((api, out) => eraseSubject(api, subject, options, out)),
  );

const keys = program.command('keys').description('API keys');
keys
  .command('list')
  .description('every key, what it may and until when')
  .action(() => online((api, out) => listKeys(api, out)));
keys
  .command('issue')
  .description('make a key; its secret is shown once')
  .option('--name <name>', 'what it is for')
  .option('--role <role>', 'service, officer, dpo, auditor or admin')
  .option('--scopes <scopes>', 'comma-separated, in place of a role')
  .option('--expires-at <time>', 'RFC 3339; an auditor’s key must expire')
  .action((options: Record<string, string>) => online((api, out) => issueKey(api, options, out)));
keys
  .command('revoke <id>')
  .description('take a key back')
  .action((id: string) => online((api, out) => revokeKey(api, id, out)));

program
  .command('seed')
  .description(
    'load the example catalogue and people: those of the examples, or any number of others',
  )
  .option('--demo', 'the people of the examples')
  .option('--events <n>', 'invented people with so many events; again changes nothing')
  .option('--seed <text>', 'other people for each: letters, digits and hyphens', '1')
  .action((options: { demo?: boolean; events?: string; seed: string }, command: Command) => {
    const { demo, events, seed } = options;
    if ((demo === undefined) === (events === undefined))
      command.error('error: say --demo or --events');
    if (events === undefined) return online((api, out) => seedDemo(api, out));
    if (!/^[1-9]\d{0,8}$/.test(events)) command.error('error: --events takes a number from 1 on');
    if (!/^[A-Za-z0-9-]{1,32}$/.test(seed))
      command.error('error: --seed takes up to 32 letters, digits and hyphens');
    return online((api, out) => seedEvents(api, seed, Number(events), out));
  });

program
  .command('rebuild [projection]')
  .description('rebuild a read model, or all, beside the live one and switch')
  .option('--all', 'every read model, one after the other')
  .action((name: string | undefined, { all }: { all?: boolean }, command: Command) => {
    if ((name === undefined) === (all === undefined))
      command.error('error: name a read model, or say --all');
    return offline((config, out) => rebuild(config, name, out));
  });
program
  .command('replay')
  .description(
    'fold the log once more, without any read model: how everybody stood then, a line each',
  )
  .addOption(asOf)
  .addOption(knownAt)
  .option('--subject <subject>', 'one person: a subject id or system:id')
  .option('--check', 'compare every table of the read models with what the log gives, instead')
  .action(({ check, ...asked }: ReplayOptions & { check?: true }, command: Command) => {
    if (check && Object.keys(asked).length > 0)
      command.error('error: --check compares what is now: it takes no other option');
    return offline((config, out) =>
      check ? checkReadModels(config, out) : replay(config, asked, out),
    );
  });
program
  .command('verify')
  .description(
    'check every event, the tree over their bytes, and every checkpoint that anybody has',
  )
  .option('--witness <file>', 'checkpoints that were kept elsewhere; default: LEDGER_WITNESS_FILE')
  .option('--key <verifier keys...>', 'trust these keys instead of those in the key file')
  .action((options: VerifyOptions) => offline((config, out) => verifyLog(config, options, out)));
const sealing = program.command('sealing').description('signed checkpoints and their keys');
sealing
  .command('status')
  .description('origin and public keys, for auditors; what is sealed, or why nothing is')
  .action(() => offline((config, out) => showSealing(config, out)));
sealing
  .command('rotate')
  .description('a new key signs beside the present one')
  .action(() => offline((config, out) => rotateSigningKey(config, out)));
sealing
  .command('retire <id>')
  .description('a key signs no more; what it signed still verifies')
  .action((id: string) => offline((config, out) => retireSigningKey(config, id, out)));
sealing
  .command('replace')
  .description('a new key, where the file with the signing keys was lost')
  .action(() => offline((config, out) => replaceSigningKey(config, out)));
sealing
  .command('rebuild')
  .description('make tiles and leaf positions again from the events')
  .action(() => offline((config, out) => rebuildTiles(config, out)));
sealing
  .command('accept-loss')
  .description('events that were signed are lost for good: record it, and go on under another name')
  .action(() => offline((config, out) => acceptLoss(config, out)));
const store = (flags: string, description: string) =>
  new Option(flags, description).choices([...EVENT_STORES]).makeOptionMandatory();
program
  .command('copy')
  .description('copy the log to another store and compare every byte; again goes on where it was')
  .addOption(store('--from <store>', 'where the log lies'))
  .addOption(store('--to <store>', 'where it is to lie'))
  .option('--final', 'with the service stopped: the other store takes over')
  .option('--compare-all', 'compare from the first event, also what an earlier run compared')
  .option('--give-up', 'after a final copy that broke off: the log stays where it is')
  .action((options: CopyOptions, command: Command) => {
    if (options.from === options.to) command.error('error: --from and --to must differ');
    return offline((config, out) => copy(config, options, out));
  });
const vault = program.command('vault').description('keys of people');
vault
  .command('status')
  .description('the key epoch, and how many keys live and are destroyed')
  .action(() => offline((config, out) => vaultStatus(config, out)));
vault
  .command('rotate')
  .description('begin a new key epoch: whatever copies of destroyed keys exist end here')
  .action(() => offline((config, out) => rotateVault(config, out)));
program
  .command('migrate')
  .description('bring the schemas up to date')
  .action(() => offline((config, out) => migrateStore(config, out)));
program
  .command('doctor')
  .description('look at configuration, stores, keys and read models')
  .action(() => offline((config, out) => doctor(config, out)));

try {
  await program.parseAsync();
  process.exitCode = exitCode;
} catch (error) {
  if (error instanceof ReaderGone) process.exitCode = EXIT.ok;
  else if (error instanceof CommanderError)
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  else {
    process.stderr.write(`${error instanceof Error ? error.message : 'failed'}\n`);
    process.exitCode = EXIT.failed;
  }
}
