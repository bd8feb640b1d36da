import { type Checkpoint, openCheckpoint, parseCheckpoint } from '#core/proof/checkpoint.js';
import { fromBase64, fromUtf8, hex, parseCount } from '#core/proof/encoding.js';
import {
  flawOfConsistency,
  flawOfInclusion,
  type Hash,
  leafHash,
  type Sha256,
} from '#core/proof/merkle.js';
import {
  openNote,
  parseNote,
  parseVerifierKey,
  type VerifierKey,
  type VerifyEd25519,
} from '#core/proof/note.js';
import { type Archive, type Inflate, NotTheForm, openArchive, type Source } from './archive.js';
import {
  CATALOGUE,
  CHECKPOINT,
  CONSISTENCY,
  EARLIER,
  ERASURES,
  FORMAT,
  type KeyStatus,
  type Manifest,
  MANIFEST,
  MANIFEST_HASH,
  noticePath,
  partOf,
} from './bundle.js';

/**
 * Checks an evidence bundle. One piece of code for the page in a browser and for the command line; hashes,
 * signatures and unpacking come from whoever runs it. Nothing in the bundle is believed: a check that could
 * only be made with what the bundle itself says of its origin and key is `open`, never `holds`.
 */

/** What the check is done with. */
export interface Tools {
  readonly sha256: Sha256;
  readonly verify: VerifyEd25519;
  readonly inflate: Inflate;
}

/** What whoever verifies knows from elsewhere. */
export interface Trusted {
  readonly origin?: string;
  /** Verifier keys (c2sp.org/signed-note), at least one of which must have signed. */
  readonly keys?: readonly string[];
  /** A checkpoint that they keep from an earlier day: a signed note. */
  readonly earlier?: string;
}

export const CHECKS = [
  'archive',
  'files',
  'trust',
  'signature',
  'events',
  'streams',
  'notices',
  'consistency',
  'keys',
] as const;
export type Check = (typeof CHECKS)[number];

/**
 * - holds: proved
 * - fails: it is not as it should be
 * - open: nothing is wrong, and it is not proved either
 */
export type Verdict = 'holds' | 'fails' | 'open';

export interface Finding {
  readonly check: Check;
  readonly verdict: Verdict;
  /** The reason in plain words. */
  readonly says: Words;
}

export interface Words {
  readonly en: string;
  readonly de: string;
}

export interface Report {
  /** Fails where one check fails; holds where all hold but those for which there was nothing to compare. */
  readonly verdict: Verdict;
  readonly findings: readonly Finding[];
  /** What the bundle says of itself; undefined where it can not be read. */
  readonly manifest?: Manifest;
  /** What is signed; undefined where nothing is. */
  readonly checkpoint?: Checkpoint;
}

/** How far it has come, in files. */
export type Progress = (done: number, of: number) => void;

/** Flaws of one check that are told by name; of more only their number. */
const TOLD = 5;

export async function verifyBundle(
  source: Source,
  trusted: Trusted,
  tools: Tools,
  progress: Progress = () => undefined,
): Promise<Report> {
  let archive: Archive;
  try {
    archive = await openArchive(source, tools.inflate);
  } catch (error) {
    const { message } = mustBeForm(error);
    return { verdict: 'fails', findings: [fails('archive', message, message)] };
  }
  const bundle = new Bundle(archive, trusted, tools, progress);
  return bundle.report();
}

/** The checks of one bundle, one after the other; later ones use what earlier ones have read. */
class Bundle {
  private readonly findings: Finding[] = [];
  private manifest?: Manifest;
  private checkpoint?: Checkpoint;
  /** Of the signature, and those that came with the bundle: an earlier checkpoint may bear a retired one's. */
  private keys: readonly VerifierKey[] = [];
  private readonly named = new Set<string>();
  private readonly published = new Set<string>();

  constructor(
    private readonly archive: Archive,
    private readonly trusted: Trusted,
    private readonly tools: Tools,
    private readonly progress: Progress,
  ) {}

  async report(): Promise<Report> {
    await this.files();
    if (this.manifest) {
      await this.signature();
      await this.people();
      await this.notices();
      await this.consistency();
    }
    const { findings, manifest, checkpoint } = this;
    const order = (finding: Finding) => CHECKS.indexOf(finding.check);
    findings.sort((a, b) => order(a) - order(b));
    const has = (verdict: Verdict) => findings.some((finding) => finding.verdict === verdict);
    const trusts = findings.some(({ check, verdict }) => check === 'trust' && verdict === 'holds');
    return {
      verdict: has('fails') ? 'fails' : trusts ? 'holds' : 'open',
      findings,
      manifest,
      checkpoint,
    };
  }

  private say(finding: Finding): void {
    this.findings.push(finding);
  }

  /** The manifest is the one that was written, and every file is the one that it lists. */
  private async files(): Promise<void> {
    const { archive } = this;
    this.say(
      holds(
        'archive',
        `The file is whole: ${archive.paths.length} files, and no byte that belongs to none of them.`,
        `Die Datei ist vollständig: ${archive.paths.length} Dateien, und kein Byte, das zu keiner gehört.`,
      ),
    );
    const flaws = new Flaws('files');
    const bytes = await this.read(MANIFEST, flaws);
    const noted = await this.read(MANIFEST_HASH, flaws);
    const manifest = bytes && parseManifest(bytes);
    if (bytes && !manifest)
      flaws.add(
        `${MANIFEST} is not one of ${FORMAT}`,
        `${MANIFEST} hat nicht das Format ${FORMAT}`,
      );
    if (bytes && noted) {
      const hash = hex(this.tools.sha256(bytes));
      if (fromUtf8(noted) !== `${hash}  ${MANIFEST}\n`)
        flaws.add(
          `${MANIFEST} has the hash ${hash}, ${MANIFEST_HASH} names another`,
          `${MANIFEST} hat den Hash ${hash}, ${MANIFEST_HASH} nennt einen anderen`,
        );
    }
    this.manifest = manifest;
    if (manifest) await this.listed(manifest, flaws);
    const count = manifest?.files.length ?? 0;
    this.say(
      flaws.finding(
        `Each of the ${count} files has the SHA-256 that the manifest lists.`,
        `Jede der ${count} Dateien hat den SHA-256, den das Verzeichnis nennt.`,
      ),
    );
  }

  private async listed(manifest: Manifest, flaws: Flaws): Promise<void> {
    const expected = new Set([MANIFEST, MANIFEST_HASH]);
    for (const [done, { path, bytes: size, sha256 }] of manifest.files.entries()) {
      this.progress(done, manifest.files.length);
      expected.add(path);
      const bytes = await this.read(path, flaws);
      if (!bytes) continue;
      const hash = hex(this.tools.sha256(bytes));
      if (bytes.length !== size || hash !== sha256)
        flaws.add(
          `${path} was changed: its SHA-256 is ${hash}, the manifest lists ${sha256}`,
          `${path} wurde verändert: der SHA-256 ist ${hash}, das Verzeichnis nennt ${sha256}`,
        );
    }
    for (const path of this.archive.paths)
      if (!expected.has(path))
        flaws.add(`${path} is not in the manifest`, `${path} steht nicht im Verzeichnis`);
  }

  /** Who signed, and whether that is who was expected. */
  private async signature(): Promise<void> {
    const manifest = this.manifest as Manifest;
    const { origin, keys } = this.trusted;
    const flaws = new Flaws('signature');
    const note = await this.text(CHECKPOINT, flaws);
    const parse = (texts: readonly string[]) =>
      texts.map((text) => parseVerifierKey(this.tools.sha256, text.trim()));
    const malformed = parse(keys ?? []).includes(undefined);
    const own = parse(manifest.keys).filter((key) => key !== undefined);
    const given = parse(keys ?? []).filter((key) => key !== undefined);
    const compared = origin !== undefined && origin !== '' && given.length > 0;
    if (malformed)
      this.say(
        fails(
          'trust',
          'The key that was entered is no verifier key (name+id+key, c2sp.org/signed-note).',
          'Der eingegebene Schlüssel ist kein Prüfschlüssel (Name+Kennung+Schlüssel, c2sp.org/signed-note).',
        ),
      );
    else if (!compared)
      this.say(
        open(
          'trust',
          `Not compared yet. The bundle names the log ${manifest.origin} and the key ${manifest.keys.join(', ')}; ` +
            'whoever forged it would have written their own. Get both from the organisation by another way, and enter them.',
          `Noch nicht verglichen. Das Paket nennt das Log ${manifest.origin} und den Schlüssel ${manifest.keys.join(', ')}; ` +
            'wer es gefälscht hätte, hätte die eigenen hineingeschrieben. Beides auf anderem Weg von der Stelle besorgen und eingeben.',
        ),
      );
    const used = given.length > 0 ? given : own;
    this.keys = [...used, ...own];
    const opened = note === undefined ? undefined : this.opened(note, origin, used, flaws);
    this.checkpoint = opened;
    if (opened && opened.size !== manifest.size)
      flaws.add(
        `the checkpoint signs ${opened.size} events, the manifest says ${manifest.size}`,
        `der Prüfpunkt unterschreibt ${opened.size} Ereignisse, das Verzeichnis nennt ${manifest.size}`,
      );
    if (opened?.size === 0)
      flaws.add(
        'the checkpoint is one of an empty log: it proves nothing',
        'der Prüfpunkt gehört zu einem leeren Log: er beweist nichts',
      );
    if (compared && !malformed)
      this.say(
        opened
          ? holds(
              'trust',
              `The checkpoint is of the log ${opened.origin}, and one of the keys that were entered signed it.`,
              `Der Prüfpunkt gehört zum Log ${opened.origin}, und einer der eingegebenen Schlüssel hat ihn unterschrieben.`,
            )
          : fails(
              'trust',
              'Origin and key that were entered are not those of this bundle.',
              'Herkunft und Schlüssel, die eingegeben wurden, sind nicht die dieses Pakets.',
            ),
      );
    this.say(
      flaws.finding(
        `The signature over ${opened?.size} events of ${opened?.origin} holds` +
          (given.length > 0 ? '.' : ', with the key that came with the bundle.'),
        `Die Unterschrift über ${opened?.size} Ereignisse von ${opened?.origin} stimmt` +
          (given.length > 0 ? '.' : ', mit dem Schlüssel, der im Paket lag.'),
        given.length > 0 ? 'holds' : 'open',
      ),
    );
  }

  private opened(
    note: string,
    origin: string | undefined,
    keys: readonly VerifierKey[],
    flaws: Flaws,
  ): Checkpoint | undefined {
    const expected = origin || (this.manifest as Manifest).origin;
    const opened = openCheckpoint(this.tools.verify, note, { origin: expected, keys });
    if (!('flaw' in opened)) return opened.checkpoint;
    flaws.add(`the checkpoint ${opened.flaw}`, `der Prüfpunkt: ${opened.flaw}`);
    return undefined;
  }

  /** Every event is a leaf of the signed tree; every person's stream is whole; keys are as events say. */
  private async people(): Promise<void> {
    const manifest = this.manifest as Manifest;
    const [events, streams, keys] = [new Flaws('events'), new Flaws('streams'), new Flaws('keys')];
    let [people, counted, listed] = [0, 0, 0];
    const ends = new Map<string, string>();
    // A person may go on in the next part.
    let before: Leaf | undefined;
    for (let number = 1; number <= manifest.parts; number++) {
      this.progress(number - 1, manifest.parts);
      const part = partOf(number);
      const found = await this.leaves(part, events);
      counted += found.length;
      for (const leaf of found) {
        const first = leaf.stream !== before?.stream;
        if (first) {
          people++;
          if (before && leaf.stream <= before.stream)
            streams.add(`${leaf.stream} is there twice`, `${leaf.stream} steht zweimal da`);
        }
        this.inOrder(leaf, first ? undefined : before, streams);
        this.destruction(leaf, ends);
        before = leaf;
      }
      const erasures = `${part}/${ERASURES}`;
      if (this.archive.has(`${erasures}/events.ndjson`))
        for (const leaf of await this.leaves(erasures, events)) this.destruction(leaf, ends);
      listed += await this.keysOf(part, ends, keys);
    }
    const destroyed = ends.size;
    if (listed !== people)
      keys.add(
        `of ${people} people there is an entry for ${listed}`,
        `zu ${people} Personen gibt es ${listed} Angaben`,
      );
    await this.leaves(CATALOGUE, events);
    if (people !== manifest.people || counted !== manifest.events)
      streams.add(
        `there are ${counted} events of ${people} people, the manifest says ${manifest.events} of ${manifest.people}`,
        `es sind ${counted} Ereignisse von ${people} Personen, das Verzeichnis nennt ${manifest.events} von ${manifest.people}`,
      );
    if (!this.checkpoint)
      events.add(
        'without a checkpoint that is signed there is nothing to compare the events with',
        'ohne unterschriebenen Prüfpunkt gibt es nichts, womit die Ereignisse zu vergleichen wären',
      );
    const { purpose, period } = manifest.scope;
    this.say(
      events.finding(
        `Each of the ${counted} events, byte for byte, is in the log that was signed.`,
        `Jedes der ${counted} Ereignisse steht Byte für Byte in dem Log, das unterschrieben wurde.`,
      ),
    );
    const end = period?.to ? ` ${period.to}` : '';
    this.say(
      purpose
        ? streams.finding(
            `Events that do not bear on ${purpose} were left out, as was asked: that none is missing is not shown.`,
            `Ereignisse, die ${purpose} nicht betreffen, sind wie verlangt nicht enthalten: dass keines fehlt, ist nicht gezeigt.`,
            'open',
          )
        : streams.finding(
            `Of each of the ${people} people there is every event from the first on, without a gap. ` +
              `That nothing came after the last one${end} only the whole log can show.`,
            `Von jeder der ${people} Personen ist jedes Ereignis vom ersten an da, ohne Lücke. ` +
              `Dass nach dem letzten${end} keines mehr kam, kann nur das ganze Log zeigen.`,
          ),
    );
    this.say(
      keys.finding(
        destroyed === 0
          ? 'Nobody in this bundle was erased.'
          : `${destroyed} of ${people} people were erased: that and when their keys were destroyed is an event of the log. ` +
              'When every copy was gone is what the ledger says.',
        destroyed === 0
          ? 'Niemand in diesem Paket wurde gelöscht.'
          : `${destroyed} von ${people} Personen wurden gelöscht: dass und wann ihre Schlüssel vernichtet wurden, ist ein Ereignis im Log. ` +
              'Wann jede Kopie fort war, ist eine Angabe des Ledgers.',
      ),
    );
  }

  private inOrder(leaf: Leaf, before: Leaf | undefined, flaws: Flaws): void {
    const { stream, revision, index } = leaf;
    const filtered = this.manifest?.scope.purpose !== undefined;
    const expected = before === undefined ? 0 : before.revision + 1;
    if (filtered ? revision < expected : revision !== expected)
      flaws.add(
        `${stream} goes on with revision ${revision} where ${expected} belongs`,
        `${stream} geht mit Revision ${revision} weiter, wo ${expected} hingehört`,
      );
    if (before && index <= before.index)
      flaws.add(
        `revision ${revision} of ${stream} lies before the one before it`,
        `Revision ${revision} von ${stream} liegt vor der vorigen`,
      );
  }

  private destruction({ type, stream, data }: Leaf, ends: Map<string, string>): void {
    if (type === 'KeyDestroyed')
      ends.set(stream.slice(stream.indexOf('-') + 1), String(data['destroyedAt']));
  }

  /** How many people are listed. */
  private async keysOf(
    part: string,
    ends: ReadonlyMap<string, string>,
    flaws: Flaws,
  ): Promise<number> {
    const text = await this.text(`${part}/keys.json`, flaws);
    const listed = text === undefined ? undefined : jsonIn(text);
    if (!Array.isArray(listed)) return 0;
    for (const status of listed as readonly KeyStatus[]) {
      const ended = ends.get(status.subjectId);
      const said = status.status === 'destroyed' ? status.destroyedAt : undefined;
      if (ended !== said)
        flaws.add(
          `of ${status.subjectId} it says ${said ?? 'held'}, the events say ${ended ?? 'held'}`,
          `zu ${status.subjectId} steht ${said ?? 'vorhanden'}, die Ereignisse sagen ${ended ?? 'vorhanden'}`,
        );
    }
    return listed.length;
  }

  /** The events of a folder, each proved to be in the tree. */
  private async leaves(folder: string, flaws: Flaws): Promise<Leaf[]> {
    const events = await this.read(`${folder}/events.ndjson`, flaws);
    const proofs = await this.text(`${folder}/proofs.ndjson`, flaws);
    if (!events || proofs === undefined) return [];
    const lines = linesOf(events);
    const ways = proofs.split('\n').slice(0, -1);
    if (lines.length !== ways.length)
      flaws.add(
        `${folder} has ${lines.length} events and ${ways.length} proofs`,
        `${folder} hat ${lines.length} Ereignisse und ${ways.length} Nachweise`,
      );
    return lines.flatMap((bytes, at) => {
      const where = `${folder}/events.ndjson, line ${at + 1}`;
      const way = proofIn(ways[at] ?? '');
      const event = eventIn(bytes);
      if (!event || !way) {
        flaws.add(
          `${where}: ${event ? 'its proof can not be read' : 'is no event'}`,
          `${where}: ${event ? 'der Nachweis ist nicht lesbar' : 'ist kein Ereignis'}`,
        );
        return [];
      }
      const { size, root } = this.checkpoint ?? { size: 0, root: new Uint8Array() };
      const { index, proof } = way;
      const hash = leafHash(this.tools.sha256, bytes);
      const inclusion = { index, size, leafHash: hash, proof, root };
      const flaw = this.checkpoint && flawOfInclusion(this.tools.sha256, inclusion);
      if (flaw !== undefined)
        flaws.add(
          `${where} is not in the signed log: ${flaw}`,
          `${where} steht nicht im unterschriebenen Log: ${flaw}`,
        );
      this.wordsIn(event.data);
      return [{ ...event, index }];
    });
  }

  /** Hashes of words that an event names, and of those that one publishes. */
  private wordsIn({ notice, hash, text }: Leaf['data']): void {
    const { hash: shown } = (notice ?? {}) as { hash?: unknown };
    if (typeof shown === 'string') this.named.add(shown);
    if (typeof hash === 'string' && typeof text === 'string') this.published.add(hash);
  }

  /** The words that were shown are those whose hash the events name, and were published under it. */
  private async notices(): Promise<void> {
    const flaws = new Flaws('notices');
    for (const hash of this.named) {
      const path = noticePath(hash);
      if (!this.archive.has(path)) {
        flaws.add(
          `the words with the hash ${hash} are missing`,
          `der Wortlaut mit dem Hash ${hash} fehlt`,
        );
        continue;
      }
      const bytes = await this.read(path, flaws);
      if (bytes && hex(this.tools.sha256(bytes)) !== hash)
        flaws.add(`${path} has other words`, `${path} hat einen anderen Wortlaut`);
      if (!this.published.has(hash))
        flaws.add(
          `that ${path} was published is not in the log`,
          `dass ${path} veröffentlicht wurde, steht nicht im Log`,
        );
    }
    const count = this.named.size;
    this.say(
      flaws.finding(
        count === 0
          ? 'No event names words that were shown.'
          : `The words of ${count} notices are those that were shown: each has the hash that the events name.`,
        count === 0
          ? 'Kein Ereignis nennt einen gezeigten Wortlaut.'
          : `Der Wortlaut von ${count} Hinweisen ist der gezeigte: jeder hat den Hash, den die Ereignisse nennen.`,
      ),
    );
  }

  /** The signed tree extends an earlier one. */
  private async consistency(): Promise<void> {
    const mine = this.trusted.earlier?.trim() ? this.trusted.earlier : undefined;
    const there = this.archive.has(CONSISTENCY) || this.archive.has(EARLIER);
    if (!there) {
      this.say(
        mine
          ? fails(
              'consistency',
              'The bundle has no proof that its log extends the checkpoint that was entered.',
              'Das Paket enthält keinen Nachweis, dass sein Log den eingegebenen Prüfpunkt fortsetzt.',
            )
          : open(
              'consistency',
              'Nothing to compare: the bundle was made without an earlier checkpoint.',
              'Nichts zu vergleichen: das Paket wurde ohne einen früheren Prüfpunkt erstellt.',
            ),
      );
      return;
    }
    const flaws = new Flaws('consistency');
    const [note, proof] = [await this.text(EARLIER, flaws), await this.text(CONSISTENCY, flaws)];
    const earlier = note === undefined ? undefined : checkpointIn(note);
    const parsed = proof === undefined ? undefined : consistencyIn(proof);
    if (!earlier || !parsed) flaws.add('it can not be read', 'der Nachweis ist nicht lesbar');
    else if (this.checkpoint) {
      const { checkpoint } = this;
      if (
        parsed.from !== earlier.size ||
        parsed.checkpoint !== (await this.text(CHECKPOINT, flaws))
      )
        flaws.add('it is one of other checkpoints', 'er gehört zu anderen Prüfpunkten');
      const signed = openNote(this.tools.verify, note as string, this.keys);
      if ('flaw' in signed)
        flaws.add(
          `of the earlier checkpoint ${signed.flaw}`,
          `zum früheren Prüfpunkt: ${signed.flaw}`,
        );
      const flaw = flawOfConsistency(this.tools.sha256, {
        from: earlier.size,
        to: checkpoint.size,
        fromRoot: earlier.root,
        toRoot: checkpoint.root,
        proof: parsed.hashes,
      });
      if (flaw !== undefined || earlier.origin !== checkpoint.origin)
        flaws.add(
          `the log was not only added to since: ${flaw ?? 'it is another log'}`,
          `das Log wurde seither nicht nur ergänzt: ${flaw ?? 'es ist ein anderes Log'}`,
        );
    }
    const held = mine === undefined ? undefined : checkpointIn(mine);
    if (mine !== undefined && (!held || !earlier || !sameCheckpoint(held, earlier)))
      flaws.add(
        'the checkpoint that was entered is not the one that the bundle extends',
        'der eingegebene Prüfpunkt ist nicht der, den das Paket fortsetzt',
      );
    this.say(
      flaws.finding(
        `Since the earlier checkpoint over ${earlier?.size} events the log was only added to` +
          (mine === undefined ? '; compare that checkpoint with the one you keep.' : '.'),
        `Seit dem früheren Prüfpunkt über ${earlier?.size} Ereignisse wurde das Log nur ergänzt` +
          (mine === undefined ? '; diesen Prüfpunkt mit dem aufbewahrten vergleichen.' : '.'),
      ),
    );
  }

  private async read(path: string, flaws: Flaws): Promise<Uint8Array | undefined> {
    try {
      return await this.archive.read(path);
    } catch (error) {
      const { message } = mustBeForm(error);
      flaws.add(message, message);
      return undefined;
    }
  }

  private async text(path: string, flaws: Flaws): Promise<string | undefined> {
    const bytes = await this.read(path, flaws);
    const text = bytes && fromUtf8(bytes);
    if (bytes && text === undefined) flaws.add(`${path} is no text`, `${path} ist kein Text`);
    return text;
  }
}

/** What is wrong with one check. */
class Flaws {
  private readonly told: Words[] = [];
  private count = 0;

  constructor(private readonly check: Check) {}

  add(en: string, de: string): void {
    this.count++;
    if (this.told.length < TOLD) this.told.push({ en, de });
  }

  /** Its words, where nothing is wrong. */
  finding(en: string, de: string, verdict: Verdict = 'holds'): Finding {
    const { check, told, count } = this;
    if (count === 0) return { check, verdict, says: { en, de } };
    const more = count - told.length;
    const joined = (language: keyof Words) => told.map((words) => words[language]).join('; ');
    return {
      check,
      verdict: 'fails',
      says: {
        en: `${joined('en')}${more > 0 ? `; and ${more} more` : ''}.`,
        de: `${joined('de')}${more > 0 ? `; und ${more} weitere` : ''}.`,
      },
    };
  }
}

interface Leaf {
  readonly index: number;
  readonly type: string;
  readonly stream: string;
  readonly revision: number;
  readonly data: Readonly<Record<string, unknown>>;
}

function holds(check: Check, en: string, de: string): Finding {
  return { check, verdict: 'holds', says: { en, de } };
}

function fails(check: Check, en: string, de: string): Finding {
  return { check, verdict: 'fails', says: { en, de } };
}

function open(check: Check, en: string, de: string): Finding {
  return { check, verdict: 'open', says: { en, de } };
}

function mustBeForm(error: unknown): NotTheForm {
  if (error instanceof NotTheForm) return error;
  throw error;
}

const HASH = /^[0-9a-f]{64}$/;

function parseManifest(bytes: Uint8Array): Manifest | undefined {
  const text = fromUtf8(bytes);
  const manifest = text === undefined ? undefined : (jsonIn(text) as Partial<Manifest> | undefined);
  if (typeof manifest !== 'object' || manifest?.format !== FORMAT) return undefined;
  const { origin, keys, size, scope, people, parts, events, files } = manifest;
  const counts = [size, people, parts, events].every(isCount);
  if (!counts || typeof origin !== 'string' || typeof scope !== 'object') return undefined;
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string')) return undefined;
  const listed = (file: Manifest['files'][number]) =>
    typeof file.path === 'string' && isCount(file.bytes) && HASH.test(file.sha256);
  return Array.isArray(files) && files.every(listed) ? (manifest as Manifest) : undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function linesOf(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let from = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
    lines.push(bytes.subarray(from, at));
    from = at + 1;
  }
  // What lies behind the last line feed is a line that was cut: it is in no tree.
  return from < bytes.length ? [...lines, bytes.subarray(from)] : lines;
}

function eventIn(bytes: Uint8Array): Omit<Leaf, 'index'> | undefined {
  const text = fromUtf8(bytes);
  const event = text === undefined ? undefined : (jsonIn(text) as Partial<Leaf> | null | undefined);
  const { type, stream, revision, data } = event ?? {};
  if (typeof type !== 'string' || typeof stream !== 'string') return undefined;
  if (!isCount(revision) || typeof data !== 'object' || data === null) return undefined;
  return { type, stream, revision, data };
}

function proofIn(line: string): { index: number; proof: Hash[] } | undefined {
  const { index, hashes } = (jsonIn(line) ?? {}) as { index?: unknown; hashes?: unknown };
  if (!isCount(index) || !Array.isArray(hashes)) return undefined;
  const proof = hashes.map((hash) => (typeof hash === 'string' ? fromBase64(hash) : undefined));
  return proof.includes(undefined) ? undefined : { index, proof: proof as Hash[] };
}

/** What a note says, whoever signed it. */
function checkpointIn(note: string): Checkpoint | undefined {
  const parsed = parseNote(note.endsWith('\n') ? note : `${note}\n`);
  return parsed && parseCheckpoint(parsed.text);
}

function consistencyIn(
  text: string,
): { from: number; hashes: Hash[]; checkpoint: string } | undefined {
  const split = text.indexOf('\n\n');
  const [old = '', ...lines] = text.slice(0, split).split('\n');
  const from = parseCount(/^old (.*)$/.exec(old)?.[1] ?? '');
  const hashes = lines.map(fromBase64);
  if (split < 0 || from === undefined || hashes.includes(undefined)) return undefined;
  return { from, hashes: hashes as Hash[], checkpoint: text.slice(split + 2) };
}

function sameCheckpoint(a: Checkpoint, b: Checkpoint): boolean {
  return a.origin === b.origin && a.size === b.size && hex(a.root) === hex(b.root);
}
