// Drives a browser for cmd/pmmc's TestPageInABrowser, which starts the nodes. What it
// wants done with them it says in a line, such as "do: kill beta", and reads "done". Its
// argument is {pages: {name: address}, leader, secret, pictures, patience}, the last one in
// milliseconds. It fails with the first thing that is not so, or does not come to be so in
// that time, and says what the page showed then.
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const { pages, leader, secret, pictures, patience } = JSON.parse(process.argv[2]);
const names = Object.keys(pages);
const watched = names.find((name) => name !== leader); // whose page is looked at
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function ask(what) {
  console.log(`do: ${what}`);
  await lines.next();
}

function want(holds, what) {
  if (!holds) throw new Error(what);
}

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium', // and a new user-data-dir
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 860 }, colorScheme: 'light', reducedMotion: 'reduce' });
page.setDefaultTimeout(patience);
let alone = true; // nothing that the browser could complain about has been done to its node
page.on('console', (m) => { if (alone && ['error', 'warning'].includes(m.type())) fail(`the console says: ${m.text()}`); });
page.on('pageerror', (e) => fail(`the script failed: ${e.stack}`));
await page.addInitScript(() => addEventListener('securitypolicyviolation', (e) => console.error('refused by the policy:', e.violatedDirective, e.blockedURI)));

function fail(why) {
  console.error(why);
  process.exit(1);
}

const card = (name, more = '') => `.card[data-node="${name}"]${more}`;
const shows = (selector, pattern) => page.waitForFunction(
  ([where, what]) => new RegExp(what).test(document.querySelector(where)?.textContent ?? ''), [selector, pattern]);
const shot = async (name, fullPage = true) => { if (pictures) await page.screenshot({ path: `${pictures}/${name}.png`, fullPage }); };

const steps = {
  async 'all cards are live, and the leader\'s is emphasised'() {
    await page.goto(pages[watched]);
    for (const name of names) await page.waitForSelector(card(name, ':not(.away)'));
    await page.waitForSelector(card(leader, '.office'));
    want(await page.locator('.card.office').count() === 1, 'more than one card is that of a leader');
    await shows(card(leader), 'node.*epoch-1.*acceptor.*leader.*replica');
    await shows('#epoch', 'Epoch 1, from slot 1 on, with a window of 128');
    await shows('#members', names.join('.*'));
  },

  async 'the keyboard finds its way'() {
    const reached = [];
    for (let i = 0; i < 12 && !reached.includes('#theme'); i++) {
      await page.keyboard.press('Tab');
      reached.push(await page.evaluate(() => {
        const at = document.activeElement, look = getComputedStyle(at);
        if (look.outlineStyle === 'none' || parseFloat(look.outlineWidth) < 2) throw new Error(`the focus on ${at.outerHTML} cannot be seen`);
        return at.id ? `#${at.id}` : at.className || at.getAttribute('aria-label') || at.tagName;
      }));
    }
    want(reached[0] === 'skip' && reached.includes('#theme'), `Tab leads to ${reached}`);
    for (const landmark of ['header', 'main', 'footer', 'h1']) want(await page.locator(landmark).count() === 1, `there is no ${landmark}`);
  },

  async 'light and dark'() {
    const light = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const isLight = (yes) => page.waitForFunction(([was, is]) => (getComputedStyle(document.body).backgroundColor === was) === is, [light, yes]);
    await page.keyboard.press('Enter'); // on the button
    await isLight(false);
    await page.reload();
    await isLight(false); // it was chosen
    await page.evaluate(() => localStorage.clear());
    await page.reload();
    await isLight(true); // as the system
    await page.emulateMedia({ colorScheme: 'dark' });
    await isLight(false);
    await page.emulateMedia({ colorScheme: 'light' });
    await isLight(true);
  },

  async 'load moves the charts, and shows decrees without what they say'() {
    await ask('load');
    await page.waitForFunction(() => {
      const heights = [...(document.querySelector('.chart path.c1')?.getAttribute('d') ?? '').matchAll(/ ([\d.]+)/g)].map((m) => Number(m[1]));
      return heights.length > 3 && Math.max(...heights) - Math.min(...heights) > 20;
    });
    await shows('#decrees', 'commands');
    await shows('.chart:nth-child(2) .now', 'ms');
    await shows('.chart:nth-child(3) .now', 'ms');
    await ask(`put ${secret}`);
    await shows('#decrees', 'commands');
    want(!(await page.content()).includes(secret), 'the page shows a key');
    if (pictures) {
      await page.waitForTimeout(60_000); // for charts with something in them
      await shot('page');
      await page.emulateMedia({ colorScheme: 'dark' });
      await shot('page-dark');
      await page.emulateMedia({ colorScheme: 'light' });
    }
  },

  async 'a killed node is shown, and who leads instead, and why'() {
    await ask(`kill ${leader}`);
    const began = Date.now();
    await page.waitForSelector(card(leader, '.away'));
    console.log(`${leader} was shown as killed after ${Date.now() - began} ms: ${await page.textContent(card(leader, " .why"))}`);
    await shows(card(leader, ' .why'), 'since \\d\\d:\\d\\d:\\d\\d');
    await shows('#warnings', `${leader} cannot be reached`);
    await page.waitForFunction((killed) => {
      const now = document.querySelector('.card.office')?.dataset.node;
      return now && now !== killed && document.querySelector('#changes li')?.textContent.includes(`${now} came into office: a majority`);
    }, leader);
    if (pictures) {
      await page.waitForTimeout(4_000);
      await shot('page-killed');
    }
    await ask(`start ${leader}`);
    await page.waitForSelector(card(leader, ':not(.away)'));
  },

  async 'narrow screens'() {
    await page.setViewportSize({ width: 360, height: 740 });
    await page.waitForFunction(() => innerWidth === 360 && document.querySelector('.strip'));
    const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    want(widths[0] <= widths[1], `the page is ${widths[0]} px wide where the screen is ${widths[1]} px`);
    await shot('page-narrow', false);
    await page.setViewportSize({ width: 1280, height: 860 });
  },

  async 'its own node dies, and comes back'() {
    alone = false; // the browser complains that it cannot connect
    await ask(`kill ${watched}`);
    await shows('#lost:not([hidden])', `Connection to ${watched} lost since \\d\\d:\\d\\d:\\d\\d`);
    const links = await page.locator('#lost a').evaluateAll((all) => all.map((a) => a.href));
    want(links.length === names.length - 1 && links.every((l) => Object.values(pages).includes(l)), `it leads to ${links}`);
    await ask(`start ${watched}`);
    await page.waitForSelector('#lost', { state: 'hidden' });
    await page.waitForSelector(card(watched, ':not(.away)'));
  },
};

for (const [name, step] of Object.entries(steps)) {
  try {
    await step();
    console.log(`seen: ${name}`);
  } catch (e) {
    const shown = await page.innerText('body').catch((why) => why.message);
    fail(`${name}: ${e.stack}\nthe page shows: ${shown}`);
  }
}
await browser.close();
process.exit(0); // the standard input stays open
