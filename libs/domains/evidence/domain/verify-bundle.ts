import type { Checkpoint } from '#core/proof/checkpoint.js';
import { type Archive, openArchive, type Source } from './archive.js';
import { CATALOGUE, ERASURES, type Manifest, partOf } from './bundle.js';
import { checkConsistency } from './check-consistency.js';
import { EventsCheck } from './check-events.js';
import { checkFiles } from './check-files.js';
import { KeysCheck } from './check-keys.js';
import { NoticesCheck } from './check-notices.js';
import { checkSignature } from './check-signature.js';
import { StreamsCheck } from './check-streams.js';
import { checkTrust, verifierKeysOf } from './check-trust.js';
import {
  type CheckedBundle,
  mustBeForm,
  type Progress,
  type Tools,
  type Trusted,
} from './checked-bundle.js';
import { type Check, CHECKS, fails, type Finding, holds, type Verdict } from './findings.js';

export type { Progress, Tools, Trusted } from './checked-bundle.js';
export type { Check, Finding, Verdict, Words } from './findings.js';

export interface Report {
  /** Fails where one check fails; holds where all hold but those for which there was nothing to compare. */
  readonly verdict: Verdict;
  /** In the order of `CHECKS`. */
  readonly findings: readonly Finding[];
  /** What the bundle says of itself; undefined where it can not be read. */
  readonly manifest?: Manifest;
  /** What is signed; undefined where nothing is. */
  readonly checkpoint?: Checkpoint;
}

/**
 * Checks an evidence bundle. One piece of code for the page in a browser and for the command line; hashes,
 * signatures and unpacking come from whoever runs it. Nothing in the bundle is believed: a check that could
 * only be made with what the bundle itself says of its origin and key is `open`, never `holds`.
 */
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
    return reportOf({ archive: fails('archive', message, message) });
  }
  const bundle = { archive, trusted, tools, progress };
  const whole = holds(
    'archive',
    `The file is whole: ${archive.paths.length} files, and no byte that belongs to none of them.`,
    `Die Datei ist vollständig: ${archive.paths.length} Dateien, und kein Byte, das zu keiner gehört.`,
  );
  const { manifest, finding: files } = await checkFiles(bundle);
  if (!manifest) return reportOf({ archive: whole, files });
  const keys = verifierKeysOf(bundle, manifest);
  const { checkpoint, finding: signature } = await checkSignature(bundle, manifest, keys);
  const found = {
    archive: whole,
    files,
    trust: checkTrust(bundle, manifest, keys, checkpoint),
    signature,
    ...(await checkEvents(bundle, manifest, checkpoint)),
    consistency: await checkConsistency(bundle, checkpoint, keys),
  } satisfies Record<Check, Finding>;
  return { ...reportOf(found), manifest, checkpoint };
}

/** The checks that look at every event, in one reading. */
async function checkEvents(
  bundle: CheckedBundle,
  manifest: Manifest,
  checkpoint: Checkpoint | undefined,
): Promise<Record<'events' | 'streams' | 'notices' | 'keys', Finding>> {
  const events = new EventsCheck(bundle, checkpoint);
  const streams = new StreamsCheck(manifest);
  const keys = new KeysCheck(bundle);
  const notices = new NoticesCheck(bundle);
  for (let number = 1; number <= manifest.parts; number++) {
    bundle.progress(number - 1, manifest.parts);
    const part = partOf(number);
    for (const leaf of await events.leaves(part)) {
      streams.add(leaf);
      keys.add(leaf);
      notices.add(leaf);
    }
    const erasures = `${part}/${ERASURES}`;
    if (bundle.archive.has(`${erasures}/events.ndjson`))
      for (const leaf of await events.leaves(erasures)) {
        keys.add(leaf);
        notices.add(leaf);
      }
    await keys.part(part);
  }
  for (const leaf of await events.leaves(CATALOGUE)) notices.add(leaf);
  return {
    events: events.finding(streams.counted),
    streams: streams.finding(),
    keys: keys.finding(streams.people),
    notices: await notices.finding(),
  };
}

function reportOf(found: Partial<Record<Check, Finding>>): Report {
  const findings = CHECKS.flatMap((check) => found[check] ?? []);
  const fail = findings.some(({ verdict }) => verdict === 'fails');
  const trusts = found.trust?.verdict === 'holds';
  return { verdict: fail ? 'fails' : trusts ? 'holds' : 'open', findings };
}
