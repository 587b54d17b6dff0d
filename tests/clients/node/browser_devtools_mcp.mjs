// What an agent does with the tools of chrome-devtools-mcp, connected by --browserUrl.
//
//   node browser_devtools_mcp.mjs MODULES CDP-URL FOLDER

import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { start } from "./browser_mcp.mjs";
import { kept, patiently, serve, there } from "./browser_steps.mjs";

const [modules, url, folder] = process.argv.slice(2);
const program = "chrome-devtools-mcp/build/src/bin/chrome-devtools-mcp.js";
const quiet = ["--no-usage-statistics", "--no-performance-crux"];
const environment = { CHROME_DEVTOOLS_MCP_NO_UPDATE_CHECKS: "1" };
const server = (...options) => start(modules, folder, [program, "--browserUrl", url, ...quiet, ...options], environment);
const { client, call } = await server();

// Every tool of a page wants its number.
let pageId = selected((await call("new_page", { url: "about:blank" })).text);

function selected(text) {
  return Number(/^(\d+): .*\[selected\]/m.exec(text)[1]);
}

const said = async (name, given = {}) => (await call(name, { pageId, ...given })).text;
const snapshot = (given) => said("take_snapshot", given);
const go = (url) => said("navigate_page", { url });

async function uid(pattern) {
  const text = await snapshot();
  const found = text.split("\n").find((line) => line.includes(pattern));
  if (!found) throw new Error(`no ${pattern} in\n${text}`);
  return /uid=(\S+)/.exec(found)[1];
}

const click = async (pattern) => said("click", { uid: await uid(pattern) });
const evaluate = (code) => said("evaluate_script", { function: code });
// What is told where a click led, without what the tool says of the way there.
const told = () => there(async (code) => /```json\n(.*)\n```/.exec(await evaluate(code))[1]);
const waitFor = (text) => said("wait_for", { text: [text], timeout: 30_000 });

async function fill(way, texts) {
  const fields = [];
  for (const [name, text] of Object.entries(texts)) fields.push([await uid(`textbox "${name}"`), text]);
  if (way === "form") return said("fill_form", { elements: fields.map(([uid, value]) => ({ uid, value })) });
  for (const [uid, value] of fields) {
    if (way === "fill") await said("fill", { uid, value });
    else {
      await said("click", { uid });
      await said("type_text", { text: value });
    }
  }
}

const steps = {
  async type({ url, way, user, password }) {
    await go(url);
    await fill(way, { User: user, Password: password });
    return snapshot();
  },
  async submit() {
    await click('button "Log in"');
    await waitFor("Welcome, the password was right");
  },
  async refused({ url, way, password }) {
    await go(url);
    await fill(way, { Password: password });
  },

  "read snapshot": () => snapshot(),
  "read verbose snapshot": () => snapshot({ verbose: true }),
  "read evaluate": () => evaluate("() => ({ deep: [document.querySelector('#text').textContent, localStorage.kept] })"),
  "read pages": () => call("list_pages").then(({ text }) => text),
  async "read console"() {
    await click('button "Log"');
    const listed = await said("list_console_messages");
    const msgid = Number(/msgid=(\d+)/.exec(listed.split("\n").find((line) => line.includes("session of")))[1]);
    return [listed, await said("get_console_message", { msgid })];
  },
  async "read dialog"() {
    const told = await said("click", { uid: await uid('button "Alert"') }).catch((error) => error.message);
    return [told, await said("handle_dialog", { action: "accept" })];
  },
  async "read network"() {
    await click('button "Call"');
    const listed = await said("list_network_requests");
    const reqid = Number(/reqid=(\d+)/.exec(listed.split("\n").find((line) => line.includes("POST") && line.includes("/api/")))[1]);
    return [listed, await said("get_network_request", { reqid })];
  },
  "picture of the view": async () => (await call("take_screenshot", { pageId })).pictures.length,
  "picture of the whole page": async () =>
    (await call("take_screenshot", { pageId, fullPage: true, format: "webp" })).pictures.length,
  "picture of an element": async () =>
    (await call("take_screenshot", { pageId, uid: await uid('textbox "Field"'), format: "jpeg" })).pictures.length,

  // What its tools say of themselves.
  offers: async () => (await client.listTools()).tools.map(({ name, description }) => `${name}: ${description}`),

  async "flow navigation"({ home }) {
    await go(`${home}/flow/start`);
    await click('link "Next"');
    await waitFor("A second page");
    const told = [await evaluate("() => document.title + document.querySelector('#words').textContent")];
    await said("navigate_page", { type: "back" });
    return [...told, await evaluate("() => location.pathname")];
  },
  async "flow form"({ home }) {
    await go(`${home}/flow/form`);
    await said("fill", { uid: await uid('textbox "Name"'), value: "Zoë 🎭" });
    await click('textbox "Note"');
    await said("type_text", { text: "one _two x_ three" });
    await said("press_key", { key: "Backspace" });
    await click('checkbox "Box"');
    await said("fill", { uid: await uid('combobox "Kind"'), value: "two" });
    await click('button "Send"');
    return told();
  },
  async "flow tabs"({ home }) {
    const { text } = await call("new_page", { url: `${home}/flow/next` });
    const [before, tab] = [pageId, selected(text)];
    pageId = tab;
    const told = [await evaluate("() => document.title")];
    await said("close_page");
    pageId = before;
    return told;
  },
  // It has no tool for downloads: a link is clicked, and the file is where the browser keeps such.
  async "flow download"({ home }) {
    await go(`${home}/flow/start`);
    await click('link "Report"');
    return kept(join(folder, "report.txt"));
  },
  // It has no tool that answers or changes requests: headers are added to all, and an option of the server blocks addresses.
  async "flow interception"({ home }) {
    await said("emulate", { extraHttpHeaders: JSON.stringify({ "x-added": "by the client" }) });
    await go(`${home}/flow/call`);
    await waitFor("from the server");
    const told = [await evaluate("() => document.querySelector('#told').textContent")];
    await said("emulate", { extraHttpHeaders: "{}" });
    const blocking = await server("--blockedUrlPattern", "*://*:*/flow/data");
    const page = selected((await blocking.call("new_page", { url: `${home}/flow/call` })).text);
    await blocking.call("wait_for", { pageId: page, text: ["TypeError"], timeout: 30_000 });
    const read = { pageId: page, function: "() => document.querySelector('#told').textContent" };
    told.push((await blocking.call("evaluate_script", read)).text);
    await blocking.call("close_page", { pageId: page });
    await blocking.client.close();
    return told;
  },
  async "flow upload"({ home }) {
    const file = join(folder, "mine.txt");
    await writeFile(file, "what is mine\n");
    await go(`${home}/flow/upload`);
    await said("upload_file", { uid: await uid('button "File"'), filePaths: [file] });
    await click('button "Send"');
    return told();
  },
  // A film of a page, whose pictures come as they were drawn.
  async film({ home }) {
    await go(`${home}/flow/next`);
    await said("screencast_start", { filePath: join(folder, "film.mp4") });
    return said("screencast_stop").then((text) => text.includes("film.mp4"));
  },
  async "flow dialogs"({ home }) {
    await go(`${home}/flow/dialog`);
    await click('button "Ask"').catch(() => {});
    for (const promptText of [undefined, undefined, "Zoë"]) {
      const accept = () => said("handle_dialog", { action: "accept", promptText });
      await patiently(accept, (error) => error.message.includes("No open dialog found"));
    }
    return told();
  },
};

await serve(steps, () => client.close());
