import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { once } from 'node:events';
import { type Readable, Transform, type TransformCallback } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { idFrom } from '#core/kernel/ids.js';
import type { Api } from './api.js';
import { Problem } from './api.js';
import { EXIT, type Output } from './output.js';

interface Verdict {
  readonly line: number;
  readonly status: 'recorded' | 'rejected' | 'skipped';
  readonly receiptId?: string;
  readonly position?: string;
  readonly code?: string;
  readonly pointer?: string;
  readonly detail?: string;
}

export interface Counts {
  recorded: number;
  rejected: number;
  skipped: number;
  readonly byCode: Record<string, number>;
}

/** Lines for a bulk recording, which can be read again from any of them on. */
export interface Lines {
  /** Under which the import is known; the same for the same lines. */
  readonly importId: string;
  /** The lines after the `skip`-th, and what to be told of the share that was read. */
  after(skip: number, reached: (share: number) => void): Readable;
}

const TRIES = 5;
const SHOWN = 20;

/**
 * Imports a file of registrations and interactions, one JSON document a line, in its order and with flat
 * memory. Sending it again changes nothing, so whatever breaks off is simply taken up where the last verdict
 * came from. Returns when what was recorded is visible.
 */
export async function importFile(
  api: Api,
  file: string,
  output: Output,
  receiptsFile?: string,
): Promise<number> {
  const [{ size }, importId] = [await stat(file), await importIdOf(file)];
  const lines: Lines = {
    importId,
    after: (skip, reached) => linesFrom(file, skip, (bytes) => reached(bytes / size)),
  };
  const { rejected } = await importLines(api, lines, output, receiptsFile);
  return rejected > 0 ? EXIT.findings : EXIT.ok;
}

/** The same for lines from wherever; says how many were recorded. */
export async function importLines(
  api: Api,
  { importId, after }: Lines,
  output: Output,
  receiptsFile?: string,
): Promise<Counts> {
  const receipts = receiptsFile === undefined ? undefined : createWriteStream(receiptsFile);
  const counts: Counts = { recorded: 0, rejected: 0, skipped: 0, byCode: {} };
  const startedAt = performance.now();
  let lastLine = 0;
  let last: Verdict | undefined;
  let share = 0;
  for (let failures = 0; ;) {
    const source = after(lastLine, (reached) => (share = reached));
    try {
      const path = `/v1/interactions/bulk?importId=${importId}&firstLine=${lastLine + 1}`;
      for await (const verdict of api.lines<Verdict>('POST', path, source)) {
        lastLine = verdict.line;
        failures = 0;
        if (verdict.status === 'recorded') last = verdict;
        count(counts, verdict, output);
        if (receipts && !receipts.write(`${JSON.stringify(verdict)}\n`))
          await once(receipts, 'drain');
        output.progress(progressOf(counts, startedAt, share));
      }
      break;
    } catch (error) {
      source.destroy();
      if (error instanceof Problem && error.status !== 503) throw error;
      if (++failures > TRIES) throw error;
      output.note(`broken off after line ${lastLine}; going on`);
      await sleep(500 * failures);
    }
  }
  if (receipts) {
    receipts.end();
    await once(receipts, 'finish');
  }
  if (last?.receiptId !== undefined) await untilVisible(api, last);
  output.progress(progressOf(counts, startedAt, 1), true);
  const seconds = (performance.now() - startedAt) / 1_000;
  output.result(
    {
      ...counts,
      lines: lastLine,
      seconds,
      linesPerSecond: Math.round(lastLine / seconds),
      importId,
    },
    `${counts.recorded} recorded, ${counts.rejected} rejected, ${counts.skipped} skipped`,
  );
  return counts;
}

function count(
  counts: Counts,
  { line, status, code = '', pointer = '', detail = '' }: Verdict,
  output: Output,
): void {
  counts[status]++;
  if (status !== 'rejected') return;
  counts.byCode[code] = (counts.byCode[code] ?? 0) + 1;
  if (counts.rejected <= SHOWN) output.note(`line ${line}: ${code} ${pointer} ${detail}`);
  if (counts.rejected === SHOWN + 1)
    output.note('more are rejected; --receipts FILE lists them all');
}

function progressOf(
  { recorded, rejected, skipped }: Counts,
  startedAt: number,
  share: number,
): string {
  const lines = recorded + rejected + skipped;
  const rate = Math.round(lines / ((performance.now() - startedAt) / 1_000));
  return `${lines} lines (${Math.min(100, Math.floor(share * 100))} %), ${rate}/s, ${rejected} rejected`;
}

/** The same file is the same import, wherever it lies. */
async function importIdOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return idFrom('imp', hash.digest(), 8);
}

/** The file from after its `skip`-th line on. */
function linesFrom(file: string, skip: number, read: (bytes: number) => void): Transform {
  let left = skip;
  let bytes = 0;
  const skipping = new Transform({
    transform(chunk: Buffer, _, done: TransformCallback) {
      bytes += chunk.length;
      read(bytes);
      let from = 0;
      while (left > 0) {
        const end = chunk.indexOf(0x0a, from);
        if (end < 0) return done();
        from = end + 1;
        left--;
      }
      done(null, from === 0 ? chunk : chunk.subarray(from));
    },
  });
  const input = createReadStream(file);
  input.once('error', (error) => skipping.destroy(error));
  skipping.once('close', () => input.destroy());
  return input.pipe(skipping);
}

async function untilVisible(api: Api, { receiptId, position }: Verdict): Promise<void> {
  const consistencyToken = Buffer.from(position ?? '0').toString('base64url');
  for (;;) {
    try {
      await api.call('GET', `/v1/receipts/${receiptId}`, undefined, { consistencyToken });
      return;
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 503) throw error;
    }
  }
}
