import * as ed25519 from '@noble/ed25519';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { inflateSync } from 'fflate';
import {
  type Report,
  type Tools,
  type Verdict,
  verifyBundle,
} from '#domains/evidence/domain/verify-bundle.js';
import { CHECK_NAMES, type Language, MARKS, VERDICTS, WORDS } from './words.js';

/** The page that checks a bundle. Compiled into one file that loads nothing and talks to nobody. */

ed25519.hashes.sha512 = (message) => sha512(message);

const tools: Tools = {
  sha256: (bytes) => sha256(bytes),
  verify: (publicKey, message, signature) => {
    try {
      // Strictly after RFC 8032: a signature that only a lenient verifier accepts is none.
      return ed25519.verify(signature, message, publicKey, { zip215: false });
    } catch {
      // Bytes that are no key or no signature.
      return false;
    }
  },
  inflate: (packed, size) => inflateSync(packed, { out: new Uint8Array(size) }),
};

const page = {
  origin: element('origin', HTMLInputElement),
  key: element('key', HTMLTextAreaElement),
  earlier: element('earlier', HTMLTextAreaElement),
  file: element('file', HTMLInputElement),
  drop: element('drop', HTMLElement),
  name: element('name', HTMLElement),
  verdict: element('verdict', HTMLElement),
  checks: element('checks', HTMLElement),
  about: element('about', HTMLElement),
};

let language: Language = navigator.language.toLowerCase().startsWith('de') ? 'de' : 'en';
let chosen: File | undefined;
let shown: Report | undefined;
/** Of the check that is shown: an older one that ends later is passed over. */
let run = 0;

function element<E extends HTMLElement>(id: string, type: { new (): E; prototype: E }): E {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${id}`);
  return found;
}

function speak(to: Language): void {
  language = to;
  document.documentElement.lang = to;
  document.title = WORDS.title[to];
  for (const place of document.querySelectorAll<HTMLElement>('[data-says]'))
    place.textContent = WORDS[place.dataset['says'] as keyof typeof WORDS][to];
  for (const button of document.querySelectorAll<HTMLElement>('[data-language]'))
    button.setAttribute('aria-pressed', String(button.dataset['language'] === to));
  if (chosen) page.name.textContent = chosen.name;
  if (shown) show(shown);
  else say(WORDS.waiting[to]);
}

function say(text: string, verdict?: Verdict): void {
  page.verdict.className = `banner ${verdict ?? ''}`.trim();
  page.verdict.textContent = text;
}

function show(report: Report): void {
  shown = report;
  page.checks.replaceChildren(
    ...report.findings.map(({ check, verdict, says }) => {
      const item = document.createElement('li');
      item.className = verdict;
      item.dataset['check'] = check;
      item.dataset['verdict'] = verdict;
      item.append(
        text('span', MARKS[verdict][language], 'mark'),
        text('strong', CHECK_NAMES[check][language]),
        text('p', says[language]),
      );
      return item;
    }),
  );
  const { manifest, checkpoint } = report;
  const lines: (readonly [string, string])[] = manifest
    ? [
        [WORDS.log[language], checkpoint?.origin ?? manifest.origin],
        [WORDS.made[language], manifest.createdAt],
        [WORDS.about[language], JSON.stringify(manifest.scope)],
      ]
    : [];
  page.about.replaceChildren(
    ...lines.map(([name, value]) => {
      const line = document.createElement('div');
      line.append(text('dt', name), text('dd', value));
      return line;
    }),
  );
  // Last: whoever waits for the verdict finds everything there.
  say(VERDICTS[report.verdict][language], report.verdict);
  page.verdict.dataset['verdict'] = report.verdict;
}

function text(name: string, content: string, className?: string): HTMLElement {
  const made = document.createElement(name);
  made.textContent = content;
  if (className) made.className = className;
  return made;
}

async function check(): Promise<void> {
  if (!chosen) return;
  const mine = ++run;
  const bundle = chosen;
  shown = undefined;
  delete page.verdict.dataset['verdict'];
  page.name.textContent = bundle.name;
  page.checks.replaceChildren();
  page.about.replaceChildren();
  say(WORDS.working[language]);
  const source = {
    size: bundle.size,
    read: async (offset: number, length: number) =>
      new Uint8Array(await bundle.slice(offset, offset + length).arrayBuffer()),
  };
  const trusted = {
    origin: page.origin.value.trim(),
    keys: page.key.value.split('\n').filter((line) => line.trim() !== ''),
    earlier: page.earlier.value,
  };
  try {
    const report = await verifyBundle(source, trusted, tools, (done, of) => {
      if (mine === run) say(`${WORDS.working[language]} ${done} / ${of}`);
    });
    if (mine === run) show(report);
  } catch (error) {
    if (mine === run) say(`${WORDS.failed[language]} ${String(error)}`, 'fails');
  }
}

function choose(file: File | null | undefined): void {
  if (!file) return;
  chosen = file;
  void check();
}

for (const button of document.querySelectorAll<HTMLElement>('[data-language]'))
  button.addEventListener('click', () => speak(button.dataset['language'] as Language));
for (const field of [page.origin, page.key, page.earlier])
  field.addEventListener('change', () => void check());
page.file.addEventListener('change', () => choose(page.file.files?.[0]));
for (const type of ['dragenter', 'dragover', 'dragleave', 'drop'])
  document.addEventListener(type, (event) => {
    event.preventDefault();
    page.drop.classList.toggle('over', type === 'dragenter' || type === 'dragover');
  });
document.addEventListener('drop', (event) => choose(event.dataTransfer?.files[0]));
speak(language);
