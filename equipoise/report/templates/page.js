"use strict";
// Sorts and filters tables, and unfolds what is printed or linked to. The page is whole without it.

const ROWS = 10; // from which on a table is worth filtering

const make = (name, attributes = {}, text = "") => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
};

// What a row is sorted by: the number that a cell states or begins with (NaN: last), else its text.
const NUMBER = /^(?:< )?([−-]?[\d.]+(?:e[−-]?\d+)?|n\/a)/;
const keyOf = (row, column) => {
  const cell = row.cells[column];
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  const text = cell.textContent.trim();
  const number = cell.tagName === "TD" ? text.match(NUMBER) : null;
  return number ? Number(number[1].replaceAll("−", "-")) : text;
};
const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const compare = (left, right, sign) => {
  if (typeof left === "string") return sign * order.compare(left, right);
  if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) - Number.isNaN(right);
  return sign * (left - right);
};

// The rows that can be sorted and hidden, each with the note below it, if it has any.
const rowsOf = (table) => Array.from(table.tBodies[0].rows).filter((row) => !row.classList.contains("note"));
const noteOf = (row) => (row.classList.contains("noted") ? row.nextElementSibling : null);

const sort = (table, header) => {
  const body = table.tBodies[0];
  const rising = header.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", rising ? "ascending" : "descending");
  const keyed = rowsOf(table).map((row) => [keyOf(row, header.cellIndex), row, noteOf(row)]);
  keyed.sort((left, right) => compare(left[0], right[0], rising ? 1 : -1));
  body.append(...keyed.flatMap(([, row, note]) => (note ? [row, note] : [row])));
};

const makeSortable = (table) => {
  for (const header of table.tHead.rows[0].cells) {
    if (header.dataset.plain !== undefined) continue;
    const button = make("button", { type: "button", class: "sort" });
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(table, header));
    header.append(button);
  }
};

const makeFilter = (table) => {
  const rows = rowsOf(table);
  const notes = new Map(rows.map((row) => [row, noteOf(row)]));
  const name = table.caption ? table.caption.textContent.trim() : "table";
  const box = make("div", { class: "controls", role: "group", "aria-label": `Filter: ${name}` });
  const text = make("input", { type: "search", placeholder: "Filter rows", "aria-label": `Text in ${name}` });
  const choice = make("select", { "aria-label": `Direction in ${name}` });
  choice.append(make("option", { value: "" }, "every direction"));
  const words = new Map(rows.filter((row) => row.dataset.tone).map((row) => [row.dataset.tone, row.querySelector(".badge").textContent]));
  for (const [tone, word] of words) choice.append(make("option", { value: tone }, word));
  const count = make("output", { "aria-live": "polite" });
  const apply = () => {
    const wanted = text.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const note = notes.get(row);
      const said = note ? row.textContent + note.textContent : row.textContent;
      const matches = said.toLowerCase().includes(wanted);
      row.hidden = !matches || (choice.value !== "" && row.dataset.tone !== choice.value);
      if (note) note.hidden = row.hidden;
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`;
  };
  text.addEventListener("input", apply);
  choice.addEventListener("change", apply);
  box.append(text, ...(words.size > 1 ? [choice] : []), count);
  if (table.caption && !table.caption.classList.contains("hidden")) table.caption.append(box);
  else table.before(box);
  apply();
};

document.documentElement.classList.add("scripted");
for (const table of document.querySelectorAll("table[data-sort]")) {
  makeSortable(table);
  if (rowsOf(table).length >= ROWS) makeFilter(table);
}

// Texts side by side: those of a group, with the numbers of a scale and in their order.
const ORDERS = {
  "largest change": (before, after) => Math.abs(after - before),
  "largest rise": (before, after) => after - before,
  "largest fall": (before, after) => before - after,
  "highest before": (before) => before,
  "highest after": (before, after) => after,
  "lowest before": (before) => -before,
  "lowest after": (before, after) => -after,
};
const unique = (nodes) => Array.from(new Set(Array.from(nodes, (node) => node.textContent)));
const chooser = (label, first, names) => {
  const choice = make("select", { "aria-label": label });
  if (first) choice.append(make("option", { value: "" }, first));
  for (const name of names) choice.append(make("option", { value: name }, name));
  return choice;
};

const makeBrowser = (browser) => {
  const pairs = Array.from(browser.querySelectorAll("article.pair"), (article) => ({
    article,
    groups: new Set(unique(article.querySelectorAll("[data-group]"))),
    scores: new Map(Array.from(article.querySelectorAll(".scores li"), (item) => [item.firstElementChild.textContent, item])),
  }));
  const group = chooser("Group", "every group", unique(browser.querySelectorAll("[data-group]")));
  const scale = chooser("Scale", "every scale", unique(browser.querySelectorAll(".scores bdi")));
  const ordered = chooser("Order", "", Object.keys(ORDERS));
  const count = make("output", { "aria-live": "polite" });
  // Of a pair that the scale has no number of: last.
  const keyOfPair = (pair) => {
    const item = pair.scores.get(scale.value);
    const key = item ? ORDERS[ordered.value](Number(item.dataset.before), Number(item.dataset.after)) : NaN;
    return Number.isNaN(key) ? -Infinity : key;
  };
  const apply = () => {
    ordered.hidden = scale.value === "";
    let shown = 0;
    for (const pair of pairs) {
      const scored = scale.value === "" || pair.scores.has(scale.value);
      pair.article.hidden = !scored || (group.value !== "" && !pair.groups.has(group.value));
      for (const [name, item] of pair.scores) item.hidden = scale.value !== "" && name !== scale.value;
      shown += pair.article.hidden ? 0 : 1;
    }
    const inOrder = scale.value === "" ? pairs : Array.from(pairs).sort((left, right) => keyOfPair(right) - keyOfPair(left) || 0);
    browser.querySelector(".body").append(...inOrder.map((pair) => pair.article));
    count.textContent = `${shown} of ${pairs.length} pairs`;
  };
  const box = make("div", { class: "controls", role: "group", "aria-label": "Which texts are shown" });
  for (const choice of [group, scale, ordered]) choice.addEventListener("change", apply);
  box.append(group, scale, ordered, count);
  pairs[0].article.before(box);
  apply();
};
for (const browser of document.querySelectorAll(".generations")) makeBrowser(browser);

const unfold = (element) => {
  for (let at = element; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
};
const follow = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  unfold(target.parentElement);
  target.scrollIntoView();
};
addEventListener("hashchange", follow);
if (location.hash) follow();

let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = Array.from(document.querySelectorAll("details:not([open]):not(.kept-folded)"));
  for (const details of unfolded) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of unfolded) details.open = false;
  unfolded = [];
});
