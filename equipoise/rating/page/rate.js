// Shows what /state says, and sends each answer at once. Texts are put in as text, never as HTML.
"use strict";
const byId = (id) => document.getElementById(id);
const REMEMBERED = "equipoise-rater";
let state = null;
let waiting = false; // one change at a time

function add(parent, name, text) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function complain(text) {
  for (const line of document.querySelectorAll(".problem")) line.textContent = text;
}

// Asks for a change and shows the state after it. Nothing else is sent until the answer is there.
async function send(path, body) {
  if (waiting) return;
  waiting = true;
  byId("rating").setAttribute("aria-busy", "true");
  for (const button of document.querySelectorAll("button")) button.disabled = true;
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    complain(answer.error || "");
    if (answer.total !== undefined) {
      const moved = !state || state.position !== answer.position;
      state = answer;
      show();
      if (moved) window.scrollTo(0, 0);
    }
  } catch (error) {
    complain("Not saved: the server does not answer. Start it again, then answer again; what was saved before is kept.");
  } finally {
    waiting = false;
    byId("rating").setAttribute("aria-busy", "false");
    for (const button of document.querySelectorAll("button")) button.disabled = false;
    byId("undo").disabled = !state || state.undo === null;
  }
}

function showText(parent, shown) {
  const text = add(parent, "div", shown.text);
  text.className = "text";
  text.dir = "auto";
  if (shown.note) add(parent, "p", shown.note).className = "quiet";
}

function show() {
  byId("gate").hidden = true;
  byId("rating").hidden = false;
  const ended = state.position >= state.total;
  byId("work").hidden = ended;
  byId("end").hidden = !ended;
  byId("progress").textContent = ended ? `${state.total} of ${state.total} rated` : `${state.position + 1} of ${state.total}`;
  byId("bar").max = state.total;
  byId("bar").value = state.position;
  if (ended) return;
  byId("prompt").hidden = !state.prompt.text && !state.prompt.note;
  byId("prompt").querySelector(".text").textContent = state.prompt.text;
  byId("prompt").querySelector(".quiet").textContent = state.prompt.note;
  const texts = byId("texts");
  texts.replaceChildren();
  state.texts.forEach((shown, index) => {
    const article = add(texts, "article");
    add(article, "h2", state.texts.length > 1 ? "AB"[index] : "Text");
    showText(article, shown);
  });
  const given = byId("given");
  given.replaceChildren();
  for (const [asked, label] of Object.entries(state.given)) add(given, "li", `${asked} ${label}`);
  byId("asked").textContent = state.asked;
  const answers = byId("answers");
  answers.replaceChildren();
  answers.className = state.answers.length > 3 ? "many" : "";
  state.answers.forEach((each, index) => {
    const button = add(answers, "button");
    button.type = "button";
    add(button, "kbd", index + 1);
    add(button, "span", each.label);
    button.onclick = () => give(index);
  });
}

function give(index) {
  if (!state || state.position >= state.total || !state.answers[index]) return;
  send("answer", { rater: state.rater, position: state.position, question: state.question, answer: state.answers[index].answer });
}

function undo() {
  if (state && state.undo !== null) send("undo", { rater: state.rater, number: state.undo });
}

document.addEventListener("keydown", (event) => {
  if (!state || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  if (/^[1-9]$/.test(event.key)) give(Number(event.key) - 1);
  else if (event.key === "u" || event.key === "Backspace") undo();
  else return;
  event.preventDefault();
});

byId("undo").onclick = undo;
byId("begin").onsubmit = (event) => {
  event.preventDefault();
  const rater = byId("rater").value;
  try { localStorage.setItem(REMEMBERED, rater); } catch (error) { /* typed again next time */ }
  send("state", { rater });
};

// Another tab may have gone on meanwhile.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && state) send("state", { rater: state.rater });
});

fetch("start").then((response) => response.json()).then((start) => {
  for (const text of start.questions) add(byId("asked-of-you"), "li", text);
  let remembered = "";
  try { remembered = localStorage.getItem(REMEMBERED) || ""; } catch (error) { /* none */ }
  byId("rater").value = start.rater || remembered;
});
