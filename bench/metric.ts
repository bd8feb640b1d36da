import type { Server } from './stage.js';

/** What a server says of itself at `/metrics`; undefined where it does not measure that. */
export async function metricOf({ url }: Server, name: string): Promise<number | undefined> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}

/** How many leaves its sealer has sealed. */
export async function sealedLeaves(server: Server): Promise<number> {
  const leaves = await metricOf(server, 'ledger_sealed_leaves');
  if (leaves === undefined) throw new Error('the server seals nothing');
  return leaves;
}
