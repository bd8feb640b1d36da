// A whole log over HTTP, as c2sp.org/tlog-tiles lays it out.
import { setTimeout as sleep } from 'node:timers/promises';
import { leafHash, rootOf } from './merkle.mjs';
import { openCheckpoint } from './note.mjs';
import { Unusable } from './report.mjs';

const WIDTH = 256;

/**
 * Reads every event, hashes it, and compares the hash tiles of every level, the root that is signed, and the root of a
 * checkpoint that was kept. Holds at most one tile of each level, however long the log is.
 *
 * @param prefix where the log is served: `https://ledger.example/v1/log`
 * @param token a bearer token, if one is asked for
 */
export async function checkLog(prefix, token, trusted, kept, report) {
  const fetchBytes = fetcher(prefix, token);
  const checkpoint = await report.check('checkpoint', async () => {
    const opened = openCheckpoint(await fetchBytes('checkpoint'), trusted);
    return [`${opened.size} events, signed by a key that was given`, opened];
  });
  if (checkpoint === undefined) return;
  const before = kept === undefined ? undefined : openCheckpoint(kept, trusted);
  const roots = await report.check('tiles', async () => {
    const found = await rebuild(checkpoint.size, fetchBytes, before?.size);
    return [`${found.tiles} hash tiles are those of the ${checkpoint.size} events`, found];
  });
  if (roots === undefined) return;
  await report.check('root', () => {
    if (!roots.last.equals(checkpoint.root))
      throw new Error(`the events have the root ${roots.last.toString('base64')}`);
    return `the events have the root that is signed, ${checkpoint.root.toString('base64')}`;
  });
  if (before)
    await report.check('consistency', () => {
      if (before.size > checkpoint.size) throw new Error(`it had ${before.size} events before`);
      if (!roots.earlier.equals(before.root))
        throw new Error(`its first ${before.size} events are not those of the kept checkpoint`);
      return `its first ${before.size} events are those of the kept checkpoint`;
    });
}

async function rebuild(size, fetchBytes, earlierSize) {
  /** For each level the hashes of its last tile, which is not full. */
  const open = [];
  /** For each level the number of its full tiles. */
  const full = [];
  let tiles = 0;
  let earlier;

  const compare = async (level, hashes) => {
    const path = pathOf(level, full[level] ?? 0, hashes.length);
    const found = await fetchTile(fetchBytes, path, hashes.length * 32);
    if (!found.equals(Buffer.concat(hashes))) throw new Error(`${path} has other hashes`);
    tiles++;
  };
  const add = async (level, hash) => {
    (open[level] ??= []).push(hash);
    if (open[level].length < WIDTH) return;
    const hashes = open[level];
    await compare(level, hashes);
    full[level] = (full[level] ?? 0) + 1;
    open[level] = [];
    await add(level + 1, rootOf(hashes));
  };

  if (earlierSize === 0) earlier = rootOf([]);
  for (let index = 0; index < size; index += WIDTH) {
    const count = Math.min(WIDTH, size - index);
    for (const [n, entry] of (await fetchEntries(fetchBytes, index / WIDTH, count)).entries()) {
      await add(0, leafHash(entry));
      if (index + n + 1 === earlierSize) earlier = rootOfOpen(open);
    }
  }
  for (const [level, hashes] of open.entries()) if (hashes.length > 0) await compare(level, hashes);
  return { tiles, earlier, last: rootOfOpen(open) };
}

/** From the leaves up, each level's open tile with the root of what lies to the right below it. */
function rootOfOpen(open) {
  const right = open.reduce(
    (below, hashes) => (hashes.length + below.length > 0 ? [rootOf([...hashes, ...below])] : []),
    [],
  );
  return rootOf(right);
}

async function fetchEntries(fetchBytes, n, count) {
  const path = pathOf('entries', n, count);
  const bytes = await fetchTile(fetchBytes, path);
  const entries = [];
  for (let at = 0; entries.length < count;) {
    if (at + 2 > bytes.length) throw new Error(`${path} has ${entries.length} events`);
    const start = at + 2;
    at = start + bytes.readUInt16BE(at);
    if (at > bytes.length) throw new Error(`${path} ends within an event`);
    entries.push(bytes.subarray(start, at));
  }
  return entries;
}

/** A partial tile may be gone once the full one is there, which then begins with it. */
async function fetchTile(fetchBytes, path, length) {
  const bytes = (await fetchBytes(path)) ?? (await fetchBytes(path.split('.p/')[0]));
  if (bytes === undefined) throw new Error(`there is no ${path}`);
  return bytes.subarray(0, length);
}

/** 1234067 is `x001/x234/067`; a tile that is not full says how wide it is. */
function pathOf(level, n, width) {
  const digits = String(n).padStart(Math.ceil(String(n).length / 3) * 3, '0');
  const elements = digits.match(/.../g);
  const last = elements.pop();
  const place = [...elements.map((element) => `x${element}`), last].join('/');
  return `tile/${level}/${place}${width < WIDTH ? `.p/${width}` : ''}`;
}

function fetcher(prefix, token) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return async function fetchBytes(path, tries = 10) {
    const url = `${prefix.replace(/\/$/, '')}/${path}`;
    const answer = await fetch(url, { headers }).catch((error) => {
      throw new Unusable(`${url} can not be reached: ${error.cause?.message ?? error.message}`);
    });
    if ((answer.status === 429 || answer.status === 503) && tries > 1) {
      await sleep(1000 * Number(answer.headers.get('retry-after') ?? 1));
      return fetchBytes(path, tries - 1);
    }
    if (answer.status === 404 && path.startsWith('tile/')) return undefined;
    if (!answer.ok) throw new Unusable(`${url} is answered with ${answer.status}`);
    return Buffer.from(await answer.arrayBuffer());
  };
}
