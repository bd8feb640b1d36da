import { randomUUID } from 'node:crypto';
import type { ServerLog } from './server-log.js';

/** What a server writes for itself when its log is new: its users. */
export function writeFirstSystemEvents(log: ServerLog): void {
  for (const user of ['admin', 'ops']) {
    write(log, `$user-${user}`, '$UserCreated', { loginName: user });
    write(log, `$$$user-${user}`, '$metadata', { $acl: { $r: '$admins' } });
    write(log, '$users', '$User', { loginName: user });
  }
}

/** What it writes when a node becomes the leader. Nobody sees it, yet it takes its place in the log. */
export function writeEpoch(log: ServerLog): void {
  write(log, '$epoch-information', '$EpochInformation', {});
}

/** Such as projections and statistics write in between the events of others. */
export function writeSystemEvents(log: ServerLog, count: number): void {
  for (let index = 0; index < count; index++)
    write(log, '$stats-127.0.0.1:2113', '$statsCollected', { index });
}

function write(log: ServerLog, stream: string, type: string, data: object): void {
  const event = {
    id: randomUUID(),
    type,
    isJson: true,
    data: Buffer.from(JSON.stringify(data)),
    metadata: Buffer.alloc(0),
  };
  log.append(stream, 'any', [event]);
}
