import type { Check, Verdict, Words } from '#domains/evidence/domain/verify-bundle.js';

export type Language = keyof Words;

/** What the page says beside the findings. */
export const WORDS = {
  title: { en: 'Check an evidence bundle', de: 'Nachweispaket prüfen' },
  lead: {
    en: 'Everything happens in this browser. Nothing is sent anywhere, and no network is needed.',
    de: 'Alles geschieht in diesem Browser. Nichts wird gesendet, und es wird kein Netz gebraucht.',
  },
  known: { en: '1. What you know from elsewhere', de: '1. Was Sie von anderer Stelle wissen' },
  knownWhy: {
    en: 'Origin and key are all that has to be trusted. Ask the organisation for them by another way than the one the bundle came by: on its website, in a letter, or from a witness that keeps its checkpoints. Without them no bundle is shown as proved.',
    de: 'Herkunft und Schlüssel sind alles, dem zu vertrauen ist. Erfragen Sie beides bei der Stelle auf einem anderen Weg als dem, auf dem das Paket kam: auf ihrer Website, in einem Schreiben oder bei einem Zeugen, der ihre Prüfpunkte aufbewahrt. Ohne sie wird kein Paket als bewiesen angezeigt.',
  },
  origin: { en: 'Origin of the log', de: 'Herkunft des Logs' },
  key: {
    en: 'Public key (name+id+key); several: one a line',
    de: 'Öffentlicher Schlüssel (Name+Kennung+Schlüssel); mehrere: je Zeile einer',
  },
  earlier: {
    en: 'I keep a checkpoint from an earlier day',
    de: 'Ich habe einen Prüfpunkt von einem früheren Tag',
  },
  earlierLabel: { en: 'Earlier checkpoint', de: 'Früherer Prüfpunkt' },
  bundle: { en: '2. The bundle', de: '2. Das Paket' },
  choose: { en: 'Choose the zip file', de: 'ZIP-Datei wählen' },
  dropHere: { en: 'or drop it here', de: 'oder hier ablegen' },
  result: { en: '3. Result', de: '3. Ergebnis' },
  waiting: { en: 'No bundle chosen yet.', de: 'Noch kein Paket gewählt.' },
  working: { en: 'Checking …', de: 'Wird geprüft …' },
  page: {
    en: 'A page that came with the bundle could be as forged as the bundle. Use one that you have from the organisation or from the ledger’s source, or run ledgerctl verify-bundle; its SHA-256 is in the manifest of every bundle.',
    de: 'Eine Seite, die im Paket lag, könnte so gefälscht sein wie das Paket. Verwenden Sie eine, die Sie von der Stelle oder aus dem Quelltext des Ledgers haben, oder ledgerctl verify-bundle; ihr SHA-256 steht im Verzeichnis jedes Pakets.',
  },
  limits: {
    en: 'Proved is what is in the events. Opened fields, timelines, records and the end of a key’s copies are the organisation’s account of them: compared with the manifest, not proved.',
    de: 'Bewiesen ist, was in den Ereignissen steht. Geöffnete Angaben, Verläufe, Einwilligungsnachweise und das Ende der Schlüsselkopien sind Angaben der Stelle dazu: mit dem Verzeichnis verglichen, nicht bewiesen.',
  },
  made: { en: 'Made', de: 'Erstellt' },
  log: { en: 'Log', de: 'Log' },
  about: { en: 'About', de: 'Über' },
  failed: {
    en: 'The check could not be finished:',
    de: 'Die Prüfung konnte nicht beendet werden:',
  },
} as const satisfies Readonly<Record<string, Words>>;

export const VERDICTS: Readonly<Record<Verdict, Words>> = {
  holds: {
    en: 'Proved: this bundle is true to the log of the origin and key that you entered.',
    de: 'Bewiesen: dieses Paket entspricht dem Log mit der Herkunft und dem Schlüssel, die Sie eingegeben haben.',
  },
  open: {
    en: 'Nothing is wrong, and nothing is proved yet: enter origin and key that you have from elsewhere.',
    de: 'Kein Fehler, aber noch kein Beweis: Herkunft und Schlüssel eingeben, die Sie von anderer Stelle haben.',
  },
  fails: {
    en: 'Not true: at least one check fails.',
    de: 'Nicht in Ordnung: mindestens eine Prüfung schlägt fehl.',
  },
};

export const MARKS: Readonly<Record<Verdict, Words>> = {
  holds: { en: '✓ holds', de: '✓ stimmt' },
  open: { en: '○ open', de: '○ offen' },
  fails: { en: '✗ fails', de: '✗ falsch' },
};

export const CHECK_NAMES: Readonly<Record<Check, Words>> = {
  archive: { en: 'Archive', de: 'Archiv' },
  files: { en: 'Files', de: 'Dateien' },
  trust: { en: 'Origin and key', de: 'Herkunft und Schlüssel' },
  signature: { en: 'Signature', de: 'Unterschrift' },
  events: { en: 'Events', de: 'Ereignisse' },
  streams: { en: 'Without a gap', de: 'Lückenlos' },
  notices: { en: 'Words shown', de: 'Gezeigter Wortlaut' },
  consistency: { en: 'Only added to', de: 'Nur ergänzt' },
  keys: { en: 'Erasures', de: 'Löschungen' },
};
