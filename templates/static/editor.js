// The editor of a job definition: its buttons act in place (the server answers with the page, of which the changed part
// is taken), the form that a user gets follows what is typed, and mistakes appear at their fields.

import { poll, refreshParts } from "./live.js";
import { ScriptField } from "./script-field.js";

const PAUSE_MS = 600;
const announce = document.getElementById("announce");
const away = document.getElementById("away");

let script, timer = 0, asking = null, sent = false, dirty = false, followed = "";
const touched = new Set();

dress(null);
if (document.querySelector("#summary[autofocus], #theirs[autofocus]")) focusWanted();
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#at-"]');
  if (!link) return;
  const field = document.getElementById(link.hash.slice(1));
  if (!field) return;
  event.preventDefault();
  const line = link.textContent.match(/^script, line (\d+)/);
  show(field);
  if (field.id === "at-script") { if (line) script.go(Number(line[1])); else script.focus(); } else field.focus();
});
window.addEventListener("beforeunload", (event) => { if (dirty && !sent) event.preventDefault(); });
window.addEventListener("pageshow", (event) => { if (event.persisted) sent = false; });

function editor() { return document.getElementById("editor"); }
function form() { return document.getElementById("sheet"); }

function dress(kept) {
  const root = editor(), sheet = form();
  const language = sheet.elements["entry.type"];
  script = new ScriptField(document.getElementById("at-script"), {
    library: root.dataset.codemirror, modes: root.dataset.modes.split(" "), language: language.value, kept,
    changed: () => typed(sheet.elements.script),
  });
  language.addEventListener("change", () => {
    const file = sheet.elements["entry.script"], usual = { python: "run.py", shell: "run.sh" };
    if (Object.values(usual).includes(file.value)) file.value = usual[language.value];
    script.language(language.value);
  });
  sheet.addEventListener("input", (event) => typed(event.target));
  sheet.addEventListener("submit", send);
  for (const row of document.querySelectorAll("#at-parameters .item")) fit(row);
  if (sheet.dataset.checked === "yes") for (const field of sheet.elements) if (field.name) touched.add(field.name);
  followTrial();
}

/** Show of a parameter what its type needs; what is filled in stays to be seen. */
function fit(row) {
  const type = row.querySelector('select[name$=".type"]').value;
  for (const field of row.querySelectorAll("[data-only]")) {
    const control = field.querySelector("input, textarea, select");
    field.hidden = !field.dataset.only.split(" ").includes(type) && !control.value.trim();
  }
}

// --- typing ----------------------------------------------------------------------------------------

function typed(field) {
  if (!field?.name || field.name.startsWith("_")) return;
  dirty = true;
  touched.add(field.name);
  const row = field.closest(".item");
  if (row && field.name.endsWith(".type")) fit(row);
  if (row && field.name.endsWith("].name")) {
    row.querySelector(".named").textContent = field.value || "…";
    for (const button of row.querySelectorAll("[data-label]")) button.ariaLabel = button.dataset.label.replace("…", field.value || "it");
  }
  clearTimeout(timer);
  timer = setTimeout(preview, PAUSE_MS);
}

async function preview() {
  const sheet = form();
  if (!sheet || sent) return;
  asking?.abort();
  asking = new AbortController();
  try {
    const response = await post(sheet.dataset.preview, contents(sheet), asking.signal);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const answer = new DOMParser().parseFromString(await response.text(), "text/html");
    away.hidden = true;
    document.getElementById("preview").replaceWith(document.adoptNode(answer.getElementById("preview")));
    showProblems(answer);
  } catch (error) {
    if (error.name !== "AbortError") showAway("The preview cannot be had: the server does not answer. What you typed is still here.");
  }
}

function showProblems(answer) {
  const found = answer.getElementById("messages");
  const messages = [...found.content.querySelectorAll("p[data-place]")];
  const byPlace = new Map(messages.map((item) => [item.dataset.place, item.textContent]));
  const sheet = form();
  for (const field of sheet.elements) {
    if (!field.id || !field.name || field.name.startsWith("_")) continue;
    const message = touched.has(field.name) ? byPlace.get(field.id) : undefined;
    markField(field, message);
  }
  script.mark([...found.content.querySelectorAll("p[data-line]")].map((item) => [Number(item.dataset.line), item.textContent]));
  const count = Number(found.dataset.count);
  document.getElementById("status").textContent = count ? `${count === 1 ? "One thing needs" : `${count} things need`} a change.` : "";
  if (sheet.dataset.checked === "yes") {
    document.getElementById("problems-box").replaceWith(document.adoptNode(answer.getElementById("problems-box")));
  }
}

function markField(field, message) {
  const id = `${field.id}-problem`, box = field.closest(".field"), old = document.getElementById(id);
  if (!box || (old?.textContent ?? "") === (message ?? "")) return;
  box.classList.toggle("wrong", Boolean(message));
  const ids = (field.getAttribute("aria-describedby") ?? "").split(" ").filter((part) => part && part !== id);
  if (!message) {
    old?.remove();
    field.removeAttribute("aria-invalid");
  } else {
    const text = old ?? document.createElement("p");
    text.className = "problem";
    text.id = id;
    text.textContent = message;
    if (!old) box.insertBefore(text, box.querySelector(":scope > .about"));
    field.setAttribute("aria-invalid", "true");
    ids.unshift(id);
  }
  if (ids.length) field.setAttribute("aria-describedby", ids.join(" ")); else field.removeAttribute("aria-describedby");
}

// --- buttons ---------------------------------------------------------------------------------------

async function send(event) {
  event.preventDefault();
  if (sent) return;
  const sheet = form(), button = event.submitter;
  clearTimeout(timer);
  asking?.abort();
  const data = contents(sheet);
  if (button?.name) data.set(button.name, button.value);
  if (data.get("_do") === "import") data.set("_document", sheet.elements._document.files[0] ?? new File([], ""));
  if (data.get("_do") === "file.add") for (const file of sheet.elements._file.files) data.append("_file", file);
  sent = true;
  editor().inert = true;
  say("…");
  try {
    const response = await post(sheet.action, data);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!page.getElementById("editor")) {
      if (response.ok) { location.assign(response.url); return; }
      throw new Refused(page.querySelector(".message p")?.textContent.trim() || `HTTP ${response.status}`);
    }
    take(page, response);
  } catch (error) {
    showAway(error instanceof Refused ? error.message : "The server does not answer. What you typed is still here: try again.");
    say("");
  }
  sent = false;
  editor().inert = false;
}

class Refused extends Error {}

function take(page, response) {
  const opened = [...document.querySelectorAll("details.more[open]")].map((one) => one.id);
  const kept = script.keep(), fresh = page.getElementById("editor");
  const atTop = fresh.querySelector("#summary[autofocus], #theirs[autofocus]");
  away.hidden = true;
  editor().replaceWith(document.adoptNode(fresh));
  document.title = page.title;
  if (response.redirected) {
    dirty = false;
    history.replaceState(null, "", new URL(response.url).pathname);
  }
  for (const id of opened) { const one = document.getElementById(id); if (one) one.open = true; }
  dress(kept);
  const confirmation = document.getElementById("said");
  announce.textContent = confirmation?.textContent ?? (atTop ? atTop.querySelector("h2").textContent : "");
  if (confirmation?.classList.contains("passing")) { say(confirmation.textContent); confirmation.remove(); }
  focusWanted();
}

function focusWanted() {
  const wanted = document.querySelector("#editor [autofocus]");
  if (!wanted) { if (document.getElementById("said")) document.getElementById("editor").scrollIntoView(); return; }
  show(wanted);
  wanted.focus();
}

function show(field) {
  for (let box = field.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  field.closest("[data-only]")?.removeAttribute("hidden");
}

/** What the form sends, without the files. */
function contents(sheet) {
  const data = new FormData(sheet);
  data.delete("_document");
  data.delete("_file");
  return data;
}

function post(address, data, signal) {
  return fetch(address, { method: "POST", body: data, headers: { Accept: "text/html" }, cache: "no-store", signal });
}

function say(text) { const status = document.getElementById("status"); if (status) status.textContent = text; }

function showAway(text) { away.hidden = false; away.textContent = text; }

// --- the trial -------------------------------------------------------------------------------------

function followTrial() {
  const trial = document.getElementById("trial");
  if (!trial) return;
  const log = document.getElementById("trial-log");
  log.scrollTop = log.scrollHeight;
  if (trial.dataset.ended === "yes" || followed === trial.dataset.id) return;
  const id = followed = trial.dataset.id;
  poll(
    () => `${trial.dataset.state}?log=0`,
    async (state) => {
      const now = document.getElementById("trial");
      if (now?.dataset.id !== id) return "stop";
      if (state.ended) {
        await refreshParts(["trial"]);
        announce.textContent = `The trial is ${state.phase.toLowerCase()}.`;
        return "stop";
      }
      document.getElementById("trial-stage").textContent = `${state.total ? `${state.number}/${state.total} ` : ""}${state.stage || ""}`;
      const lines = document.getElementById("trial-log");
      lines.replaceChildren(...state.log.lines.map(([kind, text]) => {
        const line = document.createElement("span");
        line.className = kind;
        line.textContent = `${text}\n`;
        return line;
      }));
      lines.scrollTop = lines.scrollHeight;
      return "changed";
    },
    () => {},
  );
}
