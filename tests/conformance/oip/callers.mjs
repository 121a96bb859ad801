// The official package for JavaScript, of a gateway: node callers.mjs BASE_URL MODEL
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "What is the capital of France?" }];
const asked = { model, messages, temperature: 0, max_tokens: 30 };

const whole = await client.chat.completions.create(asked);
let streamed = "";
let finish = null;
let usage = null;
for await (const chunk of await client.chat.completions.create({
  ...asked,
  stream: true,
  stream_options: { include_usage: true },
})) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
  finish = chunk.choices[0]?.finish_reason ?? finish;
  usage = chunk.usage ?? usage;
}
const response = await client.responses.create({ model, input: messages[0].content, temperature: 0 });
let refused = null;
try {
  await client.chat.completions.create({ ...asked, model: "none" });
} catch (error) {
  refused = [error.status, error.code];
}
console.log(
  JSON.stringify({
    whole: whole.choices[0].message.content,
    streamed,
    finish,
    tokens: usage?.completion_tokens,
    response: response.output_text,
    refused,
    models: (await client.models.list()).data.map((each) => each.id),
  }),
);
