import { type Checkpoint, openCheckpoint } from '#core/proof/checkpoint.js';
import { CHECKPOINT, type Manifest } from './bundle.js';
import { type CheckedBundle, textOf } from './checked-bundle.js';
import type { VerifierKeys } from './check-trust.js';
import { type Finding, Flaws } from './findings.js';

/** The checkpoint is signed with a key that was given, or with one that came with the bundle where none was. */
export async function checkSignature(
  bundle: CheckedBundle,
  manifest: Manifest,
  { given, own }: VerifierKeys,
): Promise<{ checkpoint: Checkpoint | undefined; finding: Finding }> {
  const flaws = new Flaws('signature');
  const note = await textOf(bundle, CHECKPOINT, flaws);
  const origin = bundle.trusted.origin || manifest.origin;
  const trusted = { origin, keys: given.length > 0 ? given : own };
  const opened =
    note === undefined ? undefined : openCheckpoint(bundle.tools.verify, note, trusted);
  if (opened && 'flaw' in opened)
    flaws.add(`the checkpoint ${opened.flaw}`, `der Prüfpunkt: ${opened.flaw}`);
  const checkpoint = opened && 'checkpoint' in opened ? opened.checkpoint : undefined;
  if (checkpoint && checkpoint.size !== manifest.size)
    flaws.add(
      `the checkpoint signs ${checkpoint.size} events, the manifest says ${manifest.size}`,
      `der Prüfpunkt unterschreibt ${checkpoint.size} Ereignisse, das Verzeichnis nennt ${manifest.size}`,
    );
  if (checkpoint?.size === 0)
    flaws.add(
      'the checkpoint is one of an empty log: it proves nothing',
      'der Prüfpunkt gehört zu einem leeren Log: er beweist nichts',
    );
  const finding = flaws.finding(
    `The signature over ${checkpoint?.size} events of ${checkpoint?.origin} holds` +
      (given.length > 0 ? '.' : ', with the key that came with the bundle.'),
    `Die Unterschrift über ${checkpoint?.size} Ereignisse von ${checkpoint?.origin} stimmt` +
      (given.length > 0 ? '.' : ', mit dem Schlüssel, der im Paket lag.'),
    given.length > 0 ? 'holds' : 'open',
  );
  return { checkpoint, finding };
}
