/* One question with its answer: what was said, as it comes, and how it looks. */

function make(tag, properties, ...children) {
  return Object.assign(element(tag, ...children), properties);
}

const seconds = (milliseconds) =>
  milliseconds < 995 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(milliseconds < 9950 ? 1 : 0)} s`;
const amount = (number) => number.toLocaleString('en');

function pretty(text) {
  const value = parsed(text);
  return value !== null && typeof value === 'object' ? JSON.stringify(value, null, 2) : text;
}

function copyButton(label, text, words = 'Copy') {
  return make('button', { type: 'button', className: 'quiet', ariaLabel: label, onclick: ({ target }) => copyTo(target, text()) }, words);
}

async function copyTo(button, text) {
  const before = button.textContent;
  let words = 'Copied';
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    words = 'Not allowed'; // pages that are not on https or this machine may not
  }
  button.textContent = words;
  setTimeout(() => { button.textContent = before; }, 1500);
}

const WORDS = {
  length: 'cut off: the most tokens there may be',
  max_output_tokens: 'cut off: the most tokens there may be',
  content_filter: 'held back by a content filter',
  'content-filter': 'held back by a content filter',
  tool_calls: 'waits for results of tools',
  'tool-calls': 'waits for results of tools',
  cancelled: 'stopped',
};

class Turn {
  /* `messages` are what it adds to the conversation before the answer. */
  constructor(messages, { redraw, retry, results }) {
    Object.assign(this, { messages, redraw, retry, results });
    this.rounds = [{ text: '', calls: [] }];
    this.calls = new Map();
    this.events = [];
    this.spent = null;
    this.reason = null;
    this.failure = null;
    this.stopped = false;
    this.headers = null; // of the response
    this.begun = performance.now();
    this.first = null; // when the first of it came
    this.part = null; // of the answer, the one that grows: {kind, markdown}
    this.dirty = new Set();

    this.body = make('div', { className: 'answer', dir: 'auto', role: 'group', ariaLabel: 'Answer' });
    this.sources = make('ol', { className: 'sources', ariaLabel: 'Sources', hidden: true });
    this.waiting = make('p', { className: 'waiting' }, make('span', { className: 'hidden' }, 'Waiting for the answer'));
    this.facts = make('p', { className: 'facts' });
    this.buttons = make('div', { className: 'buttons' });
    this.raw = this.rawElement();
    const foot = make('footer', {}, this.facts, this.buttons);
    this.element = make('article', { className: 'turn' }, ...this.askedElements(), this.body, this.waiting, this.sources, foot, this.raw);
    this.element.ariaBusy = 'true';
  }

  get ended() {
    return this.reason !== null || this.failure !== null;
  }

  get empty() {
    return this.first === null && !this.ended;
  }

  get words() {
    return this.rounds.map((round) => round.text).filter(Boolean).join('\n\n');
  }

  get unanswered() {
    return this.ended && !this.stopped && this.failure === null ? [...this.calls.values()].filter((call) => call.output === null) : [];
  }

  /* The answer, as messages of a chat completion. */
  answer() {
    return this.rounds.flatMap(({ text, calls }) => [
      {
        role: 'assistant', content: text || null,
        ...(calls.length && { tool_calls: calls.map(({ id, name, input }) => ({ id, type: 'function', function: { name, arguments: input || '{}' } })) }),
      },
      ...calls.filter((call) => call.output !== null).map(({ id, output }) => ({ role: 'tool', tool_call_id: id, content: output })),
    ]);
  }

  read(data, name) {
    this.log(data, name);
    const ended = this.reader(data, name);
    this.redraw();
    return ended;
  }

  // What readers tell

  came() {
    if (this.first !== null) return;
    this.first = performance.now();
    this.waiting.remove();
  }

  grow(kind, piece) {
    if (!piece) return;
    this.came();
    if (this.part?.kind !== kind) {
      this.endPart();
      const root = make('div', { className: 'markdown' });
      this.part = { kind, markdown: new Markdown(root), element: root };
      if (kind === 'reasoning') {
        this.part.element = make('details', { className: 'reasoning', open: true }, element('summary', 'Reasoning'), root);
      }
      this.body.append(this.part.element);
    }
    this.part.markdown.add(piece);
    this.dirty.add(this.part.markdown);
  }

  endPart() {
    if (this.part === null) return;
    this.part.markdown.show(false);
    this.dirty.delete(this.part.markdown);
    if (this.part.kind === 'reasoning') this.part.element.open = false;
    this.part = null;
  }

  /* Text or a call after results begins a round. */
  round() {
    const last = this.rounds[this.rounds.length - 1];
    if (last.calls.some((call) => call.output !== null)) this.rounds.push({ text: '', calls: [] });
    return this.rounds[this.rounds.length - 1];
  }

  text(piece) {
    if (piece) this.round().text += piece;
    this.grow('text', piece);
  }

  reasoning(piece) {
    this.grow('reasoning', piece);
  }

  call(id, name) {
    if (this.calls.has(id)) return;
    this.came();
    this.endPart();
    const call = new Call(id, name);
    this.calls.set(id, call);
    this.round().calls.push(call);
    this.body.append(call.element);
  }

  input(id, piece) {
    const call = this.calls.get(id);
    if (call === undefined) return;
    call.input += piece;
    this.dirty.add(call);
  }

  whole(id, name, input) {
    this.call(id, name);
    const call = this.calls.get(id);
    if (!call.input) call.input = typeof input === 'string' ? input : JSON.stringify(input);
    this.dirty.add(call);
  }

  result(id, output, failed) {
    this.call(id, 'tool');
    Object.assign(this.calls.get(id), { output: output ?? '', failed: Boolean(failed) });
    this.dirty.add(this.calls.get(id));
  }

  source(url, title) {
    const address = safeAddress(url);
    if (!address) return;
    this.sources.hidden = false;
    this.sources.append(element('li', link(address, title || url)));
  }

  usage(spent) {
    this.spent = spent;
  }

  finish(reason) {
    if (!this.ended) this.reason = this.stopped ? 'cancelled' : reason;
  }

  fail(failure) {
    if (this.failure === null) this.failure = failure;
  }

  // How it looks

  askedElements() {
    return this.messages.map((message) => {
      const tool = message.role === 'tool';
      const who = make('span', { className: 'hidden' }, tool ? 'Result of a tool: ' : 'You: ');
      return make('div', { className: tool ? 'asked result' : 'asked', dir: 'auto' }, who, message.content);
    });
  }

  show() {
    const open = !this.ended;
    for (const each of this.dirty) each.show(open);
    this.dirty.clear();
  }

  /* The answer is complete, or there is no more of it. */
  end() {
    this.came();
    this.endPart();
    if (!this.ended) this.reason = this.stopped ? 'cancelled' : 'stop';
    for (const call of this.calls.values()) this.dirty.add(call);
    this.show();
    this.took = performance.now() - this.begun;
    this.element.ariaBusy = 'false';
    if (this.failure !== null) this.body.append(failureElement(this.failure));
    this.facts.replaceChildren(...this.factsList().map((fact) => element('span', fact)));
    this.offer(true);
  }

  factsList() {
    const { input, output, reasoning, cached } = this.spent ?? {};
    const facts = [];
    if (this.failure === null && this.reason in WORDS) facts.push(WORDS[this.reason]);
    if (input !== undefined) facts.push(`${amount(input)} tokens in${cached ? ` (${amount(cached)} cached)` : ''}`);
    if (output !== undefined) facts.push(`${amount(output)} out${reasoning ? ` (${amount(reasoning)} reasoning)` : ''}`);
    if (this.words || this.calls.size) facts.push(`first after ${seconds(this.first - this.begun)}`);
    facts.push(`took ${seconds(this.took)}`);
    return facts;
  }

  /* What may be done with it: the last answer may be asked for again. */
  offer(last) {
    const buttons = [];
    if (this.words) buttons.push(copyButton('Copy the answer', () => this.words));
    const open = last ? this.unanswered : [];
    if (open.length) {
      const send = () => this.results(open.map(({ id, box }) => ({ role: 'tool', tool_call_id: id, content: box.value })));
      for (const call of open) call.ask();
      buttons.push(make('button', { type: 'button', onclick: send }, open.length > 1 ? 'Send results' : 'Send result'));
    } else for (const call of this.calls.values()) call.settle();
    if (last) buttons.push(make('button', { type: 'button', className: 'quiet retry', onclick: this.retry }, 'Retry'));
    this.buttons.replaceChildren(...buttons);
  }

  // What was sent, and every event as it came

  rawElement() {
    this.rawSummary = element('summary', 'Request and raw events');
    this.rawRequest = make('pre', { tabIndex: 0, ariaLabel: 'The request' });
    this.rawList = make('ol', { tabIndex: 0, ariaLabel: 'Events' });
    this.rawTools = make('div', { className: 'buttons' });
    this.logView = { show: () => this.logged() };
    const details = make('details', { className: 'raw' }, this.rawSummary, this.rawRequest, this.rawTools, this.rawList);
    details.ontoggle = () => this.logged();
    return details;
  }

  requested(request, route) {
    this.begun = performance.now();
    const websocket = route.method === 'WS';
    const headers = Object.entries(request.headers).map(([name, value]) => `${name}: ${request.secrets.has(name) ? '…' : value}`);
    const first = websocket ? `WS ${request.address} (subprotocol ${request.format})` : `${route.method} ${request.address}`;
    this.rawRequest.textContent = [first, ...(websocket ? [] : headers), '', JSON.stringify(request.body, null, 2)].join('\n');
    const tools = [copyButton('Copy the events', () => this.events.map(({ name, data }) => (name ? `${name}: ${data}` : data)).join('\n'), 'Copy events')];
    if (!websocket) tools.unshift(copyButton('Copy the request as a curl command', () => curl(request, route), 'Copy as curl'));
    this.rawTools.replaceChildren(...tools);
  }

  log(data, name) {
    this.events.push({ data, name, at: performance.now() - this.begun });
    this.dirty.add(this.logView);
  }

  logged() {
    const { length } = this.events;
    this.rawSummary.textContent = `Request and raw events (${amount(length)})`;
    if (!this.raw.open) return;
    const fresh = this.events.slice(this.rawList.childElementCount).map(({ data, name, at }) =>
      element('li', element('time', seconds(at)), ...(name ? [element('b', name)] : []), element('code', data)));
    this.rawList.append(...fresh);
  }
}

/* A call of a tool. */
class Call {
  constructor(id, name) {
    Object.assign(this, { id, name, input: '', output: null, failed: false, box: null });
    this.glance = make('code', { className: 'glance' });
    this.state = make('span', { className: 'state' }, 'called');
    this.given = make('pre', { tabIndex: 0, ariaLabel: `What ${name} was given` });
    this.gave = make('div', {});
    const summary = element('summary', make('b', {}, name), ' ', this.glance, this.state);
    this.element = make('details', { className: 'call' }, summary, this.given, this.gave);
  }

  show(open) {
    this.glance.textContent = this.input.slice(0, 200);
    this.given.textContent = open && this.output === null ? this.input : pretty(this.input || '{}');
    if (this.output === null) return;
    this.state.textContent = this.failed ? 'failed' : 'done';
    this.element.classList.toggle('failed', this.failed);
    const label = make('p', { className: 'hint' }, this.failed ? 'It failed:' : 'Its result:');
    this.gave.replaceChildren(label, make('pre', { tabIndex: 0, ariaLabel: `What ${this.name} answered` }, pretty(this.output)));
  }

  /* The call is the caller's to make: what came of it is written here. */
  ask() {
    this.state.textContent = 'yours to make';
    this.element.open = true;
    this.box ??= make('textarea', { rows: 2, placeholder: 'What the tool answers' });
    this.gave.replaceChildren(make('label', { className: 'field' }, `Result of ${this.name}`, this.box));
  }

  settle() {
    if (this.box === null || this.output !== null) return;
    this.state.textContent = this.box.value ? 'answered' : 'not made';
    this.box.readOnly = true;
  }
}

function failureElement({ status, code, type, param, message, request_id: id }) {
  const name = ['Error', status, code ?? type].filter((each) => each !== undefined && each !== null && each !== '').join(' · ');
  const details = [param && `parameter ${param}`, id && `request ${id}`].filter(Boolean).join(', ');
  return make('div', { className: 'failure', role: 'alert' }, element('strong', name), element('p', message),
    ...(details ? [make('p', { className: 'hint' }, details)] : []));
}

/* The request as a command for a shell. */
function curl({ address, headers, body }, { method }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const bodiless = ['GET', 'HEAD', 'DELETE', 'OPTIONS'].includes(method);
  const parts = ['curl -N', `-X ${method}`, quoted(new URL(address, location.href).href)];
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (bodiless) parts.push(`-G --data-urlencode ${quoted(`messages=${JSON.stringify(body.messages)}`)}`);
  else parts.push(`-d ${quoted(JSON.stringify(body))}`);
  return parts.join(' \\\n  ');
}
