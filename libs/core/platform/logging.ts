import { types } from 'node:util';
import type { LoggerService } from '@nestjs/common';
import { type DestinationStream, type Logger, pino } from 'pino';
import type { LogLevel } from './config.js';

/**
 * The process's log: JSON lines. What may be in one is listed here and in the request log; nothing else is
 * serialised. Errors are logged as `failure`, made by `failureOf`: an error's message can quote what a
 * person sent, so it is never written.
 */
export function openLog(level: LogLevel, destination?: DestinationStream): Logger {
  return pino(
    {
      level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: {
        // Somebody logs an error the usual way: its name and place, nothing else.
        err: (error: unknown) => failureOf(error),
        error: (error: unknown) => failureOf(error),
        req: () => undefined,
        res: () => undefined,
      },
    },
    destination ?? pino.destination({ dest: 1, sync: false, ...GATHERED }),
  );
}

/** Lines are written together, and none later than this many milliseconds: each write costs as much as many lines. */
const GATHERED = { minLength: 4_096, periodicFlush: 100 };

/** What may be known of an error outside: what it is and where it arose. */
export interface Failure {
  readonly name: string;
  /** A code of the system, the database or ours, where it has one. */
  readonly code?: string;
  /** Our own stack frames, innermost first. */
  readonly at: readonly string[];
  readonly cause?: Failure;
}

const DEPTH = 3;

/** An error without its message, detail and parameters. */
export function failureOf(error: unknown, depth = 0): Failure {
  if (!types.isNativeError(error)) return { name: typeof error, at: [] };
  const { code } = error as { code?: unknown };
  return {
    name: /^[A-Za-z0-9_$]{1,64}$/.test(error.name) ? error.name : 'Error',
    ...(typeof code === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(code) ? { code } : {}),
    at: framesOf(error),
    ...(error.cause !== undefined && depth < DEPTH
      ? { cause: failureOf(error.cause, depth + 1) }
      : {}),
  };
}

const OURS = /\b(?:apps|libs|tools)\/[A-Za-z0-9_./-]+\.(?:js|mjs|ts):\d+:\d+/;

function framesOf(error: Error): readonly string[] {
  const { stack = '' } = error;
  // The message is part of the stack and may have lines that look like frames.
  const from = error.message === '' ? 0 : stack.indexOf(error.message) + error.message.length;
  return stack
    .slice(from)
    .split('\n')
    .filter((line) => /^\s+at /.test(line) && !line.includes('node_modules'))
    .flatMap((line) => OURS.exec(line)?.[0] ?? [])
    .slice(0, 8);
}

/** The framework's own messages, at debug: it names modules and routes, never a request. */
export class FrameworkLog implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, context?: unknown): void {
    this.write('debug', message, context);
  }

  debug(message: unknown, context?: unknown): void {
    this.write('trace', message, context);
  }

  verbose(message: unknown, context?: unknown): void {
    this.write('trace', message, context);
  }

  warn(message: unknown, context?: unknown): void {
    this.write('warn', message, context);
  }

  error(message: unknown, ...rest: readonly unknown[]): void {
    // Nest passes an error's message as text; what failed is known by its place.
    if (types.isNativeError(message))
      this.logger.error({ failure: failureOf(message) }, 'framework');
    else this.write('error', message, rest.at(-1));
  }

  fatal(message: unknown, ...rest: readonly unknown[]): void {
    this.error(message, ...rest);
  }

  private write(
    level: 'error' | 'warn' | 'debug' | 'trace',
    message: unknown,
    context: unknown,
  ): void {
    const text = typeof message === 'string' ? message : 'framework';
    this.logger[level](typeof context === 'string' ? { context } : {}, text);
  }
}
