// An evidence bundle, as docs/evidence.md describes it.
import { checkConsistency, checkInclusion, leafHash, sha256 } from './merkle.mjs';
import { hashOf, openCheckpoint, parseConsistency, textOf } from './note.mjs';
import { Unusable } from './report.mjs';
import { readZip } from './zip.mjs';

const PART = /^people\/\d{4,}\//;
const PERSON = 'subject-';

/**
 * @param bytes the zip
 * @param trusted `{origin, keys}`, from elsewhere
 * @param kept bytes of a checkpoint that was kept, if one was
 */
export async function checkBundle(bytes, trusted, kept, report) {
  const files = await report.check('archive', () => {
    const found = readZip(bytes);
    return [`${found.size} files, and no byte that belongs to none`, found];
  });
  if (files === undefined) return;
  if (kept !== undefined && !files.has('earlier-checkpoint'))
    throw new Unusable(
      'the bundle proves nothing since an earlier checkpoint: ask for one that does',
    );
  const file = (path) => {
    const found = files.get(path);
    if (found === undefined) throw new Error(`there is no ${path}`);
    return found;
  };
  const json = (path) => JSON.parse(textOf(file(path)));
  const lines = (path) => linesOf(textOf(file(path)), path);
  const parts = [...new Set([...files.keys()].map((path) => PART.exec(path)?.[0] ?? []).flat())];

  const manifest = await report.check('files', () => [
    checkFiles(files, file('manifest.json'), file('manifest.json.sha256')),
    json('manifest.json'),
  ]);
  const checkpoint = await report.check('trust', () => {
    const opened = openCheckpoint(file('checkpoint'), trusted);
    return [`${opened.size} events, signed by a key that was given`, opened];
  });
  if (manifest === undefined || checkpoint === undefined) return;

  const logged = (folder) =>
    proven(lines(`${folder}events.ndjson`), lines(`${folder}proofs.ndjson`), checkpoint, folder);
  const events = await report.check('events', () => {
    const people = parts.flatMap(logged);
    const erasures = parts
      .map((part) => `${part}erasures/`)
      .filter((folder) => files.has(`${folder}events.ndjson`))
      .flatMap(logged);
    const catalogue = logged('catalogue/');
    const all = [...people, ...erasures, ...catalogue];
    const indexes = new Set(all.map(({ index }) => index));
    if (indexes.size < all.length) throw new Error('an event is in it twice');
    return [`${indexes.size} are in the log, byte for byte`, { people, erasures, catalogue }];
  });
  if (events === undefined) return;

  const keys = () => parts.flatMap((part) => json(`${part}keys.json`));
  await report.check('contents', () =>
    checkContents(manifest, { parts, checkpoint, events, people: keys() }),
  );
  if (manifest.scope.purpose === undefined)
    await report.check('streams', () => checkStreams(events.people));
  else report.notShown('streams', `a bundle on the purpose ${manifest.scope.purpose} has gaps`);
  await report.check('notices', () => checkNotices(files, events));
  await report.check('keys', () => checkKeys(keys(), [...events.people, ...events.erasures]));
  if (manifest.opened)
    await report.check('opened', () =>
      checkOpened(
        parts.flatMap((part) => lines(`${part}opened.ndjson`)),
        events,
      ),
    );

  if (files.has('earlier-checkpoint'))
    await report.check('consistency', () => {
      const before = openCheckpoint(file('earlier-checkpoint'), trusted);
      const { size, proof, checkpoint: after } = parseConsistency(file('consistency'));
      if (size !== before.size) throw new Error(`the proof is from ${size}, not ${before.size}`);
      if (!after.equals(file('checkpoint'))) throw new Error('the proof is to another checkpoint');
      checkConsistency({ before, after: checkpoint, proof });
      return `nothing but added to since it had ${size} events`;
    });
  else report.notShown('consistency', 'the bundle was asked for without an earlier checkpoint');
  if (kept !== undefined)
    await report.check('kept', () => {
      const mine = openCheckpoint(kept, trusted);
      const theirs = openCheckpoint(file('earlier-checkpoint'), trusted);
      if (mine.size !== theirs.size || !mine.root.equals(theirs.root))
        throw new Error('the earlier checkpoint is not the one that was kept');
      return 'the earlier checkpoint is the one that was kept';
    });
}

/** The manifest lists every file but itself and its own hash. */
function checkFiles(files, manifest, stated) {
  const hash = sha256(manifest).toString('hex');
  if (textOf(stated) !== `${hash}  manifest.json\n`)
    throw new Error(`manifest.json has the hash ${hash}, and manifest.json.sha256 another`);
  const { format, files: listed } = JSON.parse(textOf(manifest));
  if (format !== 'consent-ledger/evidence/1') throw new Error(`the format is ${format}`);
  for (const { path, bytes, sha256: expected } of listed) {
    const found = files.get(path);
    if (found === undefined) throw new Error(`${path} is missing`);
    const computed = sha256(found).toString('hex');
    if (computed !== expected || found.length !== bytes)
      throw new Error(`${path} has ${found.length} bytes, hash ${computed}; written: ${expected}`);
  }
  const known = new Set(['manifest.json', 'manifest.json.sha256', ...listed.map((f) => f.path)]);
  if (known.size !== files.size || listed.length + 2 !== files.size)
    throw new Error('the manifest lists other files than there are');
  return `${listed.length} have the size and hash that the manifest lists`;
}

/** The nth proof is that of the nth event: `[{index, event}]`, each shown to be in the log. */
function proven(events, proofs, checkpoint, folder) {
  if (events.length !== proofs.length)
    throw new Error(`${folder} has ${events.length} events and ${proofs.length} proofs`);
  return events.map((line, n) => {
    const { index, hashes } = JSON.parse(proofs[n]);
    const event = JSON.parse(line);
    try {
      checkInclusion({
        ...checkpoint,
        index,
        leaf: leafHash(Buffer.from(line)),
        proof: hashes.map(hashOf),
      });
      if (canonical(event) !== line) throw new Error('it is not in the canonical form (RFC 8785)');
    } catch (error) {
      throw new Error(`${folder}events.ndjson, line ${n + 1}: ${error.message}`);
    }
    return { index, event };
  });
}

/** The manifest counts what is there, and speaks of the same people and time. */
function checkContents({ scope, ...manifest }, { parts, checkpoint, events, people }) {
  const counted = {
    origin: checkpoint.origin,
    size: checkpoint.size,
    parts: parts.length,
    people: people.length,
    events: events.people.length,
  };
  for (const [name, number] of Object.entries(counted))
    if (manifest[name] !== number)
      throw new Error(`${name}: the manifest says ${manifest[name]}, there is ${number}`);
  const listed = people.map(({ subjectId }) => subjectId);
  const told = events.people.map(({ event }) => event.stream.slice(PERSON.length));
  if (new Set(listed).size < listed.length) throw new Error('keys.json lists somebody twice');
  if (events.people.some(({ event }) => !event.stream.startsWith(PERSON)))
    throw new Error('among the events of people is one of something else');
  checkSameSet('people with events, and in keys.json', told, listed);
  if (scope.subjects) checkSameSet('people asked for, and in keys.json', scope.subjects, listed);
  const late = events.people.find(({ event }) => event.recordedAt > (scope.period?.to ?? '~'));
  if (late) throw new Error(`${late.event.id} was recorded after ${scope.period.to}`);
  return `${counted.people} people with ${counted.events} events, as the manifest says`;
}

function checkSameSet(what, some, others) {
  const [left, right] = [new Set(some), new Set(others)];
  const only = [...left, ...right].find((one) => !left.has(one) || !right.has(one));
  if (only !== undefined) throw new Error(`${what}: ${only} is in one of the two only`);
}

/** Of each person every event from the first on, in the order of the log. */
function checkStreams(people) {
  const next = new Map();
  for (const { index, event } of people) {
    const { revision, after } = next.get(event.stream) ?? { revision: 0, after: -1 };
    if (event.revision !== revision)
      throw new Error(`${event.stream}: revision ${revision} is missing`);
    if (index <= after) throw new Error(`${event.stream}: ${event.id} lies before its predecessor`);
    next.set(event.stream, { revision: revision + 1, after: index });
  }
  return `${next.size} from the first event on, without a gap`;
}

/** Every notice that a person saw is there in its words, and was published in the log under its hash. */
function checkNotices(files, { people, catalogue }) {
  const published = new Map(
    catalogue
      .filter(({ event }) => event.type === 'NoticePublished')
      .map(({ event: { data } }) => [data.hash, data]),
  );
  const shown = people.flatMap(({ event }) => event.data.notice ?? []);
  for (const { id, version, language, hash } of shown) {
    const notice = published.get(hash);
    if (notice?.noticeId !== id || notice.version !== version || notice.language !== language)
      throw new Error(`${id}, version ${version}, ${language}: was not published as ${hash}`);
  }
  const texts = [...files].filter(([path]) => path.startsWith('notices/'));
  const hashes = new Set(shown.map(({ hash }) => hash));
  for (const [path, bytes] of texts) {
    const hash = sha256(bytes).toString('hex');
    if (path !== `notices/${hash}.txt`) throw new Error(`${path} has the hash ${hash}`);
    if (published.get(hash)?.text !== textOf(bytes))
      throw new Error(`${path}: other words were published`);
    hashes.delete(hash);
  }
  if (hashes.size > 0) throw new Error(`the words of ${[...hashes][0]} are missing`);
  return `${texts.length} texts, as published`;
}

/** Who is said to be erased is so in the log, and the other way round. */
function checkKeys(keys, people) {
  const destroyed = new Map(
    people
      .filter(({ event }) => event.type === 'KeyDestroyed')
      .map(({ event }) => [event.stream.slice(PERSON.length), event.data]),
  );
  for (const { subjectId, status, destroyedAt, epoch } of keys) {
    const data = destroyed.get(subjectId);
    if (status !== (data ? 'destroyed' : 'held'))
      throw new Error(`${subjectId}: keys.json says ${status}, the events say otherwise`);
    if (data?.destroyedAt !== destroyedAt || data?.epoch !== epoch)
      throw new Error(
        `${subjectId}: keys.json has another time or epoch of the erasure than the event`,
      );
  }
  const erased = [...destroyed].map(([id, { destroyedAt }]) => `${id} erased on ${destroyedAt}`);
  return [`${keys.length - destroyed.size} people not erased`, ...erased].join('; ');
}

/** What is opened was sealed there, and of who is erased nothing is opened. What it says is the organisation's word. */
function checkOpened(opened, { people, erasures }) {
  const events = new Map(people.map(({ event }) => [event.id, event]));
  const gone = new Set(
    [...people, ...erasures]
      .filter(({ event }) => event.type === 'KeyDestroyed')
      .map(({ event }) => event.stream),
  );
  let fields = 0;
  for (const { eventId, data } of opened.map((line) => JSON.parse(line))) {
    const event = events.get(eventId);
    for (const [field, value] of Object.entries(data)) {
      if (event?.data[field]?.sealed === undefined)
        throw new Error(`${eventId}: ${field} is not sealed there`);
      if (gone.has(event.stream) && value?.erased !== true)
        throw new Error(`${eventId}: ${field} is open, and the person erased`);
      fields++;
    }
  }
  return `${fields} fields, sealed in the log; what they say is not proved`;
}

function linesOf(text, path) {
  if (text !== '' && !text.endsWith('\n')) throw new Error(`${path} ends within a line`);
  return text.split('\n').slice(0, -1);
}

/** RFC 8785: what JSON.stringify writes, with names in the order of their UTF-16 code units. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(',')}}`;
}
