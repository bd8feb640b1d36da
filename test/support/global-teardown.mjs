import { rmSync } from 'node:fs';

export default async function tearDown() {
  const { server, folder } = globalThis.testPostgres ?? {};
  await server?.stop();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
}
