// Reads answers with the vendors' TypeScript SDKs and prints what they made of them.
//
// Standard input is a JSON array of jobs {name, base_url, dialect, streamed, request}; dialect is "messages" or "chat".
// Standard output is a JSON object: for each name {"events": [...], "final": {...}}, or {"error": "<class>: <text>"}.
'use strict';

const { Anthropic } = require('@anthropic-ai/sdk');
const { OpenAI } = require('openai');

const options = { apiKey: 'sk-test-dummy', maxRetries: 0, timeout: 60_000 };

async function messages({ base_url, streamed, request: { stream: _, ...request } }) {
  const client = new Anthropic({ ...options, baseURL: base_url });
  if (!streamed) return { events: [], final: await client.messages.create(request) };
  const stream = client.messages.stream(request);
  const events = [];
  // An event's message is the snapshot that goes on growing: keep it as it is now.
  for await (const event of stream) events.push(structuredClone(event));
  return { events, final: await stream.finalMessage() };
}

async function chat({ base_url, streamed, request: { stream: _, ...request } }) {
  const client = new OpenAI({ ...options, baseURL: `${base_url}/v1` });
  if (!streamed) return { events: [], final: await client.chat.completions.create(request) };
  const events = [];
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) events.push(chunk);
  return { events, final: await client.chat.completions.stream(request).finalChatCompletion() };
}

async function read(job) {
  try {
    return await { messages, chat }[job.dialect](job);
  } catch (error) {
    return { error: `${error.constructor.name}: ${error.message}` };
  }
}

async function main() {
  let input = '';
  for await (const piece of process.stdin) input += piece;
  const results = {};
  for (const job of JSON.parse(input)) results[job.name] = await read(job);
  process.stdout.write(JSON.stringify(results));
}

main();
