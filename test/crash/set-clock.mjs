// Preloaded into a process whose clock a test sets: `Date` tells the real time plus the milliseconds in CLOCK_FILE.
import { readFileSync } from 'node:fs';

const real = Date;
let ahead = 0;
const now = () => real.now() + ahead;

function look() {
  const text = readFileSync(process.env.CLOCK_FILE, 'utf8');
  // Half of a number is none: the file is being written.
  if (text.endsWith('\n')) ahead = Number(text);
}

look();
setInterval(look, 20).unref();
globalThis.Date = new Proxy(real, {
  apply: () => new real(now()).toString(),
  construct: (_target, given, newTarget) =>
    Reflect.construct(real, given.length === 0 ? [now()] : given, newTarget),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
});
