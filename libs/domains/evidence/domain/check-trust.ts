import type { Checkpoint } from '#core/proof/checkpoint.js';
import { parseVerifierKey, type VerifierKey } from '#core/proof/note.js';
import type { Manifest } from './bundle.js';
import type { CheckedBundle } from './checked-bundle.js';
import { fails, type Finding, holds, open } from './findings.js';

/** Verifier keys that a checkpoint may be signed with. */
export interface VerifierKeys {
  /** By whoever verifies. */
  readonly given: readonly VerifierKey[];
  /** One of those that were given is none. */
  readonly malformed: boolean;
  /** Those that came with the bundle: an earlier checkpoint may bear a retired one's signature. */
  readonly own: readonly VerifierKey[];
}

export function verifierKeysOf(
  { trusted, tools }: CheckedBundle,
  manifest: Manifest,
): VerifierKeys {
  const parse = (texts: readonly string[]) =>
    texts.map((text) => parseVerifierKey(tools.sha256, text.trim()));
  const given = parse(trusted.keys ?? []);
  return {
    given: given.filter((key) => key !== undefined),
    malformed: given.includes(undefined),
    own: parse(manifest.keys).filter((key) => key !== undefined),
  };
}

/** Whether the signature is one of who was expected. `checkpoint`: where it is signed with the given keys. */
export function checkTrust(
  { trusted: { origin } }: CheckedBundle,
  manifest: Manifest,
  { given, malformed }: VerifierKeys,
  checkpoint: Checkpoint | undefined,
): Finding {
  if (malformed)
    return fails(
      'trust',
      'The key that was entered is no verifier key (name+id+key, c2sp.org/signed-note).',
      'Der eingegebene Schlüssel ist kein Prüfschlüssel (Name+Kennung+Schlüssel, c2sp.org/signed-note).',
    );
  if (origin === undefined || origin === '' || given.length === 0)
    return open(
      'trust',
      `Not compared yet. The bundle names the log ${manifest.origin} and the key ${manifest.keys.join(', ')}; ` +
        'whoever forged it would have written their own. Get both from the organisation by another way, and enter them.',
      `Noch nicht verglichen. Das Paket nennt das Log ${manifest.origin} und den Schlüssel ${manifest.keys.join(', ')}; ` +
        'wer es gefälscht hätte, hätte die eigenen hineingeschrieben. Beides auf anderem Weg von der Stelle besorgen und eingeben.',
    );
  return checkpoint
    ? holds(
        'trust',
        `The checkpoint is of the log ${checkpoint.origin}, and one of the keys that were entered signed it.`,
        `Der Prüfpunkt gehört zum Log ${checkpoint.origin}, und einer der eingegebenen Schlüssel hat ihn unterschrieben.`,
      )
    : fails(
        'trust',
        'Origin and key that were entered are not those of this bundle.',
        'Herkunft und Schlüssel, die eingegeben wurden, sind nicht die dieses Pakets.',
      );
}
