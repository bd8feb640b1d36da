// Signed texts: c2sp.org/signed-note, tlog-checkpoint, tlog-proof@v1, and what a witness is sent (tlog-witness).
import { createPublicKey, verify } from 'node:crypto';
import { sha256 } from './merkle.mjs';

const ED25519 = 0x01;
/** Witnesses have to take no more in one proof (tlog-witness). */
const MOST_HASHES = 63;
const MOST_SIGNATURES = 64;

/** `<name>+<id>+<base64>` gives `{name, id, key}`; neither name nor id has a plus. Throws where the id is not that of the key. */
export function parseVerifierKey(text) {
  const [, name, id, encoded] = /^([^\s+]+)\+([0-9a-f]{8})\+(.+)$/u.exec(text) ?? [];
  if (name === undefined) throw new Error(`not a verifier key, name+id+key: ${text}`);
  const material = fromBase64(encoded);
  if (material[0] !== ED25519 || material.length !== 33)
    throw new Error(`not a key of Ed25519: ${text}`);
  const expected = sha256(`${name}\n`, material).subarray(0, 4).toString('hex');
  if (id !== expected) throw new Error(`the key has the id ${expected} and not ${id}`);
  const x = material.subarray(1).toString('base64url');
  return {
    name,
    id,
    key: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }),
  };
}

/** The text of a note that at least one of these keys has signed. A signature of theirs that does not hold spoils the note. */
export function openNote(bytes, keys) {
  const { text, signatures } = parseNote(bytes);
  const known = signatures.flatMap(({ name, blob }) => {
    const id = blob.subarray(0, 4).toString('hex');
    const key = keys.find((candidate) => candidate.name === name && candidate.id === id);
    return key ? [{ key, signature: blob.subarray(4) }] : [];
  });
  if (known.length === 0) throw new Error('it has no signature of a key that was given');
  for (const { key, signature } of known)
    if (!verify(null, Buffer.from(text), key.key, signature))
      throw new Error(`the signature of ${key.name}+${key.id} does not hold`);
  return text;
}

function parseNote(bytes) {
  const all = textOf(bytes);
  if (/[\0-\x09\x0b-\x1f]/.test(all)) throw new Error('it has control characters');
  const end = all.lastIndexOf('\n\n') + 1;
  if (end === 0 || !all.endsWith('\n')) throw new Error('it is no signed note');
  const lines = all.slice(end + 1, -1).split('\n');
  if (lines.length > MOST_SIGNATURES) throw new Error(`it has ${lines.length} signatures`);
  const signatures = lines.map((line) => {
    const [, name, encoded] = /^— ([^\s+]+) (\S+)$/u.exec(line) ?? [];
    if (name === undefined) throw new Error('it has a line that is no signature');
    const blob = fromBase64(encoded);
    if (blob.length < 5) throw new Error('it has a signature that is none');
    return { name, blob };
  });
  return { text: all.slice(0, end), signatures };
}

/** A checkpoint of this origin, signed by one of these keys: `{origin, size, root}`. Throws where it is anything else. */
export function openCheckpoint(bytes, { origin, keys }) {
  const lines = openNote(bytes, keys).slice(0, -1).split('\n');
  const [name, size, root] = lines;
  if (lines.length < 3 || lines.includes('')) throw new Error('it is no checkpoint');
  if (name !== origin) throw new Error(`it is of the log ${name} and not of ${origin}`);
  return { origin, size: numberOf(size), root: hashOf(root) };
}

/** `c2sp.org/tlog-proof@v1`: `{index, proof, checkpoint}`, the checkpoint as bytes that are yet to be opened. */
export function parseTlogProof(bytes) {
  const { lines, checkpoint } = parseAboveCheckpoint(bytes);
  if (lines.shift() !== 'c2sp.org/tlog-proof@v1') throw new Error('it is no tlog-proof@v1');
  if (lines[0]?.startsWith('extra ')) fromBase64(lines.shift().slice('extra '.length));
  const [, index] = /^index (.+)$/.exec(lines.shift() ?? '') ?? [];
  return { index: numberOf(index), proof: hashesOf(lines), checkpoint };
}

/** What a log sends to a witness: `{size, proof, checkpoint}`, the size of the earlier checkpoint first. */
export function parseConsistency(bytes) {
  const { lines, checkpoint } = parseAboveCheckpoint(bytes);
  const [, size] = /^old (.+)$/.exec(lines.shift()) ?? [];
  return { size: numberOf(size), proof: hashesOf(lines), checkpoint };
}

function parseAboveCheckpoint(bytes) {
  const all = textOf(bytes);
  const end = all.indexOf('\n\n');
  if (end < 0) throw new Error('it has no blank line before a checkpoint');
  return { lines: all.slice(0, end).split('\n'), checkpoint: Buffer.from(all.slice(end + 2)) };
}

function hashesOf(lines) {
  if (lines.length > MOST_HASHES) throw new Error(`it has ${lines.length} hashes`);
  return lines.map(hashOf);
}

export function hashOf(encoded) {
  const hash = fromBase64(encoded);
  if (hash.length !== 32) throw new Error(`not a hash of 32 bytes: ${encoded}`);
  return hash;
}

/** Decimal, without leading zeroes; beyond 2^53 - 1 this program can not count. */
function numberOf(text) {
  if (!/^(0|[1-9][0-9]*)$/.test(text ?? '') || !Number.isSafeInteger(Number(text)))
    throw new Error(`not a number: ${text}`);
  return Number(text);
}

/** RFC 4648, section 4, in the one form that a value has. */
function fromBase64(text) {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw new Error(`not base64: ${text}`);
  return bytes;
}

export function textOf(bytes) {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}
