/* The page: what is chosen and filled in, the conversation, and the keys. */

const $ = (id) => document.getElementById(id);
const [routeBox, formatBox, own, memory, log, turnsBox, composer, question, sendButton, stopButton, status, totals] =
  ['route', 'format', 'own', 'memory', 'log', 'turns', 'composer', 'question', 'send', 'stop', 'status', 'totals'].map($);

const ROUTES = settings.routes;
const CARRIES = {
  vercel: 'Text, reasoning, tools, usage, errors.',
  'ag-ui': 'Text, reasoning, tools, usage, errors.',
  openai: 'Text, reasoning, tools, usage, errors, as the API has them.',
  lanarky: 'Text and errors.',
  text: 'Text alone.',
  json: 'The whole answer at once.',
};

let route = null;
let way = null; // an HTTPRoute or a WebSocketRoute
let fields = []; // {field, control} of the route
let turns = [];
let current = null; // the turn under way
let sessions = {}; // what routes that remember call this conversation

// What is remembered while the tab is open; never what is secret

const PLACE = `antiphon ${location.pathname}`;
const remembered = (() => {
  try {
    return JSON.parse(sessionStorage.getItem(PLACE)) ?? {};
  } catch {
    return {};
  }
})();

function remember() {
  const filled = Object.fromEntries(fields.filter(({ field }) => !field.secret).map(({ key, control }) => [key, control.value]));
  remembered.route = routeBox.value;
  (remembered.routes ??= {})[nameOf(route)] = { format: formatBox.value, memory: memory.checked, filled };
  try {
    sessionStorage.setItem(PLACE, JSON.stringify(remembered));
  } catch { /* then it is not */ }
}

const nameOf = ({ method, path }) => `${method} ${path}`;

// The form of a route

function choose() {
  route = ROUTES[routeBox.selectedIndex];
  if (route === undefined) return;
  way?.close();
  way = route.method === 'WS' ? new WebSocketRoute(route) : new HTTPRoute(route);
  const before = remembered.routes?.[nameOf(route)] ?? {};
  const kinds = Object.keys(route.formats);
  const known = [...PREFERRED.filter((key) => kinds.includes(key)), ...kinds.filter((key) => !(key in READERS))];
  formatBox.replaceChildren(...known.map((key) => new Option(key === route.format ? `${key} (the route’s own)` : key, key)));
  if (known.includes(before.format)) formatBox.value = before.format;
  memory.checked = before.memory ?? Boolean(route.memory);
  $('route-hint').textContent = route.summary || `${route.kind} of ${route.name}()`;
  fields = [
    ...(route.system ? [systemField()] : []),
    ...route.fields.map((field) => fieldOf(field)),
    ...route.options.map((name) => fieldOf({ name, in: 'option', required: false, type: 'any', description: '' })),
  ];
  for (const { key, control } of fields) if (before.filled?.[key] !== undefined) control.value = before.filled[key];
  own.replaceChildren(...fields.map(({ row }) => row));
  chooseFormat();
}

function chooseFormat() {
  $('format-hint').textContent = CARRIES[formatBox.value] ?? 'A format of the application’s own: shown as it comes.';
}

function systemField() {
  const control = make('textarea', { rows: 3 });
  return rowOf({ name: route.system, in: 'system', type: 'string', label: 'System prompt' }, control);
}

function fieldOf(field) {
  return rowOf(field, controlOf(field));
}

function controlOf(field) {
  const given = field.default === undefined ? '' : asText(field.default);
  const options = field.const !== undefined ? [field.const] : field.type === 'boolean' ? [true, false] : field.enum;
  if (options) {
    const none = field.required ? [] : [new Option(given === '' ? '—' : `default: ${given}`, '')];
    return make('select', {}, ...none, ...options.map((each) => new Option(String(each), String(each))));
  }
  if (field.type === 'array' || field.type === 'object') return make('textarea', { rows: 2, placeholder: given === '[]' ? '' : given });
  const control = make('input', { type: field.secret ? 'password' : 'text', placeholder: given });
  if (field.type === 'integer' || field.type === 'number') {
    control.type = 'number';
    control.step = field.type === 'integer' ? 1 : 'any';
    if (field.minimum !== undefined) control.min = field.minimum;
    if (field.maximum !== undefined) control.max = field.maximum;
  }
  if (field.secret) control.autocomplete = 'off';
  return control;
}

function rowOf(field, control) {
  const key = `${field.in} ${field.name}`;
  control.id = `field-${key.replace(/[^\w-]/g, '-')}`;
  const mute = field.in === 'cookie' ? 'Cookies are sent as the browser has them.'
    : field.in === 'header' && route.method === 'WS' ? 'Browsers set no headers on a websocket.' : '';
  const lines = field.type === 'array' ? 'One a line.' : '';
  control.required = Boolean(field.required) && !mute;
  const where = { system: '', option: 'body' }[field.in] ?? field.in;
  const aside = [where, control.required && 'required'].filter(Boolean).join(', ');
  control.disabled = Boolean(mute);
  const hint = make('p', { className: 'hint', id: `${control.id}-hint` }, [field.description, mute, lines].filter(Boolean).join(' '));
  if (hint.textContent) control.setAttribute('aria-describedby', hint.id);
  const label = make('label', { htmlFor: control.id }, field.label ?? field.name, ...(aside ? [' ', make('span', { className: 'where' }, aside)] : []));
  const row = make('div', { className: 'field' }, label, control, ...(hint.textContent ? [hint] : []));
  return { field, key, control, row };
}

/* What was filled in; raises where it cannot be sent. */
function filled() {
  const values = [];
  for (const { field, control } of fields) {
    const text = control.disabled ? '' : control.value;
    if (!text.trim()) continue;
    values.push({ field, value: field.in === 'body' || field.in === 'option' ? typed(field, text) : field.type === 'array' ? text.split('\n').filter(Boolean) : text });
  }
  return values;
}

function typed({ type }, text) {
  if (type === 'string') return text;
  const value = parsed(text);
  if (value !== undefined) return value;
  return type === 'array' ? text.split('\n').filter(Boolean) : text;
}

function requestOf(messages) {
  const values = filled();
  const of = (where) => values.filter(({ field }) => field.in === where);
  const format = formatBox.value;
  const system = of('system').map(({ field, value }) => ({ role: field.name, content: value }));
  const body = { messages: messagesFor(format, [...system, ...messages]) };
  if (format === 'openai') body.stream = true;
  for (const { field, value } of of('option')) body[field.name] = value;
  const whole = route.embedded ? { body, ...Object.fromEntries(of('body').map(({ field, value }) => [field.name, value])) } : body;
  const headers = { accept: route.formats[format], 'content-type': 'application/json' };
  const place = sessionPlace();
  if (place?.in === 'header' && sessions[nameOf(route)]) headers[place.name] = sessions[nameOf(route)];
  if (place?.in === 'query') values.push({ field: place, value: ownSession() });
  if (place?.in === 'body') body[place.name] = ownSession();
  const secrets = new Set();
  for (const { field, value } of of('header')) {
    headers[field.name] = field.scheme === 'Basic' ? `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(value)))}` : field.scheme ? `${field.scheme} ${value}` : value;
    if (field.secret) secrets.add(field.name);
  }
  return { address: addressOf(route, values), headers, secrets, body: whole, format };
}

/* Where a route that remembers is told the session; on websockets and with cookies, that is not for us to say. */
function sessionPlace() {
  if (route.method === 'WS') return undefined;
  const by = (where) => route.memory?.find((each) => each.in === where);
  return by('header') ?? (by('cookie') ? undefined : by('query') ?? by('body'));
}

function ownSession() {
  const random = crypto.getRandomValues(new Uint32Array(4));
  return (sessions[nameOf(route)] ??= [...random].map((each) => each.toString(36)).join(''));
}

// The conversation

const conversation = () => turns.flatMap((turn) => [...turn.messages, ...turn.answer()]);

/* Without calls that nobody answered, which no model takes, and without turns in which nothing was said. */
function complete(messages) {
  const answered = new Set(messages.filter(({ role }) => role === 'tool').map((message) => message.tool_call_id));
  return messages.flatMap(({ tool_calls: calls, ...message }) => {
    const kept = calls?.filter(({ id }) => answered.has(id)) ?? [];
    if (message.role === 'assistant' && !message.content && !kept.length) return [];
    return [kept.length ? { ...message, tool_calls: kept } : message];
  });
}

function ready() {
  const form = $('fields');
  if (form.checkValidity()) return true;
  $('settings').open = true;
  form.reportValidity();
  return false;
}

async function ask(messages) {
  if (route === undefined || route === null || current !== null || !ready()) return false;
  remember();
  const turn = new Turn(messages, { redraw, retry, results: ask });
  const request = requestOf(memory.checked ? messages : complete([...conversation(), ...messages]));
  turn.reader = (READERS[request.format] ?? READERS.text)(turn);
  turn.requested(request, route);
  turns.at(-1)?.offer(false);
  turns.push(turn);
  current = turn;
  turnsBox.append(turn.element);
  busy(true);
  follow(true);
  say('Answering.');
  try {
    await way.ask(request, turn);
  } catch (error) {
    if (!turn.stopped) turn.fail(error instanceof Error ? { message: `${error.name}: ${error.message}` } : error);
  }
  const place = sessionPlace();
  if (place?.in === 'header') sessions[nameOf(route)] = turn.headers?.get(place.name) ?? sessions[nameOf(route)];
  current = null;
  turn.end();
  busy(false);
  follow();
  if (turn.failure === null) say(turn.stopped ? 'Stopped.' : `Answer: ${turn.body.textContent}`);
  count();
  return true;
}

function retry() {
  if (current !== null || !ready()) return;
  const turn = turns.pop();
  turn.element.remove();
  ask(turn.messages);
  question.focus();
}

function stop() {
  if (current === null || current.stopped) return;
  current.stopped = true;
  way.stop();
}

function anew() {
  if (current !== null) stop();
  way?.close();
  turns = [];
  sessions = {};
  turnsBox.replaceChildren(...greeting());
  count();
  say('A new conversation.');
  question.focus();
}

function greeting() {
  if (ROUTES.length) return [make('p', { className: 'greeting' }, 'Say something. The answer appears as it is written, with the calls of tools, what it cost, and every event as it was sent.')];
  return [make('p', { className: 'greeting' }, 'This router has no route that holds a conversation.')];
}

function count() {
  const spent = turns.map((turn) => turn.spent).filter(Boolean);
  const sum = (name) => amount(spent.reduce((all, each) => all + (each[name] ?? 0), 0));
  totals.textContent = spent.length ? `${sum('input')} tokens in, ${sum('output')} out so far` : '';
}

function busy(answering) {
  const held = document.activeElement === (answering ? sendButton : stopButton);
  sendButton.hidden = answering;
  stopButton.hidden = !answering;
  routeBox.disabled = answering;
  if (held) (answering ? stopButton : question).focus();
}

/* Told to those who do not see the page. */
function say(words) {
  status.textContent = words;
}

// Drawing: once a frame, however many events come

let drawing = 0;

function redraw() {
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    if (current === null) return;
    const near = atEnd();
    current.show();
    if (near) follow(true);
  });
}

const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 80;

/* Keeps the end in sight, unless the reader has gone back. */
function follow(always = false) {
  if (always || atEnd()) log.scrollTop = log.scrollHeight;
}

// Keys and buttons

function fit() {
  question.rows = Math.min(question.value.split('\n').length, 10);
}

composer.addEventListener('submit', (event) => {
  event.preventDefault();
  const text = question.value;
  if (!text.trim()) return;
  if (current !== null) {
    say('The answer is still being written.');
    return;
  }
  if (!turns.length) turnsBox.replaceChildren();
  const before = turns.length;
  ask([{ role: 'user', content: text }]);
  if (turns.length === before) return;
  question.value = '';
  fit();
});

question.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    composer.requestSubmit();
  }
  if (event.key === 'ArrowUp' && !question.value) {
    const last = turns.findLast((turn) => turn.messages[0].role === 'user');
    if (last === undefined) return;
    event.preventDefault();
    question.value = last.messages[0].content;
    fit();
  }
});

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !event.isComposing && current !== null) stop();
});

log.addEventListener('click', ({ target }) => {
  if (target.classList.contains('copy')) copyTo(target, target.closest('.code').querySelector('pre').textContent);
});

question.addEventListener('input', fit);
stopButton.addEventListener('click', stop);
$('new').addEventListener('click', anew);
routeBox.addEventListener('change', choose);
formatBox.addEventListener('change', chooseFormat);
$('fields').addEventListener('change', remember);
$('fields').addEventListener('submit', (event) => event.preventDefault());
window.addEventListener('pagehide', () => way?.close());

routeBox.replaceChildren(...ROUTES.map((each) => new Option(nameOf(each), nameOf(each))));
if (ROUTES.some((each) => nameOf(each) === remembered.route)) routeBox.value = remembered.route;
sendButton.disabled = !ROUTES.length;
if (matchMedia('(max-width: 50rem)').matches) $('settings').open = false;
for (const path of settings.missing) {
  document.body.prepend(make('p', { className: 'notice', role: 'alert' }, `There is no conversation at ${path}: the playground’s routes= names it.`));
}
choose();
turnsBox.replaceChildren(...greeting());
