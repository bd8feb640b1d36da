import { types } from 'node:util';
import { type Config, DEFAULT_PORT } from './config.js';

/** How many ports after the default one are tried. */
const TRIES = 100;

/** Where the server listens, and a sentence to show where that is not what one would expect. */
export interface Listening {
  readonly port: number;
  readonly notice?: string;
}

/** A port that was asked for is in use. */
export class PortTaken extends Error {
  override readonly name = 'PortTaken';
  constructor(readonly port: number) {
    super(`PORT ${port} is in use by another process: choose another one, or leave PORT unset`);
  }
}

/**
 * Finds the port by listening: `listen` must resolve to the port it listens on, or reject with the
 * error of the socket. A port that was given is used or refused; without one the default is tried, then
 * the next free one after it.
 */
export async function listenPort(
  { port, host }: Pick<Config, 'port' | 'host'>,
  listen: (port: number, host: string) => Promise<number>,
): Promise<Listening> {
  if (port !== undefined) {
    try {
      return { port: await listen(port, host) };
    } catch (error) {
      throw isTaken(error) ? new PortTaken(port) : error;
    }
  }
  for (let candidate = DEFAULT_PORT; ; candidate++) {
    try {
      const found = await listen(candidate, host);
      if (found === DEFAULT_PORT) return { port: found };
      return {
        port: found,
        notice: `port ${DEFAULT_PORT} is in use, listening on ${found} instead; set PORT to choose`,
      };
    } catch (error) {
      if (!isTaken(error) || candidate === DEFAULT_PORT + TRIES) throw error;
    }
  }
}

function isTaken(error: unknown): boolean {
  return types.isNativeError(error) && 'code' in error && error.code === 'EADDRINUSE';
}
