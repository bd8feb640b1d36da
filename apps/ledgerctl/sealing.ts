import { systemClock } from '#core/kernel/instant.js';
import { Codec } from '#core/ledger/codec.js';
import { recordLoss, successorOf } from '#core/ledger/history-lost.js';
import { Ledger } from '#core/ledger/ledger.js';
import type { Config } from '#core/platform/config.js';
import { base64, hex } from '#core/proof/encoding.js';
import { formatVerifierKey } from '#core/proof/note.js';
import { EXIT, type Output } from './output.js';
import { onStore } from './store.js';

/** What an auditor is given once, by a way that nobody on this machine can change: origin and public keys. */
export function showSealing(config: Config, out: Output): Promise<number> {
  return onStore(config, async ({ proof: { keys, origin, log, tables } }) => {
    const living = keys.living(origin).map(({ id }) => hex(id));
    const listed = keys.verifierKeys(origin).map((key) => ({
      id: hex(key.id),
      verifierKey: formatVerifierKey(key),
      signs: living.includes(hex(key.id)),
    }));
    const newest = await log.newest();
    const { refusal } = await tables.progress();
    const sealed = newest && { size: newest.size, signedAt: newest.signedAt };
    const words = [
      `origin ${origin}`,
      ...listed.map(({ verifierKey, signs }) => `${signs ? 'signs ' : 'retired'} ${verifierKey}`),
      sealed ? `${sealed.size} events sealed at ${sealed.signedAt}` : 'nothing is sealed yet',
      ...(refusal
        ? [`nothing is signed since ${refusal.at}: ${refusal.code}: ${refusal.reason}`]
        : []),
    ];
    out.result({ origin, keys: listed, sealed, refusal }, words.join('\n'));
    return refusal ? EXIT.findings : EXIT.ok;
  });
}

/** A new key signs beside the old one from the next checkpoint on. */
export function rotateSigningKey(config: Config, out: Output): Promise<void> {
  return onStore(config, async ({ proof: { keys, origin } }) => {
    const verifierKey = formatVerifierKey(await keys.add(origin, systemClock.now()));
    out.result(
      { origin, verifierKey },
      `${verifierKey}\nsigns from the next checkpoint on, beside the keys before it; retire those once everybody has it`,
    );
  });
}

export function retireSigningKey(config: Config, id: string, out: Output): Promise<number> {
  return onStore(config, async ({ proof: { keys, origin, tables } }) => {
    try {
      await keys.retire(origin, id, systemClock.now());
      await tables.addKeys(origin, keys.known(origin));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      out.note(error.message);
      return EXIT.failed;
    }
    out.result({ origin, retired: id }, `${id} signs no more; what it signed still verifies`);
    return EXIT.ok;
  });
}

/** After the key file was lost: the public keys as the database remembers them, and a new key that signs. */
export function replaceSigningKey(config: Config, out: Output): Promise<number> {
  return onStore(config, async ({ proof: { keys, origin, log } }) => {
    if (keys.living(origin).length > 0) {
      out.note(`${origin} has a key that signs: rotate it instead`);
      return EXIT.failed;
    }
    const now = systemClock.now();
    const known = (await log.identity()).keys;
    await keys.acknowledge(known, now);
    const verifierKey = formatVerifierKey(await keys.add(origin, now));
    out.result(
      { origin, verifierKey, lost: known },
      `${verifierKey}\nsigns from now on; compare the lost keys with what your auditors have:\n${known.join('\n')}`,
    );
    return EXIT.ok;
  });
}

/**
 * The way out where events that were signed are lost for good: it is recorded in the log itself, and what is left is
 * sealed under another name from the next start on.
 */
export function acceptLoss(config: Config, out: Output): Promise<number> {
  return onStore(config, async ({ proof, recording, store, eventCatalogue, vault }) => {
    const { log, origin, tables } = proof;
    const known = recording.missing && (recording.missing.checkpoint ?? (await log.newest()));
    if (known === undefined) {
      out.note('nothing that was signed is missing from the log: there is no loss to accept');
      return EXIT.failed;
    }
    const { size, root } = known;
    // One that asks nobody: everything else may record nothing.
    const ledger = new Ledger(store, new Codec(eventCatalogue, vault));
    const { position } = await recordLoss(
      ledger,
      { origin, size, root: base64(root) },
      systemClock.now(),
    );
    await tables.startOver();
    const continuesAs = successorOf(origin);
    out.result(
      { origin, size, continuesAs, position },
      `recorded at position ${position}: the log of ${size} events that was sealed as ${origin} is lost in part, ` +
        `and goes on as ${continuesAs}\nstart all processes again; \`ledgerctl sealing status\` then shows the new key`,
    );
    return EXIT.ok;
  });
}

/** Tiles and leaf positions are made again from the events; checkpoints stay, and have to fit. */
export function rebuildTiles(config: Config, out: Output): Promise<void> {
  return onStore(config, async ({ proof: { tables } }) => {
    await tables.startOver();
    out.result(
      { rebuilding: true },
      'tiles and leaf positions are gone; the sealer makes them again from the events, and compares them with every known checkpoint',
    );
  });
}
