import { createRequire } from 'node:module';
import { type Font, openSync } from 'fontkit';
import PDFDocument from 'pdfkit';
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

type Doc = PDFKit.PDFDocument;
type Item = PersonToldOf['items'][number];

const REGULAR = 'regular';
const BOLD = 'bold';
const MONO = 'mono';

/** Embedded, as PDF/UA-1 asks, and with the letters of most names that are not written in Latin ones. */
const FONTS = [
  [REGULAR, 'DejaVuSans.ttf'],
  [BOLD, 'DejaVuSans-Bold.ttf'],
  [MONO, 'DejaVuSansMono.ttf'],
] as const;

let opened: readonly (readonly [string, Font])[] | undefined;

/** One for all documents: to read a font takes longer, and leaves more behind, than to write some pages. */
function fonts(): NonNullable<typeof opened> {
  const { resolve } = createRequire(import.meta.url);
  return (opened ??= FONTS.map(([name, file]) => [
    name,
    openSync(resolve(`dejavu-fonts-ttf/ttf/${file}`)) as Font,
  ]));
}

/** Not the one of its own: it is not embedded. */
const NO_FONT = '';

const INK = '#1c2126';
const SOFT = '#4d565e';
const RULE = '#c8ced3';
const WARN = '#7a3e00';

/** In points, on A4. */
const MARGIN = 54;
const DATES = 132;
const GAP = 12;

/**
 * A part of a bundle as a tagged PDF (PDF/UA-1, ISO 14289-1): headings, lists and their order are in the
 * structure, language and title are set, page numbers are artifacts.
 */
export async function timelinePdf(
  language: Language,
  heading: Heading,
  people: readonly PersonToldOf[],
): Promise<Uint8Array> {
  const title = `${WORDS.title[language]}: ${heading.origin}`;
  const doc = new PDFDocument({
    size: 'A4',
    margins: { top: MARGIN, bottom: MARGIN + 12, left: MARGIN, right: MARGIN },
    pdfVersion: '1.7',
    // Its types do not know it yet.
    subset: 'PDF/UA' as PDFKit.PDFDocumentOptions['subset'],
    tagged: true,
    displayTitle: true,
    lang: language,
    bufferPages: true,
    font: NO_FONT,
    info: { Title: title, Creator: 'consent-ledger', CreationDate: new Date(heading.createdAt) },
  });
  // Its types do not know that it takes fonts that were read.
  for (const [name, font] of fonts()) doc.registerFont(name, font as never);
  const written = bytesOf(doc);
  const document = struct(doc, 'Document');
  doc.addStructure(document);
  writeHead(doc, document, language, heading);
  for (const person of people) writePerson(doc, document, language, person);
  document.end();
  numberPages(doc, language);
  doc.end();
  return written;
}

function writeHead(
  doc: Doc,
  parent: PDFKit.PDFStructureElement,
  language: Language,
  heading: Heading,
): void {
  parent.add(
    struct(doc, 'H1', () => {
      doc.font(BOLD).fontSize(18).fillColor(INK).text(WORDS.title[language]);
    }),
  );
  doc.moveDown(0.6);
  const list = struct(doc, 'L');
  parent.add(list);
  for (const [name, value] of headingIn(language, heading)) writePair(doc, list, name, value);
  list.end();
  doc.moveDown(0.6);
  parent.add(
    struct(doc, 'P', () => {
      doc.font(REGULAR).fontSize(8.5).fillColor(SOFT).text(WORDS.explanation[language], MARGIN);
    }),
  );
}

/** A name on the left and what belongs to it on the right. */
function writePair(doc: Doc, list: PDFKit.PDFStructureElement, name: string, value: string): void {
  const item = struct(doc, 'LI');
  list.add(item);
  doc.font(REGULAR).fontSize(9.5);
  keepTogether(doc, doc.heightOfString(value, { width: bodyWidth(doc) }));
  const { y } = doc;
  item.add(
    struct(doc, 'Lbl', () => void doc.fillColor(SOFT).text(name, MARGIN, y, { width: DATES })),
  );
  item.add(
    struct(doc, 'LBody', () => {
      doc.fillColor(INK).text(value, MARGIN + DATES + GAP, y, { width: bodyWidth(doc) });
    }),
  );
  item.end();
  doc.moveDown(0.15);
}

function writePerson(
  doc: Doc,
  parent: PDFKit.PDFStructureElement,
  language: Language,
  { subjectId, key, continued, items }: PersonToldOf,
): void {
  const section = struct(doc, 'Sect');
  parent.add(section);
  doc.moveDown(1.4);
  keepTogether(doc, 90);
  section.add(
    struct(doc, 'H2', () => {
      doc.font(BOLD).fontSize(11).fillColor(INK);
      doc.text(`${WORDS.person[language]} `, MARGIN, doc.y, { continued: true });
      doc.font(MONO).fontSize(9.5).text(subjectId, { continued });
      if (continued) doc.font(BOLD).fontSize(11).text(` ${WORDS.continued[language]}`);
    }),
  );
  const erased = keyIn(language, key);
  if (erased)
    section.add(
      struct(doc, 'P', () => {
        doc.font(REGULAR).fontSize(9).fillColor(WARN).text(erased, MARGIN);
      }),
    );
  doc.moveDown(0.4);
  if (items.length === 0)
    section.add(
      struct(doc, 'P', () => {
        doc.font(REGULAR).fontSize(9.5).fillColor(INK).text(WORDS.none[language], MARGIN);
      }),
    );
  else {
    const list = struct(doc, 'L');
    section.add(list);
    for (const item of items) writeItem(doc, list, language, item);
    list.end();
  }
  section.end();
}

function writeItem(
  doc: Doc,
  list: PDFKit.PDFStructureElement,
  language: Language,
  item: Item,
): void {
  const entry = struct(doc, 'LI');
  list.add(entry);
  const width = bodyWidth(doc);
  const details = [
    `${WORDS.recorded[language]}: ${momentIn(language, item.recordedAt)} · ${WORDS.proof[language]} ${item.index}`,
    ...detailsOf(language, item),
  ];
  const height =
    doc.font(BOLD).fontSize(9.5).heightOfString(item.says[language], { width }) +
    details.reduce(
      (sum, detail) => sum + doc.font(REGULAR).fontSize(8).heightOfString(detail, { width }),
      0,
    );
  keepTogether(doc, height + 10);
  doc.markContent('Artifact', { type: 'Layout' });
  doc
    .moveTo(MARGIN, doc.y)
    .lineTo(doc.page.width - MARGIN, doc.y)
    .lineWidth(0.5)
    .stroke(RULE);
  doc.endMarkedContent();
  const y = doc.y + 5;
  entry.add(
    struct(doc, 'Lbl', () => {
      doc.font(REGULAR).fontSize(8.5).fillColor(SOFT);
      doc.text(momentIn(language, item.occurredAt), MARGIN, y, { width: DATES });
    }),
  );
  entry.add(
    struct(doc, 'LBody', [
      struct(doc, 'P', () => {
        doc.font(BOLD).fontSize(9.5).fillColor(INK);
        doc.text(item.says[language], MARGIN + DATES + GAP, y, { width });
      }),
      ...details.map((detail) =>
        struct(doc, 'P', () => {
          doc.font(REGULAR).fontSize(8).fillColor(SOFT);
          doc.text(detail, MARGIN + DATES + GAP, doc.y, { width });
        }),
      ),
    ]),
  );
  entry.end();
  doc.x = MARGIN;
  doc.y += 5;
}

type Content = (() => void) | PDFKit.PDFStructureElement[];

/** An element of the structure; the library's types leave out that its content may come without options. */
function struct(doc: Doc, tag: string, content?: Content): PDFKit.PDFStructureElement {
  return content === undefined ? doc.struct(tag) : doc.struct(tag, {}, content as never);
}

/** Begins a page where what comes next, and is not longer than one, would be torn. */
function keepTogether(doc: Doc, height: number): void {
  const { top, bottom } = doc.page.margins;
  const room = doc.page.height - bottom - doc.y;
  if (height > room && height <= doc.page.height - top - bottom) doc.addPage();
}

function bodyWidth(doc: Doc): number {
  return doc.page.width - 2 * MARGIN - DATES - GAP;
}

function numberPages(doc: Doc, language: Language): void {
  const { start, count } = doc.bufferedPageRange();
  for (let number = start; number < start + count; number++) {
    doc.switchToPage(number);
    const { bottom } = doc.page.margins;
    doc.page.margins.bottom = 0;
    doc.markContent('Artifact', { type: 'Pagination' });
    doc.font(REGULAR).fontSize(8).fillColor(SOFT);
    doc.text(`${WORDS.page[language]} ${number + 1} / ${count}`, MARGIN, doc.page.height - 44, {
      width: doc.page.width - 2 * MARGIN,
      align: 'right',
      lineBreak: false,
    });
    doc.endMarkedContent();
    doc.page.margins.bottom = bottom;
  }
}

function bytesOf(doc: Doc): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    doc.on('data', (chunk: Buffer) => chunks.push(chunk));
    doc.on('end', () => resolve(Buffer.concat(chunks)));
    doc.on('error', reject);
  });
}
