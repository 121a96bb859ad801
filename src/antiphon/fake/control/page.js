"use strict";
// What is shown comes from requests of whoever: it is put into the page as text, never as markup.
const $ = (selector) => document.querySelector(selector);
const base = location.pathname.replace(/\/$/, "");
const session = new URLSearchParams(location.search).get("session");
const state = { rows: new Map(), selected: null, last: -1, total: -1 };

function made(name, text, classes) {
  const one = document.createElement(name);
  if (text !== undefined && text !== null) one.textContent = text;
  if (classes) one.className = classes;
  return one;
}

async function ask(method, path, body) {
  const headers = session ? { "x-antiphon-test": session } : {};
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(path, { method, headers, body });
  const text = await answer.text();
  let value = null;
  try { value = JSON.parse(text); } catch { /* a page, or nothing */ }
  return { status: answer.status, ok: answer.ok, text, value };
}

const pretty = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
const short = (number, digits) => (number === null ? "" : Number(number).toFixed(digits));

function row(each) {
  const one = made("tr");
  one.tabIndex = 0;
  const said = each.output_text || each.tool_calls.map((call) => `${call.name}(${call.arguments})`).join(" ");
  const by = each.fault ? `fault ${each.fault}` : each.rule ? `rule ${each.rule}` : each.script ? `script ${each.script.number}` : each.answered_by === "server" ? "server" : "engine";
  one.append(
    made("td", each.place, "quiet"),
    made("td", each.operation ?? `${each.method} ${each.path}`, "code"),
    made("td", each.tool_result !== null ? `⤷ ${each.tool_result}` : each.text),
    made("td", each.status ?? "…", each.status === null ? "quiet" : each.status < 400 ? "good" : "bad"),
    made("td", each.left_early ? `${said} (left early)` : said),
    made("td", by, "quiet"),
    made("td", each.tokens.total || "", "number"),
    made("td", each.cost ? (each.cost < 0.00001 ? "<$0.00001" : `$${short(each.cost, 5)}`) : "", "number"),
    made("td", short(each.seconds, 3), "number"),
  );
  for (const cell of one.children) cell.title = cell.textContent;
  const open = () => show(each.place);
  one.addEventListener("click", open);
  one.addEventListener("keydown", (event) => { if (event.key === "Enter") open(); });
  return one;
}

async function show(place) {
  state.selected = place;
  for (const [at, one] of state.rows) one.setAttribute("aria-selected", at === place);
  const { value, ok } = await ask("GET", `${base}/journal/${place}`);
  if (!ok) return;
  const why = await ask("POST", `${base}/rules/explain`, JSON.stringify({ place }));
  const parts = [
    ["Request", value.body], ["Answer", value.answer ?? value.events],
    ["Rules", why.ok ? why.value.text : null],
    ["Headers of the request", value.headers], ["Headers of the answer", value.answer_headers],
    ["Pieces", value.pieces.length > 1 ? value.pieces.map((piece) => `${piece.seconds.toFixed(3)} s  ${JSON.stringify(piece.data)}`).join("\n") : null],
  ];
  const shown = parts.filter(([, what]) => what !== null && what !== undefined);
  $("#detail").replaceChildren(...shown.flatMap(([name, what]) => [made("h4", name), made("pre", pretty(what))]));
  $("#detail").hidden = false;
}

async function look() {
  const wanted = $("#filter").value;
  const query = new URLSearchParams({ limit: 1000, ...(wanted ? { text: wanted } : {}) });
  const { value, ok } = await ask("GET", `${base}/journal?${query}`);
  if (!ok) throw new Error("no journal");
  const body = $("tbody");
  state.rows = new Map(value.data.map((each) => [each.place, row(each)]));
  body.replaceChildren(...[...state.rows.values()].reverse());
  if (state.selected !== null) state.rows.get(state.selected)?.setAttribute("aria-selected", true);
  const empty = value.data.length === 0;
  $("table").hidden = empty;
  $("#empty").hidden = !empty || Boolean(wanted);
  $("#count").textContent = empty && !wanted ? "" : `${value.total} ${value.total === 1 ? "request" : "requests"}`;
  const verdict = await ask("GET", `${base}/verdict`);
  $("#report").textContent = verdict.value.report;
  $("#report").className = verdict.value.ok ? "" : "bad";
}

async function follow() {
  const began = performance.now();
  try {
    const { value } = await ask("GET", `${base}/clock`);
    const time = new Date(value.now * 1000).toISOString().slice(0, 19).replace("T", " ");
    $("#state").textContent = `${value.kind} clock, ${time} UTC${session ? `, session ${session}` : ""}`;
    if ($("#live").checked && !document.hidden && !getSelection().toString()) await look();
  } catch {
    $("#state").textContent = "the server does not answer";
  }
  // A long journal takes a while to be told: the server is for others, too.
  setTimeout(follow, Math.max(1000, 10 * (performance.now() - began)));
}

function wire(one) {
  const { method, path } = one.dataset;
  one.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const query = new URLSearchParams();
    let address = path;
    for (const input of one.querySelectorAll("input")) {
      if (input.dataset.in === "path") address = address.replace(`{${input.name}}`, encodeURIComponent(input.value));
      else if (input.value) query.set(input.name, input.value);
    }
    const body = one.querySelector("textarea")?.value.trim() || undefined;
    const told = query.size ? `${address}?${query}` : address;
    const out = one.querySelector("output");
    try {
      const answer = await ask(method, told.replace("/_antiphon", base), body);
      const what = answer.value === null ? answer.text : answer.value.error ? answer.value.error.message : pretty(answer.value);
      out.replaceChildren(made("pre", `${answer.status}\n${what}`, answer.ok ? "" : "bad"));
    } catch {
      out.replaceChildren(made("pre", "the server does not answer", "bad"));
    }
    await look().catch(() => {});
  });
}

$("#base").textContent = location.origin + base.replace(/\/_antiphon$/, "") + "/v1";
$("#filter").addEventListener("input", () => look().catch(() => {}));
$("#clear").addEventListener("click", async () => {
  await ask("DELETE", `${base}/journal`);
  state.selected = null;
  $("#detail").hidden = true;
  await look();
});
document.querySelectorAll(".operation").forEach(wire);
look().catch(() => {});
follow();
