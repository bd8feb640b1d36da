// `npm run openapi`: writes the OpenAPI document of the compiled application to docs/api/openapi.json.
// `npm run openapi:check`: fails where the document there is another one.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from './lib/paths.mjs';
import { say } from './lib/report.mjs';
import { setUpOrExit } from './lib/setup.mjs';

const file = join(root, 'docs', 'api', 'openapi.json');
const name = relative(root, file);

await setUpOrExit({ compiled: true });

const present = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
const wanted = await document();
if (present === wanted) {
  say(`${name} is up to date.`);
} else if (process.argv.includes('--check')) {
  say(`${name} is not what the application says: npm run openapi writes it anew.`);
  process.exitCode = 1;
} else {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, wanted);
  say(`${name} is written.`);
}

/** The document of the application as it is compiled, made without opening a store. */
async function document() {
  const { AppModule } = await import('../dist/apps/server/app.module.js');
  const { createApplication, DOCUMENT } = await import('#core/platform/http/application.js');
  const { openApiText } = await import('#core/platform/http/openapi.js');
  const { readConfig } = await import('#core/platform/config.js');
  const { openLog } = await import('#core/platform/logging.js');
  // A preview has modules and routes but makes no provider, so nothing is asked of the runtime.
  const { nest } = await createApplication(AppModule.over({}), readConfig({}), {
    preview: true,
    logger: openLog('silent'),
  });
  try {
    return openApiText(nest, DOCUMENT);
  } finally {
    await nest.close();
  }
}
