// What the browser clients for Node share: steps are asked for and told one by one.
//
// Each line of standard input is a step, `{"step", …}`; each line of standard output its outcome, `{"told"}` or
// `{"error"}`. The first line of the output holds the names of the steps. The end of the input is the end.

import { readFile, rm } from "node:fs/promises";
import { createInterface } from "node:readline";

export async function serve(steps, close) {
  const say = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);
  say(Object.keys(steps));
  for await (const line of createInterface({ input: process.stdin })) {
    const { step, ...given } = JSON.parse(line);
    try {
      say({ told: (await steps[step](given)) ?? null });
    } catch (error) {
      const cause = error?.cause ? `: ${error.cause.message ?? error.cause}` : "";
      say({ error: `${error?.message ?? error}${cause}` });
    }
  }
  await close();
  process.exit(0);
}

// The next event that a client's `once` tells, while `act` brings it about.
export async function during(emitter, event, act) {
  let failed;
  const heard = new Promise((resolve, reject) => {
    emitter.once(event, resolve);
    failed = setTimeout(() => reject(new Error(`no ${event}`)), 30_000);
  });
  try {
    await act();
    return await heard;
  } finally {
    clearTimeout(failed);
  }
}

// What comes of an attempt, which is made again as long as it fails in a way that passes.
export async function patiently(attempt, passes = () => true) {
  const patience = Date.now() + 30_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > patience || !passes(error)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// What an expression is in a page, once it is something: what a click leads to may come later than the click's end.
// `evaluate` runs a function in the page, given as text.
export function there(evaluate, expression = "document.querySelector('#told')?.textContent") {
  const code = `() => { const it = ${expression}; if (!it) throw new Error("it is not there"); return it; }`;
  return patiently(() => evaluate(code));
}

// What a browser keeps under a name, once it is there: a browser gives a file its name when it is whole.
export async function kept(file) {
  const patience = Date.now() + 30_000;
  for (;;) {
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text !== undefined) {
      await rm(file);
      return text;
    }
    if (Date.now() > patience) throw new Error(`no ${file}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// What the other fields than a password's hold, read in the page.
export const held = (field) =>
  field.maxLength === 1 ? [...field.parentElement.children].map((box) => box.value).join("") : (field.value ?? field.textContent);

// Whether a screencast of the page, while something moves in it, makes several frames.
export async function screencast(cdp, page, options) {
  let frames = 0;
  const second = new Promise((resolve) => {
    cdp.on("Page.screencastFrame", ({ sessionId }) => {
      if (++frames === 2) resolve();
      cdp.send("Page.screencastFrameAck", { sessionId }).catch(() => {});
    });
  });
  await cdp.send("Page.startScreencast", options);
  // What does not move makes no more than one frame.
  await page.evaluate(() => {
    const { style } = document.querySelector("#confirmed");
    window.moving = setInterval(() => (style.marginLeft = `${(parseInt(style.marginLeft || 0) + 1) % 50}px`), 20);
  });
  await second;
  await page.evaluate(() => clearInterval(moving));
  await cdp.send("Page.stopScreencast");
  return frames > 1;
}
