// `npm run demo`: one person's story on a ledger of its own, told with the real calls and answers. Leaves nothing behind.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dist, root } from './lib/paths.mjs';
import { setUpOrExit } from './lib/setup.mjs';

await setUpOrExit({ compiled: true });

const DAY = 86_400_000;
const WIDTH = 118;
const coloured = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code) => (text) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text);
const [bold, blue, dim] = [paint(1), paint(36), paint(2)];

const folder = mkdtempSync(join(tmpdir(), 'consent-ledger-demo-'));
const children = new Set();
// Nothing of the caller's settings: this ledger is nobody else's.
const environment = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) =>
      !/^(PORT|HOST|EVENT_STORE|DATABASE_URL|LEDGER_.*|VAULT_.*|KURRENTDB_.*)$/.test(name),
  ),
);
Object.assign(environment, { LEDGER_DATA_DIR: folder, PORT: '0', LOG_LEVEL: 'warn' });

const interrupted = new Promise((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.on(signal, () => resolve(128 + constants.signals[signal]));
});

let code = 1;
try {
  code = await Promise.race([tell().then(() => 0), interrupted]);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
} finally {
  await cleanUp();
}
process.exit(code);

async function tell() {
  heading('A consent ledger of its own');
  say('A server starts on an empty directory, with a PostgreSQL inside. Both are gone at the end.');
  const server = await startServer();

  heading('What may be asked');
  say(
    'A bicycle shop says what it processes data for, on which bases, and in which words it asks.',
  );
  await ledgerctl(server, ['catalogue', 'apply', 'examples/catalogue.json'], { quiet: true });
  say('Then two years of its customers come in: 152 invented people, some of their letters late.');
  await ledgerctl(server, ['import', 'examples/people.ndjson']);
  say('How do they stand towards the newsletter today?');
  await ledgerctl(server, ['audience', 'newsletter', '--channel', 'email']);

  heading('A grant');
  const signedAt = new Date(Date.now() - 63 * DAY).toISOString();
  say('Nine weeks ago Mira Keller signed a card at the counter. It is entered only now.');
  const registered = await call(server, 'POST', '/v1/subjects', {
    source: 'shop-counter',
    occurredAt: signedAt,
    name: 'Mira Keller',
    language: 'de',
    contactPoints: [{ kind: 'email', value: 'mira.keller@example.com' }],
  });
  const subject = `/v1/subjects/${registered.body.subjectId}`;
  const given = await call(server, 'POST', `${subject}/interactions`, {
    source: 'shop-counter',
    occurredAt: signedAt,
    evidence: { card: 'K-2026-0402' },
    choices: [
      {
        purpose: 'newsletter',
        decision: 'give',
        noticeVersion: 2,
        confirmation: { method: 'signed-form', at: signedAt },
      },
      { topic: 'tours', channel: 'email', decision: 'on' },
    ],
  });

  heading('May we write to her?');
  say('Yes: on consent, since the day of her signature, and here is the event that proves it.');
  const question = {
    subjectId: registered.body.subjectId,
    purpose: 'newsletter',
    channel: 'email',
  };
  await call(server, 'POST', '/v1/decisions', question, { after: given });

  heading('She changes her mind');
  const withdrawn = await call(server, 'POST', `${subject}/interactions`, {
    source: 'email',
    comment: 'Too many offers in one week.',
    choices: [{ purpose: 'newsletter', decision: 'withdraw' }],
  });
  say('From that moment on the answer is no. Nothing was overwritten to make it so.');
  await call(server, 'POST', '/v1/decisions', question, { after: withdrawn });

  heading('Was the letter of last month allowed?');
  const lastMonth = new Date(Date.now() - 30 * DAY).toISOString();
  say('What was true then: it was.');
  await call(server, 'POST', '/v1/decisions', { ...question, asOf: lastMonth });
  say('What the ledger knew then: nothing. Her card lay in a drawer, and whoever wrote guessed.');
  await call(server, 'POST', '/v1/decisions', { ...question, asOf: lastMonth, knownAt: lastMonth });

  heading('Everything on record');
  await ledgerctl(server, ['timeline', registered.body.subjectId]);
  say(
    'Name, address and comment are sealed under her own keys. To reveal them is itself recorded.',
  );
  await call(server, 'GET', `${subject}?reveal=true`, undefined, { only: 'identity' });

  heading('She asks to be forgotten');
  say('Nothing is deleted: her keys are destroyed, and what they sealed is noise from then on.');
  const { body } = await call(server, 'POST', `${subject}/erasure`, {
    ground: 'consent-withdrawn',
  });
  say(
    'The certificate waits until no process and no read model can still hold a key: some seconds.',
  );
  await certificateOf(server, body.operationId);
  say(
    'Old backups still hold copies of her keys. Once the key epoch ends, they open nothing either.',
  );
  await ledgerctl(server, ['vault', 'rotate']);
  await call(server, 'GET', `/v1/operations/${body.operationId}`, undefined, { only: 'result' });

  heading('What is left');
  say('The same timeline, to account for what was done. The same look at her finds nobody in it.');
  await ledgerctl(server, ['timeline', registered.body.subjectId]);
  await call(server, 'GET', `${subject}?reveal=true`, undefined, { only: 'identity' });
  say('Her address leads nowhere, and the whole log still holds.');
  await call(server, 'POST', '/v1/subjects/search', {
    contactPoint: { kind: 'email', value: 'mira.keller@example.com' },
  });
  await ledgerctl(server, ['verify']);
}

/** The server in a group of its own: a Ctrl-C in the terminal must reach it through us, when it can be stopped. */
async function startServer() {
  const child = spawn(process.execPath, [join(dist, 'apps', 'server', 'main.js')], {
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    detached: true,
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  const ended = once(child, 'exit');
  const ready = Promise.race([once(child, 'message'), ended]);
  children.add({ child, ended, ready });
  const [first] = await ready;
  if (typeof first?.url !== 'string') throw new Error(`The server did not start.\n${said}`);
  return first;
}

/** One call of the API, shown with its answer. `after`: an earlier answer that this one must see. */
async function call({ url, key }, method, path, body, { after, only } = {}) {
  process.stdout.write(`  ${blue(`${method} ${path}`)}\n`);
  if (body !== undefined) show(body);
  const response = await fetch(url + path, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      'idempotency-key': randomUUID(),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(after === undefined ? {} : { 'consistency-token': after.token }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json();
  process.stdout.write(`  ${dim(`${response.status} ${response.statusText}`)}\n`);
  show(only === undefined ? answer : { [only]: answer[only] }, only !== undefined);
  process.stdout.write('\n');
  if (!response.ok) throw new Error(`${method} ${path} was refused.`);
  return { body: answer, token: response.headers.get('consistency-token') };
}

async function certificateOf({ url, key }, operationId) {
  const path = `/v1/operations/${operationId}`;
  const headers = { authorization: `Bearer ${key}` };
  for (;;) {
    const { status } = await (await fetch(url + path, { headers })).json();
    if (status !== 'running') return call({ url, key }, 'GET', path);
    await sleep(250);
  }
}

/** A command of `ledgerctl`, shown with what it prints. */
async function ledgerctl({ url, key }, args, { quiet = false } = {}) {
  process.stdout.write(`  ${blue(`npx ledgerctl ${args.join(' ')}`)}\n`);
  const child = spawn(process.execPath, [join(dist, 'apps', 'ledgerctl', 'main.js'), ...args], {
    cwd: root,
    env: { ...environment, LEDGER_URL: url, LEDGER_API_KEY: key },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  const running = { child, ended };
  children.add(running);
  let [said, remarks] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (remarks += text));
  const [exitCode] = await ended;
  children.delete(running);
  if (exitCode !== 0) throw new Error(`ledgerctl ${args[0]} ended with ${exitCode}.\n${remarks}`);
  for (const line of quiet ? [] : said.trimEnd().split('\n')) process.stdout.write(`  ${line}\n`);
  process.stdout.write('\n');
}

async function cleanUp() {
  for (const { child, ended, ready } of children) {
    // A server that is still starting does not listen to signals yet.
    await ready;
    child.kill('SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await ended;
  }
  rmSync(folder, { recursive: true, force: true });
}

function heading(text) {
  process.stdout.write(`\n${bold(text)}\n\n`);
}

function say(text) {
  process.stdout.write(`${text}\n\n`);
}

/** JSON, broken into lines only where it does not fit into one. `more`: there is more than is shown. */
function show(value, more = false) {
  process.stdout.write(`  ${laidOut(value, '  ', more)}\n`);
}

function laidOut(value, indent, more = false) {
  const rest = more ? ['…'] : [];
  const flat = flatten(value, rest);
  if (indent.length + flat.length <= WIDTH || typeof value !== 'object' || value === null)
    return flat;
  const inner = `${indent}  `;
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  const items = Array.isArray(value)
    ? value.map((item) => laidOut(item, inner))
    : Object.entries(value).map(([name, item]) => `"${name}": ${laidOut(item, inner)}`);
  return `${open}\n${inner}${[...items, ...rest].join(`,\n${inner}`)}\n${indent}${close}`;
}

function flatten(value, rest = []) {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => flatten(item)).join(', ')}]`;
  const items = Object.entries(value).map(([name, item]) => `"${name}": ${flatten(item)}`);
  return items.length + rest.length === 0 ? '{}' : `{ ${[...items, ...rest].join(', ')} }`;
}
