import 'reflect-metadata';
import { readConfig } from '#core/platform/config.js';
import { announce } from './announcement.js';
import { startServer } from './server.js';

/** `npm start`: the whole product, until it is told to stop. */
async function main(): Promise<void> {
  const config = readConfig();
  const server = await startServer(config);
  const withdraw = await announce(config, server);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  if (server.notice) say(server.notice);
  say(`Consent ledger is ready${server.url ? `: ${server.url}` : ''}`);
  if (server.keyIsNew) say(`Your key, with every right (shown once): ${server.key}`);
  if (server.keyFile) say(`The key is kept in ${server.keyFile}`);

  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    Promise.all([withdraw(), server.stop()]).then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? error.message : 'the server could not start'}\n`,
  );
  process.exit(1);
});
