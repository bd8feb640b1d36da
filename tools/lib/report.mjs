/** Something the user can act on; its message is shown without a stack. */
export class SetupError extends Error {}

/** On standard error: standard output belongs to the command that is being prepared. */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

export function seconds(began) {
  return `${((Date.now() - began) / 1000).toFixed(1)} s`;
}

export function tail(output) {
  return output.trimEnd().split('\n').slice(-40).join('\n');
}
