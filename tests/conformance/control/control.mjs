// Tests in JavaScript: rules are set, the official package asks, and the journal and the verdict are looked at. Two run at
// the same time, each with a session of its own.
import OpenAI from "openai";

const base = process.argv[2];

class Fake {
  constructor(headers = {}) {
    this.headers = headers;
  }
  async ask(method, path, body) {
    const headers = { ...this.headers, ...(body === undefined ? {} : { "content-type": "application/json" }) };
    const answer = await fetch(`${base}/_antiphon${path}`, { method, headers, body: JSON.stringify(body) });
    return { status: answer.status, value: await answer.json() };
  }
}

async function session(name) {
  const begun = await new Fake().ask("POST", "/sessions", { seed: 7, clock: "virtual" });
  const fake = new Fake(begun.value.headers);
  const client = new OpenAI({ apiKey: begun.value.key, baseURL: begun.value.base_url, maxRetries: 2 });
  await fake.ask("POST", "/rules", { when: { text: "weather" }, reply: `${name} is sunny.` });
  await fake.ask("POST", "/rules", { when: { text: "tool" }, call_tool: { name: "look", arguments: { at: name } } });
  await fake.ask("POST", "/faults", { type: "status", status: 429, retry_after: 0.3, when: { type: "once" } });
  return { name, key: begun.value.key, fake, client };
}

async function test({ name, key, fake, client }) {
  const answer = await client.responses.create({ model: "gpt-5", input: `The weather in ${name}?` });
  let streamed = "";
  const messages = [{ role: "user", content: "And the weather now?" }];
  for await (const chunk of await client.chat.completions.create({ model: "gpt-5", messages, stream: true }))
    streamed += chunk.choices[0]?.delta?.content ?? "";
  const tools = [{ type: "function", name: "look", parameters: { type: "object", properties: {} }, strict: false }];
  const called = await client.responses.create({ model: "gpt-5", input: "Use the tool", tools });
  const call = called.output.find((item) => item.type === "function_call");
  const journal = await fake.ask("GET", "/journal");
  const held = await fake.ask("POST", "/assert/called", { query: { text: "weather", status: 200 }, times: 2 });
  const failed = await fake.ask("POST", "/assert/called", { query: { text: "snow" } });
  const verdict = await fake.ask("GET", "/verdict");
  const clock = await fake.ask("POST", "/clock/advance", { by: "24h" });
  const ended = await new Fake().ask("DELETE", `/sessions/${key}`);
  return {
    text: answer.output_text,
    streamed,
    call: { name: call.name, arguments: JSON.parse(call.arguments) },
    journal: journal.value.data.map(({ text, status, output_text, rule, fault }) => ({ text, status, output_text, rule, fault })),
    cost: journal.value.data.reduce((sum, each) => sum + each.cost, 0),
    held,
    failed,
    verdict: verdict.value,
    clock: clock.value,
    ended: ended.status,
  };
}

const sessions = await Promise.all(["Oslo", "Porto"].map(session));
const [oslo, porto] = await Promise.all(sessions.map(test));
const health = await new Fake().ask("GET", "/health");
const document = await new Fake().ask("GET", "/openapi.json");
console.log(JSON.stringify({ oslo, porto, health, operations: Object.keys(document.value.paths).length }));
