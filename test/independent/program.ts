import { spawn } from 'node:child_process';
import { createHash, createPrivateKey, sign } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';

/** The program as whoever runs it sees it, and ways to deceive it. */

/** The module of this name; it has no types, since it has no compiler either. */
export async function load<Module>(name: string): Promise<Module> {
  return (await import(pathToFileURL(join(import.meta.dirname, name)).href)) as Module;
}

/** A folder of its own for what a spec writes. */
export function workingFolder(): string {
  return mkdtempSync(join(tmpdir(), 'consent-ledger-independent-'));
}

export interface Verdict {
  readonly code: number | null;
  /** By the name of the check: what holds, or why it does not. */
  readonly holds: Readonly<Record<string, string>>;
  readonly fails: Readonly<Record<string, string>>;
  readonly errors: string;
}

/** Runs the program in a process of its own. */
export async function verify(
  args: readonly string[],
  program = import.meta.dirname,
): Promise<Verdict> {
  const child = spawn(process.execPath, [join(program, 'verify.mjs'), ...args]);
  const [said, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  const lines = (mark: string) =>
    Object.fromEntries(
      [...said.matchAll(new RegExp(`^${mark} +(\\S+) +(.*)$`, 'gm'))].map(
        ([, check = '', words = '']) => [check, words],
      ),
    );
  return { code, holds: lines('holds'), fails: lines('FAILS'), errors };
}

/** A piece of the program, and what stands there once the check is gone. */
export type Cut = readonly [file: string, code: string, instead: string];

/** A copy of the program, in a new folder below this one, in which that check is missing. */
export function programWithout([file, code, instead]: Cut, below: string): string {
  const folder = mkdtempSync(join(below, 'without-'));
  cpSync(import.meta.dirname, folder, { recursive: true });
  const path = join(folder, file);
  const pieces = readFileSync(path, 'utf8').split(code);
  if (pieces.length !== 2) throw new Error(`${file} has ${code} ${pieces.length - 1} times`);
  writeFileSync(path, pieces.join(instead));
  return folder;
}

/** Whoever holds the ledger's signing key, and could sign anything. */
export interface Signer {
  readonly name: string;
  readonly verifierKey: string;
  /** A note with its signature, as c2sp.org/signed-note has it. */
  sign(note: string): string;
}

/** From the two parts of the key as they lie on the ledger's own machine. */
export function signerIn(dataDirectory: string): Signer {
  const file = readFileSync(join(dataDirectory, 'keys', 'signing-keys.json'), 'utf8');
  const { keys } = JSON.parse(file) as {
    keys: readonly [Record<'name' | 'publicKey' | 'seed', string>];
  };
  const [{ name, publicKey, seed }] = keys;
  const material = Buffer.concat([Buffer.of(1), Buffer.from(publicKey, 'base64')]);
  const id = createHash('sha256').update(`${name}\n`).update(material).digest().subarray(0, 4);
  const [x, d] = [publicKey, seed].map((part) => Buffer.from(part, 'base64').toString('base64url'));
  const key = createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', x, d }, format: 'jwk' });
  return {
    name,
    verifierKey: `${name}+${id.toString('hex')}+${material.toString('base64')}`,
    sign: (note) => {
      const blob = Buffer.concat([id, sign(null, Buffer.from(note), key)]).toString('base64');
      return `${note}\n— ${name} ${blob}\n`;
    },
  };
}
