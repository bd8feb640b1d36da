import type { Scenario } from './scenario.js';
import { clocks } from './scenarios/clocks.js';
import { cutOff } from './scenarios/cut-off.js';
import { databaseGone } from './scenarios/database-gone.js';
import { diskFull } from './scenarios/disk-full.js';
import { followersFrozen, followersKilled } from './scenarios/followers.js';
import { importKilled } from './scenarios/import-killed.js';
import { instances, instancesOnKurrentdb } from './scenarios/instances.js';
import { killed } from './scenarios/killed.js';
import { leader } from './scenarios/leader.js';
import { order } from './scenarios/order.js';
import { rebuildKilled } from './scenarios/rebuild-killed.js';
import { unnoticed } from './scenarios/unnoticed.js';
import { unreadable } from './scenarios/unreadable.js';

/** All of them, in the order in which they are run. A new one is a module in `scenarios/` and a line here. */
export const scenarios: readonly Scenario[] = [
  killed,
  importKilled,
  order,
  cutOff,
  followersKilled,
  followersFrozen,
  rebuildKilled,
  unreadable,
  unnoticed,
  clocks,
  databaseGone,
  diskFull,
  instances,
  instancesOnKurrentdb,
  leader,
];
