/*
 * Asking a route, over HTTP or a websocket: `ask(request, turn)` has the turn read every event, or frame, until it says
 * that the answer is complete. Both ways can be told to stop. What goes wrong is thrown as `{message, status, code, …}`.
 */

const settings = JSON.parse(document.getElementById('told').textContent);

/* The page's address and the routes' have the same beginning, whatever it is. */
const base = (() => {
  const segments = (path) => path.split('/').length - 1;
  const parts = location.pathname.split('/');
  return parts.slice(0, Math.max(parts.length - segments(settings.page), 1)).join('/');
})();

/* The address of a route with what was filled in. */
function addressOf(route, values) {
  let path = route.path;
  const query = new URLSearchParams();
  for (const { field, value } of values) {
    if (field.in === 'path') {
      const encoded = encodeURIComponent(value);
      path = path.replace(new RegExp(`\\{${field.name}(:[^}]*)?\\}`), (_, kind) =>
        kind === ':path' ? encoded.replaceAll('%2F', '/') : encoded);
    }
    if (field.in === 'query') for (const each of [value].flat()) query.append(field.name, each);
  }
  const said = query.toString();
  return base + path + (said && `?${said}`);
}

class HTTPRoute {
  constructor(route) {
    this.route = route;
  }

  async ask({ address, headers, body, format }, turn) {
    this.abort = new AbortController();
    for (const [name, value] of Object.entries(headers)) {
      if (/[^\t -~\u00a0-\u00ff]/.test(value)) throw { message: `The header ${name} has characters that headers cannot have.` };
    }
    let response;
    const { method } = this.route;
    let where = address;
    const bodiless = ['GET', 'HEAD', 'DELETE', 'OPTIONS'].includes(method);
    if (bodiless) {
      const said = new URLSearchParams({ messages: JSON.stringify(body.messages) });
      where += (where.includes('?') ? '&' : '?') + said;
    }
    try {
      response = await fetch(where, {
        method, headers, signal: this.abort.signal, cache: 'no-store',
        ...(!bodiless && { body: JSON.stringify(body) }),
      });
    } catch (error) {
      if (this.abort.signal.aborted) throw error;
      throw { message: 'The server cannot be reached.' };
    }
    turn.headers = response.headers;
    if (!response.ok) throw await refusalOf(response, turn);
    const type = response.headers.get('content-type') ?? '';
    let ended = false;
    const read = (data, name) => {
      if (!ended) ended = turn.read(data, name);
    };
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    try {
      if (type.startsWith('text/event-stream')) {
        const events = new EventStream(read);
        for (let piece; !(piece = await reader.read()).done; ) events.read(piece.value);
      } else if (type.startsWith('application/json')) {
        let whole = '';
        for (let piece; !(piece = await reader.read()).done; ) whole += piece.value;
        turn.reader = READERS.json(turn);
        read(whole);
      } else {
        for (let piece; !(piece = await reader.read()).done; ) read(piece.value);
      }
    } catch (error) {
      if (this.abort.signal.aborted) throw error;
      throw { message: 'The connection broke off.' };
    }
    if (!ended && COMPLETES.includes(format) && !turn.ended) throw { message: 'The connection ended before the answer did.' };
  }

  stop() {
    this.abort?.abort();
  }

  close() {}
}

/* What a response that is none says: the API's envelope, FastAPI's details, or text. */
async function refusalOf(response, turn) {
  const text = await response.text().catch(() => '');
  const told = parsed(text);
  const { status } = response;
  turn.log(text, `HTTP ${status}`);
  const id = response.headers.get('x-request-id') ?? undefined;
  if (told?.error) return { request_id: id, ...errorOf(told.error, status) };
  if (Array.isArray(told?.detail)) {
    const lines = told.detail.map(({ loc = [], msg }) => `${loc.join('.')}: ${msg}`);
    return { status, message: lines.join('\n'), request_id: id };
  }
  if (told?.detail !== undefined) return { request_id: id, ...errorOf(told.detail.message ? told.detail : { message: asText(told.detail) }, status) };
  return { status, message: text.slice(0, 2000) || response.statusText || 'The server refused.', request_id: id };
}

class WebSocketRoute {
  constructor(route) {
    this.route = route;
  }

  async ask({ address, body, format }, turn) {
    const socket = await this.open(address, format);
    await new Promise((resolve, reject) => {
      socket.onmessage = ({ data }) => {
        if (turn.read(data)) resolve();
      };
      socket.onclose = ({ code, reason }) => {
        this.socket = undefined;
        if (turn.stopped) resolve();
        else reject({ message: reason || 'The websocket was closed before the answer was complete.', code: String(code) });
      };
      this.leave = resolve;
      socket.send(JSON.stringify(body));
    }).finally(() => {
      clearTimeout(this.patience);
      if (this.socket) this.socket.onmessage = null;
    });
  }

  /* One connection for question after question, as long as it is to the same address. */
  open(address, format) {
    const key = `${format} ${address}`;
    if (this.socket?.readyState === WebSocket.OPEN && this.key === key) return Promise.resolve(this.socket);
    this.close();
    const url = new URL(address, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url, [format]);
    [this.socket, this.key] = [socket, key];
    return new Promise((resolve, reject) => {
      socket.onopen = () => resolve(socket);
      this.leave = () => reject({ message: 'Stopped.' });
      socket.onclose = ({ code, reason }) => {
        this.socket = undefined;
        reject({ message: reason || 'The websocket was refused. Browsers do not tell why: the server’s log does.', code: String(code) });
      };
    });
  }

  stop() {
    if (this.socket?.readyState !== WebSocket.OPEN) {
      this.close();
      this.leave?.();
      return;
    }
    this.socket.send('{"event":"cancel"}');
    // The answer ends with what the format says of its end; a server that says nothing is left.
    this.patience = setTimeout(() => this.close(), 3000);
  }

  close() {
    const { socket } = this;
    if (socket === undefined) return;
    socket.close();
    if (socket.readyState === WebSocket.CLOSING) socket.onclose?.({ code: 1000, reason: '' });
    socket.onclose = null;
    this.socket = undefined;
  }
}
