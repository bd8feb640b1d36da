import { readFile } from 'node:fs/promises';
import { sha256, verifyEd25519 } from '#core/proof/node-crypto.js';
import { parseVerifierKey, type VerifierKey } from '#core/proof/note.js';
import { openTlogProof } from '#core/proof/tlog-proof.js';
import { EXIT, type Output } from './output.js';

export interface ProofOptions {
  /** A file with the event. */
  readonly event: string;
  readonly origin: string;
  readonly key: readonly string[];
}

/**
 * Whether one event is in the log, by a receipt (c2sp.org/tlog-proof@v1) and nothing else. Both have to be
 * given, unlike with a bundle: a receipt has no key in it, so without one there is nothing to check it with.
 * 0: it is; 1: it is not, or not as this receipt says; 2: a key is none.
 * @throws where a file can not be read, or has more than one event
 */
export async function checkProof(
  file: string,
  { event, origin, key }: ProofOptions,
  out: Output,
): Promise<number> {
  const keys = key.map((text) => parseVerifierKey(sha256, text));
  const bad = keys.indexOf(undefined);
  if (bad >= 0) {
    out.note(`${key[bad]} is no verifier key of an Ed25519 key`);
    return EXIT.usage;
  }
  // Programs that write a text to a file like to end it with a line feed of their own.
  const proof = `${(await readFile(file, 'utf8')).trimEnd()}\n`;
  const trusted = { origin, keys: keys as VerifierKey[] };
  const tools = { sha256, verify: verifyEd25519 };
  const proven = openTlogProof(tools, proof, await leafIn(event), trusted);
  if ('flaw' in proven) {
    const { flaw } = proven;
    out.result({ file, event, verdict: 'fails', origin, flaw }, `FAILS  ${file}: ${flaw}`);
    return EXIT.findings;
  }
  const { index, checkpoint } = proven;
  out.result(
    { file, event, verdict: 'holds', origin, index, size: checkpoint.size },
    `holds  the event is leaf ${index}, byte for byte, of the ${checkpoint.size} that ${origin} has signed`,
  );
  return EXIT.ok;
}

/**
 * The stored bytes of the one event in a file: as a line of `events.ndjson` has them, or with the position
 * that `GET /v1/events` puts behind their last member. Stored bytes have neither a line feed nor a position.
 */
async function leafIn(file: string): Promise<Uint8Array> {
  const line = (await readFile(file, 'latin1')).replace(/\n$/, '');
  const more = line.split('\n').length - 1;
  if (more > 0) throw new Error(`${file} has ${more + 1} lines: a receipt is of one event`);
  return Buffer.from(line.replace(/,"position":"\d+"\}$/, '}'), 'latin1');
}
