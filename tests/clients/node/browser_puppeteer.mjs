// What an agent does with puppeteer-core, connected by connect.
//
//   node browser_puppeteer.mjs MODULES CDP-URL FOLDER

import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

import { during, held, screencast, serve } from "./browser_steps.mjs";

const [modules, url, folder] = process.argv.slice(2);
const puppeteer = createRequire(join(modules, "package.json"))("puppeteer-core");

const downloadBehavior = { policy: "allow", downloadPath: folder };
const browser = await puppeteer.connect({ browserURL: url, defaultViewport: null, protocolTimeout: 60_000, downloadBehavior });
const page = await browser.newPage();
page.setDefaultTimeout(30_000);

async function place(frame) {
  return frame ? (await page.waitForSelector("#inner")).contentFrame() : page;
}

async function typed(inside, selector, way, text) {
  if (way === "fill") return inside.locator(selector).fill(text);
  if (way === "insert") {
    await (await inside.waitForSelector(selector)).focus();
    return page.keyboard.sendCharacter(text);
  }
  const field = await inside.waitForSelector(selector);
  return field.type(text, { delay: way === "slow keys" ? 60 : 0 });
}

const value = (inside, selector) => inside.$eval(selector, (field) => field.value);
// Puppeteer reaches into open shadow roots by this combinator.
const pierced = (open, selector) => (open ? `>>> ${selector}` : selector);

const steps = {
  async type({ url, form, frame, open, way, user, password }) {
    await page.goto(url);
    const inside = await place(frame);
    await typed(inside, pierced(open, "#user"), way, user);
    await typed(inside, pierced(open, "#password"), way, password);
    if (form) return [await value(page, "#user"), await page.$eval("#password", held)];
    return [await value(inside, pierced(open, "#user")), await value(inside, pierced(open, "#password"))];
  },
  async submit({ frame, open }) {
    const inside = await place(frame);
    await (await inside.waitForSelector(pierced(open, "#submit"))).click();
    await (await place(frame)).waitForSelector("#confirmed");
  },
  async refused({ url, way, password }) {
    await page.goto(url);
    page.setDefaultTimeout(10_000);
    try {
      await typed(page, "#password", way, password);
    } finally {
      page.setDefaultTimeout(30_000);
    }
  },

  "read content": () => page.content(),
  "read evaluate": () => page.evaluate(() => ({ deep: [{ value: document.querySelector("#text").textContent }] })),
  "read handle": async () => (await page.evaluateHandle(() => ({ kept: localStorage.kept }))).jsonValue(),
  "read input": () => value(page, "#field"),
  "read password field": () => value(page, "#hidden"),
  "read shadow root": () => page.$eval("#open >>> p", (each) => each.textContent),
  "read near frame": async () => (await (await page.$("#near")).contentFrame()).$eval("#framed", (each) => each.textContent),
  "read far frame": async () => (await (await page.$("#far")).contentFrame()).$eval("#framed", (each) => each.textContent),
  "read title": () => page.title(),
  "read url": () => page.url(),
  "read cookies": () => page.browserContext().cookies(),
  "read accessibility": () => page.accessibility.snapshot({ interestingOnly: false }),
  async "read console"() {
    const message = await during(page, "console", () => page.click("#log"));
    return [message.text(), await Promise.all(message.args().map((each) => each.jsonValue()))];
  },
  async "read error"() {
    const error = await during(page, "pageerror", () => page.click("#throw"));
    return [error.message, error.stack];
  },
  async "read dialog"() {
    page.once("dialog", (dialog) => dialog.accept());
    return (await during(page, "dialog", () => page.click("#alert"))).message();
  },
  async "read network"() {
    const response = page.waitForResponse((each) => each.request().method() === "POST");
    const titled = page.waitForFunction(() => document.title.startsWith("called"));
    await page.click("#call");
    const answer = await response;
    await titled;
    return [answer.request().postData(), answer.request().headers(), answer.headers(), await answer.text()];
  },
  async "read binding"() {
    let heard;
    await page.exposeFunction("report", (value) => void (heard = value));
    await page.evaluate(() => report(document.querySelector("#text").textContent));
    return heard;
  },
  "read targets": () => browser.targets().map((each) => each.url()),
  "picture of the view": async () => (await page.screenshot()).length > 0,
  "picture of the whole page": async () => (await page.screenshot({ fullPage: true })).length > 0,
  "picture in JPEG": async () => (await page.screenshot({ type: "jpeg", quality: 90 })).length > 0,
  "picture in WebP": async () => (await page.screenshot({ type: "webp" })).length > 0,
  "picture of an element": async () => (await (await page.$("#text")).screenshot()).length > 0,
  "picture of a frame": async () => (await (await page.$("#far")).screenshot()).length > 0,
  "picture of a clip": async () => {
    const clip = { x: 0, y: 60, width: 600, height: 120, scale: 0.5 };
    return (await page.screenshot({ clip })).length > 0;
  },
  async "picture in a screencast"() {
    const cdp = await page.createCDPSession();
    const moves = await screencast(cdp, page, { format: "jpeg", quality: 90 });
    await cdp.detach();
    return moves;
  },
  "print": async () => Buffer.from((await page.pdf()).subarray(0, 5)).toString(),

  async "flow navigation"({ home }) {
    const told = [(await page.goto(`${home}/flow/start`)).status(), await page.title()];
    await Promise.all([page.waitForNavigation(), page.click("#next")]);
    told.push(await page.$eval("#words", (each) => each.textContent));
    await page.goBack();
    told.push(await page.title());
    await page.goForward();
    await page.reload();
    return [...told, page.url(), (await page.goto(`${home}/flow/missing`)).status()];
  },
  async "flow frames"({ home }) {
    await page.goto(`${home}/flow/start`);
    const told = [];
    for (const name of ["#near", "#far"]) {
      const frame = await (await page.$(name)).contentFrame();
      told.push(await frame.$eval("p", (each) => each.textContent));
    }
    return told;
  },
  async "flow form"({ home }) {
    await page.goto(`${home}/flow/form`);
    await page.locator("#name").fill("Zoë 🎭");
    await page.type("#note", "one _two x_ three");
    await page.keyboard.press("Backspace");
    await page.click("#box");
    await page.select("#kind", "two");
    await Promise.all([page.waitForNavigation(), page.click("#send")]);
    return page.$eval("#told", (each) => each.textContent);
  },
  async "flow tabs"({ home }) {
    const before = (await browser.pages()).length;
    await page.goto(`${home}/flow/start`);
    const opened = async (selector) => {
      const target = browser.waitForTarget((each) => each.opener() === page.target() && each.url().endsWith("/flow/next"));
      await page.click(selector);
      const tab = await (await target).page();
      await tab.waitForSelector("#words");
      const title = await tab.title();
      await tab.close();
      return title;
    };
    // A link opens without an opener, so it is told apart by when it appears.
    const popup = await opened("#popup");
    const appeared = browser.waitForTarget((each) => each.type() === "page" && each.url().endsWith("/flow/next"));
    await page.click("#tab");
    const tab = await (await appeared).page();
    const told = [popup, await tab.title(), (await browser.pages()).length - before];
    await tab.close();
    const own = await browser.createBrowserContext();
    const other = await own.newPage();
    await other.goto(`${home}/flow/next`);
    told.push(await other.title());
    await own.close();
    return told;
  },
  async "flow download"({ home }) {
    await page.goto(`${home}/flow/start`);
    const client = await browser.target().createCDPSession();
    await client.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: folder, eventsEnabled: true });
    const begun = during(client, "Browser.downloadWillBegin", () => {});
    let done;
    const ended = new Promise((resolve) => (done = resolve));
    client.on("Browser.downloadProgress", (event) => event.state !== "inProgress" && done(event.state));
    await page.click("#report");
    const { suggestedFilename } = await begun;
    return [suggestedFilename, await ended, await readFile(join(folder, suggestedFilename), "utf8")];
  },
  async "flow upload"({ home }) {
    const file = join(folder, "mine.txt");
    await writeFile(file, "what is mine\n");
    await page.goto(`${home}/flow/upload`);
    await (await page.$("#file")).uploadFile(file);
    await Promise.all([page.waitForNavigation(), page.click("#send")]);
    return page.$eval("#told", (each) => each.textContent);
  },
  async "flow interception"({ home }) {
    const told = [];
    const answers = [
      (request) => request.respond({ body: "from the client", contentType: "text/plain" }),
      (request) => request.continue({ headers: { ...request.headers(), "x-added": "by the client" } }),
      (request) => request.abort(),
    ];
    await page.setRequestInterception(true);
    for (const answer of answers) {
      const handle = (request) => (request.url().endsWith("/flow/data") ? answer(request) : request.continue());
      page.on("request", handle);
      await page.goto(`${home}/flow/call`);
      await page.waitForFunction(() => document.querySelector("#told").textContent);
      told.push(await page.$eval("#told", (each) => each.textContent));
      page.off("request", handle);
    }
    await page.setRequestInterception(false);
    return told;
  },
  async "flow dialogs"({ home }) {
    const told = [];
    const answer = async (dialog) => {
      told.push([dialog.type(), dialog.message(), dialog.defaultValue()]);
      await dialog.accept(dialog.type() === "prompt" ? "Zoë" : undefined);
    };
    page.on("dialog", answer);
    await page.goto(`${home}/flow/dialog`);
    await page.click("#ask");
    told.push(await page.$eval("#told", (each) => each.textContent));
    page.off("dialog", answer);
    return told;
  },
  async "flow print"({ home }) {
    await page.goto(`${home}/flow/next`);
    return Buffer.from((await page.pdf()).subarray(0, 5)).toString();
  },
};

await serve(steps, () => browser.disconnect());
