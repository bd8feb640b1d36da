import type { Checkpoint } from '#core/proof/checkpoint.js';
import { fromBase64, hex, parseCount } from '#core/proof/encoding.js';
import { flawOfConsistency, type Hash } from '#core/proof/merkle.js';
import { openNote } from '#core/proof/note.js';
import { CHECKPOINT, CONSISTENCY, EARLIER } from './bundle.js';
import { type CheckedBundle, checkpointIn, textOf } from './checked-bundle.js';
import type { VerifierKeys } from './check-trust.js';
import { fails, type Finding, Flaws, open } from './findings.js';

/** The signed tree extends an earlier one, which one of the keys has signed. */
export async function checkConsistency(
  bundle: CheckedBundle,
  checkpoint: Checkpoint | undefined,
  { given, own }: VerifierKeys,
): Promise<Finding> {
  const { archive, tools, trusted } = bundle;
  const mine = trusted.earlier?.trim() ? trusted.earlier : undefined;
  const there = archive.has(CONSISTENCY) || archive.has(EARLIER);
  if (!there)
    return mine
      ? fails(
          'consistency',
          'The bundle has no proof that its log extends the checkpoint that was entered.',
          'Das Paket enthält keinen Nachweis, dass sein Log den eingegebenen Prüfpunkt fortsetzt.',
        )
      : open(
          'consistency',
          'Nothing to compare: the bundle was made without an earlier checkpoint.',
          'Nichts zu vergleichen: das Paket wurde ohne einen früheren Prüfpunkt erstellt.',
        );
  const flaws = new Flaws('consistency');
  const [note, proof] = [
    await textOf(bundle, EARLIER, flaws),
    await textOf(bundle, CONSISTENCY, flaws),
  ];
  const earlier = note === undefined ? undefined : checkpointIn(note);
  const parsed = proof === undefined ? undefined : consistencyIn(proof);
  if (!earlier || !parsed) flaws.add('it can not be read', 'der Nachweis ist nicht lesbar');
  else if (checkpoint) {
    if (
      parsed.from !== earlier.size ||
      parsed.checkpoint !== (await textOf(bundle, CHECKPOINT, flaws))
    )
      flaws.add('it is one of other checkpoints', 'er gehört zu anderen Prüfpunkten');
    const signed = openNote(tools.verify, note as string, [...given, ...own]);
    if ('flaw' in signed)
      flaws.add(
        `of the earlier checkpoint ${signed.flaw}`,
        `zum früheren Prüfpunkt: ${signed.flaw}`,
      );
    const flaw = flawOfConsistency(tools.sha256, {
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
  return flaws.finding(
    `Since the earlier checkpoint over ${earlier?.size} events the log was only added to` +
      (mine === undefined ? '; compare that checkpoint with the one you keep.' : '.'),
    `Seit dem früheren Prüfpunkt über ${earlier?.size} Ereignisse wurde das Log nur ergänzt` +
      (mine === undefined ? '; diesen Prüfpunkt mit dem aufbewahrten vergleichen.' : '.'),
  );
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
