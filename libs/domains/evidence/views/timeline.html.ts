import type { PersonToldOf } from '../queries/evidence.js';
import {
  detailsOf,
  type Heading,
  headingIn,
  keyIn,
  type Language,
  momentIn,
  WORDS,
} from './timeline.words.js';

/** A part of a bundle to be read on a screen and on paper. It loads nothing and runs nothing. */
export function timelineHtml(
  language: Language,
  heading: Heading,
  people: readonly PersonToldOf[],
): Uint8Array {
  const title = WORDS.title[language];
  const page = `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
<dl class="head">${headingIn(language, heading)
    .map(([name, value]) => `<div><dt>${escaped(name)}</dt><dd>${escaped(value)}</dd></div>`)
    .join('')}</dl>
<p class="note">${escaped(WORDS.explanation[language])}</p>
${people.map((person) => personHtml(language, person)).join('\n')}
</main>
</body>
</html>
`;
  return new TextEncoder().encode(page);
}

function personHtml(
  language: Language,
  { subjectId, key, continued, items }: PersonToldOf,
): string {
  const erased = keyIn(language, key);
  const heads = [WORDS.happened, WORDS.what, WORDS.recorded, WORDS.proof].map(
    (words) => `<th scope="col">${escaped(words[language])}</th>`,
  );
  const rows = items.map((item) => {
    const [details, time] = [detailsOf(language, item), (at: string) => timeHtml(language, at)];
    return `<tr><td>${time(item.occurredAt)}</td><td><strong>${escaped(item.says[language])}</strong>${details
      .map((detail) => `<br><small>${escaped(detail)}</small>`)
      .join('')}</td><td>${time(item.recordedAt)}</td><td class="leaf">${item.index}</td></tr>`;
  });
  const table =
    items.length === 0
      ? `<p>${escaped(WORDS.none[language])}</p>`
      : `<div class="scroll"><table><thead><tr>${heads.join('')}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
  return `<section aria-labelledby="${subjectId}">
<h2 id="${subjectId}">${escaped(WORDS.person[language])} <code>${subjectId}</code>${continued ? ` ${escaped(WORDS.continued[language])}` : ''}</h2>
${erased ? `<p class="erased">${escaped(erased)}</p>` : ''}${table}
</section>`;
}

function timeHtml(language: Language, instant: string): string {
  return `<time datetime="${instant}">${momentIn(language, instant)}</time>`;
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

const STYLE = `
:root{color-scheme:light dark;--ink:#1c2126;--soft:#59626b;--line:#d5dade;--paper:#fff;--tint:#f4f6f7;--warn:#7a3e00}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#a4adb5;--line:#39424a;--paper:#15191d;--tint:#1e2429;--warn:#f0b67a}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:64rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 1.25rem;font-weight:650}
h2{font-size:1.125rem;margin:2.5rem 0 .75rem;font-weight:650;break-after:avoid}
code{font:.875em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.head{display:grid;gap:.35rem;margin:0;padding:1rem 1.25rem;background:var(--tint);border-radius:.5rem}
.head div{display:grid;grid-template-columns:13rem 1fr;gap:1rem}
.head dt{color:var(--soft)}.head dd{margin:0;overflow-wrap:anywhere}
.note{color:var(--soft);max-width:46rem}
.erased{border-left:3px solid var(--warn);padding-left:.75rem;color:var(--warn)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9375rem}
th{text-align:left;font-weight:600;color:var(--soft);border-bottom:2px solid var(--line);padding:.4rem .75rem .4rem 0}
td{vertical-align:top;border-bottom:1px solid var(--line);padding:.6rem .75rem .6rem 0}
td strong{font-weight:600}
td:nth-child(2){overflow-wrap:anywhere;min-width:16rem}
small{color:var(--soft);font-size:.8125rem}
time{font-variant-numeric:tabular-nums;white-space:nowrap}
.leaf,th:last-child{text-align:right;padding-right:0;font-variant-numeric:tabular-nums}
@media(max-width:40rem){.head div{grid-template-columns:1fr;gap:0}}
@media print{@page{size:A4;margin:18mm 16mm}:root{--ink:#000;--soft:#444;--line:#bbb;--paper:#fff;--tint:#fff}body{font-size:10pt}main{max-width:none;padding:0}.head{padding:0}tr{break-inside:avoid}thead{display:table-header-group}.scroll{overflow:visible}table{font-size:9pt}small{font-size:8pt}}
`.replaceAll('\n', '');
