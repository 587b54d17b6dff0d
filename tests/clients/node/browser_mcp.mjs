// An MCP server under test, started as agents start it, and spoken to by the SDK's own client.

import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export async function start(modules, folder, args, environment = {}) {
  const require = createRequire(join(modules, "package.json"));
  const load = (path) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/${path}`)));
  const { Client } = await load("client/index.js");
  const { StdioClientTransport } = await load("client/stdio.js");
  const [program, ...rest] = args;
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [join(modules, "node_modules", program), ...rest],
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, TMPDIR: folder, ...environment },
    stderr: "ignore",
  });
  const client = new Client({ name: "bauta-clients", version: "1" }, { capabilities: { roots: {} } });
  await client.connect(transport);

  // What the model would read of a tool's answer. An answer that says it is an error is one. Some tools wait for 30 seconds.
  async function call(name, given = {}) {
    const answer = await client.callTool({ name, arguments: given }, undefined, { timeout: 60_000 });
    const text = answer.content.map((part) => part.text ?? "").join("\n");
    if (answer.isError) throw new Error(text);
    return { text, pictures: answer.content.filter((part) => part.type === "image").map((part) => part.data) };
  }
  return { client, call };
}
