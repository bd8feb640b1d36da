// `npm run verify-page`: compiles apps/verify into the one page that lies in every evidence bundle.
// `npm run verify-page:check`: fails where the page there is another one.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './lib/paths.mjs';
import { say } from './lib/report.mjs';
import { setUpOrExit } from './lib/setup.mjs';

/** Our own modules are imported as what they compile to. */
const sources = {
  name: 'sources',
  setup({ onResolve }) {
    onResolve({ filter: /^#(core|domains)\/.*\.js$/ }, ({ path }) => ({
      path: join(root, 'libs', path.slice(1).replace(/\.js$/, '.ts')),
    }));
  },
};

const file = join(root, 'libs', 'domains', 'evidence', 'views', 'verify.html');
const name = relative(root, file);

await setUpOrExit({ compiled: false });
const { build } = await import('esbuild');

const present = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
const wanted = await page();
if (present === wanted) {
  say(`${name} is up to date.`);
} else if (process.argv.includes('--check')) {
  say(`${name} is not what apps/verify says: npm run verify-page writes it anew.`);
  process.exitCode = 1;
} else {
  writeFileSync(file, wanted);
  say(`${name} is written.`);
}

async function page() {
  const app = join(root, 'apps', 'verify');
  const script = await compiled(join(app, 'page.ts'));
  const style = await compiled(join(app, 'page.css'));
  const policy =
    `default-src 'none'; script-src '${hashOf(script)}'; style-src '${hashOf(style)}'; ` +
    `base-uri 'none'; form-action 'none'`;
  const parts = { policy, style, script };
  return readFileSync(join(app, 'page.html'), 'utf8').replace(
    /\{\{(\w+)\}\}/g,
    (_, part) => parts[part],
  );
}

async function compiled(entry) {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    target: 'es2022',
    charset: 'utf8',
    legalComments: 'inline',
    absWorkingDir: root,
    plugins: [sources],
  });
  return outputFiles[0].text.trim();
}

function hashOf(text) {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
