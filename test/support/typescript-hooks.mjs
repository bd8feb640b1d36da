import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { transform } from '@swc/core';
import { typescriptOptions } from './typescript-options.mjs';

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
  const source = await readFile(file, 'utf8');
  const { code } = await transform(source, { filename: file, ...typescriptOptions });
  return { format: 'module', source: code, shortCircuit: true };
}
