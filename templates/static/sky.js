// The sky page: the view of the sky, the region editor on it, and what the other parts of the page are told by events on the
// document. Out: region:changed {source, background, problems}, region:checked {problems}. In: region:set {source, background},
// exposures:found {exposures}, selection:changed {exposures}. The regions stand in the address.

import { RegionEditor } from "./region-editor.js";
import { RegionNumbers } from "./region-numbers.js";
import { crosses, middleOf, reachOf } from "./region-shapes.js";
import { NAMES, RegionStore } from "./region-store.js";
import { SkyCells, cellsOf } from "./sky-cells.js";
import { SkyFields } from "./sky-fields.js";
import { SkyMoc } from "./sky-moc.js";
import { SkySources } from "./sky-sources.js";
import { middle, separation } from "./sky-sphere.js";
import { openView } from "./sky-view.js";
import { degrees, hours } from "./skyplace.js";
import { offerMoc } from "./send-moc.js";

const LONGEST_ADDRESS = 6000, TYPED_MS = 500, SEARCH_MS = 250, WHOLE_SKY = 180;

const FIRST = "icrs;circle(0,0,1%22)";

const TOO_LONG = "The regions are too long for the address of this page: keep them as a session or a file";

const form = document.getElementById("sky-form"), by = (id) => document.getElementById(id);
const store = new RegionStore(JSON.parse(form.dataset.regions));
const texts = Object.fromEntries(NAMES.map((name) => [name, by(name)]));
let editor = null, view = null, moc = null, coverage = null, fields = null, found = [], chosen = [], checking = null, typing = 0, steps = 0, announced = store.text("source");
let touched = false; // somebody has moved the view: nothing that comes late moves it

offerMoc(by("send-moc"), by("send-moc-status"));

function say(text) {
  by("sky-hint").textContent = text;
}

/* what is wrong: what the page sees at once, then what the server says */

function seenProblems() {
  return NAMES.flatMap((name) => store.now[name].shapes.filter(crosses).map(() => `The sides of a polygon of the ${name} cross: move a corner.`));
}

function tellProblems(problems) {
  const list = document.createElement("ul");
  list.append(...problems.map((problem) => Object.assign(document.createElement("li"), { textContent: problem })));
  by("sky-problems").replaceChildren(...(problems.length ? [list] : []));
}

async function checked(source, background) {
  checking?.abort();
  checking = new AbortController();
  try {
    const answer = await fetch(form.dataset.check, { method: "POST", body: new URLSearchParams({ source, background }), signal: checking.signal });
    if (!answer.ok) throw new Error(answer.status);
    return await answer.json();
  } catch (error) {
    if (error.name !== "AbortError") tellProblems(["The server does not answer: whether the regions are right is not known."]);
    return null;
  }
}

/** Until the exposures that see a new source are found, or a while: the server checks what they need not wait for. */
function exposuresFound(isNew) {
  if (!isNew || !form.dataset.footprint) return null;
  return new Promise((done) => {
    document.addEventListener("exposures:found", done, { once: true });
    setTimeout(done, SEARCH_MS);
  });
}

function announce(problems) {
  announced = store.text("source");
  const detail = { source: store.text("source"), background: store.text("background"), problems };
  document.dispatchEvent(new CustomEvent("region:changed", { detail }));
}

async function changed() {
  const problems = seenProblems(), step = ++steps, searched = exposuresFound(store.text("source") !== announced);
  keepAddress();
  showState();
  announce(problems);
  if (problems.length) tellProblems(problems);
  await searched;
  if (step !== steps) return; // the regions have changed meanwhile
  const found = await checked(store.text("source"), store.text("background"));
  if (!found) return;
  tellProblems(problems.length ? problems : found.problems);
  document.dispatchEvent(new CustomEvent("region:checked", { detail: { problems: found.problems } }));
}

/** Take over texts that were typed or pasted, when the server has read them. */
async function take(source, background) {
  const found = await checked(source, background);
  if (!found) return;
  const former = NAMES.map((name) => store.text(name)).join("\n");
  store.adopt(both(found));
  for (const [name, sent] of Object.entries({ source, background })) if (texts[name].value === sent) texts[name].value = store.text(name);
  if (former === NAMES.map((name) => store.text(name)).join("\n")) tellProblems(found.problems);
  if (found.source.shapes.length + found.background.shapes.length) fit();
}

/** The regions of an answer; where the text of the source held both, each gets its own text. */
function both(found) {
  const { source, background } = found;
  if (background.text.trim() || !background.shapes.length) return { source, background };
  return { source: { ...source, text: plain(source.ds9) }, background: { ...background, text: plain(background.ds9) } };
}

function plain(ds9) {
  return ds9.split("\n").filter((line) => line && !line.startsWith("#")).join("; ");
}

/* the state of the page */

function keepAddress() {
  const query = new URLSearchParams(location.search);
  for (const name of NAMES) {
    if (store.text(name).trim()) query.set(name, store.text(name));
    else query.delete(name);
  }
  let text = query.toString();
  if (text.length > LONGEST_ADDRESS) {
    NAMES.forEach((name) => query.delete(name));
    text = query.toString();
    say(TOO_LONG);
  } else if (by("sky-hint").textContent === TOO_LONG) say("");
  history.replaceState(history.state, "", text ? `?${text}` : location.pathname);
}

function showState() {
  by("sky-undo").disabled = !store.canUndo;
  by("sky-redo").disabled = !store.canRedo;
  moc?.show(store.text(store.active).trim());
}

function showTexts() {
  for (const name of NAMES) {
    if (texts[name] !== document.activeElement || texts[name].value.trim() === "") texts[name].value = store.text(name);
  }
  for (const button of document.querySelectorAll("button[formaction]")) {
    button.disabled = !store.text(button.closest("[data-region]").dataset.region).trim();
  }
  showPressed();
}

function showPressed() {
  for (const button of document.querySelectorAll("button[data-mode]")) button.setAttribute("aria-pressed", editor?.mode === button.dataset.mode);
  for (const button of document.querySelectorAll("button[data-tool]")) button.setAttribute("aria-pressed", editor?.tool === button.dataset.tool);
}

function activate(name, isFocused) {
  for (const each of NAMES) {
    const tab = by(`tab-${each}`), is = each === name;
    tab.setAttribute("aria-selected", is);
    tab.tabIndex = is ? 0 : -1;
    by(`panel-${each}`).hidden = !is;
    if (is && isFocused) tab.focus();
  }
  editor?.choose(-1);
  store.activate(name);
  showState();
}

/* where to look */

function around(shapes) {
  const centre = middle(shapes.map(middleOf));
  return [centre, Math.max(...shapes.map((shape) => separation(centre, middleOf(shape)) + reachOf(shape)))];
}

function fit() {
  const shapes = NAMES.flatMap((name) => store.now[name].shapes);
  if (!shapes.length || !view) return false;
  const [centre, reach] = around(shapes), [width, height] = view.size;
  view.show(centre, Math.min(reach * 4 * Math.max(1, width / height), WHOLE_SKY));
  return true;
}

/** Look at what lies within some corners, if that is one part of the sky. */
function look(corners) {
  if (!corners.length) return false;
  const centre = middle(corners), reach = corners.reduce((most, corner) => Math.max(most, separation(centre, corner)), 0);
  const [width, height] = view.size;
  if (reach < WHOLE_SKY / 8) view.show(centre, 2.3 * reach * Math.max(1, width / height));
  return reach < WHOLE_SKY / 8;
}

async function go() {
  const q = by("sky-place").value;
  say("Looking it up …");
  try {
    const answer = await fetch(`${form.dataset.place}?${new URLSearchParams({ q })}`), found = await answer.json();
    if (!answer.ok) return say(found.problem ?? "It cannot be found now");
    view.show([found.ra, found.dec], Math.min(view.fov, 0.5));
    say(`${found.text}: ${placeWords([found.ra, found.dec])}`);
  } catch {
    say("The server does not answer");
  }
}

function placeWords([ra, dec]) {
  return `${hours(ra)} ${degrees(dec)} ICRS (${ra.toFixed(5)}, ${dec < 0 ? "" : "+"}${dec.toFixed(5)})`;
}

function showReading(event) {
  const box = by("sky-frame").getBoundingClientRect();
  const at = event ? view.toSky([event.clientX - box.left, event.clientY - box.top]) : view.centre;
  const wide = view.fov >= 1 ? `${view.fov.toPrecision(3)}°` : `${(view.fov * 60).toPrecision(3)}′`;
  by("sky-reading").textContent = `${at ? placeWords(at) : "beside the sky"} · ${wide} wide`;
}

/* the parts of the page */

function openTabs() {
  by("sky-tabs").hidden = false;
  for (const name of NAMES) {
    const panel = by(`panel-${name}`), tab = by(`tab-${name}`);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", () => activate(name));
    tab.addEventListener("keydown", (event) => {
      const other = { ArrowRight: NAMES[1 - NAMES.indexOf(name)], ArrowLeft: NAMES[1 - NAMES.indexOf(name)], Home: NAMES[0], End: NAMES[1] }[event.key];
      if (!other) return;
      event.preventDefault();
      activate(other, true);
    });
    new RegionNumbers(by(`numbers-${name}`), name, store, say);
    texts[name].addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(takeTyped, TYPED_MS);
    });
    texts[name].addEventListener("change", takeTyped);
  }
  activate("source");
}

function takeTyped() {
  clearTimeout(typing);
  if (NAMES.some((name) => texts[name].value.trim() !== store.text(name).trim())) take(texts.source.value, texts.background.value);
}

function accept(event) {
  if (event.submitter && event.submitter !== by("sky-accept")) return; // a download
  event.preventDefault();
  editor.finish();
  editor.setMode("pan");
  showPressed();
  const problems = [...by("sky-problems").querySelectorAll("li")].length;
  say(problems ? "Accepted, though something is wrong with it: see beside the sky" : "Accepted. The pointer moves the sky now; Edit goes on");
}

function openTools() {
  const click = (id, action) => by(id).addEventListener("click", action);
  for (const button of document.querySelectorAll("button[data-mode]")) button.addEventListener("click", () => { editor.setMode(button.dataset.mode); showPressed(); });
  for (const button of document.querySelectorAll("button[data-tool]")) button.addEventListener("click", () => { editor.setTool(button.dataset.tool); showPressed(); });
  click("sky-undo", () => store.undo());
  click("sky-redo", () => store.redo());
  click("sky-delete", () => editor.deleteChosen());
  click("sky-clear", () => editor.clear());
  click("sky-in", () => view.zoom(1 / 1.6));
  click("sky-out", () => view.zoom(1.6));
  click("sky-fit", () => fit() || say("There is no region yet"));
  click("sky-all", () => look(fields.corners) || look(coverage.corners) || say("No fields are drawn"));
  click("sky-go", go);
  by("sky-place").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    go();
  });
  by("sky-survey")?.addEventListener("change", (event) => view.showSurvey(event.target.value));
  by("layer-grid").addEventListener("change", (event) => view.showGrid(event.target.checked));
  by("layer-coverage")?.addEventListener("change", (event) => showCoverage(event.target.checked));
  form.addEventListener("submit", accept);
  by("sky-frame").addEventListener("pointermove", showReading);
  by("sky-frame").addEventListener("pointerleave", () => showReading());
  view.onMove(() => showReading());
}

async function showCoverage(isShown, isFirst = false) {
  view.showMoc("coverage", null);
  if (!isShown) return coverage.show(null);
  try {
    const answer = await fetch(`${form.dataset.coverage}?FORMAT=json`);
    if (!answer.ok) return say("The coverage of the archive cannot be had");
    const found = await answer.json();
    if (!cellsOf(found)) say("The archive covers nothing yet: its operator runs “uws-server archive add”");
    else if (!coverage.show(found)) view.showMoc("coverage", found, { color: "#5ec8b0", opacity: 0.25 });
    else if (isFirst && !touched) look(coverage.corners);
  } catch {
    say("The server does not answer");
  }
}

/** Draw what was found; the other parts of the page may have told it before the sky was there. */
function openFields() {
  fields = new SkyFields({ group: by("sky-fields"), legend: by("sky-legend"), view, address: form.dataset.footprint, say });
  by("layer-fields").addEventListener("change", (event) => fields.show(event.target.checked));
  fields.choose(chosen);
  fields.found(found);
}

async function openSky() {
  if (!form.dataset.library) throw new Error("Aladin Lite is not installed on this server");
  const shapes = NAMES.flatMap((name) => store.now[name].shapes);
  const [centre, reach] = shapes.length ? around(shapes) : [[0, 0], WHOLE_SKY / 4];
  by("sky-view").hidden = false;
  view = await openView(by("sky-picture"), { library: form.dataset.library, blank: new URL(form.dataset.blank, location.href).href, centre, fov: Math.min(reach * 4, WHOLE_SKY) });
  editor = new RegionEditor(by("sky-overlay"), view, store, say);
  coverage = new SkyCells(by("sky-coverage"), view);
  moc = new SkyMoc(by("sky-moc"), by("sky-cells"), view, form.dataset.moc);
  openTools();
  openFields();
  showReading();
  if (form.dataset.sources) {
    const places = await new SkySources({ group: by("sky-sources"), panel: by("sky-source-list"), view, say }).load(form.dataset.sources);
    if (!touched && !shapes.length && look(places)) return true;
  }
  if (shapes.length) return fit();
  fetch(`${form.dataset.check}?source=${FIRST}`).catch(() => null); // the server loads what reads regions while a place is looked for
  if (by("layer-coverage")) {
    by("layer-coverage").checked = true;
    showCoverage(true, true);
  }
}

/** Where the sky cannot be shown, the server's drawing of the regions stands for it. */
function showDrawing() {
  const figure = by("sky-drawing"), isThere = Boolean(form.dataset.drawing) && store.now.source.shapes.length > 0;
  figure.hidden = !isThere;
  const background = store.now.background.shapes.length ? { background: store.text("background") } : {};
  const query = new URLSearchParams({ source: store.text("source"), ...background });
  if (isThere) figure.querySelector("img").src = `${form.dataset.drawing}?${query}`;
}

for (const name of ["pointerdown", "keydown", "wheel"]) by("sky-view").addEventListener(name, () => { touched = true; }, { capture: true, passive: true });
openTabs();
store.addEventListener("draw", showTexts);
store.addEventListener("commit", changed);
document.addEventListener("exposures:found", ({ detail }) => {
  found = form.dataset.footprint ? detail.exposures : [];
  fields?.found(found);
});
document.addEventListener("selection:changed", ({ detail }) => {
  chosen = detail.exposures;
  fields?.choose(chosen);
});
document.addEventListener("region:set", ({ detail }) => take(detail.source ?? "", detail.background ?? ""));
openSky().catch((error) => {
  by("sky-view").hidden = true;
  by("sky-missing").hidden = false;
  by("sky-missing").textContent = `The sky cannot be shown: ${error.message}. Regions can be typed or pasted as text.`;
  store.addEventListener("commit", showDrawing);
  showDrawing();
}).finally(() => {
  showState();
  showTexts();
  form.dataset.ready = "yes";
});
