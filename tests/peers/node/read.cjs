// Reads answers with the vendors' TypeScript SDKs and prints what they made of them.
//
// Standard input is a JSON array of jobs {name, base_url, dialect, streamed, request}; dialect is "messages" or "chat".
// Standard output is a JSON object: for each name {"events": [...], "final": {...}}; what threw is {"error": "<class>: <text>"}.
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

async function messages({ base_url, streamed, request: { stream: _, ...request } }) {
  const client = new Anthropic({ ...options, baseURL: base_url });
  if (!streamed) return { events: [], final: await guarded(() => client.messages.create(request)) };
  const events = [];
  const final = await guarded(async () => {
    const stream = client.messages.stream(request);
    // The stream goes on filling in the objects that it has handed out: keep each as it is now.
    for await (const event of stream) events.push(structuredClone(event));
    return stream.finalMessage();
  });
  return { events, final };
}

async function chat({ base_url, streamed, request: { stream: _, ...request } }) {
  const client = new OpenAI({ ...options, baseURL: `${base_url}/v1` });
  if (!streamed) return { events: [], final: await guarded(() => client.chat.completions.create(request)) };
  const events = await guarded(async () => {
    const chunks = [];
    for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) chunks.push(chunk);
    return chunks;
  });
  const final = await guarded(() => client.chat.completions.stream(request).finalChatCompletion());
  return { events, final };
}

async function main() {
  let input = '';
  for await (const piece of process.stdin) input += piece;
  const results = {};
  for (const job of JSON.parse(input)) results[job.name] = await { messages, chat }[job.dialect](job);
  process.stdout.write(JSON.stringify(results));
}

main();
