// What an agent does with the npm SDKs. The rules are those of exchange.py: carry the text to the model, assert
// that the SDK is content, return the texts that the model ended with.
//
//   node exchanges.mjs MODULES OPENAI-URL ANTHROPIC-URL GEMINI-URL
//
// MODULES is the folder above node_modules. Each line of standard input is a call, `{"exchange", "text"}`; each line
// of standard output its outcome, `{"told"}`, or `{"error", "status"}` as the SDK tells it. The first line of
// the output holds the names of the exchanges.

import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [modules, openaiUrl, anthropicUrl, geminiUrl] = process.argv.slice(2);
const require = createRequire(join(modules, "package.json"));
const { default: OpenAI, toFile } = require("openai");
const { default: Anthropic } = require("@anthropic-ai/sdk");
const { GoogleGenAI } = require("@google/genai");

const timeout = 60_000;
const openai = new OpenAI({ apiKey: "sk-dummy", baseURL: openaiUrl, timeout, maxRetries: 0 });
const anthropic = new Anthropic({ apiKey: "sk-ant-dummy", baseURL: anthropicUrl, timeout, maxRetries: 0 });
const google = new GoogleGenAI({ apiKey: "AIza-dummy", httpOptions: { baseUrl: geminiUrl, timeout } });

// What the provider's script says: script.py.
const TEXT = 'Fertig: naïve café 🎭 "quoted" back\\slash\nsecond line.';
const TOOL = "run_command";
const VECTOR = [0.25, -1.5, 3];
const model = "scripted-1";
const max_tokens = 64;

const parameters = { type: "object", properties: { command: { type: "string" } }, required: ["command"] };
const chatTools = [{ type: "function", function: { name: TOOL, parameters } }];
const responsesTools = [{ type: "function", name: TOOL, parameters, strict: false }];
const messagesTools = [{ name: TOOL, input_schema: parameters }];
const geminiTools = [{ functionDeclarations: [{ name: TOOL, parametersJsonSchema: parameters }] }];

function content(text) {
  assert.ok(text.startsWith(TEXT), text);
  return text;
}

function seen(raw) {
  const given = typeof raw === "string" ? JSON.parse(raw) : raw;
  assert.equal(given.command, "login");
  return JSON.stringify(given);
}

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

const exchanges = {
  async chat(text) {
    const answer = await openai.chat.completions.create({ model, messages: [{ role: "user", content: text }] });
    assert.equal(answer.choices[0].finish_reason, "stop");
    return [content(answer.choices[0].message.content)];
  },

  async chat_tools_streamed(text) {
    const messages = [{ role: "user", content: text }];
    const first = await openai.chat.completions.stream({ model, messages, tools: chatTools }).finalMessage();
    const [call] = first.tool_calls;
    assert.equal(call.function.name, TOOL);
    messages.push(first, { role: "tool", tool_call_id: call.id, content: text });
    const last = await openai.chat.completions.stream({ model, messages, tools: chatTools }).finalContent();
    return [seen(call.function.arguments), content(last)];
  },

  async responses(text) {
    const answer = await openai.responses.create({ model, instructions: "Help.", input: text });
    assert.equal(answer.status, "completed");
    return [content(answer.output_text)];
  },

  async responses_tools_streamed(text) {
    const input = [{ role: "user", content: [{ type: "input_text", text }] }];
    const first = await openai.responses.stream({ model, input, tools: responsesTools }).finalResponse();
    const [call] = first.output;
    const made = { type: "function_call", call_id: call.call_id, name: TOOL, arguments: call.arguments };
    input.push(made, { type: "function_call_output", call_id: call.call_id, output: text });
    const events = await all(await openai.responses.create({ model, input, tools: responsesTools, stream: true }));
    const deltas = events.filter((event) => event.type === "response.output_text.delta");
    assert.equal(events.at(-1).type, "response.completed");
    return [seen(call.arguments), content(deltas.map((event) => event.delta).join(""))];
  },

  async embeddings(text) {
    const answer = await openai.embeddings.create({ model, input: ["first", text] });
    assert.deepEqual(answer.data.map((row) => Array.from(row.embedding)), [VECTOR, VECTOR]);
    return [];
  },

  async files(text) {
    const file = await toFile(Buffer.from(text), "notes of today.txt");
    const answer = await openai.files.create({ file, purpose: "user_data" });
    assert.equal(answer.filename, "notes of today.txt");
    return [];
  },

  // From a file on disk the body goes out in chunks, without a length.
  async files_chunked(text) {
    const folder = await mkdtemp(join(tmpdir(), "bauta-clients-"));
    try {
      await writeFile(join(folder, "notes.txt"), text);
      const file = createReadStream(join(folder, "notes.txt"));
      const answer = await openai.files.create({ file, purpose: "user_data" });
      assert.equal(answer.filename, "notes.txt");
    } finally {
      await rm(folder, { recursive: true });
    }
    return [];
  },

  async batches(text) {
    const body = { model, messages: [{ role: "user", content: text }] };
    const lines = [1, 2].map((id) => JSON.stringify({ custom_id: `${id}`, method: "POST", url: "/v1/chat", body }));
    const file = await toFile(Buffer.from(lines.join("\n")), "batch.jsonl", { type: "application/jsonl" });
    const { id } = await openai.files.create({ file, purpose: "batch" });
    const options = { endpoint: "/v1/chat/completions", completion_window: "24h", metadata: { note: text } };
    const batch = await openai.batches.create({ input_file_id: id, ...options });
    assert.equal(batch.status, "validating");
    return [];
  },

  async messages(text) {
    const messages = [{ role: "user", content: "Hello." }];
    const answer = await anthropic.messages.create({ model, max_tokens, messages, system: text });
    assert.equal(answer.stop_reason, "end_turn");
    return [content(answer.content[0].text)];
  },

  async messages_tools_streamed(text) {
    const messages = [{ role: "user", content: [{ type: "text", text }] }];
    const options = { model, max_tokens, tools: messagesTools };
    const [call] = (await anthropic.messages.stream({ messages, ...options }).finalMessage()).content;
    messages.push({ role: "assistant", content: [call] });
    messages.push({ role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: text }] });
    const last = await anthropic.messages.stream({ messages, ...options }).finalText();
    return [seen(call.input), content(last)];
  },

  async count_tokens(text) {
    const answer = await anthropic.messages.countTokens({ model, messages: [{ role: "user", content: text }] });
    assert.equal(answer.input_tokens, 17);
    return [];
  },

  async generate(text) {
    const answer = await google.models.generateContent({ model, contents: text });
    return [content(answer.text)];
  },

  async generate_tools_streamed(text) {
    const contents = [{ role: "user", parts: [{ text }] }];
    const config = { tools: geminiTools };
    const first = await all(await google.models.generateContentStream({ model, contents, config }));
    const [call] = first.flatMap((chunk) => chunk.functionCalls ?? []);
    contents.push({ role: "model", parts: [{ functionCall: call }] });
    contents.push({ role: "user", parts: [{ functionResponse: { name: TOOL, response: { output: text } } }] });
    const last = await all(await google.models.generateContentStream({ model, contents, config }));
    return [seen(call.args), content(last.map((chunk) => chunk.text ?? "").join(""))];
  },

  async generate_embeddings(text) {
    const answer = await google.models.embedContent({ model, contents: ["first", text] });
    assert.deepEqual(answer.embeddings.map((row) => row.values), [VECTOR, VECTOR]);
    return [];
  },

  async generate_upload(text) {
    const file = new Blob([text], { type: "text/plain" });
    const answer = await google.files.upload({ file, config: { mimeType: "text/plain" } });
    assert.equal(answer.name, "files/f1");
    return [];
  },
};

function say(outcome) {
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}

say(Object.keys(exchanges).sort());
for await (const line of createInterface({ input: process.stdin })) {
  const { exchange, text } = JSON.parse(line);
  try {
    say({ told: await exchanges[exchange](text) });
  } catch (error) {
    say({ error: String(error.stack ?? error), status: error.status ?? null });
  }
}
