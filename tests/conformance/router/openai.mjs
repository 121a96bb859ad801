// The official package for node: chunks, its stream helpers, events of Responses, and answers that are not streamed.
import OpenAI from "openai";

const base = process.argv[2];
const client = new OpenAI({ apiKey: "any", baseURL: `${base}/v1`, maxRetries: 0 });
const agents = new OpenAI({ apiKey: "any", baseURL: `${base}/agent`, maxRetries: 0 });
const thinker = new OpenAI({ apiKey: "any", baseURL: `${base}/thinks`, maxRetries: 0 });
const said = (content) => ({ model: "gpt-5", messages: [{ role: "user", content }] });
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tool = { type: "function", function: { name: "weather", parameters } };
const flat = { type: "function", name: "weather", parameters, strict: false };

async function failing(asking) {
  try {
    return { value: await asking() };
  } catch (error) {
    const { status, code, type, message, requestID } = error;
    return { kind: error.constructor.name, status, code, type, message, requestID };
  }
}

async function chunks(content, of = client, more = {}) {
  const seen = [];
  const failed = await failing(async () => {
    for await (const chunk of await of.chat.completions.create({ ...said(content), ...more, stream: true }))
      seen.push(chunk);
  });
  return { seen, text: seen.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join(""), failed };
}

async function helper(content, of = client, more = {}) {
  const deltas = [];
  const stream = of.chat.completions.stream({ ...said(content), ...more, stream_options: { include_usage: true } });
  stream.on("content", (delta) => deltas.push(delta));
  return { completion: await stream.finalChatCompletion(), usage: await stream.totalUsage(), deltas };
}

async function events(input, more = {}) {
  const seen = [];
  const failed = await failing(async () => {
    for await (const event of await client.responses.create({ model: "gpt-5", input, ...more, stream: true }))
      seen.push(event);
  });
  return { types: seen.map((event) => event.type), last: seen.at(-1) ?? null, seen, failed };
}

async function aborted() {
  const stream = await client.chat.completions.create({ ...said("endless"), stream: true });
  let text = "";
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    if (text.includes("word3")) stream.controller.abort();
  }
  return { text: text.slice(0, 100), aborted: stream.controller.signal.aborted };
}

const whole = await client.chat.completions.create(said("hello")).withResponse();
console.log(
  JSON.stringify({
    hello: await chunks("hello"),
    think: await chunks("think", thinker),
    weather: await chunks("weather", client, { tools: [tool] }),
    busy: await chunks("busy"),
    broken: await chunks("broken"),
    helped: await helper("hello"),
    helped_tools: await helper("weather", client, { tools: [tool] }),
    helped_agent: await helper("weather", agents),
    agent: await chunks("weather", agents),
    whole: { completion: whole.data, requestID: whole.request_id },
    whole_agent: await agents.chat.completions.create(said("weather")),
    whole_busy: await failing(() => client.chat.completions.create(said("busy"))),
    events: await events("hello"),
    events_tools: await events("weather", { tools: [flat] }),
    events_think: await events("think", { reasoning: { summary: "auto" } }),
    events_broken: await events("broken"),
    events_busy: await events("busy"),
    response: await client.responses.create({ model: "gpt-5", input: "hello" }),
    streamed_response: await client.responses.stream({ model: "gpt-5", input: "hello" }).finalResponse(),
    aborted: await aborted(),
  }),
);
