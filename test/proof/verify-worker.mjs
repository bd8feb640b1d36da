// A thread of a verify whose log holds the events of a ProofWorld.
import { register } from 'node:module';

register('../support/typescript-hooks.mjs', import.meta.url);
const { vouchForPages } = await import('#core/runtime/verify-worker.js');
const says = { en: 'Something was recorded', de: 'Etwas wurde festgehalten' };
vouchForPages(new Map([['SampleRecorded', { version: 1, says }]]));
