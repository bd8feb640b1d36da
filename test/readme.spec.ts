import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { compiled } from './support/compiled.js';
import { type FreshDatabase, freshDatabase } from './support/database.js';

/**
 * What the documents say exists, and the calls of the README do what it says. Blocks marked `sh run` are run, one
 * after the other in one shell; a JSON block after one is its answer, where `…` stands for what differs. The block
 * `text demo` is what `npm run demo` prints.
 */

jest.setTimeout(180_000);

const repository = path.resolve(import.meta.dirname, '..');
const read = (file: string) => fs.readFileSync(path.join(repository, file), 'utf8');
const readme = read('README.md');

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...fs
    .readdirSync(path.join(repository, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => path.join('docs', file)),
];

interface Block {
  readonly marks: readonly string[];
  readonly text: string;
}

function blocksOf(document: string): readonly Block[] {
  return [...document.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(([, marks = '', text = '']) => ({
    marks: marks.split(' '),
    text,
  }));
}

/** Lines of shell and inline code: where a document names commands, routes and variables. */
function codeOf(document: string): readonly string[] {
  const blocks = blocksOf(document).filter(({ marks }) => marks[0] === 'sh');
  const inline = document.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g);
  return [
    ...blocks.flatMap(({ text }) => text.replaceAll('\\\n', ' ').split('\n')),
    ...[...inline].map(([, code = '']) => code),
  ];
}

const mentions = documents.flatMap((document) =>
  codeOf(read(document)).map((code) => ({ document, code })),
);

/** What is mentioned and is not there, with the document that mentions it. */
function missing(pattern: RegExp, isThere: (...found: string[]) => boolean): readonly string[] {
  return mentions.flatMap(({ document, code }) =>
    [...code.matchAll(pattern)]
      .filter(([, ...found]) => !isThere(...found))
      .map(([all]) => `${document}: ${all}`),
  );
}

/** Settings of whoever runs the tests must not reach what they start. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) =>
      !/^(PORT|HOST|EVENT_STORE|DATABASE_URL|LEDGER_|VAULT_|KURRENTDB_|NODE_OPTIONS)/.test(name),
  ),
);

let dist: string;
beforeAll(() => {
  dist = compiled();
});

function ledgerctl(args: readonly string[], options: { cwd?: string; env?: object } = {}): string {
  const { cwd = repository, env = {} } = options;
  const main = path.join(dist, 'apps', 'ledgerctl', 'main.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    cwd,
    env: { ...environment, ...env },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`ledgerctl ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

describe('the documents', () => {
  /** The help of every command, by its words: `keys issue`. */
  const help = new Map<string, string>();
  beforeAll(() => {
    const ask = (words: readonly string[]) => {
      const text = ledgerctl([...words, '--help']);
      help.set(words.join(' '), text);
      const commands = /^Commands:\n([\s\S]*?)(\n\n|$(?![\s\S]))/m.exec(text)?.[1] ?? '';
      for (const [, name = ''] of commands.matchAll(/^ {2}([a-z-]+)/gm))
        if (name !== 'help') ask([...words, name]);
    };
    ask([]);
  });

  /** The words of a command that are its name, and how far that is known. */
  const commandIn = (text: string) => {
    const words = text.trim().split(/\s+/);
    const twoWords = help.has(words.slice(0, 2).join(' '));
    return words.slice(0, twoWords ? 2 : 1).join(' ');
  };

  test('name npm scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    expect(missing(/npm run (?:--silent )?([a-z:]+)/g, (name) => name in scripts)).toEqual([]);
    expect(missing(/npm (start|test)\b/g, (name) => name in scripts)).toEqual([]);
  });

  test('name files that exist', () => {
    // What a measurement leaves behind is in nobody's clone.
    const named = /^((?:apps|bench|docker|docs|examples|libs|test|tools)\/(?!results\/)[\w./-]+)$/g;
    const isThere = (file: string) => fs.existsSync(path.join(repository, file));
    expect(missing(named, isThere)).toEqual([]);
  });

  test('name commands and options of ledgerctl that exist', () => {
    const unknown = missing(/ledgerctl ([a-z][^|;)]*)/g, (said) => {
      const text = help.get(commandIn(said));
      const options = [...said.matchAll(/(?<= )--[a-z-]+/g)].map(([option]) => option);
      return (
        text !== undefined &&
        options.every((option) => new RegExp(`${option}(?![a-z-])`).test(text + help.get('')))
      );
    });
    expect(unknown).toEqual([]);
  });

  test('tell the version of ledgerctl', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(ledgerctl(['--version'])).toBe(`${version}\n`);
  });

  test('list every command in the README', () => {
    const table = readme.slice(readme.indexOf('## ledgerctl'), readme.indexOf('## Tests'));
    const leaves = [...help.keys()].filter(
      (name) => name !== '' && ![...help.keys()].some((other) => other.startsWith(`${name} `)),
    );
    const unlisted = leaves.filter((name) => {
      const [word = '', ...rest] = name.split(' ');
      const rows = table.split('\n').filter((row) => row.includes(`\`${word}`));
      return !rows.some((row) => rest.every((one) => row.includes(one)));
    });
    expect(unlisted).toEqual([]);
  });

  test('name routes that exist', () => {
    const { paths } = JSON.parse(read('docs/api/openapi.json')) as { paths: object };
    const routes = Object.keys(paths).map(
      (route) => new RegExp(`^${route.replace(/\{\w+\}/g, '[^/]+')}$`),
    );
    const isThere = (found: string) => routes.some((route) => route.test(found));
    expect(missing(/(\/(?:v1|health|metrics)(?:\/[\w{}.-]+)+|\/metrics)/g, isThere)).toEqual([]);
    const called = blocksOf(readme).flatMap(({ text }) => [...text.matchAll(/\bapi ([a-z]\S*)/g)]);
    expect(called.length).toBeGreaterThan(5);
    for (const [, call = ''] of called)
      expect([call, isThere(`/v1/${call}`)]).toEqual([call, true]);
  });

  test('name environment variables that exist, and the README all of them', () => {
    const known = [...read('.env.example').matchAll(/^#?([A-Z_]+)=/gm)].map(([, name]) => name);
    const ours = /\b((?:LEDGER|VAULT|KURRENTDB|DATABASE|EVENT|LOG)_[A-Z_]+)\b/g;
    const composed = [...read('docker-compose.yml').matchAll(/\$\{([A-Z_]+)/g)].map(
      ([, name]) => name,
    );
    expect(missing(ours, (name) => [...known, ...composed].includes(name))).toEqual([]);
    const table = readme.slice(readme.indexOf('## Configuration'), readme.indexOf('## ledgerctl'));
    const listed = [...table.matchAll(/^\| ([^|]+)\|/gm)]
      .flatMap(([, names = '']) => [...names.matchAll(/`([A-Z_]+)`/g)])
      .map(([, name]) => name);
    expect(listed.sort()).toEqual(known.sort());
  });

  test('link to files that exist', () => {
    const dead = documents.flatMap((document) =>
      [...read(document).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)|(?:src|srcset)="([^"]+)"/g)]
        .map(([, link, image]) => (link ?? image) as string)
        .filter((link) => !fs.existsSync(path.join(repository, path.dirname(document), link)))
        .map((link) => `${document}: ${link}`),
    );
    expect(dead).toEqual([]);
  });
});

describe('the calls of the README', () => {
  const ANYTHING = '…';
  let database: FreshDatabase;
  let folder: string;
  let server: ChildProcess | undefined;

  beforeAll(async () => {
    database = await freshDatabase();
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'consent-ledger-readme-'));
  });
  afterAll(async () => {
    if (server?.exitCode === null) {
      const ended = once(server, 'exit');
      server.kill('SIGTERM');
      await ended;
    }
    fs.rmSync(folder, { recursive: true, force: true });
    await database.drop();
  });

  /** Whether an answer is as the README shows it. */
  function asShown(shown: unknown, answer: unknown): unknown {
    if (shown === ANYTHING) return ANYTHING;
    if (typeof shown === 'string' && shown.includes(ANYTHING)) {
      const parts = shown
        .split(ANYTHING)
        .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
      return new RegExp(`^${parts.join('.*')}$`).test(String(answer)) ? shown : answer;
    }
    if (typeof shown !== 'object' || shown === null || typeof answer !== 'object') return answer;
    if (Array.isArray(shown) || Array.isArray(answer) || answer === null) return answer;
    return Object.fromEntries(
      Object.entries(answer).map(([name, value]) => [
        name,
        asShown((shown as Record<string, unknown>)[name], value),
      ]),
    );
  }

  test('give the answers that it shows', async () => {
    const settings = {
      DATABASE_URL: database.url,
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'warn',
    };
    const env = { ...environment, ...settings };
    server = spawn(process.execPath, [path.join(dist, 'apps', 'server', 'main.js')], {
      cwd: folder,
      env,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const [first] = await Promise.race([once(server, 'message'), once(server, 'exit')]);
    const { url } = first as { url: string };
    ledgerctl(['seed', '--demo'], { cwd: folder, env: settings });

    const blocks = blocksOf(readme);
    const steps = blocks.flatMap((block, index) => {
      if (!block.marks.includes('run')) return [];
      const next = blocks[index + 1];
      return [{ run: block.text, shown: next?.marks[0] === 'json' ? next.text : undefined }];
    });
    const BETWEEN = '----';
    // At the pace of a person who reads: a read model is some milliseconds behind.
    const script = steps.map(({ run }) => `${run}\necho '${BETWEEN}'\nsleep 0.5\n`).join('');
    const shell = spawn('bash', ['-e', '-o', 'pipefail'], {
      cwd: folder,
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let said = '';
    shell.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    shell.stdin.end(script.replaceAll('http://127.0.0.1:3000', url));
    const [code] = (await once(shell, 'close')) as [number];
    expect(code).toBe(0);

    const answers = said.split(`${BETWEEN}\n`);
    for (const [index, { shown }] of steps.entries()) {
      const lines = (answers[index] ?? '').split('\n').filter((line) => line !== '');
      for (const line of lines) expect(JSON.parse(line)).not.toHaveProperty('traceId');
      if (shown === undefined) continue;
      const answer: unknown = JSON.parse(lines.at(-1) ?? 'null');
      const expected: unknown = JSON.parse(shown);
      expect(asShown(expected, answer)).toEqual(expected);
    }
  });
});

describe('npm run demo', () => {
  test('prints what the README shows, and leaves nothing behind', () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'consent-ledger-readme-'));
    // Its database may run as somebody else.
    fs.chmodSync(folder, 0o711);
    const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', 'demo'], {
      cwd: repository,
      env: { ...environment, TMPDIR: folder },
      encoding: 'utf8',
    });
    const left = fs.readdirSync(folder);
    fs.rmSync(folder, { recursive: true, force: true });
    expect([status, stderr.replace(/^npm warn.*\n/gm, '')]).toEqual([0, '']);
    expect(left).toEqual([]);

    const shown = blocksOf(readme).find(({ marks }) => marks.includes('demo'))?.text ?? '';
    let from = 0;
    for (const line of shown.split('\n')) {
      const parts = line.split('…').filter((part) => part.trim() !== '');
      for (const part of parts) {
        const found = stdout.indexOf(part, from);
        if (found < 0) throw new Error(`the demo does not say, after ${from} characters: ${part}`);
        from = found + part.length;
      }
    }
  });
});
