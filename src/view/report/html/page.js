// The report of a plan, drawn from the JSON of this page. Names and values come from files and APIs that nobody vouches
// for: they get into the page as text nodes, never as markup.
"use strict";
{
const ACTIONS = {
  create: { glyph: "+", todo: "to create" },
  update: { glyph: "~", todo: "to update" },
  rotate: { glyph: "↻", todo: "to rotate" },
  replace: { glyph: "±", todo: "to replace", says: "Deleted and made anew. Where the API gives ids, it gets another one." },
  delete: { glyph: "−", todo: "to delete", says: "Deleted at the API. There is no undo." },
  adopt: { glyph: "←", todo: "to adopt", says: "A live object is taken into the state. Nothing is written to the API." },
  move: { glyph: "→", todo: "to move", says: "The record gets a new address. Nothing is written to the API." },
  forget: { glyph: "·", todo: "to forget", says: "The record is dropped: the object is gone, and nothing declares it." },
  blocked: { glyph: "✗" },
  orphan: { glyph: "⚠\uFE0E" },   // the selector keeps systems from drawing a picture
  // Not actions, but as good to look for.
  drift: { glyph: "≠", title: "Changed outside patchbay" },
  unverifiable: { glyph: "?", word: "cannot verify", title: "Holds a field that nobody can vouch for" },
  unchanged: { glyph: "=", says: "As declared. Nothing to do." },
};
const SIGNS = {
  "+": ["create", "added"], "-": ["delete", "removed"], "~": ["update", "changed"],
  "*": ["rotate", "secret written"], "?": ["unverifiable", "cannot be verified"],
};
const PAGE = 100;       // changes drawn at once
const PRINTED = 1000;   // changes on paper
const ALL_OPEN = 20;    // so many changes are open from the start
const SHORT = 60;       // values up to this stand side by side
const LONG = 500;       // characters of a value before it is cut
const NEW_LINES = 24;   // lines of a new text before it is cut
const DIFF_LINES = 300; // lines of a difference before it is cut
const CONTEXT = 3;      // unchanged lines around a change
const EDITS = 1500;     // with more, two texts are simply different
const DRAWN = 300;      // nodes of the graph

const look = (action) => ACTIONS[action] ?? { glyph: "?" };
const number = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
const plural = (n, word) => `${number(n)} ${word}${n === 1 ? "" : "s"}`;
const comma = (items) => items.flatMap((item, n) => n ? [", ", item] : [item]);
const some = (items, most) => comma(items.length > most ? [...items.slice(0, most), `and ${number(items.length - most)} more`] : items);

// ---- Elements

const byId = (id) => document.getElementById(id);

// What nobody sees, or what turns the text around it: controls, direction marks, blanks of no width, tags. Reviewers
// must see them. Joiners are at home in emoji and many scripts; after a Latin letter they hide something.
const ODD = new RegExp("[\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff"
  + "\\ufff9-\\ufffb\\u{e0000}-\\u{e0fff}]|(?<=[\\0-\\x7f])[\\u200c\\u200d]", "gu");
const code = (odd) => `U+${odd.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
const clear = (string) => string.replace(ODD, (odd) => `[${code(odd)}]`);
function text(string) {
  const odds = [...string.matchAll(ODD)], parts = string.split(ODD);
  return parts.flatMap((part, n) => n ? [el("span.odd", code(odds[n - 1][0])), part] : [part]);
}

// el("tag.class", { attribute: value, onclick: function }, ...children), all but the first may be left out.
function el(name, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = tag.startsWith("svg:") ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4)) : document.createElement(tag);
  if (classes.length) made.setAttribute("class", classes.join(" "));
  if (children[0]?.constructor === Object) {
    for (const [key, value] of Object.entries(children.shift())) {
      if (typeof value === "function") made.addEventListener(key.slice(2), value);
      else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
    }
  }
  return put(made, ...children);
}
function put(parent, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child instanceof Node) parent.append(child);
    else if (child) parent.append(...text(String(child)).filter(Boolean));
  }
  return parent;
}
const button = (label, onclick, name = "button") => el(name, { type: "button", onclick }, label);
const glyph = (sign) => el("span.glyph", { "aria-hidden": "true" }, sign);
const deed = (action) => el("span.action", glyph(look(action).glyph), action);
const prose = (string) => string.split(/`([^`\n]+)`/).map((part, n) => n % 2 ? el("code", part) : part);
const place = (of) => of?.file ? `${of.file}${of.line ? `:${of.line}` : ""}` : "";
const facts = (name, list) => el(name, list.filter(([, fact]) => fact).map(([term, fact]) => el("div", el("dt", term), el("dd", fact))));
const toChange = (address) => byAddress.has(address) ? button(address, () => goTo(address), "button.link.address") : el("span.address", address);

// ---- Differences

// How much two lists or texts have in common at their starts and at their ends.
function sharedEnds(a, b) {
  let start = 0, end = 0;
  const shorter = Math.min(a.length, b.length);
  while (start < shorter && a[start] === b[start]) start++;
  while (end < shorter - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return [start, end];
}
// Runs { same, a: [items], b: [items], at: [a, b] } that cover two lists: equal ends, and Myers' algorithm between them.
function diff(a, b) {
  const [start, end] = sharedEnds(a, b), runs = [];
  const pairs = [
    ...a.slice(0, start).map((_, n) => [n, n]),
    ...equals(a.slice(start, a.length - end), b.slice(start, b.length - end)).map(([x, y]) => [x + start, y + start]),
    ...a.slice(a.length - end).map((_, n) => [a.length - end + n, b.length - end + n]),
    [a.length, b.length],
  ];
  let x = 0, y = 0;
  for (const [toX, toY] of pairs) {
    if (toX > x || toY > y) runs.push({ same: false, a: a.slice(x, toX), b: b.slice(y, toY), at: [x, y] });
    if (!runs.at(-1)?.same) {
      const both = [];
      runs.push({ same: true, a: both, b: both, at: [toX, toY] });
    }
    runs.at(-1).a.push(a[toX]);
    [x, y] = [toX + 1, toY + 1];
  }
  // The end of the lists is no item.
  runs.at(-1).a.pop();
  return runs.filter((run) => run.a.length || run.b.length);
}
// The indices of equal items, in order; none if it would take too many edits.
function equals(a, b) {
  const most = Math.min(a.length + b.length, EDITS), reached = new Int32Array(2 * most + 2), trace = [];
  const goesDown = (of, k, d) => k === -d || (k !== d && of(k - 1) < of(k + 1));
  for (let d = 0; a.length && b.length && d <= most; d++) {
    trace.push(reached.slice(most - d, most + d + 1));
    const of = (k) => reached[most + k];
    for (let k = -d; k <= d; k += 2) {
      let x = goesDown(of, k, d) ? of(k + 1) : of(k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      reached[most + k] = x;
      if (x >= a.length && x - k >= b.length) return walkBack(x, x - k);
    }
  }
  return [];

  function walkBack(x, y) {
    const pairs = [];
    for (let d = trace.length - 1; d >= 0; d--) {
      const of = (k) => trace[d][k + d] ?? 0;
      const k = x - y, down = goesDown(of, k, d);
      const from = d === 0 ? 0 : down ? of(k + 1) : of(k - 1) + 1;
      while (x > from) pairs.push([--x, --y]);
      if (down) y--;
      else x--;
    }
    return pairs.reverse();
  }
}

// Words, single characters of scripts that put no blanks between words, blanks, and anything else one by one.
const TOKENS = /[^\S\n]+|(?:(?![\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}])[\p{L}\p{N}\p{M}_])+|[^]/gu;

// Runs of [sign, text]; null if the texts have too little in common to be shown in one.
function wordDiff(old, fresh) {
  const parts = [];
  let cut = "", added = "", kept = 0;
  const flush = () => {
    if (cut) parts.push(["-", cut]);
    if (added) parts.push(["+", added]);
    cut = added = "";
  };
  diff(old.match(TOKENS) ?? [], fresh.match(TOKENS) ?? []).forEach(({ same, a, b }, n, runs) => {
    const [before, after] = [a.join(""), b.join("")];
    // A lone blank between changed words joins them: three changed words in a row are one change to a reader.
    if (!same || (n && n < runs.length - 1 && /^[^\S\n]+$/.test(before))) {
      cut += before;
      added += after;
    } else {
      flush();
      parts.push([" ", before]);
      kept += before.replace(/\s/g, "").length;
    }
  });
  flush();
  if (kept * 3 >= Math.max(...[old, fresh].map((side) => side.replace(/\s/g, "").length))) return parts;
  // A long word, such as an address, may differ in its middle only.
  const [a, b] = [[...old], [...fresh]], [start, end] = sharedEnds(a, b), middle = (side) => side.slice(start, side.length - end).join("");
  if ((start + end) * 3 < Math.max(a.length, b.length) || isTall(old + fresh)) return null;
  return [[" ", a.slice(0, start).join("")], ["-", middle(a)], ["+", middle(b)], [" ", a.slice(a.length - end).join("")]].filter((part) => part[1]);
}

const linesOf = (string) => string.replace(/\n$/, "").split("\n");
const isTall = (string) => linesOf(string).length > 1;

// The rows of a comparison by lines: { sign, a, b, parts: [[isChanged, text]] }.
function lineRows(old, fresh) {
  return diff(linesOf(old), linesOf(fresh)).flatMap(({ same, a, b, at }) => {
    if (same) return a.map((line, n) => ({ sign: " ", a: at[0] + n, b: at[1] + n, parts: [[false, line]] }));
    const [cut, added] = [a.join("\n"), b.join("\n")];
    const inner = a.length && b.length && cut.length + added.length < 40000 ? wordDiff(cut, added) : null;
    const side = (lines, sign) => inner ? byLine(inner.filter(([of]) => of === " " || of === sign)) : lines.map((line) => [[false, line]]);
    return [
      ...side(a, "-").map((parts, n) => ({ sign: "-", a: at[0] + n, parts })),
      ...side(b, "+").map((parts, n) => ({ sign: "+", b: at[1] + n, parts })),
    ];
  });
}
function byLine(parts) {
  const lines = [[]];
  for (const [sign, string] of parts) {
    string.split("\n").forEach((piece, n) => {
      if (n) lines.push([]);
      lines.at(-1).push([sign !== " ", piece]);
    });
  }
  return lines;
}

// ---- Values

// Neither cuts a character in two.
const first = (string, length) => string.slice(0, length).replace(/[\ud800-\udbff]$/, "");
const last = (string, length) => length ? string.slice(-length).replace(/^[\udc00-\udfff]/, "") : "";

function shown(value, name = "span.text") {
  if (!value) return el("span.none", "(empty)");
  const made = el(name, { dir: "auto" });
  if (value.length <= LONG * 1.2) return put(made, value);
  const more = button(`… all ${number(value.length)} characters`, () => { made.replaceChildren(); put(made, value); }, "button.more");
  return put(made, first(value, LONG), more);
}

function row({ sign, a, b, parts }) {
  const [name, tag] = { "+": ["add", "ins"], "-": ["cut", "del"], " ": ["same", "span"] }[sign];
  const count = (n) => el("span.n", n === undefined ? null : { "data-n": n + 1 });
  return el(`div.row.${name}`, count(a), count(b), el("span.m", { "data-m": sign.replace("-", "−") }),
    el(`${tag}.text`, parts.map(([isChanged, string]) => isChanged ? el("b", string) : string)));
}
// Rows in a box. Unchanged ones far from a change wait behind a button, and so does what is too much.
function rowsBox(name, rows, most) {
  const near = new Uint8Array(rows.length);
  rows.forEach(({ sign }, n) => { if (sign !== " ") near.fill(1, Math.max(0, n - CONTEXT), n + CONTEXT + 1); });
  const box = el(name);
  const fold = (what, hidden, kind) => {
    const made = button(plural(hidden.length, what), () => { made.replaceWith(...hidden.map(row)); markFound(); }, kind);
    box.append(made);
  };
  for (let n = 0, end = 0, room = most; n < rows.length; n = end) {
    while (end < rows.length && near[end] === near[n]) end++;
    // A button in place of one line would save nothing.
    if (!near[n] && end - n > 1) {
      fold("unchanged line", rows.slice(n, end), "button.fold");
      continue;
    }
    box.append(...rows.slice(n, Math.min(end, n + room)).map(row));
    if (n + room < end) {
      fold("more line", rows.slice(n + room), "button.fold.more");
      break;
    }
    room -= end - n;
  }
  return box;
}
function lineDiff(old, fresh) {
  const rows = lineRows(old, fresh), count = (sign) => rows.filter((one) => one.sign === sign).length;
  const box = rowsBox("div.diff", rows, DIFF_LINES);
  const ends = old.endsWith("\n") - fresh.endsWith("\n");
  if (ends) put(box, el("div.remark", ends > 0 ? "no line end after the last line any more" : "a line end after the last line, which had none"));
  return [el("span", el("span.plus", `+${number(count("+"))}`), " ", el("span.minus", `−${number(count("-"))}`),
    el("span.dim", ` of ${plural(linesOf(old).length, "line")}`)), box];
}
function wordsInLine(old, fresh) {
  const parts = wordDiff(old, fresh);
  if (!parts) {
    return el("div.diff.bare", row({ sign: "-", parts: [[false, shown(old)]] }), row({ sign: "+", parts: [[false, shown(fresh)]] }));
  }
  return el("div.diff.words", el("span.text", { dir: "auto" },
    parts.map(([sign, string], n) => sign === " " ? shortened(string, n > 0, n < parts.length - 1) : el(sign === "-" ? "del" : "ins", string))));
}
// Long unchanged text without its middle; of its ends, those that touch a change.
function shortened(string, start, end) {
  if (string.length < 360) return string;
  const [left, right] = [first(string, start ? 120 : 0), last(string, end ? 120 : 0)];
  const hidden = string.slice(left.length, string.length - right.length);
  const more = button(`… ${number(hidden.length)} unchanged characters …`, () => more.replaceWith(...text(hidden)), "button.more");
  return [left, more, right];
}

// What stands in the column of values, and what is drawn below it.
function valueOf({ sign, secret, words, before, after }) {
  const old = () => [shown(before, "del.text"), el("span.arrow", "→")];
  if (words !== null) {
    const tone = sign === "?" ? "doubt" : secret ? "secret" : "dim";
    // `(known after apply)` says nothing about what is there today.
    return [[!secret && sign === "~" && before !== null ? old() : null, el(`span.${tone}`, words)]];
  }
  const one = before ?? after;
  if (one === null) return [];
  if (before === null || after === null) {
    if (!isTall(one)) return [shown(one, before === null ? "span.text" : "del.text")];
    const rows = linesOf(one).map((line, n) => ({ sign: before === null ? "+" : "-", b: n, parts: [[false, line]] }));
    return [el("span.dim", plural(rows.length, "line")), rowsBox("div.diff.one", rows, NEW_LINES)];
  }
  if (isTall(before) || isTall(after)) return lineDiff(before, after);
  if (Math.max(before.length, after.length) > SHORT) return [null, wordsInLine(before, after)];
  return [[old(), shown(after, "ins.text")]];
}
function fieldRows(field) {
  const [tone, title] = SIGNS[field.sign] ?? ["", ""], [inline, box] = valueOf(field);
  return [
    el("tr", el(`td.sign.${tone}`, { title }, glyph(look(tone).glyph), el("span.unseen", title)),
      el(`td.path${field.path.length > 40 ? ".wide" : ""}`, el("bdi", field.path)),
      el("td.value", inline), el(`td.note${field.drift ? ".drifted" : ""}`, field.note)),
    box ? el("tr.long", el("td"), el("td", { colspan: 3 }, box)) : null,
  ];
}

// ---- The plan

const plan = JSON.parse(byId("data").textContent);
const { summary, targets, diagnostics } = plan;
const byTarget = new Map(targets.map((target, order) => [target.name, { ...target, order }]));
// Targets in their order, those that only a record knows last; within one, the order of the plan.
const order = ({ target }) => byTarget.get(target)?.order ?? targets.length;
const changes = plan.changes.sort((a, b) => order(a) - order(b) || (a.target < b.target ? -1 : +(a.target > b.target)));
const byAddress = new Map(changes.map((change) => [change.address, change]));
const neededBy = new Map();
for (const { address, depends_on } of changes) {
  for (const needed of depends_on) neededBy.set(needed, [...(neededBy.get(needed) ?? []), address]);
}
const isDoing = (change) => change.action !== "unchanged";
const doing = changes.filter(isDoing).length;
for (const change of changes) {
  change.traits = [change.action];
  if (change.fields.some((field) => field.drift)) change.traits.push("drift");
  if (change.fields.some((field) => field.sign === "?")) change.traits.push("unverifiable");
}

// What the search looks through, made when it is first needed: what a closed change shows, and everything.
const joined = (...parts) => parts.flat().filter(Boolean).join("\n").toLowerCase();
const fieldText = ({ path, words, before, after, note }) => joined(path, words, before, after, note);
function indexed(change) {
  const { request, reason } = change;
  change.face ??= joined(change.address, change.kind, change.action, request?.method, place(change.source));
  change.all ??= joined(change.face, change.id, change.moved_from, request?.path, request?.resends, request?.may_lose,
    reason?.text, reason?.help, change.fields.map(fieldText));
  return change;
}

// ---- Head

function verdict() {
  const toned = (action, label) => el(`span.tone.${action}`, `${number(summary[action])} ${label}`);
  const todo = Object.keys(ACTIONS).filter((action) => ACTIONS[action].todo && summary[action]).map((action) => toned(action, ACTIONS[action].todo));
  const { blocked, orphan, unchanged, unverifiable } = summary, sure = unchanged - unverifiable;
  const rest = [
    blocked && toned("blocked", "blocked"), orphan && toned("orphan", orphan === 1 ? "orphan" : "orphans"),
    unverifiable && `${number(unverifiable)} cannot be verified`, sure && `${number(sure)} unchanged`,
  ].filter(Boolean);
  if (plan.outcome) return [[`${plan.command} ended: ${plan.outcome}.`], ["planned: ", comma(todo)]];
  if (!plan.complete) return [["This plan is not complete."], [...todo, ...rest]];
  if (todo.length) return [["Plan: ", comma(todo), "."], rest];
  return [[blocked || orphan ? "Plan: nothing to apply." : "No changes."], rest];
}

function bands() {
  const of = (action) => changes.filter((change) => change.action === action);
  const band = (name, sign, lead, ...about) => el(`div.band.${name}`, glyph(sign), el("div", el("strong", lead), " ", about));
  const named = (...actions) => some(actions.flatMap(of).map((change) => toChange(change.address)), 5);
  const [deleted, replaced, blocked] = [of("delete").length, of("replace").length, of("blocked")];
  const gone = [deleted && `${plural(deleted, "connection")} will be deleted`, replaced && `${plural(replaced, "connection")} deleted and made anew`];
  return [
    !plan.complete && band("error.loud", "✗", "Not the whole plan.", "What the errors hide is missing below. Mend them and plan again before you approve anything."),
    (deleted || replaced) && band("delete", "−", [comma(gone.filter(Boolean)), ". There is no undo."], named("delete", "replace")),
    blocked.length && band("blocked", "✗", `${plural(blocked.length, "connection")} blocked: apply will refuse.`, named("blocked"),
      blocked.length === 1 ? [". To go on without it: ", el("code", `--exclude ${blocked[0].address}`)] : null),
  ];
}

function drawHead() {
  const [line, rest] = verdict();
  // In UTC as it was written: two people with one report read the same.
  const made = plan.generated_at.replace(/T(\d\d:\d\d).*Z$/, " $1 UTC");
  put(byId("head"),
    el("div.origin", el("span.mono", plan.command), plan.project && [" · ", el("b", plan.project)]),
    el("h1", line), rest.length ? el("p.rest", comma(rest), ".") : null,
    facts("dl.facts", [
      ["State", plan.state],
      ["Targets", targets.length > 6 ? number(targets.length) : targets.map((target) => target.name).join(", ")],
      ["Made", el("time", { datetime: plan.generated_at, title: new Date(plan.generated_at).toString() }, made)],
      ["Took", `${plural(plan.requests, "request")}, ${plan.elapsed}`],
      ["Version", plan.patchbay_version],
    ]),
    plan.notes.length ? el("ul.notes", plan.notes.map((note) => el("li", prose(note)))) : null,
    bands());
  document.title = [document.querySelector("h1").textContent, plan.project, plan.command].filter(Boolean).join(" · ");
}

// Errors first and open, so that none hides behind a warning.
function drawProblems() {
  if (!diagnostics.length) return;
  const isError = (problem) => problem.severity === "error";
  const all = diagnostics.toSorted((a, b) => isError(b) - isError(a)), most = 8;
  const errors = all.filter(isError).length, warnings = all.length - errors;
  const block = (problem) => el(`details.problem.${problem.severity}`, { open: isError(problem) },
    el("summary", el("span.tone", glyph(isError(problem) ? "✗" : "!"), ` ${problem.severity}`),
      el("b", prose(problem.summary)), el("span.dim", problem.code)),
    el("div.inside",
      problem.detail && el("div.detail", prose(problem.detail)), problem.help && el("div.help", prose(problem.help)),
      el("div.at", problem.address && toChange(problem.address), place(problem) && el("span.mono", place(problem)),
        // Links lead to pages, never to scripts.
        /^https?:/.test(problem.url) ? el("a", { href: problem.url, rel: "noreferrer" }, `${problem.code}: ${problem.title}`) : problem.title)));
  const more = button(plural(all.length - most, "more message"), () => more.replaceWith(...all.slice(most).map(block)), "button.fold");
  put(byId("problems"), el("h2", [errors && plural(errors, "error"), warnings && plural(warnings, "warning")].filter(Boolean).join(", ")),
    el("div.box", all.slice(0, most).map(block), all.length > most ? more : null)).hidden = false;
}

// ---- What is shown

const state = { action: new Set(), q: "", target: "", view: "list", change: "" };
let inScope = [];        // the changes that search and target let through
let visible = [];        // those of them that the chips let through
let from = 0, to = 0;    // those of them that are drawn
let allOpen = null;      // what was last said about all
let isPrinting = false;
const byHand = new Map();
const cards = new Map();
const terms = () => state.q.toLowerCase().split(/\s+/).filter(Boolean);

function filter() {
  const all = terms();
  inScope = changes.filter((change) => (!state.target || change.target === state.target) && all.every((term) => indexed(change).all.includes(term)));
  visible = inScope.filter((change) => state.action.size ? change.traits.some((trait) => state.action.has(trait)) : isDoing(change));
}
function show() {
  filter();
  document.body.dataset.visibleCount = visible.length;
  const isGraph = state.view === "graph";
  byId("query").value = state.q;
  byId("target").value = state.target;
  for (const view of ["list", "graph"]) {
    byId(`view-${view}`).setAttribute("aria-pressed", state.view === view);
    byId(view).hidden = state.view !== view;
  }
  byId("expand").hidden = isGraph;
  drawChips();
  drawStatus();
  if (isGraph) drawGraph();
  else drawList();
  writeHash();
}
const update = (changed) => { Object.assign(state, changed); show(); };
const showUnchanged = () => update({ action: new Set(["unchanged"]) });
const clearButton = (name) => button("Clear filters", () => update({ action: new Set(), q: "", target: "" }), name);

function drawChips() {
  const has = (trait) => (change) => change.traits.includes(trait);
  const chip = (id, isOn, label, n, change) => {
    const onclick = () => { change(); show(); byId(`chip-${id}`).focus(); };   // it is a new one then
    return el(`button.chip.${id}`, { type: "button", id: `chip-${id}`, "aria-pressed": String(isOn), title: look(id).title ?? null, onclick },
      label, el("span.count", number(n)));
  };
  byId("chips").replaceChildren(
    chip("all", !state.action.size, "all changes", inScope.filter(isDoing).length, () => state.action.clear()),
    ...Object.keys(ACTIONS).filter((trait) => changes.some(has(trait))).map((trait) => chip(trait, state.action.has(trait),
      [glyph(look(trait).glyph), look(trait).word ?? trait], inScope.filter(has(trait)).length,
      () => state.action.delete(trait) || state.action.add(trait))));
}
function drawStatus() {
  const isFiltered = state.action.size || state.q || state.target;
  const hidden = state.action.size ? 0 : inScope.length - visible.length;
  byId("status").replaceChildren(
    el("span", isFiltered ? `${number(visible.length)} of ${plural(changes.length, "connection")}` : plural(visible.length, "change")),
    hidden ? button(`${number(hidden)} unchanged ${state.q ? "found, too" : "hidden"}`, showUnchanged, "button.link") : "",
    isFiltered ? clearButton("button.link") : "");
}
function nothing() {
  if (state.action.size || state.q || state.target) return el("div.empty", el("b", "No change matches the filters."), clearButton());
  return el("div.empty", el("b", plan.complete ? "Nothing to do." : "Nothing could be planned."),
    changes.length ? button(`Show ${plural(changes.length, "unchanged connection")}`, showUnchanged) : null);
}

// ---- List

const isRisky = ({ action }) => ["delete", "replace", "blocked"].includes(action);
const isOpen = (change) => isPrinting || (byHand.get(change.address) ?? allOpen ?? (isDoing(change) && doing <= ALL_OPEN || isRisky(change)));

// Draws a page: the first one, or the one with the chosen change.
function drawList(n = PAGE, start = null) {
  const at = visible.findIndex((change) => change.address === state.change);
  from = to = start ?? (at < PAGE ? 0 : at - 10);
  cards.clear();
  byId("list").replaceChildren(...visible.length ? [] : [nothing()]);
  if (from) byId("list").append(button(`Show the ${plural(from, "change")} before these`, drawEarlier, "button.page"));
  drawMore(n);
}
function drawMore(n) {
  const list = byId("list");
  byId("next")?.remove();
  for (const end = Math.min(visible.length, to + n); to < end; to++) {
    const change = visible[to];
    if (to === from || visible[to - 1].target !== change.target) list.append(group(change.target));
    list.lastChild.lastChild.append(card(change));
  }
  const rest = visible.length - to;
  if (rest) list.append(el("button.page", { type: "button", id: "next", onclick: () => drawMore(2 * PAGE) }, `Show ${Math.min(2 * PAGE, rest)} more of ${number(rest)}`));
  drawExpand();
  markFound();
}
// What was first stays where the eye is.
function drawEarlier() {
  const { address } = visible[from], start = Math.max(0, from - 2 * PAGE);
  drawList(to - start, start);
  cards.get(address).scrollIntoView();
}
function group(target) {
  const known = byTarget.get(target), n = visible.filter((change) => change.target === target).length;
  return el("section.group", { "aria-label": `Target ${target}` },
    el("header", el("h2", el("bdi", target)), el("span", known?.platform ?? "no longer declared"), el("bdi.mono", known?.base_url),
      el("span", plural(n, "connection"))),
    el("div.box"));
}

function card(change) {
  const { action, request, address, source } = change;
  const flag = (tone, label) => el(`span.flag.${tone}`, label);
  const made = el(`details.change.${action}`, { open: isOpen(change), "data-address": address, "aria-current": address === state.change },
    el("summary", { onclick: () => { byHand.set(address, !made.open); choose(address); drawExpand(); } },
      deed(action), el("bdi.address", el("i", `${change.target}/`), change.key), el("span.kind", change.kind), gist(change),
      request?.may_lose.length ? flag("error", `may lose ${plural(request.may_lose.length, "field")}`) : null,
      request?.resends.length ? flag("rotate", `re-sends ${plural(request.resends.length, "secret")}`) : null,
      change.traits.slice(1).map((trait) => flag(trait, look(trait).word ?? trait)),
      request && el("span.verb", { title: request.path }, request.method),
      source && el("span.where", { title: place(source) }, el("bdi", place(source)))),
    // Drawn when it is first opened.
    el("div.body"));
  made.addEventListener("toggle", () => { if (made.open) fill(made, change); });
  if (made.open) fill(made, change);
  cards.set(address, made);
  return made;
}
// What a closed change says about itself: where the search found it, its only field, or the names of its fields.
function gist({ adopts, id, moved_from, reason, fields, face }) {
  const lead = moved_from ? `from ${moved_from}` : adopts && id ? `adopts ${id}` : "";
  const unseen = face ? terms().filter((term) => !face.includes(term)) : [];
  const paths = (list) => list.slice(0, 12).map((field) => field.path).join(", ");
  let said = paths(fields) || reason?.text;
  if (unseen.length) said = `found in ${paths(fields.filter((field) => unseen.some((term) => fieldText(field).includes(term)))) || "the details"}`;
  else if (fields.length === 1) {
    const { path, words, before, after } = fields[0];
    const isShort = [before, after].every((side) => side && side.length <= SHORT && !isTall(side));
    said = `${path}  ${words ?? (isShort ? `${before} → ${after}` : "")}`;
  }
  return el(`span.gist${unseen.length ? ".hit" : ""}`, lead, said && el("span.paths", lead && " · ", said));
}

function fill(made, change) {
  const { action, request, reason, fields, depends_on, address } = change, body = made.lastChild;
  if (body.firstChild) return;
  const says = (isRisky(change) || !(fields.length || reason)) && look(action).says;
  const serves = neededBy.get(address) ?? [];
  const codes = (paths) => some(paths.map((path) => el("code", path)), 20);
  put(body,
    (says || reason) && el(`div.callout.${action}`, says && el("div", says),
      reason && [el("div.detail", prose(reason.text)), reason.help && el("div.help", prose(reason.help))]),
    request?.may_lose.length ? el("div.callout.error", el("b.tone", "May lose "), codes(request.may_lose),
      ": this request replaces the whole object, and the API does not show whether they are set.") : null,
    fields.length ? el("table.fields", { "aria-label": `Fields of ${address}` }, el("tbody", fields.map(fieldRows))) : null,
    request?.resends.length ? el("div.callout.rotate", el("b.tone", "Sent again "), codes(request.resends),
      request.full ? ": this request carries the whole object." : ": this request must carry it.") : null,
    facts("dl.meta", [
      ["Request", request && `${request.method} ${request.path}${request.full && action !== "create" ? " (the whole object)" : ""}`],
      [change.adopts ? "Adopts" : "Id", change.id],
      ["Moved from", change.moved_from],
      ["Needs", depends_on.length && some(depends_on.map(toChange), 8)],
      ["Needed by", serves.length && some(serves.map(toChange), 8)],
      ["Declared in", place(change.source)],
      ["Not shown", change.unchanged_fields && plural(change.unchanged_fields, "unchanged field")],
    ]));
  markFound();
}

function choose(address) {
  cards.get(state.change)?.removeAttribute("aria-current");
  state.change = address;
  cards.get(address)?.setAttribute("aria-current", true);
  writeHash();
}
function reveal(block) {
  const made = cards.get(state.change), bar = byId("bar");
  // The filters stay on top, unless the screen is small.
  document.documentElement.style.scrollPaddingTop = getComputedStyle(bar).position === "sticky" ? `${bar.offsetHeight}px` : "";
  made?.firstChild.focus({ preventScroll: true });
  made?.scrollIntoView({ block });
}
// To a change, wherever it is; filters that hide it give way.
function goTo(address) {
  const change = byAddress.get(address);
  byHand.set(address, true);
  Object.assign(state, { change: address, view: "list" });
  if (!visible.includes(change)) Object.assign(state, { action: new Set(isDoing(change) ? [] : ["unchanged"]), q: "", target: "" });
  show();
  reveal("start");
}
// The next or the previous change. Where none is chosen yet, the first.
function step(by) {
  const at = visible.findIndex((change) => change.address === state.change), next = at < 0 ? 0 : at + by;
  if (state.view === "graph" || !visible[next]) return;
  if (next < from) drawEarlier();
  if (next >= to) drawMore(2 * PAGE);
  choose(visible[next].address);
  // Tall ones begin at the top, others need only come into view.
  reveal(cards.get(state.change).offsetHeight > innerHeight / 2 ? "start" : "nearest");
}
const areAllOpen = () => visible.slice(from, to).every(isOpen);
const drawExpand = () => { byId("expand").textContent = areAllOpen() ? "Collapse all" : "Expand all"; };
function toggleAll() {
  allOpen = !areAllOpen();
  byHand.clear();
  for (const made of cards.values()) made.open = allOpen;
  drawExpand();
}

// Marks what the search found, without a change to the page. Browsers that cannot do it do without.
let marking = 0;
function markFound() {
  if (!globalThis.Highlight || marking) return;
  marking = requestAnimationFrame(() => {
    marking = 0;
    const found = new Highlight(), all = terms(), walker = document.createTreeWalker(byId("list"), NodeFilter.SHOW_TEXT);
    for (let node = all[0] && walker.nextNode(); node && found.size < 5000; node = walker.nextNode()) {
      const lower = node.data.toLowerCase();
      for (const term of all) {
        for (let at = lower.indexOf(term); at >= 0; at = lower.indexOf(term, at + term.length)) {
          found.add(new StaticRange({ startContainer: node, startOffset: at, endContainer: node, endOffset: at + term.length }));
        }
      }
    }
    CSS.highlights.set("found", found);
  });
}

// ---- Graph

const NODE = { width: 230, height: 44, gap: 14, between: 70 };

// The visible changes and their neighbours. If they are too many, only the changes that have edges among each other.
function graphOf() {
  const chosen = new Set(visible.map((change) => change.address));
  const around = new Set(visible.flatMap(({ address, depends_on }) => [address, ...depends_on, ...(neededBy.get(address) ?? [])]));
  const within = (nodes) => {
    const edges = [...nodes].flatMap((address) => [...new Set(byAddress.get(address)?.depends_on)].map((needed) => [needed, address]))
      .filter(([needed, address]) => needed !== address && nodes.has(needed));
    return { edges, nodes: [...new Set(edges.flat())] };
  };
  let { edges, nodes } = within(around), remark = "";
  const linked = new Set(nodes), loose = visible.filter((change) => !linked.has(change.address));
  if (around.size > DRAWN) {
    remark = `${number(around.size)} connections are too many for one picture. Drawn are changes that depend on each other`;
    ({ edges, nodes } = within(chosen));
    if (nodes.length > DRAWN) {
      remark += `, the first ${DRAWN} of ${number(nodes.length)}`;
      ({ edges, nodes } = within(new Set(nodes.slice(0, DRAWN))));
    }
    remark += ". The filters show others.";
  }
  return { edges, nodes, loose, remark };
}

// Places for the nodes in layers from left to right, by the longest path, and what each edge passes: a long one gets a
// lane through the layers between. An edge that does not lead to the right closes a circle.
function layout(nodes, edges) {
  const needs = new Map(nodes.map((node) => [node, []]));
  for (const [needed, node] of edges) needs.get(node).push(needed);
  const layer = new Map();
  const visit = (node) => {
    if (!layer.has(node)) {
      layer.set(node, -1);   // as long as it is being visited
      layer.set(node, 1 + Math.max(-1, ...needs.get(node).map(visit)));
    }
    return layer.get(node);
  };
  nodes.forEach(visit);

  const columns = Array.from({ length: 1 + Math.max(...layer.values()) }, () => []);
  const add = (column, height, address) => {
    const item = { address, height, x: 16 + column * (NODE.width + NODE.between), y: columns[column].length, sides: [[], []] };
    columns[column].push(item);
    return item;
  };
  const items = new Map(nodes.map((node) => [node, add(layer.get(node), NODE.height, node)]));
  const paths = edges.map((edge) => {
    const [a, b] = edge.map((node) => items.get(node)), path = [a];
    for (let column = layer.get(edge[0]) + 1; column < layer.get(edge[1]); column++) path.push(add(column, 6));
    path.push(b);
    if (a.x < b.x) {
      for (let n = 1; n < path.length; n++) {
        path[n].sides[0].push(path[n - 1]);
        path[n - 1].sides[1].push(path[n]);
      }
    }
    return { edge, path };
  });
  // Barycentres: an item wants to be where its neighbours are. Seen from the left, from the right, and again.
  for (let sweep = 0; sweep < 12; sweep++) {
    for (const column of sweep % 2 ? columns.toReversed() : columns) {
      for (const item of column) {
        const around = sweep < 8 ? item.sides[sweep % 2] : item.sides.flat();
        item.wish = around.length ? around.reduce((sum, { y, height }) => sum + y + height / 2, 0) / around.length - item.height / 2 : item.y;
      }
      column.sort((a, b) => a.wish - b.wish);
      let floor = -Infinity, pushed = 0;
      for (const item of column) {
        item.y = Math.max(floor, item.wish);
        floor = item.y + item.height + NODE.gap;
        pushed += item.y - item.wish;
      }
      for (const item of column) item.y -= pushed / column.length;
    }
  }
  const all = columns.flat(), top = Math.min(...all.map((item) => item.y));
  for (const item of all) item.y += 16 - top;
  return { items, paths, height: 16 + Math.max(...all.map((item) => item.y + item.height)), width: columns.length * (NODE.width + NODE.between) };
}

function drawEdge({ path: [a, ...path] }) {
  let x = a.x + NODE.width, y = a.y + a.height / 2, d = `M${x} ${y}`;
  if (a.x >= path[0].x) {   // round the outside
    const end = path[0].x + NODE.width, out = Math.max(x, end) + 40, at = path[0].y + 32;
    return el("svg:path.edge.circle", { d: `M${x} ${y + 8}C${out} ${y + 8} ${out} ${at} ${end} ${at}m7-4l-7 4l7 4` });
  }
  for (const item of path) {
    const middle = item.y + item.height / 2, bend = (x + item.x) / 2;
    d += `C${bend} ${y} ${bend} ${middle} ${item.x} ${middle}${item.address ? "m-7-4l7 4l-7 4" : `h${NODE.width}`}`;
    [x, y] = [item.x + NODE.width, middle];
  }
  return el("svg:path.edge", { d });
}
function drawNode({ x, y, address }) {
  const change = byAddress.get(address), action = change?.action ?? "missing";
  const label = change ? `${look(action).glyph} ${action}` : "? not in this plan";
  const [target, ...key] = clear(address).split("/"), name = key.join("/");
  const href = `#${hashOf({ ...state, view: "list", change: address })}`, onclick = (event) => { event.preventDefault(); goTo(address); };
  return el(`svg:${change ? "a" : "g"}.node.${action}`, { "data-address": address, ...change && { href, onclick } },
    el("svg:title", `${label}: ${target}/${name}`),
    // A viewport of its own cuts off what is too long.
    el("svg:svg", { x, y, width: NODE.width, height: NODE.height },
      el("svg:rect", { x: 1, y: 1, width: NODE.width - 2, height: NODE.height - 2, rx: 5 }),
      el("svg:rect.bar", { x: 1, y: 6, width: 4, height: NODE.height - 12 }),
      el("svg:text.does", { x: 13, y: 18 }, `${label} `, el("svg:tspan", target)),
      el("svg:text", { x: 13, y: 34 }, name.length > 29 ? `${first(name, 28)}…` : name)));
}
function drawGraph() {
  const { nodes, edges, loose, remark } = graphOf();
  if (!visible.length) return byId("graph").replaceChildren(nothing());
  byId("graph").replaceChildren(el("p.hint", remark || (edges.length
    ? "An arrow leads from what must be there first to what needs it. A dashed red one closes a circle." : "No connection depends on another.")));
  if (edges.length) {
    const { items, paths, width, height } = layout(nodes, edges), lines = paths.map(drawEdge);
    const heat = ({ target }) => {
      const address = target.closest(".node")?.dataset.address;
      lines.forEach((line, n) => line.classList.toggle("hot", paths[n].edge.includes(address)));
    };
    put(byId("graph"), el("div.canvas", { tabindex: 0, role: "region", "aria-label": "Dependency graph" },
      el("svg:svg", { width, height, viewBox: `0 0 ${width} ${height}`, onmouseover: heat, onfocusin: heat }, lines, [...items.values()].map(drawNode))));
  }
  if (loose.length) {
    const link = ({ action, address }) => button([deed(action), el("bdi.address", address)], () => goTo(address), `button.${action}`);
    put(byId("graph"), edges.length ? el("h2", `${plural(loose.length, "connection")} without dependencies`) : null,
      el("div.loose", loose.slice(0, DRAWN).map(link), loose.length > DRAWN ? `and ${number(loose.length - DRAWN)} more` : null));
  }
}

// ---- Address bar, keys, paper

function hashOf({ action, q, target, view, change }) {
  const given = Object.entries({ action: [...action].join(","), q, target, view: view === "list" ? "" : view, change });
  return given.filter(([, value]) => value)
    .map(([key, value]) => `${key}=${encodeURIComponent(value).replace(/%2[CF]|%3A/g, decodeURIComponent)}`).join("&");
}
let writing = 0;
function writeHash() {
  // Later: browsers take offence at many writes in a row, as when a key is held down.
  clearTimeout(writing);
  writing = setTimeout(() => {
    const hash = hashOf(state);
    if (hash === location.hash.slice(1)) return;
    try {
      history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    } catch { /* Some viewers show reports where there is no address to write. */ }
  }, 250);
}
function readHash() {
  const read = new URLSearchParams(location.hash.slice(1)), given = (key) => read.get(key) ?? "";
  Object.assign(state, {
    action: new Set(given("action").split(",").filter((one) => Object.hasOwn(ACTIONS, one))), q: given("q"),
    target: names.includes(given("target")) ? given("target") : "", view: given("view") === "graph" ? "graph" : "list",
    change: byAddress.has(given("change")) ? given("change") : "",
  });
  if (!state.change) return show();
  byHand.set(state.change, true);
  if (!state.action.size && !isDoing(byAddress.get(state.change))) state.action.add("unchanged");
  show();
  if (state.view === "list") reveal("start");
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const query = byId("query");
  if (event.target === query && event.key === "Escape") return query.value ? update({ q: "" }) : query.blur();
  if (event.target.matches?.("input, select")) return;
  const act = new Map([
    ["/", () => { query.focus(); query.select(); }],
    ["j", () => step(1)],
    ["k", () => step(-1)],
    ["e", toggleAll],
    ["g", () => update({ view: state.view === "graph" ? "list" : "graph" })],
    ["?", () => byId("help").showModal()],
  ]).get(event.key);
  if (!act) return;
  event.preventDefault();
  act();
});
// On paper nothing can be opened: everything is.
addEventListener("beforeprint", () => {
  for (const problem of document.querySelectorAll(".problem")) problem.open = true;
  if (state.view === "graph") return;
  isPrinting = true;
  const drawn = to - from;
  drawList(PRINTED, 0);
  for (const more of document.querySelectorAll("#list .more")) more.click();
  addEventListener("afterprint", () => { isPrinting = false; drawList(drawn); }, { once: true });
});

// ---- Start

const names = [...new Set(changes.map((change) => change.target))];
drawHead();
drawProblems();
put(byId("target"), el("option", { value: "" }, "All targets"), names.map((name) => el("option", { value: name }, clear(name)))).hidden = names.length < 2;
byId("query").addEventListener("input", (event) => update({ q: event.target.value }));
byId("target").addEventListener("change", (event) => update({ target: event.target.value }));
for (const view of ["list", "graph"]) byId(`view-${view}`).addEventListener("click", () => update({ view }));
byId("expand").addEventListener("click", toggleAll);
byId("help-open").addEventListener("click", () => byId("help").showModal());
addEventListener("hashchange", readHash);
byId("app").hidden = false;
readHash();
document.body.dataset.ready = "1";
}
