import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import axe from 'axe-core';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { ProvenLog } from '#core/proof/proven-log.js';
import type { Receipt } from '../support/answers.js';
import { changed, filesIn, forged, textOf } from '../support/bundle.js';
import { catalogue } from '../support/catalogue.js';
import { type RunningLedger, startLedger } from '../support/server.js';

/** The browser of the distribution; where there is none nothing here is run, and `npm test` says so. */
const BROWSER = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const described = existsSync(BROWSER) ? describe : describe.skip;

described('given verify.html in a browser that has no network', () => {
  const folder = mkdtempSync(join(tmpdir(), 'consent-ledger-browser-'));
  let ledger: RunningLedger;
  let browser: BrowserContext;
  let page: Page;
  let zip: Uint8Array;
  let trusted: { origin: string; keys: readonly string[] };
  let since: string;
  /** What the page asked for beside itself. */
  const requested: string[] = [];

  /** The verdict, and that of each check, for a bundle that is chosen. */
  async function checked(bundle: Uint8Array) {
    const file = join(folder, `bundle-${Math.random().toString(36).slice(2)}.zip`);
    writeFileSync(file, bundle);
    await page.setInputFiles('#file', file);
    return verdict();
  }
  async function verdict() {
    await page.waitForSelector('#verdict[data-verdict]');
    const checks = await page.locator('#checks li').evaluateAll((items) =>
      items.map((item) => {
        const { dataset } = item as unknown as { dataset: Record<string, string> };
        return [dataset['check'], dataset['verdict']] as const;
      }),
    );
    const words = await page.locator('#checks').innerText();
    const overall = await page.locator('#verdict').getAttribute('data-verdict');
    return { overall, checks: Object.fromEntries(checks), words };
  }
  const enter = async (field: string, value: string) => {
    await page.fill(field, value);
    await page.dispatchEvent(field, 'change');
  };

  beforeAll(async () => {
    ledger = await startLedger();
    await ledger.api.post('/v1/catalogue', catalogue);
    const { body } = await ledger.api.post<Receipt>('/v1/subjects', {
      source: 'web-form',
      language: 'de',
      name: 'Lise Möller',
    });
    await ledger.api.post(`/v1/subjects/${body.subjectId}/interactions`, {
      source: 'web-form',
      language: 'de',
      choices: [{ purpose: 'newsletter', decision: 'give', noticeVersion: 1 }],
    });
    const bundle = async (more: object): Promise<Uint8Array> => {
      const response = await fetch(`${ledger.url}/v1/evidence`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ledger.key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ subjects: [body.subjectId], reveal: true, ...more }),
      });
      if (response.status !== 200) throw new Error(await response.text());
      return new Uint8Array(await response.arrayBuffer());
    };
    since = textOf(await filesIn(await bundle({})), 'checkpoint');
    zip = await bundle({ since });
    trusted = await ledger.nest.get(ProvenLog).identity();
    // From here on there is nobody to ask.
    await ledger.stop();

    const path = join(folder, 'verify.html');
    writeFileSync(path, (await filesIn(zip)).get('verify.html') as Uint8Array);
    browser = await chromium.launchPersistentContext(join(folder, 'profile'), {
      executablePath: BROWSER,
      args: FLAGS,
      locale: 'en-GB',
    });
    await browser.setOffline(true);
    page = await browser.newPage();
    page.on('request', (request) => requested.push(request.url()));
    page.on('pageerror', (error) => requested.push(`error: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error') requested.push(`console: ${message.text()}`);
    });
    await page.goto(pathToFileURL(path).href);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  }, 30_000);

  test('a good bundle is not called proved before origin and key were entered', async () => {
    const { overall, checks, words } = await checked(zip);
    expect(overall).toBe('open');
    expect(checks).toMatchObject({ files: 'holds', events: 'holds', trust: 'open' });
    expect(words).toContain('Not compared yet');
  });

  test('with them all checks are green', async () => {
    await enter('#origin', trusted.origin);
    await enter('#key', trusted.keys.join('\n'));
    await page.evaluate("document.querySelector('details').open = true");
    await enter('#earlier', since);
    const { overall, checks } = await verdict();
    expect(overall).toBe('holds');
    expect(new Set(Object.values(checks))).toEqual(new Set(['holds']));
    expect(Object.keys(checks)).toHaveLength(9);
  });

  test('in German it says the same in German', async () => {
    await page.click('[data-language="de"]');
    expect(await page.title()).toBe('Nachweispaket prüfen');
    expect(await page.locator('html').getAttribute('lang')).toBe('de');
    expect((await verdict()).words).toContain('Die Unterschrift über');
    await page.click('[data-language="en"]');
  });

  test('with one byte changed in each file in turn it is red, and says which file', async () => {
    for (const path of (await filesIn(zip)).keys()) {
      const { overall, checks, words } = await checked(await changed(zip, path));
      expect([path, overall, checks['files']]).toEqual([path, 'fails', 'fails']);
      expect(words).toContain(path.replace('.sha256', ''));
    }
  });

  test('a forged event is red although the manifest was made to fit', async () => {
    const events = 'people/0001/events.ndjson';
    const bundle = await forged(zip, (files) => {
      const text = textOf(files, events).replace('"web-form"', '"chat"');
      files.set(events, Buffer.from(text));
    });
    const { overall, checks, words } = await checked(bundle);
    expect(overall).toBe('fails');
    expect(checks).toMatchObject({ files: 'holds', events: 'fails', signature: 'holds' });
    expect(words).toContain('is not in the signed log');
  });

  test('another key is red, and so is what is no bundle', async () => {
    await enter('#key', OTHER_KEY);
    expect((await checked(zip)).checks).toMatchObject({ trust: 'fails' });
    await enter('#key', trusted.keys.join('\n'));
    expect((await checked(zip)).overall).toBe('holds');
    const { overall, checks } = await checked(Buffer.from('no zip'));
    expect([overall, checks]).toEqual(['fails', { archive: 'fails' }]);
  });

  test('a bundle that is dropped is checked as one that is chosen', async () => {
    const data = Buffer.from(zip).toString('base64');
    await page.evaluate(`{
      const bytes = Uint8Array.from(atob('${data}'), (c) => c.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], 'dropped.zip', { type: 'application/zip' }));
      document.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }`);
    await page.waitForFunction("document.getElementById('name').textContent === 'dropped.zip'");
    expect((await verdict()).overall).toBe('holds');
  });

  describe('for whoever reads it with other means', () => {
    /** Every rule of axe-core, WCAG 2.2 AA and good practice; each violation with the places that it names. */
    const violations = async () => {
      const found = await page.evaluate<Violation[]>(
        'axe.run(document).then(({ violations }) => violations.map(({ id, nodes }) => ({ id, places: nodes.map(({ html }) => html) })))',
      );
      return found.map(({ id, places }) => `${id}: ${places.join(' ')}`);
    };
    let bad: Uint8Array;
    beforeAll(async () => {
      bad = await changed(zip, 'people/0001/events.ndjson');
      // Beside the page, not in it: its policy lets no script in.
      await page.evaluate(axe.source);
    });

    test.each(
      (['light', 'dark'] as const).flatMap((scheme) =>
        (['en', 'de'] as const).flatMap((language) =>
          (['holds', 'fails'] as const).map((verdict) => [scheme, language, verdict] as const),
        ),
      ),
    )(
      'nothing stands in the way: %s, %s, a bundle that %s',
      async (scheme, language, verdictMeant) => {
        await page.emulateMedia({ colorScheme: scheme });
        await page.click(`[data-language="${language}"]`);
        const { overall } = await checked(verdictMeant === 'holds' ? zip : bad);
        expect(overall).toBe(verdictMeant);
        expect(await violations()).toEqual([]);
      },
    );

    test('a field that has lost its label, and words that are too pale, would be found', async () => {
      const broken = await page.evaluate<boolean>(`{
        const label = document.querySelector('label[for="origin"]');
        label.removeAttribute('for');
        document.querySelector('.lead').style.color = '#888';
        document.querySelector('.lead').style.background = '#999';
        label !== null;
      }`);
      expect(broken).toBe(true);
      const found = (await violations()).map((violation) => violation.split(':')[0]);
      expect(found).toEqual(expect.arrayContaining(['label', 'color-contrast']));
      await page.evaluate(`{
        document.querySelector('label[data-says="origin"]').setAttribute('for', 'origin');
        document.querySelector('.lead').removeAttribute('style');
      }`);
      expect(await violations()).toEqual([]);
      await page.emulateMedia({ colorScheme: null });
      await page.click('[data-language="en"]');
    });
  });

  test('it fits a narrow screen, and asked for nothing but itself', async () => {
    await page.setViewportSize({ width: 320, height: 640 });
    const width = await page.evaluate('document.documentElement.scrollWidth');
    expect(width).toBeLessThanOrEqual(320);
    expect(requested.filter((url) => !url.endsWith('/verify.html'))).toEqual([]);
  });
});

interface Violation {
  readonly id: string;
  readonly places: readonly string[];
}

/** Of a log that nobody has: the example of c2sp.org/signed-note. */
const OTHER_KEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
