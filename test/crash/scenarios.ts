import type { Scenario } from './scenario.js';
import { killed } from './scenarios/killed.js';

/** All of them, in the order in which they are run. A new one is a module in `scenarios/` and a line here. */
export const scenarios: readonly Scenario[] = [killed];
