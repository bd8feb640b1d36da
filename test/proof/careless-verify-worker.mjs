// The same one that takes every column for what the bytes say.
import { register } from 'node:module';

register('../support/typescript-hooks.mjs', import.meta.url);
const { Agreement } = await import('#core/ledger/postgres/agreement.js');
Agreement.prototype.holds = () => true;
await import('./verify-worker.mjs');
