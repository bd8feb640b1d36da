import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Asked } from './references/kurrentdb.js';
import type { Sample } from './row.js';
import type { Stage } from './stage.js';

const { KURRENTDB_URL: url } = process.env;

/** Why nothing can be measured on KurrentDB; undefined where it can. */
export function missingKurrentDb(): string | undefined {
  return url ? undefined : 'KURRENTDB_URL names no KurrentDB server';
}

/** Settings of a server whose log is on KurrentDB, under a name that nobody has used before. */
export function onKurrentDb(): {
  readonly prefix: string;
  readonly environment: Readonly<Record<string, string>>;
} {
  const prefix = `bench-${randomUUID()}-`;
  const environment = {
    EVENT_STORE: 'kurrentdb',
    KURRENTDB_URL: url as string,
    KURRENTDB_STREAM_PREFIX: prefix,
  };
  return { prefix, environment };
}

/** What the vendor's client does by itself, in a process that ends with the stage: a sample for each call. */
export async function bareClient(stage: Stage): Promise<(asked: Asked) => Promise<Sample>> {
  const { process: child } = await stage.reference<string>('kurrentdb.ts', url as string);
  return async (asked) => {
    child.send(asked);
    const [{ perSecond, failed }] = (await once(child, 'message')) as [
      { perSecond?: number; failed?: string },
    ];
    if (perSecond === undefined) throw new Error(`the bare client failed: ${failed}`);
    return { value: perSecond };
  };
}
