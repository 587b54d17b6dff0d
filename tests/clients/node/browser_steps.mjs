// What the browser clients for Node share: steps are asked for and told one by one.
//
// Each line of standard input is a step, `{"step", …}`; each line of standard output its outcome, `{"told"}` or
// `{"error"}`. The first line of the output holds the names of the steps. The end of the input is the end.

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
