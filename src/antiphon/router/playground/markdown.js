'use strict';
/*
 * Markdown as elements. What a model says is put into the page as text and never as HTML: there is no way from it to
 * markup but through `element`, which makes the elements of Markdown and nothing else. Links lead to http(s) only, and
 * pictures are links, so that nothing is fetched.
 *
 * A text is cut into blocks first (paragraphs, lists, tables, code …); what is said inside of them is read after. While
 * a text grows, the blocks before the last two stay as they are: nothing that follows can change them.
 */

const FENCE = /^( {0,3})(`{3,}|~{3,})[ \t]*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?=[ \t]|$)(.*)$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const UNDERLINE = /^ {0,3}(?:=+|-{2,})[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-+*]|(\d{1,9})[.)])(?:([ \t]+)(?=\S)|[ \t]*$)/;
const DELIMITER = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const INDENTED = /^ {4}/;
const DEPTH = 16; // of what is in each other: deeper, it stays text

function element(tag, ...children) {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}

function safeAddress(written) {
  try {
    const address = new URL(written);
    return address.protocol === 'http:' || address.protocol === 'https:' ? address.href : null;
  } catch {
    return null;
  }
}

function link(address, ...children) {
  const made = element('a', ...children);
  made.href = address;
  made.target = '_blank';
  made.rel = 'noopener noreferrer nofollow';
  return made;
}

// Blocks

const indentOf = (line) => line.length - line.trimStart().length;

function startsBlock(line) {
  const item = ITEM.exec(line);
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) ||
    (item !== null && item[4] !== undefined);
}

function cellsOf(line) {
  const cells = line.trim().replace(/^\|/, '').split(/(?<!\\)\|/);
  if (cells.length > 1 && !cells[cells.length - 1].trim()) cells.pop();
  return cells.map((cell) => cell.trim().replaceAll('\\|', '|'));
}

function startsTable(lines, at) {
  const [head, under] = [lines[at], lines[at + 1]];
  return under !== undefined && head.includes('|') && under.includes('-') && DELIMITER.test(under) &&
    cellsOf(head).length === cellsOf(under).length;
}

/* The blocks of some lines: each `{end, build(open)}`, `end` the line after it. */
function blocksOf(lines, depth = 0) {
  const found = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const block = (depth < DEPTH && (code(lines, at) ?? heading(lines, at) ?? rule(lines, at) ?? quote(lines, at, depth) ??
      list(lines, at, depth) ?? table(lines, at) ?? indented(lines, at))) || paragraph(lines, at);
    found.push(block);
    at = block.end;
  }
  return found;
}

function built(blocks, open) {
  return blocks.map((block, number) => block.build(open && number === blocks.length - 1));
}

function code(lines, at) {
  const begun = FENCE.exec(lines[at]);
  if (begun === null) return null;
  const [, margin, fence, info] = begun;
  const closing = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`);
  let end = at + 1;
  while (end < lines.length && !closing.test(lines[end])) end += 1;
  const inside = lines.slice(at + 1, end).map((line) => line.slice(Math.min(margin.length, indentOf(line))));
  return { end: Math.min(end + 1, lines.length), build: () => codeBlock(inside.join('\n'), info.trim().split(/\s/)[0]) };
}

function codeBlock(text, language) {
  const copy = element('button', 'Copy');
  copy.type = 'button';
  copy.className = 'quiet copy';
  copy.ariaLabel = `Copy the code${language ? ` (${language})` : ''}`;
  const words = element('code', text);
  const block = element('pre', words);
  block.tabIndex = 0;
  const label = element('span', language);
  const bar = element('div', label, copy);
  bar.className = 'bar';
  const whole = element('div', bar, block);
  whole.className = 'code';
  return whole;
}

function heading(lines, at) {
  const found = HEADING.exec(lines[at]);
  if (found === null) return null;
  const words = found[2].trim().replace(/(^|[ \t])#+$/, '');
  return { end: at + 1, build: (open) => inlineInto(headingElement(found[1].length), words, open) };
}

/* The page's own headings are two: those of an answer come under them. */
function headingElement(level) {
  const made = element(`h${Math.min(level + 2, 6)}`);
  made.className = `level-${level}`;
  return made;
}

function rule(lines, at) {
  return RULE.test(lines[at]) ? { end: at + 1, build: () => element('hr') } : null;
}

function quote(lines, at, depth) {
  if (!QUOTE.test(lines[at])) return null;
  const inside = [];
  let end = at;
  while (end < lines.length && lines[end].trim() && (QUOTE.test(lines[end]) || !startsBlock(lines[end]))) {
    inside.push(lines[end].replace(QUOTE, ''));
    end += 1;
  }
  return { end, build: (open) => element('blockquote', ...built(blocksOf(inside, depth + 1), open)) };
}

function list(lines, at, depth) {
  const first = ITEM.exec(lines[at]);
  if (first === null || RULE.test(lines[at])) return null;
  const kindOf = (item) => item[2].slice(-1);
  const items = [];
  let end = at;
  let loose = false;
  while (end < lines.length) {
    const item = ITEM.exec(lines[end]);
    if (item === null || kindOf(item) !== kindOf(first) || RULE.test(lines[end])) break;
    const own = item[1].length;
    const wide = item[4] === undefined || item[4].length > 4;
    const margin = own + item[2].length + (wide ? 1 : item[4].length);
    const inside = [lines[end].slice(Math.min(margin, lines[end].length))];
    end += 1;
    let blank = false; // whether the line before was one
    let fence = null; // an open fence: what is in it is its own
    while (end < lines.length) {
      const line = lines[end];
      if (!line.trim()) {
        blank = true;
        inside.push('');
        end += 1;
        continue;
      }
      const indent = indentOf(line);
      // Models indent what is inside an item by two columns as often as by as many as its mark is wide.
      const nested = indent >= Math.min(margin, own + 2);
      if (!nested && (blank || startsBlock(line) || fence !== null)) break;
      const kept = line.slice(Math.min(margin, indent));
      if (blank && fence === null) loose = true;
      const mark = FENCE.exec(kept)?.[2];
      if (mark !== undefined) fence = fence === null ? mark : mark.startsWith(fence) ? null : fence;
      blank = false;
      inside.push(kept);
      end += 1;
    }
    if (blank && end < lines.length) {
      const next = ITEM.exec(lines[end]);
      if (next !== null && kindOf(next) === kindOf(first)) loose = true;
    }
    while (inside.length > 1 && !inside[inside.length - 1].trim()) inside.pop();
    items.push(inside);
  }
  return { end, build: (open) => listElement(first[3], items, loose, open, depth) };
}

function listElement(start, items, loose, open, depth) {
  const made = element(start === undefined ? 'ul' : 'ol');
  if (start !== undefined && Number(start) !== 1) made.start = Number(start);
  items.forEach((lines, number) => {
    const item = element('li');
    const task = /^\[([ xX])\][ \t]+(?=\S)/.exec(lines[0]);
    const inside = task === null ? lines : [lines[0].slice(task[0].length), ...lines.slice(1)];
    if (task !== null) {
      const box = element('input');
      box.type = 'checkbox';
      box.disabled = true;
      box.toggleAttribute('checked', task[1] !== ' ');
      box.ariaLabel = task[1] === ' ' ? 'to do' : 'done';
      item.className = 'task';
      item.append(box, ' ');
    }
    const last = open && number === items.length - 1;
    for (const child of built(blocksOf(inside, depth + 1), last)) {
      if (!loose && child.tagName === 'P') item.append(...child.childNodes);
      else item.append(child);
    }
    made.append(item);
  });
  return made;
}

function table(lines, at) {
  if (!startsTable(lines, at)) return null;
  let end = at + 2;
  while (end < lines.length && lines[end].trim() && !startsBlock(lines[end])) end += 1;
  return { end, build: (open) => tableElement(lines.slice(at, end), open) };
}

function tableElement([head, under, ...rows], open) {
  const sides = cellsOf(under).map((cell) => (cell.endsWith(':') ? (cell.startsWith(':') ? 'center' : 'end') : 'start'));
  const rowOf = (tag, line, last) => {
    const cells = cellsOf(line);
    const made = sides.map((side, number) => {
      const cell = inlineInto(element(tag), cells[number] ?? '', last && number === cells.length - 1);
      cell.className = side;
      if (tag === 'th') cell.scope = 'col';
      return cell;
    });
    return element('tr', ...made);
  };
  const body = rows.map((line, number) => rowOf('td', line, open && number === rows.length - 1));
  const whole = element('div', element('table', element('thead', rowOf('th', head, false)), element('tbody', ...body)));
  whole.className = 'table';
  whole.tabIndex = 0;
  whole.role = 'region';
  whole.ariaLabel = 'Table';
  return whole;
}

function indented(lines, at) {
  if (!INDENTED.test(lines[at])) return null;
  let end = at;
  while (end < lines.length && (INDENTED.test(lines[end]) || !lines[end].trim())) end += 1;
  const inside = lines.slice(at, end).map((line) => line.slice(4));
  return { end, build: () => codeBlock(inside.join('\n').trimEnd(), '') };
}

function paragraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim()) {
    if (UNDERLINE.test(lines[end])) {
      const level = lines[end].includes('=') ? 1 : 2;
      const words = lines.slice(at, end).join('\n').trim();
      return { end: end + 1, build: (open) => inlineInto(headingElement(level), words, open) };
    }
    if (startsBlock(lines[end]) || startsTable(lines, end)) break;
    end += 1;
  }
  const words = lines.slice(at, end).map((line) => line.trimStart()).join('\n').trimEnd();
  return { end, build: (open) => inlineInto(element('p'), words, open) };
}

// What is said inside of a block

const PUNCTUATION = /[!-/:-@[-`{-~]/;
const WORD = /[\p{L}\p{N}]/u;
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };
const ENTITY = /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos|nbsp));/y;
const DESTINATION = /\([ \t]*(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\([^\s()]*\))*))(?:[ \t\n]+(?:"[^"]*"|'[^']*'))?[ \t]*\)/y;
const BARE = /https?:\/\/[^\s<>]+/y;
const ANGLED = /<(https?:\/\/[^\s<>]+)>/y;

function matchAt(expression, text, at) {
  expression.lastIndex = at;
  return expression.exec(text);
}

function runAt(text, at) {
  let end = at;
  while (text[end] === text[at]) end += 1;
  return end - at;
}

/* Puts a text into an element. `open`: more of it may come, so what is marked and not yet ended counts as if it were. */
function inlineInto(parent, text, open = false, depth = 0, linked = false) {
  const missing = new Set(); // marks that are not ended in the rest of the text
  let plain = '';
  let at = 0;
  const flush = () => {
    if (plain) parent.append(plain);
    plain = '';
  };
  const put = (made) => {
    flush();
    parent.append(made);
  };
  const marked = (tags, from, end, unfinished) => {
    let [outer] = tags.map((tag) => element(tag));
    let inner = outer;
    for (const tag of tags.slice(1)) {
      inner.append(element(tag));
      inner = inner.firstChild;
    }
    inlineInto(inner, text.slice(from, end), unfinished, depth + 1, linked);
    put(outer);
  };

  const readers = {
    '\\': () => {
      const next = text[at + 1];
      if (next === '\n') put(element('br'));
      else if (next !== undefined && PUNCTUATION.test(next)) plain += next;
      else return false;
      at += 2;
      return true;
    },
    '\n': () => {
      if (plain.endsWith('  ')) {
        plain = plain.trimEnd();
        put(element('br'));
      } else plain += '\n';
      at += 1;
      return true;
    },
    '`': () => {
      const length = runAt(text, at);
      const from = at + length;
      let end = codeEnd(text, from, length);
      if (end < 0) {
        if (!open || length > 1 || from === text.length) {
          plain += text.slice(at, from);
          at = from;
          return true;
        }
        end = text.length;
      }
      let inside = text.slice(from, end).replaceAll('\n', ' ');
      if (inside.length > 2 && inside.startsWith(' ') && inside.endsWith(' ') && inside.trim()) inside = inside.slice(1, -1);
      put(element('code', inside));
      at = Math.min(end + length, text.length);
      return true;
    },
    '*': () => emphasis('*'),
    '_': () => emphasis('_'),
    '~': () => emphasis('~'),
    '!': () => text[at + 1] === '[' && bracket(at + 1),
    '[': () => bracket(at),
    '<': () => {
      const found = linked ? null : matchAt(ANGLED, text, at);
      const address = found && safeAddress(found[1]);
      if (!address) return false;
      put(link(address, found[1]));
      at += found[0].length;
      return true;
    },
    h: () => {
      if (linked || (at > 0 && WORD.test(text[at - 1]))) return false;
      const found = matchAt(BARE, text, at);
      if (found === null) return false;
      let written = found[0].replace(/[.,:;!?*_~'"]+$/, '');
      while (written.endsWith(')') && written.split(')').length > written.split('(').length) written = written.slice(0, -1);
      const address = safeAddress(written);
      if (!address) return false;
      put(link(address, written));
      at += written.length;
      return true;
    },
    '&': () => {
      const found = matchAt(ENTITY, text, at);
      if (found === null) return false;
      const number = found[1] !== undefined ? Number(found[1]) : parseInt(found[2], 16);
      plain += found[3] !== undefined ? ENTITIES[found[3]] : number > 0 && number < 0x110000 ? String.fromCodePoint(number) : '\ufffd';
      at += found[0].length;
      return true;
    },
  };

  function emphasis(mark) {
    const length = runAt(text, at);
    const after = text[at + length];
    const opens = after !== undefined && !/\s/.test(after) && (mark !== '_' || at === 0 || !WORD.test(text[at - 1]));
    if (opens && depth < DEPTH) {
      const sizes = mark === '~' ? (length <= 2 ? [length] : []) : length === 3 ? [3, 1, 2] : length < 3 ? [length] : [];
      for (const size of sizes) {
        const tags = mark === '~' ? ['del'] : [['em'], ['strong'], ['em', 'strong']][size - 1];
        const end = missing.has(mark + size) ? -1 : markEnd(text, at + size, mark, size);
        if (end >= 0) {
          marked(tags, at + size, end, false);
          at = end + size;
          return true;
        }
        missing.add(mark + size);
      }
      if (open && length === 2) {
        marked([mark === '~' ? 'del' : 'strong'], at + 2, text.length, true);
        at = text.length;
        return true;
      }
    }
    plain += text.slice(at, at + length);
    at += length;
    return true;
  }

  function bracket(from) {
    const picture = from > at;
    const close = missing.has('[') ? -1 : bracketEnd(text, from);
    if (close < 0) {
      missing.add('[');
      return false;
    }
    const found = depth >= DEPTH || (linked && !picture) ? null : matchAt(DESTINATION, text, close + 1);
    const address = found && safeAddress((found[1] ?? found[2]).replace(/\\([!-/:-@[-`{-~])/g, '$1'));
    if (!address) return false;
    const words = text.slice(from + 1, close);
    if (linked) plain += words; // a picture in a link
    else put(inlineInto(link(address), words || (found[1] ?? found[2]), false, depth + 1, true));
    at = close + 1 + found[0].length;
    return true;
  }

  while (at < text.length) {
    if (readers[text[at]]?.()) continue;
    plain += text[at];
    at += 1;
  }
  flush();
  return parent;
}

/* Where a run of exactly so many backticks begins; -1 where there is none. */
function codeEnd(text, from, length) {
  for (let at = text.indexOf('`', from); at >= 0; at = text.indexOf('`', at)) {
    const run = runAt(text, at);
    if (run === length) return at;
    at += run;
  }
  return -1;
}

/* Where emphasis ends that was begun with so many marks; what is code or escaped does not end it. */
function markEnd(text, from, mark, size) {
  for (let at = from; at < text.length; ) {
    const character = text[at];
    if (character === '\\') at += 2;
    else if (character === '`') {
      const run = runAt(text, at);
      const end = codeEnd(text, at + run, run);
      at = end < 0 ? at + run : end + run;
    } else if (character === mark) {
      const run = runAt(text, at);
      const closes = at > from && !/\s/.test(text[at - 1]) &&
        (mark !== '_' || text[at + run] === undefined || !WORD.test(text[at + run]));
      if (closes && run === size) return at;
      if (closes && run === 3 && size < 3) return size === 1 ? at + 2 : at + 1;
      at += run;
    } else at += 1;
  }
  return -1;
}

function bracketEnd(text, from) {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const character = text[at];
    if (character === '\\') at += 1;
    else if (character === '`') {
      const run = runAt(text, at);
      const end = codeEnd(text, at + run, run);
      at = end < 0 ? at + run - 1 : end + run - 1;
    } else if (character === '[') depth += 1;
    else if (character === ']') {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return -1;
}

/* Markdown that grows, in an element. */
class Markdown {
  constructor(root) {
    this.root = root;
    this.text = '';
    this.settled = 0; // characters whose blocks stay as they are
    this.kept = 0; // how many elements these are
  }

  add(piece) {
    this.text += piece;
  }

  show(open) {
    const lines = this.text.slice(this.settled).split(/\r\n|\n|\r/).map((line) => line.replace(/\t/g, '    '));
    const blocks = blocksOf(lines);
    const fresh = built(blocks, open);
    const old = [...this.root.children].slice(this.kept);
    fresh.forEach((made, number) => {
      const before = old[number];
      if (before === undefined) this.root.append(made);
      else if (!before.isEqualNode(made)) before.replaceWith(made);
    });
    for (const left of old.slice(fresh.length)) left.remove();
    if (open && blocks.length > 2) this.settle(blocks);
  }

  settle(blocks) {
    const end = blocks[blocks.length - 3].end;
    const ends = /\r\n|\n|\r/g;
    ends.lastIndex = this.settled;
    for (let line = 0; line < end; line += 1) ends.exec(this.text);
    this.settled = ends.lastIndex;
    this.kept += blocks.length - 2;
  }
}
