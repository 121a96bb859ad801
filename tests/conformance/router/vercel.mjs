// What useChat holds (`Chat` of @ai-sdk/react, with its DefaultChatTransport), and readUIMessageStream of two versions.
import { Chat } from "@ai-sdk/react";
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithToolCalls, readUIMessageStream } from "ai";
import { DefaultChatTransport as Transport6, readUIMessageStream as read6 } from "ai-6";

const api = `${process.argv[2]}/vercel`;

async function chatted(...questions) {
  return await at(api, ...questions);
}

async function at(api, ...questions) {
  const told = { errors: [], data: [], finishes: [], statuses: [] };
  const chat = new Chat({
    transport: new DefaultChatTransport({ api }),
    onError: (error) => told.errors.push(error.message),
    onData: (part) => told.data.push(part),
    onFinish: ({ isAbort, isError, isDisconnect, finishReason }) =>
      told.finishes.push({ isAbort, isError, isDisconnect, finishReason }),
  });
  chat["~registerStatusCallback"](() => told.statuses.push(chat.status));
  for (const question of questions) await chat.sendMessage(question);
  return { ...told, status: chat.status, messages: chat.messages };
}

async function stopped() {
  const finishes = [];
  const chat = new Chat({ transport: new DefaultChatTransport({ api }), onFinish: (end) => finishes.push(end.isAbort) });
  const answered = chat.sendMessage({ text: "endless" });
  while (!chat.lastMessage?.parts?.some((part) => part.type === "text" && part.text.includes("word3")))
    await new Promise((resolve) => setTimeout(resolve, 5));
  await chat.stop();
  await answered;
  return { status: chat.status, finishes, message: chat.lastMessage };
}

// A tool that runs here: its result goes back, and the model goes on.
async function called() {
  const calls = [];
  const chat = new Chat({
    transport: new DefaultChatTransport({ api: `${api}/tools` }),
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
    onToolCall: ({ toolCall }) => {
      calls.push(toolCall);
      void chat.addToolOutput({ tool: toolCall.toolName, toolCallId: toolCall.toolCallId, output: { sky: "blue" } });
    },
  });
  await chat.sendMessage({ text: "weather" });
  while (!JSON.stringify(chat.messages).includes("So: ") || chat.status !== "ready")
    await new Promise((resolve) => setTimeout(resolve, 5));
  return { calls, status: chat.status, messages: chat.messages };
}

async function read(Transport, reading, text) {
  const messages = [{ id: "1", role: "user", parts: [{ type: "text", text }] }];
  const asked = { chatId: "c", messages, trigger: "submit-message", abortSignal: undefined };
  const stream = await new Transport({ api }).sendMessages(asked);
  const seen = [];
  let failed = null;
  try {
    for await (const message of reading({ stream, terminateOnError: true })) seen.push(structuredClone(message));
  } catch (error) {
    failed = error.message;
  }
  return { last: seen.at(-1) ?? null, count: seen.length, failed };
}

const picture = { type: "file", mediaType: "image/png", url: "data:image/png;base64,iVBORw0KGgo=" };
console.log(
  JSON.stringify({
    hello: await chatted({ text: "hello" }),
    think: await at(`${api}/responses`, { text: "think" }),
    host_thinks: await at(`${api}/thinks`, { text: "think" }),
    called: await called(),
    weather: await chatted({ text: "weather?" }, { text: "hello again" }),
    lost: await chatted({ text: "lost" }),
    busy: await chatted({ text: "busy" }),
    broken: await chatted({ text: "broken" }),
    picture: await chatted({ text: "hello picture", files: [picture] }),
    read: await read(DefaultChatTransport, readUIMessageStream, "weather"),
    read_broken: await read(DefaultChatTransport, readUIMessageStream, "broken"),
    read_6: await read(Transport6, read6, "weather"),
    stopped: await stopped(),
  }),
);
