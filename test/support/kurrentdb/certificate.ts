import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A certificate for this machine, signed by itself. */
export interface Certificate {
  /** PEM; it is its own authority. */
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** Where the certificate lies, for clients that want a file. */
  readonly file: string;
}

/** Node can not sign certificates: without this program there are none. */
export const canMakeCertificates = spawnSync('openssl', ['version']).status === 0;

export function certificateIn(folder: string): Certificate {
  const [file, key] = [join(folder, 'node.crt'), join(folder, 'node.key')];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-days', '2', '-subj', '/CN=eventstoredb-node', '-keyout', key, '-out', file],
      ...['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
    ],
    { stdio: 'pipe' },
  );
  return { certificate: readFileSync(file), key: readFileSync(key), file };
}
