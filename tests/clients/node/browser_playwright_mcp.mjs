// What an agent does with the tools of @playwright/mcp, connected by --cdp-endpoint.
//
//   node browser_playwright_mcp.mjs MODULES CDP-URL FOLDER

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { start } from "./browser_mcp.mjs";
import { kept, patiently, serve, there } from "./browser_steps.mjs";

const [modules, url, folder] = process.argv.slice(2);
const output = join(folder, "output");
const options = ["--timeout-action", "10000", "--caps", "network,pdf", "--output-dir", output];
const { client, call } = await start(modules, folder, ["@playwright/mcp/cli.js", "--cdp-endpoint", url, ...options]);

const said = async (name, given) => (await call(name, given)).text;
const snapshot = () => said("browser_snapshot");

// The reference that the snapshot gives an element, as a model would read it.
async function target(pattern) {
  const text = await snapshot();
  const found = text.split("\n").find((line) => line.includes(pattern));
  if (!found) throw new Error(`no ${pattern} in\n${text}`);
  return /\[ref=(\w+)\]/.exec(found)[1];
}

async function fill(way, texts) {
  const fields = [];
  for (const [name, text] of Object.entries(texts)) fields.push([name, await target(`textbox "${name}"`), text]);
  if (way === "form") {
    const filled = fields.map(([name, target, value]) => ({ name, target, type: "textbox", value }));
    return call("browser_fill_form", { fields: filled });
  }
  for (const [element, target, text] of fields) await call("browser_type", { element, target, text, slowly: way === "slowly" });
}

const evaluate = (code) => said("browser_evaluate", { function: code });
// What is told where a click led, without what the tool says of the way there.
const result = (text) => text.split("### Result\n")[1].split("\n### ")[0];
const told = (expression) => there(async (code) => result(await evaluate(code)), expression);
const click = async (pattern) => said("browser_click", { element: pattern, target: await target(pattern) });

const steps = {
  async type({ url, way, user, password }) {
    await call("browser_navigate", { url });
    await fill(way, { User: user, Password: password });
    return snapshot();
  },
  async submit({ frame }) {
    await click('button "Log in"');
    // The tool for waiting looks into no frame.
    const place = frame ? "page.frameLocator('#inner')" : "page";
    await call("browser_run_code_unsafe", { code: `async (page) => await ${place}.locator('#confirmed').waitFor()` });
  },
  async refused({ url, way, password }) {
    await call("browser_navigate", { url });
    await fill(way, { Password: password });
  },

  "read snapshot": snapshot,
  "read evaluate": () => evaluate("() => ({ deep: [document.querySelector('#text').textContent, localStorage.kept] })"),
  "read code": () => said("browser_run_code_unsafe", { code: "async (page) => await page.content()" }),
  "read find": () => said("browser_find", { text: "Field" }),
  "read tabs": () => said("browser_tabs", { action: "list" }),
  async "read console"() {
    await click('button "Log"');
    return said("browser_console_messages", { level: "debug" });
  },
  async "read dialog"() {
    const told = await said("browser_click", { element: "Alert", target: await target('button "Alert"') });
    return [told, await said("browser_handle_dialog", { accept: true })];
  },
  async "read network"() {
    await click('button "Call"');
    const listed = await said("browser_network_requests", { static: false });
    const posted = listed.split("\n").find((line) => line.includes("[POST]") && line.includes("/api/"));
    const index = Number(/^\s*(\d+)/.exec(posted)[1]);
    const parts = ["request-headers", "request-body", "response-headers", "response-body"];
    const read = parts.map((part) => said("browser_network_request", { index, part }));
    return [listed, ...(await Promise.all(read))];
  },
  "picture of the view": async () => (await call("browser_take_screenshot", { scale: "css" })).pictures.length,
  "picture of the whole page": async () =>
    (await call("browser_take_screenshot", { scale: "css", type: "jpeg", fullPage: true })).pictures.length,
  "picture of an element": async () =>
    (await call("browser_take_screenshot", { scale: "css", element: "Field", target: await target('textbox "Field"') })).pictures.length,

  async "flow navigation"({ home }) {
    await call("browser_navigate", { url: `${home}/flow/start` });
    await click('link "Next"');
    const next = await told("document.title + document.querySelector('#words').textContent");
    await call("browser_navigate_back");
    return [next, await evaluate("() => location.pathname")];
  },
  async "flow form"({ home }) {
    await call("browser_navigate", { url: `${home}/flow/form` });
    await call("browser_type", { element: "Name", target: await target('textbox "Name"'), text: "Zoë 🎭" });
    const note = { element: "Note", target: await target('textbox "Note"') };
    await call("browser_type", { ...note, text: "one _two x_ three", slowly: true });
    await call("browser_press_key", { key: "Backspace" });
    await click('checkbox "Box"');
    await call("browser_select_option", { element: "Kind", target: await target('combobox "Kind"'), values: ["two"] });
    await click('button "Send"');
    return told();
  },
  async "flow tabs"({ home }) {
    await call("browser_tabs", { action: "new", url: `${home}/flow/next` });
    const told = [await evaluate("() => document.title")];
    await call("browser_tabs", { action: "close" });
    return told;
  },
  async "flow upload"({ home }) {
    const file = join(folder, "mine.txt");
    await writeFile(file, "what is mine\n");
    await call("browser_navigate", { url: `${home}/flow/upload` });
    await click('button "File"');
    await call("browser_file_upload", { paths: [file] });
    await click('button "Send"');
    return told();
  },
  // At a browser that it did not start it leaves downloads to the browser: the file is where that one keeps such.
  async "flow download"({ home }) {
    await call("browser_navigate", { url: `${home}/flow/start` });
    await click('link "Report"');
    return kept(join(folder, "report.txt"));
  },
  async "flow interception"({ home }) {
    const told = [];
    const pattern = "**/flow/data";
    for (const route of [{ body: "from the client", contentType: "text/plain" }, { headers: ["x-added: by the client"] }]) {
      await call("browser_route", { pattern, ...route });
      await call("browser_navigate", { url: `${home}/flow/call` });
      await call("browser_wait_for", { text: "from the" });
      told.push(await evaluate("() => document.querySelector('#told').textContent"));
      await call("browser_unroute", { pattern });
    }
    return told;
  },
  async "flow print"({ home }) {
    await call("browser_navigate", { url: `${home}/flow/next` });
    await call("browser_pdf_save", { filename: "next.pdf" });
    return (await readFile(join(folder, "next.pdf"))).subarray(0, 5).toString();
  },
  async "flow dialogs"({ home }) {
    await call("browser_navigate", { url: `${home}/flow/dialog` });
    await click('button "Ask"');
    for (const promptText of [undefined, undefined, "Zoë"]) {
      const accept = () => call("browser_handle_dialog", { accept: true, promptText });
      await patiently(accept, (error) => error.message.includes("related modal state"));
    }
    return told();
  },
};

await serve(steps, () => client.close());
