import { open, readFile, rename, rm } from 'node:fs/promises';
import { inflateRawSync } from 'node:zlib';
import { parseInstant } from '#core/kernel/instant.js';
import { sha256, verifyEd25519 } from '#core/proof/node-crypto.js';
import { type Report, verifyBundle } from '#domains/slices.js';
import type { Api } from './api.js';
import { EXIT, type Output } from './output.js';
import { subjectIdOf } from './people.js';

export interface EvidenceOptions {
  readonly out: string;
  readonly purpose?: string;
  readonly from?: string;
  readonly to?: string;
  readonly list?: string;
  readonly since?: string;
  readonly reveal?: boolean;
}

/** Asks for a bundle and writes it to a file, which is there only once it is whole. */
export async function writeEvidence(
  api: Api,
  people: readonly string[],
  { out: file, purpose, from, to, list, since, reveal }: EvidenceOptions,
  out: Output,
): Promise<void> {
  const named = list === undefined ? people : [...people, ...linesOf(await readFile(list, 'utf8'))];
  const subjects: string[] = [];
  for (const person of named) subjects.push(await subjectIdOf(api, person));
  const body = {
    ...(subjects.length > 0 ? { subjects: [...new Set(subjects)] } : {}),
    purpose,
    ...(from || to ? { period: { from: instantIn(from), to: instantIn(to) } } : {}),
    reveal,
    since: since === undefined ? undefined : await readFile(since, 'utf8'),
  };
  const partial = `${file}.partial`;
  const target = await open(partial, 'w', 0o600);
  let written = 0;
  try {
    for await (const chunk of api.bytes('POST', '/v1/evidence', body)) {
      await target.write(chunk);
      written += chunk.length;
      out.progress(`${written} bytes`);
    }
    await target.sync();
    await target.close();
    await rename(partial, file);
  } catch (error) {
    await target.close();
    await rm(partial, { force: true });
    throw error;
  }
  out.result({ file, bytes: written }, `${file}: ${written} bytes`);
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function instantIn(text: string | undefined): string | undefined {
  const instant = text === undefined ? undefined : parseInstant(text);
  if (text !== undefined && !instant)
    throw new Error(`${text} is no RFC 3339 date-time with a zone, like 2026-03-01T12:00:00Z`);
  return instant;
}

export interface TrustOptions {
  readonly origin?: string;
  readonly key?: readonly string[];
  readonly earlier?: string;
  readonly language: string;
}

const SIGNS = { holds: 'holds', fails: 'FAILS', open: 'open ' } as const;

/**
 * The check that verify.html makes. 0: everything holds under the origin and key that were given; 1: something does
 * not hold, or there was nothing to compare with.
 */
export async function checkBundle(
  file: string,
  { origin, key, earlier, language }: TrustOptions,
  out: Output,
): Promise<number> {
  const report = await reportOn(file, {
    origin,
    keys: key,
    earlier: earlier === undefined ? undefined : await readFile(earlier, 'utf8'),
  });
  const words = language === 'de' ? 'de' : 'en';
  const lines = report.findings.map(
    ({ check, verdict, says }) => `${SIGNS[verdict]}  ${check}: ${says[words]}`,
  );
  const { manifest, checkpoint, ...result } = report;
  out.result(
    { file, ...result, origin: checkpoint?.origin, size: checkpoint?.size, scope: manifest?.scope },
    `${lines.join('\n')}\n${VERDICTS[report.verdict]}`,
  );
  return report.verdict === 'holds' ? EXIT.ok : EXIT.findings;
}

const VERDICTS = {
  holds: 'The bundle is true to the log of this origin and key.',
  fails: 'The bundle is not true.',
  open: 'Nothing is wrong, and nothing is proved: give --origin and --key, which you have from elsewhere.',
} as const;

async function reportOn(
  file: string,
  trusted: Parameters<typeof verifyBundle>[1],
): Promise<Report> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const read = async (offset: number, length: number) => {
      const bytes = new Uint8Array(length);
      const { bytesRead } = await handle.read(bytes, 0, length, offset);
      return bytes.subarray(0, bytesRead);
    };
    const tools = { sha256, verify: verifyEd25519, inflate };
    return await verifyBundle({ size, read }, trusted, tools);
  } finally {
    await handle.close();
  }
}

function inflate(packed: Uint8Array, size: number): Uint8Array {
  return inflateRawSync(packed, { maxOutputLength: Math.max(size, 1) });
}
