import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { root } from './paths.mjs';

/**
 * Runs a program in the root of the repository and returns how it ended. A SIGTERM or SIGINT that reaches this process
 * while it waits ends the child first, then this process: nothing goes on alone.
 * @param {string[]} command program and arguments
 * @param {{capture?: boolean, started?: (pid: number) => void}} options capture: collect what it says instead of showing
 *   it; started: told the number of the process
 * @returns {Promise<{code: number, output: string}>}
 */
export function run(command, { capture = true, started } = {}) {
  return new Promise((resolve, reject) => {
    const [program, ...args] = command;
    const child = spawn(program, args, {
      cwd: root,
      stdio: capture ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    });
    if (child.pid !== undefined) started?.(child.pid);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => (output += text));
    }

    let interrupted;
    const interrupt = (signal) => {
      interrupted = signal;
      child.kill(signal);
    };
    process.on('SIGTERM', interrupt).on('SIGINT', interrupt);
    const done = () => process.off('SIGTERM', interrupt).off('SIGINT', interrupt);

    child.once('error', (error) => {
      done();
      reject(error);
    });
    child.once('close', (code, signal) => {
      done();
      if (interrupted !== undefined) process.exit(128 + constants.signals[interrupted]);
      resolve({ code: code ?? 128 + (constants.signals[signal] ?? 0), output });
    });
  });
}
