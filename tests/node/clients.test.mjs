// Every official client in JavaScript, through the gateway, to its own provider and to others'.
//
// `tests/run` installs what package.json names and gives the gateway by TACHOGRAPH_GATEWAY. The upstream is the one of tests/clients: what it answers stands in the request, and it refuses what came incomplete.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const KEY = 'sk-tachograph-00112233445566778899aabbccddeeff0011223344556677';
const TEXT = 'The tachograph turns slowly. 速度は一定です 🚚';
const CALLS = [{ city: 'Köln', days: 3 }, { city: '東京' }];
const VECTOR = [0.5, -0.25, 0.125];
const SYSTEM = 'Answer briefly.';
const PICTURE = Buffer.from(
  '89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f0005000201' +
    '5d00ff2f0000000049454e44ae426082',
  'hex',
).toString('base64');
const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer' } },
  required: ['city'],
  additionalProperties: false,
};
// Each provider: what it is asked for, and what 500 tokens in and 300 out cost there.
const TARGETS = {
  openai: ['gpt-4o-mini', '0.000255'],
  anthropic: ['claude-haiku-4-5', '0.002'],
  gemini: ['gemini-2.5-flash', '0.0009'],
};

const { default: OpenAI } = await import('openai-latest');
const { default: Anthropic } = await import('@anthropic-ai/sdk');
const { GoogleGenAI } = await import('@google/genai');
const { createOpenAI } = await import('@ai-sdk/openai');
const ai = await import('ai');

let gateway;
const programs = [];

function start(command, args, said, options) {
  const program = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options });
  programs.push(program);
  return new Promise((resolve, reject) => {
    let heard = '';
    program.stdout.on('data', (piece) => {
      heard += piece;
      const line = heard.split('\n').find((line) => line.includes(said) && heard.includes('\n'));
      if (line) resolve(line.slice(line.indexOf(said) + said.length).trim());
    });
    program.on('exit', () => reject(new Error(`${command} ended without saying ${said}: ${heard}`)));
  });
}

before(async () => {
  const python = process.env.TACHOGRAPH_PYTHON ?? 'python3';
  const provider = fileURLToPath(new URL('../clients/provider.py', import.meta.url));
  const upstream = await start(python, [provider], 'listening on ');
  const place = mkdtempSync(join(tmpdir(), 'tachograph-node-'));
  const providers = Object.fromEntries(
    Object.keys(TARGETS).map((name) => [name, { base_url: `http://${upstream}/at-${name}`, api_keys: ['configured'] }]),
  );
  writeFileSync(join(place, 'tachograph.yaml'), JSON.stringify({ listen: '127.0.0.1:0', api_key: KEY, providers }));
  gateway = await start(process.env.TACHOGRAPH_GATEWAY, [], 'Tachograph listens on ', { cwd: place });
});

after(() => programs.forEach((program) => program.kill()));

// The one row of a call, once it is written.
async function row(call) {
  for (let tries = 0; tries < 500; tries += 1) {
    const answer = await fetch(`${gateway}/api/requests/${call}`, { headers: { authorization: `Bearer ${KEY}` } });
    if (answer.ok) return answer.json();
    await answer.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`no row of ${call}`);
}

const tool = { name: 'weather', description: 'The weather', parameters: SCHEMA };
const loaded = (text) => JSON.parse(text || '{}');

// Each client behind the same few verbs. `ask` is { said, tools, picture, schema, signal }.
const CLIENTS = {
  openai: {
    home: 'openai',
    base: '/v1',
    make: (baseURL, headers) => new OpenAI({ baseURL, apiKey: KEY, defaultHeaders: headers, maxRetries: 0 }),
    status: (error) => error.status,
    errors: { 400: OpenAI.BadRequestError, 401: OpenAI.AuthenticationError, 404: OpenAI.NotFoundError, 429: OpenAI.RateLimitError, 500: OpenAI.InternalServerError, 529: OpenAI.InternalServerError },
    words(model, ask) {
      const picture = { type: 'image_url', image_url: { url: `data:image/png;base64,${ask.picture}` } };
      const content = ask.picture ? [{ type: 'text', text: ask.said }, picture] : ask.said;
      const messages = [{ role: 'system', content: SYSTEM }, { role: 'user', content }];
      const words = { model, messages };
      if (ask.tools) words.tools = [{ type: 'function', function: tool }];
      if (ask.schema) words.response_format = { type: 'json_schema', json_schema: { name: 'trip', strict: true, schema: SCHEMA } };
      return words;
    },
    read: ({ choices: [{ message }], usage }) => ({
      text: message.content ?? '',
      calls: (message.tool_calls ?? []).map((call) => loaded(call.function.arguments)),
      usage: [usage.prompt_tokens, usage.completion_tokens],
    }),
    async whole(client, model, ask) {
      return this.read(await client.chat.completions.create(this.words(model, ask)));
    },
    async streamed(client, model, ask) {
      const asked = { ...this.words(model, ask), stream_options: { include_usage: true } };
      return this.read(await client.chat.completions.stream(asked).finalChatCompletion());
    },
    async leave(client, model, ask) {
      const stream = await client.chat.completions.create({ ...this.words(model, ask), stream: true });
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) return stream.controller.abort();
    },
    embed: async (client) => (await client.embeddings.create({ model: 'openai/text-embedding-3-small', input: ['a', 'b'] })).data.map((item) => item.embedding),
  },
  anthropic: {
    home: 'anthropic',
    base: '',
    make: (baseURL, headers) => new Anthropic({ baseURL, apiKey: KEY, defaultHeaders: headers, maxRetries: 0 }),
    status: (error) => error.status,
    errors: { 400: Anthropic.BadRequestError, 401: Anthropic.AuthenticationError, 404: Anthropic.NotFoundError, 429: Anthropic.RateLimitError, 500: Anthropic.InternalServerError, 529: Anthropic.InternalServerError },
    words(model, ask) {
      const content = [{ type: 'text', text: ask.said }];
      if (ask.picture) content.push({ type: 'image', source: { type: 'base64', media_type: 'image/png', data: ask.picture } });
      const words = { model, max_tokens: 1000, system: SYSTEM, messages: [{ role: 'user', content }] };
      if (ask.tools) words.tools = [{ name: tool.name, description: tool.description, input_schema: SCHEMA }];
      if (ask.schema) words.output_config = { format: { type: 'json_schema', schema: SCHEMA } };
      return words;
    },
    read: ({ content, usage }) => ({
      text: content.map((block) => block.text ?? '').join(''),
      calls: content.filter((block) => block.type === 'tool_use').map((block) => block.input),
      usage: [usage.input_tokens, usage.output_tokens],
    }),
    async whole(client, model, ask) {
      return this.read(await client.messages.create(this.words(model, ask)));
    },
    async streamed(client, model, ask) {
      return this.read(await client.messages.stream(this.words(model, ask)).finalMessage());
    },
    async leave(client, model, ask) {
      const stream = await client.messages.create({ ...this.words(model, ask), stream: true });
      for await (const event of stream) if (event.type === 'content_block_delta') return stream.controller.abort();
    },
  },
  genai: {
    home: 'gemini',
    base: '',
    make: (baseUrl, headers) => new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl, headers } }),
    status: (error) => error.status,
    errors: {},
    words(model, ask) {
      const parts = [{ text: ask.said }];
      if (ask.picture) parts.push({ inlineData: { mimeType: 'image/png', data: ask.picture } });
      const config = { systemInstruction: SYSTEM, abortSignal: ask.signal };
      if (ask.tools) config.tools = [{ functionDeclarations: [{ name: tool.name, description: tool.description, parametersJsonSchema: SCHEMA }] }];
      if (ask.schema) Object.assign(config, { responseMimeType: 'application/json', responseJsonSchema: SCHEMA });
      return { model, contents: [{ role: 'user', parts }], config };
    },
    read(answers) {
      const parts = answers.flatMap((answer) => answer.candidates?.[0]?.content?.parts ?? []);
      const told = answers.map((answer) => answer.usageMetadata).findLast((usage) => usage?.candidatesTokenCount);
      return {
        text: parts.map((part) => part.text ?? '').join(''),
        calls: parts.filter((part) => part.functionCall).map((part) => part.functionCall.args),
        usage: [told.promptTokenCount, told.candidatesTokenCount],
      };
    },
    async whole(client, model, ask) {
      return this.read([await client.models.generateContent(this.words(model, ask))]);
    },
    async streamed(client, model, ask) {
      const answers = [];
      for await (const answer of await client.models.generateContentStream(this.words(model, ask))) answers.push(answer);
      return this.read(answers);
    },
    async leave(client, model, ask) {
      const leaving = new AbortController();
      const stream = await client.models.generateContentStream(this.words(model, { ...ask, signal: leaving.signal }));
      for await (const chunk of stream) if (chunk.text) return leaving.abort();
    },
  },
  'ai-sdk': {
    home: 'openai',
    base: '/v1',
    make: (baseURL, headers) => createOpenAI({ baseURL, apiKey: KEY, headers }),
    status: (error) => error.statusCode,
    errors: {},
    words(client, model, ask) {
      const content = [{ type: 'text', text: ask.said }];
      if (ask.picture) content.push({ type: 'file', data: ask.picture, mediaType: 'image/png' });
      const words = { model: client.chat(model), instructions: SYSTEM, messages: [{ role: 'user', content }], maxRetries: 0 };
      if (ask.tools) words.tools = { weather: ai.tool({ description: tool.description, inputSchema: ai.jsonSchema(SCHEMA) }) };
      if (ask.schema) words.output = ai.Output.object({ schema: ai.jsonSchema(SCHEMA) });
      return words;
    },
    read: async (answer) => {
      const usage = await answer.usage;
      const calls = (await answer.toolCalls).map((call) => call.input);
      return { text: await answer.text, calls, usage: [usage.inputTokens, usage.outputTokens] };
    },
    async whole(client, model, ask) {
      return this.read(await ai.generateText(this.words(client, model, ask)));
    },
    async streamed(client, model, ask) {
      return this.read(ai.streamText(this.words(client, model, ask)));
    },
    async leave(client, model, ask) {
      const leaving = new AbortController();
      const { textStream } = ai.streamText({ ...this.words(client, model, ask), abortSignal: leaving.signal });
      for await (const piece of textStream) if (piece) return leaving.abort();
    },
    embed: async (client) => (await ai.embedMany({ model: client.embedding('openai/text-embedding-3-small'), values: ['a', 'b'] })).embeddings,
  },
};

function* ways() {
  for (const [name, sdk] of Object.entries(CLIENTS)) {
    yield { name: `${name} proxied to ${sdk.home}`, sdk, provider: sdk.home, proxied: true };
    for (const provider of Object.keys(TARGETS)) yield { name: `${name} to ${provider}`, sdk, provider, proxied: false };
  }
}

for (const { name, sdk, provider, proxied } of ways()) {
  const [model, cost] = TARGETS[provider];
  const asked = proxied ? model : `${provider}/${model}`;
  const calling = () => {
    const call = randomUUID();
    const base = gateway + (proxied ? `/${provider}` : '') + sdk.base;
    return { call, client: sdk.make(base, { 'Helicone-Request-Id': call }) };
  };
  const ask = (scenario, more) => ({ said: `What is it? scenario:${scenario}`, ...more });

  for (const verb of ['whole', 'streamed']) {
    for (const [scenario, more, text, calls] of [
      ['chat', {}, TEXT, []],
      ['tools', { tools: true }, '', CALLS.slice(0, 1)],
      ['parallel', { tools: true }, '', CALLS],
      ['image', { picture: PICTURE }, TEXT, []],
      ['schema', { schema: true }, '{"city":"Köln","days":3}', []],
    ]) {
      test(`${name}: ${scenario}, ${verb}`, async () => {
        const { call, client } = calling();
        const answer = await sdk[verb](client, asked, ask(scenario, more));
        assert.deepEqual(answer, { text, calls, usage: [500, 300] });
        const kept = await row(call);
        assert.equal(kept.outcome, 'complete');
        assert.equal(kept.provider, provider);
        assert.equal(kept.cost.total, cost);
        assert.equal(kept.finish_reason, calls.length ? 'tool_calls' : 'stop');
      });
    }
  }

  test(`${name}: errors`, async () => {
    for (const status of [400, 401, 404, 429, 500, 529]) {
      const { call, client } = calling();
      const error = await sdk.whole(client, asked, ask(`error:${status}`)).then(() => null, (error) => error);
      assert.equal(sdk.status(error), status);
      if (sdk.errors[status]) assert.ok(error instanceof sdk.errors[status], `${status}: ${error?.constructor.name}`);
      assert.match(error.message, /as the provider said/);
      assert.equal((await row(call)).outcome, 'upstream_failed');
    }
  });

  test(`${name}: leaving in the middle of a stream`, async () => {
    const { call, client } = calling();
    await sdk.leave(client, asked, ask('slow'));
    assert.equal((await row(call)).outcome, 'client_gone');
  });
}

for (const [name, sdk] of Object.entries(CLIENTS).filter(([, sdk]) => sdk.embed)) {
  test(`${name}: embeddings`, async () => {
    const call = randomUUID();
    const made = await sdk.embed(sdk.make(gateway + sdk.base, { 'Helicone-Request-Id': call }));
    assert.deepEqual(made, [VECTOR, VECTOR]);
    assert.equal((await row(call)).cost.total, '0.00001');
  });
}
