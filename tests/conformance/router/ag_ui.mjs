// HttpAgent of @ag-ui/client, which checks the order of the events and builds messages of them.
import { HttpAgent } from "@ag-ui/client";

const url = `${process.argv[2]}/ag-ui`;

function made(url) {
  const told = { types: [], events: {}, failed: [], outcomes: [] };
  const agent = new HttpAgent({ url, threadId: "thread-1" });
  const subscriber = {
    onEvent: ({ event }) => {
      told.types.push(event.type);
      (told.events[event.type] ??= []).push(event);
    },
    onRunFinishedEvent: ({ outcome }) => void told.outcomes.push(outcome),
    onRunFailed: ({ error }) => void told.failed.push(error.message),
  };
  return { agent, told, subscriber };
}

async function asked(...questions) {
  return await at(url, ...questions);
}

async function at(url, ...questions) {
  const { agent, told, subscriber } = made(url);
  let result = null;
  let raised = null;
  for (const [index, content] of questions.entries()) {
    agent.addMessage({ id: `question-${index}`, role: "user", content });
    try {
      ({ result } = await agent.runAgent({ runId: `run-${index}` }, subscriber));
    } catch (error) {
      raised = { message: error.message, status: error.status ?? null, payload: error.payload ?? null };
    }
  }
  return { ...told, result, raised, messages: agent.messages };
}

async function aborted() {
  const { agent, told, subscriber } = made(url);
  agent.addMessage({ id: "question", role: "user", content: "endless" });
  const enough = ({ textMessageBuffer }) => void (textMessageBuffer.includes("word3") && agent.abortRun());
  let raised = null;
  try {
    await agent.runAgent({}, { ...subscriber, onTextMessageContentEvent: enough });
  } catch (error) {
    raised = error.message;
  }
  return { raised, last: told.types.at(-1), messages: agent.messages };
}

// A tool that runs here: its result goes back with the next run.
async function called() {
  const { agent, told, subscriber } = made(`${url}/tools`);
  const pending = [];
  const finished = ({ pendingToolCallIds }) => void pending.push(pendingToolCallIds);
  agent.addMessage({ id: "question", role: "user", content: "weather" });
  await agent.runAgent({}, { ...subscriber, onRunFinishedEvent: finished });
  agent.addMessage({ id: "result", role: "tool", toolCallId: pending[0][0], content: '{"sky":"blue"}' });
  await agent.runAgent({}, { ...subscriber, onRunFinishedEvent: finished });
  return { ...told, pending, messages: agent.messages };
}

const picture = [
  { type: "text", text: "hello picture" },
  { type: "image", source: { type: "data", value: "iVBORw0KGgo=", mimeType: "image/png" } },
];
console.log(
  JSON.stringify({
    hello: await asked("hello"),
    think: await at(`${url}/responses`, "think"),
    called: await called(),
    weather: await asked("weather?", "hello again"),
    lost: await asked("lost"),
    busy: await asked("busy"),
    broken: await asked("broken"),
    picture: await asked(picture),
    aborted: await aborted(),
  }),
);
