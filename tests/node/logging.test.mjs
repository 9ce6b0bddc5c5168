// Helicone's own helpers log their calls to the gateway by their logging endpoint alone.
//
// `tests/run` gives the program by TACHOGRAPH_GATEWAY.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";

import { HeliconeManualLogger } from "@helicone/helpers";

const KEY = "sk-tachograph-00112233445566778899aabbccddeeff0011223344556677";
const golden = (name) => readFileSync(new URL(`../goldens/${name}`, import.meta.url), "utf8");
const headers = { "Helicone-User-Id": "ada", "Helicone-Session-Id": "s1", "Helicone-Property-Team": "blue" };
const request = { model: "gpt-4o-mini", messages: [{ role: "user", content: "How fast does it turn?" }] };

let directory, program, url;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "tachograph-node-"));
  writeFileSync(join(directory, "tachograph.yaml"), JSON.stringify({ listen: "127.0.0.1:0", api_key: KEY }));
  program = spawn(process.env.TACHOGRAPH_GATEWAY, [], { cwd: directory, stdio: ["ignore", "pipe", "ignore"], env: { PATH: process.env.PATH } });
  for await (const line of createInterface({ input: program.stdout })) {
    const found = line.match(/Tachograph listens on (\S+)/);
    if (found) {
      url = found[1];
      break;
    }
  }
  assert.ok(url, "the gateway did not start");
});

after(() => {
  program?.kill();
  rmSync(directory, { recursive: true, force: true });
});

async function rows(count) {
  for (let attempt = 0; attempt < 500; attempt++) {
    const answer = await fetch(`${url}/api/requests?limit=100`, { headers: { authorization: `Bearer ${KEY}` } });
    const { rows } = await answer.json();
    if (rows.length >= count) return rows;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`never ${count} rows`);
}

function check(row) {
  assert.equal(row.origin, "logged");
  assert.deepEqual([row.usage.input_tokens, row.usage.output_tokens, row.cost.total], [500, 300, "0.000255"]);
  assert.deepEqual([row.user, row.session.id, row.properties.team], ["ada", "s1", "blue"]);
}

test("calls, streams and tools are logged by the endpoint alone", async () => {
  const logger = new HeliconeManualLogger({ apiKey: KEY, loggingEndpoint: `${url}/oai/v1/log` });
  await logger.logRequest(
    request,
    async (recorder) => recorder.appendResults(JSON.parse(golden("openai-chat.json"))),
    headers,
    "openai",
  );
  check((await rows(1))[0]);

  const events = golden("openai-chat.sse").split("\n").filter((line) => line.startsWith("data: {"));
  const stream = new ReadableStream({
    start(controller) {
      for (const line of events) controller.enqueue(new TextEncoder().encode(`${line.slice(6)}\n`));
      controller.close();
    },
  });
  await logger.logSingleStream({ ...request, stream: true }, stream, headers);
  const streamed = (await rows(2)).find((row) => row.stream);
  check(streamed);

  await logger.logSingleRequest(request, golden("openai-chat.json"), { additionalHeaders: headers, latencyMs: 1000 });
  (await rows(3)).forEach(check);

  await logger.logRequest(
    { _type: "tool", toolName: "weather", input: { city: "Köln" } },
    async (recorder) => recorder.appendResults({ ok: true }),
    headers,
  );
  const tool = (await rows(4)).find((row) => row.step === "tool");
  assert.deepEqual([tool.name, tool.model, tool.cost.total], ["weather", "tool:weather", null]);
});
