/*
 * Wire formats as one kind of events. A reader is made for each answer: it is given the data (and the name) of every
 * server-sent event, or every frame of a websocket, tells the turn what they say, and returns true at the end.
 */

const parsed = (data) => {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
};

const asText = (value) => (typeof value === 'string' ? value : JSON.stringify(value, null, 2) ?? '');

function errorOf(told, status) {
  const { message, detail, status: own, status_code, ...rest } = told ?? {};
  return { ...rest, status: own ?? status_code ?? status, message: message ?? asText(detail ?? told) };
}

/* A reader of JSON whose meaning is in `type`: unknown ones are passed over. */
function byType(types, ends = () => false) {
  return (data) => {
    if (data === '[DONE]') return true;
    const part = parsed(data);
    if (part === undefined || part === null) return false;
    if (part.error && part.type === undefined) return types.error(part.error), true;
    types[part.type]?.(part);
    return ends(part.type);
  };
}

function vercel(turn) {
  let failure = null;
  const spent = (usage) => usage && turn.usage({
    input: usage.inputTokens, output: usage.outputTokens, reasoning: usage.reasoningTokens, cached: usage.cachedInputTokens,
  });
  return byType({
    'text-delta': (part) => turn.text(part.delta),
    'reasoning-delta': (part) => turn.reasoning(part.delta),
    'tool-input-start': (part) => turn.call(part.toolCallId, part.toolName),
    'tool-input-delta': (part) => turn.input(part.toolCallId, part.inputTextDelta),
    'tool-input-available': (part) => turn.whole(part.toolCallId, part.toolName, part.input),
    'tool-output-available': (part) => turn.result(part.toolCallId, typeof part.output === 'string' ? part.output : JSON.stringify(part.output), false),
    'tool-output-error': (part) => turn.result(part.toolCallId, part.errorText, true),
    'source-url': (part) => turn.source(part.url, part.title),
    'data-error': (part) => { failure = part.data; },
    error: (part) => turn.fail(errorOf(failure ?? { message: part.errorText ?? part.message })),
    abort: () => turn.finish('cancelled'),
    finish: ({ messageMetadata: metadata, finishReason }) => {
      spent(metadata?.usage);
      turn.finish(metadata?.finishReason ?? finishReason ?? 'stop');
    },
  });
}

function agui(turn) {
  const spent = (usage) => {
    const of = Array.isArray(usage) ? usage[usage.length - 1] : usage;
    if (of) turn.usage({ input: of.inputTokens, output: of.outputTokens, reasoning: of.reasoningTokens, cached: of.cachedInputTokens });
  };
  return byType({
    TEXT_MESSAGE_CONTENT: (part) => turn.text(part.delta),
    REASONING_MESSAGE_CONTENT: (part) => turn.reasoning(part.delta),
    TOOL_CALL_START: (part) => turn.call(part.toolCallId, part.toolCallName),
    TOOL_CALL_ARGS: (part) => turn.input(part.toolCallId, part.delta),
    TOOL_CALL_RESULT: (part) => turn.result(part.toolCallId, part.content, false),
    CUSTOM: (part) => part.name === 'citation' && turn.source(part.value.url, part.value.title),
    RUN_FINISHED: (part) => {
      spent(part.usage);
      turn.finish(part.outcome?.type === 'cancelled' ? 'cancelled' : part.result?.finishReason ?? 'stop');
    },
    RUN_ERROR: (part) => {
      spent(part.usage);
      turn.fail(errorOf(part.rawEvent ?? part));
    },
    error: (error) => turn.fail(errorOf(error)),
  }, (type) => type === 'RUN_FINISHED' || type === 'RUN_ERROR');
}

/* Both dialects of the API: chunks of a chat completion, and the events of a Response. */
function openai(turn) {
  const events = responses(turn);
  const ids = []; // of the calls, by their index
  let ended = false;
  return (data, name) => {
    // Of a Response that has ended nothing follows; what is left of the one before is not this one's end.
    if (data === '[DONE]') return ended || !turn.empty;
    const chunk = parsed(data);
    if (typeof chunk?.type === 'string') return events(data, name);
    if (chunk?.error) return turn.fail(errorOf(chunk.error)), false;
    if (chunk?.object === 'chat.completion') return completion(turn, chunk), true;
    if (chunk?.tool_result) turn.result(chunk.tool_result.tool_call_id, chunk.tool_result.content, chunk.tool_result.failed);
    const choice = chunk?.choices?.[0];
    const delta = choice?.delta ?? {};
    for (const thought of [delta.reasoning_content, delta.reasoning]) if (typeof thought === 'string') turn.reasoning(thought);
    if (delta.content) turn.text(delta.content);
    if (delta.refusal) turn.text(delta.refusal);
    for (const note of delta.annotations ?? []) if (note.url_citation) turn.source(note.url_citation.url, note.url_citation.title);
    for (const call of delta.tool_calls ?? []) {
      const of = call.function ?? call.custom ?? {};
      if (call.id && ids[call.index] !== call.id) turn.call(ids[call.index] = call.id, of.name);
      const more = of.arguments ?? of.input;
      if (more) turn.input(ids[call.index], more);
    }
    if (chunk?.usage) turn.usage(counted(chunk.usage));
    if (choice?.finish_reason) {
      ended = true;
      turn.finish(choice.finish_reason);
    }
    return false;
  };
}

const counted = (usage) => ({
  input: usage.prompt_tokens ?? usage.input_tokens,
  output: usage.completion_tokens ?? usage.output_tokens,
  reasoning: (usage.completion_tokens_details ?? usage.output_tokens_details)?.reasoning_tokens,
  cached: (usage.prompt_tokens_details ?? usage.input_tokens_details)?.cached_tokens,
});

function responses(turn) {
  const calls = {}; // the ids of calls, by those of their items
  const ended = ({ response }, reason) => {
    if (response.usage) turn.usage(counted(response.usage));
    turn.finish(reason);
  };
  const argued = (part) => turn.input(calls[part.item_id ?? part.output_index], part.delta);
  return byType({
    'response.output_text.delta': (part) => turn.text(part.delta),
    'response.refusal.delta': (part) => turn.text(part.delta),
    'response.reasoning_text.delta': (part) => turn.reasoning(part.delta),
    'response.reasoning_summary_text.delta': (part) => turn.reasoning(part.delta),
    'response.output_text.annotation.added': ({ annotation }) => annotation?.url && turn.source(annotation.url, annotation.title),
    'response.output_item.added': ({ item, output_index: index }) => {
      if (item?.type !== 'function_call' && item?.type !== 'custom_tool_call') return;
      calls[item.id ?? index] = calls[index] = item.call_id;
      turn.call(item.call_id, item.name);
    },
    'response.function_call_arguments.delta': argued,
    'response.custom_tool_call_input.delta': argued,
    'response.completed': (part) => ended(part, part.response.output?.some((item) => item.type === 'function_call') ? 'tool_calls' : 'stop'),
    'response.incomplete': (part) => ended(part, part.response.incomplete_details?.reason ?? 'incomplete'),
    'response.failed': ({ response }) => turn.fail(errorOf(response.error)),
    error: (part) => turn.fail(errorOf(part.error ?? part)),
  }, (type) => ['response.completed', 'response.incomplete', 'response.failed', 'error'].includes(type));
}

function lanarky(turn) {
  return (data, name) => {
    let [event, said] = [name, data];
    const frame = name === undefined ? parsed(data) : undefined; // of a websocket
    if (frame !== undefined) [event, said] = [frame.event, frame.data];
    if (event === 'end') return turn.finish('stop'), true;
    if (event === 'error') turn.fail(errorOf(typeof said === 'string' ? parsed(said) ?? { message: said } : said));
    else turn.text(String(said));
    return false;
  };
}

/* Text, and whatever is in a format that the page does not know; on a websocket it ends with an empty frame. */
function text(turn) {
  return (data) => {
    if (data) turn.text(data);
    return !data;
  };
}

function json(turn) {
  return (data) => {
    if (data === '[DONE]') return false; // after an error
    const whole = parsed(data);
    if (whole === undefined) turn.text(data);
    else if (whole.error) turn.fail(errorOf(whole.error));
    else if (whole.object === 'response') response(turn, whole);
    else if (whole.choices) completion(turn, whole);
    else turn.text(`\`\`\`json\n${JSON.stringify(whole, null, 2)}\n\`\`\``);
    return true;
  };
}

function completion(turn, whole) {
  const [choice = {}] = whole.choices;
  const message = choice.message ?? {};
  const calls = message.tool_calls ?? [];
  if (message.reasoning_content) turn.reasoning(message.reasoning_content);
  for (const result of whole.tool_results ?? []) {
    if (!calls.some((call) => call.id === result.tool_call_id)) turn.call(result.tool_call_id, result.name);
    turn.result(result.tool_call_id, result.content, result.failed);
  }
  if (message.content ?? message.refusal) turn.text(message.content ?? message.refusal);
  for (const call of calls) {
    const of = call.function ?? call.custom ?? {};
    turn.call(call.id, of.name);
    turn.input(call.id, of.arguments ?? of.input ?? '');
  }
  if (whole.usage) turn.usage(counted(whole.usage));
  turn.finish(choice.finish_reason ?? 'stop');
}

function response(turn, whole) {
  let called = false;
  for (const item of whole.output ?? []) {
    if (item.type === 'reasoning') for (const part of item.summary ?? []) turn.reasoning(part.text);
    if (item.type === 'message') for (const part of item.content ?? []) turn.text(part.text ?? part.refusal ?? '');
    if (item.type === 'function_call' || item.type === 'custom_tool_call') {
      called = true;
      turn.call(item.call_id, item.name);
      turn.input(item.call_id, item.arguments ?? item.input ?? '');
    }
  }
  if (whole.usage) turn.usage(counted(whole.usage));
  if (whole.error) turn.fail(errorOf(whole.error));
  else turn.finish(whole.incomplete_details?.reason ?? (called ? 'tool_calls' : 'stop'));
}

const READERS = { vercel, 'ag-ui': agui, openai, lanarky, text, json };
/* What the page would rather read: the first has places for everything that an answer consists of. */
const PREFERRED = ['vercel', 'ag-ui', 'openai', 'lanarky', 'text', 'json'];
/* Formats that say themselves when an answer is complete: a stream of one that ends without was broken off. */
const COMPLETES = ['vercel', 'ag-ui', 'openai'];

/* The conversation as a format wants it: everybody but AG-UI reads the messages of a chat completion. */
function messagesFor(format, messages) {
  if (format !== 'ag-ui') return messages;
  return messages.map(({ tool_calls, tool_call_id, ...message }, number) => ({
    id: `message-${number}`, ...message,
    ...(tool_calls && { toolCalls: tool_calls }), ...(tool_call_id && { toolCallId: tool_call_id }),
  }));
}

/* Server-sent events out of pieces of text. */
class EventStream {
  constructor(saw) {
    this.saw = saw; // (data, name)
    this.rest = '';
    this.data = [];
    this.name = undefined;
  }

  read(piece) {
    this.rest += piece;
    // A carriage return at the very end may be half of a line's end.
    for (let found; (found = /\r\n|\n|\r(?=[^])/.exec(this.rest)) !== null; ) {
      const line = this.rest.slice(0, found.index);
      this.rest = this.rest.slice(found.index + found[0].length);
      this.line(line);
    }
  }

  line(line) {
    if (line === '') {
      if (this.data.length) this.saw(this.data.join('\n'), this.name);
      [this.data, this.name] = [[], undefined];
      return;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') this.data.push(value);
    if (field === 'event') this.name = value;
  }
}
