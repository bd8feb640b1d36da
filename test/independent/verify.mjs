#!/usr/bin/env node
// Verifies what the ledger proves, with a program that knows nothing of it: written from docs/proof.md, docs/evidence.md and
// the specifications that they name, with nothing but Node. For auditors to read, to run, or to write again.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { checkBundle } from './bundle.mjs';
import { checkLog } from './log.mjs';
import { checkConsistency, checkInclusion, leafHash } from './merkle.mjs';
import { openCheckpoint, parseConsistency, parseTlogProof, parseVerifierKey } from './note.mjs';
import { Report, Unusable } from './report.mjs';

const USAGE = `usage: verify.mjs bundle FILE.zip                 an evidence bundle
       verify.mjs checkpoint FILE                  a checkpoint, or what is sent to a witness
       verify.mjs proof FILE.tlog-proof --entry E  that the event in E is in the log
       verify.mjs log URL [--token T]              every event: https://ledger.example/v1/log

  --key KEY       name+id+key, as you have it from elsewhere; several where keys were replaced
  --origin NAME   of the log; the key's name if absent
  --against FILE  a checkpoint that you kept: nothing before it was changed since

Ends with 0 if all that was checked holds, 1 if something does not, 2 if nothing could be checked.`;

const report = new Report();
try {
  await verify(process.argv.slice(2));
  process.exitCode = report.holds ? 0 : 1;
} catch (error) {
  if (!(error instanceof Unusable)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}

async function verify(words) {
  const { command, what, options } = read(words);
  const keys = options.key.map((key) => usable(() => parseVerifierKey(key)));
  const trusted = { keys, origin: options.origin ?? keys[0].name };
  const kept = options.against === undefined ? undefined : bytesOf(options.against);
  if (kept !== undefined) usable(() => openCheckpoint(kept, trusted));
  switch (command) {
    case 'bundle':
      return checkBundle(bytesOf(what), trusted, kept, report);
    case 'checkpoint':
      return checkCheckpoint(bytesOf(what), trusted, kept);
    case 'proof':
      return checkProof(bytesOf(what), entryOf(options.entry), trusted);
    case 'log':
      return checkLog(what, options.token, trusted, kept, report);
    default:
      throw new Unusable(USAGE);
  }
}

function read(words) {
  const { values: options, positionals } = usable(() =>
    parseArgs({
      args: words,
      allowPositionals: true,
      options: {
        key: { type: 'string', multiple: true },
        origin: { type: 'string' },
        against: { type: 'string' },
        entry: { type: 'string' },
        token: { type: 'string' },
      },
    }),
  );
  const [command, what] = positionals;
  if (positionals.length !== 2) throw new Unusable(USAGE);
  if (!options.key) throw new Unusable('--key is missing: without it there is nothing to trust');
  return { command, what, options };
}

async function checkCheckpoint(bytes, trusted, kept) {
  const withProof = bytes.subarray(0, 4).toString() === 'old ';
  const checkpoint = await report.check('checkpoint', () => {
    const found = withProof ? parseConsistency(bytes).checkpoint : bytes;
    const opened = openCheckpoint(found, trusted);
    return [`${opened.size} events, signed by a key that was given`, opened];
  });
  if (checkpoint === undefined || kept === undefined) return;
  const before = openCheckpoint(kept, trusted);
  if (!withProof && before.size !== checkpoint.size)
    throw new Unusable(
      `between ${before.size} and ${checkpoint.size} events a proof of consistency is needed: ` +
        'give it as FILE ("old", hashes, checkpoint: c2sp.org/tlog-witness), or ask the log itself',
    );
  await report.check('consistency', () => {
    const { size, proof } = withProof ? parseConsistency(bytes) : { size: before.size, proof: [] };
    if (size !== before.size) throw new Error(`the proof is from ${size}, not ${before.size}`);
    checkConsistency({ before, after: checkpoint, proof });
    return `nothing but added to since it had ${before.size} events`;
  });
}

async function checkProof(bytes, entry, trusted) {
  const found = await report.check('proof', () => {
    const parsed = parseTlogProof(bytes);
    return [`of leaf ${parsed.index}, ${parsed.proof.length} hashes`, parsed];
  });
  if (found === undefined) return;
  const checkpoint = await report.check('checkpoint', () => {
    const opened = openCheckpoint(found.checkpoint, trusted);
    return [`${opened.size} events, signed by a key that was given`, opened];
  });
  if (checkpoint === undefined) return;
  await report.check('inclusion', () => {
    checkInclusion({ ...checkpoint, ...found, leaf: leafHash(entry) });
    return `the event is leaf ${found.index}, byte for byte`;
  });
}

/** An event is canonical JSON, which has no line feed: one at its end is that of the line it was copied from. */
function entryOf(path) {
  if (path === undefined) throw new Unusable('--entry is missing: the event that is proved');
  const bytes = bytesOf(path);
  return bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes;
}

function bytesOf(path) {
  return usable(() => readFileSync(path));
}

function usable(get) {
  try {
    return get();
  } catch (error) {
    throw new Unusable(error.message);
  }
}
