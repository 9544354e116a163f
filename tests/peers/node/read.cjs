// Reads answers with the vendors' TypeScript SDKs and prints what they made of them.
//
// Standard input is {"bases": [URL], "jobs": [{name, dialect, streamed, request}]}; dialect is "messages", "chat" or "responses".
// Standard output is an array with, for each base, an object: for each name {"events": [...], "final": {...}}; what threw is
// {"error": "<class>: <text>"}.
'use strict';

const { Anthropic } = require('@anthropic-ai/sdk');
const { OpenAI } = require('openai');

const options = { apiKey: 'sk-test-dummy', maxRetries: 0, timeout: 60_000 };

// What the work gives, or the error that it throws: whatever an SDK does is the result.
async function guarded(work) {
  try {
    return await work();
  } catch (error) {
    return { error: `${error.constructor.name}: ${error.message}` };
  }
}

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

async function messages(base, streamed, request) {
  const { messages } = new Anthropic({ ...options, baseURL: base });
  if (!streamed) return { events: [], final: await guarded(() => messages.create(request)) };
  const events = [];
  const final = await guarded(async () => {
    const stream = messages.stream(request);
    // The stream goes on filling in the objects that it has handed out: keep each as it is now.
    for await (const event of stream) events.push(structuredClone(event));
    return stream.finalMessage();
  });
  return { events, final };
}

async function chat(base, streamed, request) {
  const { completions } = new OpenAI({ ...options, baseURL: `${base}/v1` }).chat;
  if (!streamed) return { events: [], final: await guarded(() => completions.create(request)) };
  const events = await guarded(async () => all(await completions.create({ ...request, stream: true })));
  return { events, final: await guarded(() => completions.stream(request).finalChatCompletion()) };
}

async function responses(base, streamed, request) {
  const { responses } = new OpenAI({ ...options, baseURL: `${base}/v1` });
  if (!streamed) return { events: [], final: await guarded(() => responses.create(request)) };
  const events = await guarded(async () => all(await responses.create({ ...request, stream: true })));
  return { events, final: await guarded(() => responses.stream(request).finalResponse()) };
}

async function main() {
  let input = '';
  for await (const piece of process.stdin) input += piece;
  const { bases, jobs } = JSON.parse(input);
  const all = [];
  for (const base of bases) {
    const results = {};
    for (const { name, dialect, streamed, request: { stream: _, ...request } } of jobs) {
      results[name] = await { messages, chat, responses }[dialect](base, streamed, request);
    }
    all.push(results);
  }
  process.stdout.write(JSON.stringify(all));
}

main();
