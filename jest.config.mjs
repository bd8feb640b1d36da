import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { typescriptOptions } from './test/support/typescript-options.mjs';

const root = import.meta.dirname;

/** @type {import('jest').Config} */
export default {
  rootDir: root,
  roots: ['apps', 'libs', 'test'].map((folder) => join(root, folder)).filter(existsSync),
  testMatch: ['**/*.spec.ts'],
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['js', 'mjs', 'ts', 'json', 'node'],
  moduleNameMapper: {
    '^#core/(.*)\\.js$': '<rootDir>/libs/core/$1',
    '^#domains/(.*)\\.js$': '<rootDir>/libs/domains/$1',
    '^(\\.{1,2}/.*)(?<!\\.json)\\.js$': '$1',
  },
  transform: {
    '^.+\\.ts$': ['@swc/jest', typescriptOptions],
  },
  globalSetup: '<rootDir>/test/support/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
  maxWorkers: 2,
  // A busy machine is no failure; what hangs is still found.
  testTimeout: 30_000,
};
