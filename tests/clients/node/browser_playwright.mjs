// What an agent does with playwright-core, connected by connectOverCDP.
//
//   node browser_playwright.mjs MODULES CDP-URL FOLDER

import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

import { during, held, screencast, serve } from "./browser_steps.mjs";

const [modules, url, folder] = process.argv.slice(2);
const { chromium } = createRequire(join(modules, "package.json"))("playwright-core");

const browser = await chromium.connectOverCDP(url, { artifactsDir: folder });
const context = browser.contexts()[0];
let page = await context.newPage();
page.setDefaultTimeout(30_000);
let cdp = await context.newCDPSession(page);

function place(frame) {
  return frame ? page.frameLocator("#inner") : page;
}

async function typed(field, way, text) {
  if (way === "fill") return field.fill(text);
  if (way === "keys") return field.pressSequentially(text);
  if (way === "slow keys") return field.pressSequentially(text, { delay: 60 });
  await field.click();
  return way === "insert" ? page.keyboard.insertText(text) : page.keyboard.type(text);
}

// A closed shadow root is closed to Playwright's selectors as well: it is reached as people reach it.
async function typedInTurn(user, password) {
  await page.keyboard.press("Tab");
  await page.keyboard.type(user);
  await page.keyboard.press("Tab");
  await page.keyboard.type(password);
}

const steps = {
  async type({ url, form, frame, closed, way, user, password }) {
    await page.goto(url);
    if (closed) return typedInTurn(user, password);
    const inside = place(frame);
    await typed(inside.locator("#user"), way, user);
    await typed(inside.locator("#password"), way, password);
    if (form) return [await page.inputValue("#user"), await page.locator("#password").evaluate(held)];
    return [await inside.locator("#user").inputValue(), await inside.locator("#password").inputValue()];
  },
  async submit({ frame, closed }) {
    if (closed) await page.keyboard.press("Enter");
    else await place(frame).locator("#submit").click();
    await place(frame).locator("#confirmed").waitFor();
  },
  async refused({ url, way, password }) {
    await page.goto(url);
    // A locator tries again for as long as it may; the keyboard fails at once, after a click that may take its time.
    if (way !== "insert" && way !== "keyboard") page.setDefaultTimeout(6_000);
    try {
      await typed(page.locator("#password"), way, password);
    } finally {
      page.setDefaultTimeout(30_000);
    }
  },

  // What is read of the page that shows the password.
  "read content": () => page.content(),
  "read text": () => page.innerText("body"),
  "read evaluate": () => page.evaluate(() => ({ deep: [{ value: document.querySelector("#text").textContent }] })),
  "read handle": async () => (await page.evaluateHandle(() => ({ kept: localStorage.kept }))).jsonValue(),
  "read input": () => page.inputValue("#field"),
  "read password field": () => page.inputValue("#hidden"),
  "read textarea": () => page.inputValue("#area"),
  "read attribute": () => page.getAttribute("#attribute", "data-note"),
  "read shadow root": () => page.locator("#open p").innerText(),
  "read near frame": () => page.frameLocator("#near").locator("#framed").innerText(),
  "read far frame": () => page.frameLocator("#far").locator("#framed").innerText(),
  "read aria snapshot": () => page.locator("body").ariaSnapshot(),
  "read title": () => page.title(),
  "read url": () => page.url(),
  "read cookies": () => context.cookies(),
  "read storage": () => context.storageState(),
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
    const dialog = await during(page, "dialog", () => page.click("#alert", { noWaitAfter: true }));
    return dialog.message();
  },
  async "read network"() {
    const finished = page.waitForEvent("requestfinished", (request) => request.method() === "POST");
    // A frame may come together with the news of its socket.
    const framed = new Promise((resolve) => page.once("websocket", (socket) => socket.once("framereceived", resolve)));
    const titled = page.waitForFunction(() => document.title.startsWith("called"));
    await page.click("#call");
    const request = await finished;
    const response = await request.response();
    await titled;
    const headers = [await request.allHeaders(), await response.allHeaders()];
    return [request.postData(), headers, await response.text(), (await framed).payload];
  },
  async "read binding"() {
    let heard;
    await page.exposeFunction("report", (value) => void (heard = value));
    await page.evaluate(() => report(document.querySelector("#text").textContent));
    return heard;
  },
  "read accessibility": () => cdp.send("Accessibility.getFullAXTree"),
  "read document": () => cdp.send("DOM.getDocument", { depth: -1, pierce: true }),
  "read DOM snapshot": () => cdp.send("DOMSnapshot.captureSnapshot", { computedStyles: [], includeDOMRects: true }),
  "read page snapshot": () => cdp.send("Page.captureSnapshot"),
  "read history": () => cdp.send("Page.getNavigationHistory"),
  "read targets": () => cdp.send("Target.getTargets"),
  async "read properties"() {
    const { result } = await cdp.send("Runtime.evaluate", { expression: "({ kept: localStorage.kept })" });
    return cdp.send("Runtime.getProperties", { objectId: result.objectId, ownProperties: true });
  },
  "read exception": () => cdp.send("Runtime.evaluate", { expression: "throw new Error('no ' + localStorage.kept)" }),
  "picture of the view": async () => (await page.screenshot()).length > 0,
  "picture of the whole page": async () => (await page.screenshot({ fullPage: true })).length > 0,
  "picture in JPEG": async () => (await page.screenshot({ type: "jpeg" })).length > 0,
  "picture of an element": async () => (await page.locator("#text").screenshot()).length > 0,
  "picture of a frame": async () => (await page.locator("#far").screenshot()).length > 0,
  "picture of a shadow root": async () => (await page.locator("#open").screenshot()).length > 0,
  "picture in a screencast": () => screencast(cdp, page, { format: "png", everyNthFrame: 1 }),
  async "print"() {
    return (await page.pdf()).subarray(0, 5).toString();
  },

  // What has to do with no secret.
  async "flow navigation"({ home }) {
    const told = [];
    const response = await page.goto(`${home}/flow/start`);
    told.push(response.status(), await page.title());
    await page.click("#next");
    await page.waitForURL("**/flow/next");
    told.push(await page.innerText("#words"));
    await page.goBack();
    told.push(await page.title());
    await page.goForward();
    await page.reload();
    told.push(page.url(), (await page.goto(`${home}/flow/missing`)).status());
    return told;
  },
  async "flow frames"({ home }) {
    await page.goto(`${home}/flow/start`);
    return [await page.frameLocator("#near").locator("p").innerText(), await page.frameLocator("#far").locator("p").innerText()];
  },
  async "flow form"({ home }) {
    await page.goto(`${home}/flow/form`);
    await page.getByLabel("Name").fill("Zoë 🎭");
    await page.getByLabel("Note").pressSequentially("one _two x_ three", { delay: 5 });
    await page.keyboard.press("Backspace");
    await page.getByLabel("Box").check();
    await page.getByLabel("Kind").selectOption("two");
    await page.click("#send");
    return page.innerText("#told");
  },
  async "flow tabs"({ home }) {
    const before = context.pages().length;
    await page.goto(`${home}/flow/start`);
    const [tab] = await Promise.all([context.waitForEvent("page"), page.click("#tab")]);
    await tab.waitForURL("**/flow/next");
    const [popup] = await Promise.all([page.waitForEvent("popup"), page.click("#popup")]);
    await popup.waitForURL("**/flow/next");
    const told = [await tab.title(), await popup.title(), context.pages().length - before];
    await tab.close();
    await popup.close();
    const own = await browser.newContext();
    const other = await own.newPage();
    await other.goto(`${home}/flow/next`);
    told.push(await other.title(), (await own.cookies()).length);
    await own.close();
    return told;
  },
  async "flow download"({ home }) {
    await page.goto(`${home}/flow/start`);
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#report")]);
    return [download.suggestedFilename(), await readFile(await download.path(), "utf8")];
  },
  async "flow upload"({ home }) {
    const file = join(folder, "mine.txt");
    await writeFile(file, "what is mine\n");
    await page.goto(`${home}/flow/upload`);
    await page.setInputFiles("#file", file);
    await page.click("#send");
    return page.innerText("#told");
  },
  async "flow interception"({ home }) {
    const told = [];
    await page.route("**/flow/data", (route) => route.fulfill({ body: "from the client", contentType: "text/plain" }));
    await page.goto(`${home}/flow/call`);
    await page.waitForFunction(() => document.querySelector("#told").textContent);
    told.push(await page.innerText("#told"));
    await page.unroute("**/flow/data");
    await page.route("**/flow/data", (route) => route.continue({ headers: { ...route.request().headers(), "x-added": "by the client" } }));
    await page.reload();
    await page.waitForFunction(() => document.querySelector("#told").textContent);
    told.push(await page.innerText("#told"));
    await page.unroute("**/flow/data");
    await page.route("**/flow/data", (route) => route.abort());
    await page.reload();
    await page.waitForFunction(() => document.querySelector("#told").textContent);
    told.push(await page.innerText("#told"));
    await page.unroute("**/flow/data");
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
    told.push(await page.innerText("#told"));
    page.off("dialog", answer);
    return told;
  },
  async "flow print"({ home }) {
    await page.goto(`${home}/flow/next`);
    return [(await page.pdf()).subarray(0, 5).toString(), (await page.screenshot()).subarray(1, 4).toString()];
  },
};

await serve(steps, () => browser.close());
