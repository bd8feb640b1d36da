import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { transform } from '@swc/core';

const root = join(import.meta.dirname, '..', '..');
const OURS = /^#(core|domains)\//;

export async function resolve(specifier, context, next) {
  const path = OURS.test(specifier)
    ? join(root, 'libs', specifier.slice(1))
    : specifier.startsWith('.') && context.parentURL !== undefined
      ? fileURLToPath(new URL(specifier, context.parentURL))
      : undefined;
  const source = path?.replace(/\.js$/, '.ts');
  if (source?.endsWith('.ts') && existsSync(source))
    return { url: pathToFileURL(source).href, format: 'module', shortCircuit: true };
  return next(specifier, context);
}

export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context);
  const file = fileURLToPath(url);
  const { code } = await transform(await readFile(file, 'utf8'), {
    filename: file,
    swcrc: false,
    module: { type: 'es6' },
    sourceMaps: 'inline',
    jsc: {
      target: 'es2022',
      parser: { syntax: 'typescript', decorators: true },
      transform: {
        legacyDecorator: true,
        decoratorMetadata: true,
        useDefineForClassFields: false,
      },
    },
  });
  return { format: 'module', source: code, shortCircuit: true };
}
