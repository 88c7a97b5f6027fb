// The observation selector: asks for the exposures that see a region, sorts and filters their table, keeps the selection
// in the address, and tells the other parts of the page of both.

import { counted, kept, keep, onceWaiting } from "./selection.js";

const section = document.getElementById("selector");
const form = document.getElementById("selector-form");
const filters = {
  camera: document.getElementById("show-camera"), text: document.getElementById("show-text"),
  fraction: document.getElementById("show-fraction"), exposure: document.getElementById("show-exposure"),
  offAxis: document.getElementById("show-off-axis"),
};
const order = document.getElementById("sort-by"); // where the table is too narrow for its heads
const NUMBERS = new Set(["ra", "dec", "t_min", "exposure_s", "fraction", "off_axis"]);
const SEARCHED = ["obs_id", "exposure", "instrument", "target", "observer", "submode", "filter", "eventlist"];

let sorted = { key: "", down: false };
let region = new URLSearchParams(location.search).get("source") ?? "";
let selected = new Set();

const rows = () => [...document.querySelectorAll("#exposures tr[data-eventlist]")];
const box = (row) => row.querySelector("input[type=checkbox]");

/** Take over the table that stands in the page: its selection, its cameras, what others are to be told of it. */
function adopt() {
  for (const row of rows()) if (box(row).checked) selected.add(row.dataset.eventlist);
  const cameras = new Map([...document.querySelectorAll("#exposures tbody")].map((part) => [part.dataset.camera, part.dataset.short]));
  const was = filters.camera.value;
  filters.camera.replaceChildren(new Option("all", ""), ...[...cameras].map(([name, short]) => new Option(short, name)));
  filters.camera.value = cameras.has(was) ? was : "";
  const heads = [...document.querySelectorAll("#exposures th[data-key]")];
  order.replaceChildren(new Option("–", ""), ...heads.map((head) => new Option(head.querySelector(".sort").textContent, head.dataset.key)));
  const some = rows().length > 0;
  for (const id of ["exposure-filter", "exposure-choice"]) document.getElementById(id).hidden = !some;
  if (sorted.key) sort(sorted.key, sorted.down);
  show();
  tick();
  document.dispatchEvent(new CustomEvent("exposures:found", { detail: { exposures: rows().map((row) => values(row)) } }));
}

function values(row) {
  const found = { ...row.dataset, mode: row.dataset.submode };
  for (const name of NUMBERS) found[name] = found[name] === "" ? null : Number(found[name]);
  return found;
}

/** Put the ticks where the selection says, and tell how many there are. */
function tick() {
  for (const row of rows()) box(row).checked = selected.has(row.dataset.eventlist) && !box(row).disabled;
  const parts = [...document.querySelectorAll("#exposures tbody")].map((part) => {
    const chosen = [...part.querySelectorAll("tr[data-eventlist]")].filter((row) => box(row).checked);
    return { short: part.dataset.short, number: chosen.length, seconds: chosen.reduce((sum, row) => sum + Number(row.dataset.exposure_s), 0) };
  });
  document.getElementById("counted").textContent = counted(parts, rows().length);
}

/** The selection has changed: the address has it, and the others are told. */
function changed() {
  selected = new Set(rows().map((row) => row.dataset.eventlist).filter((source) => selected.has(source)));
  tick();
  const exposures = [...selected];
  const sentence = keep(exposures);
  const told = document.getElementById("kept");
  told.hidden = !sentence;
  told.textContent = sentence;
  document.dispatchEvent(new CustomEvent("selection:changed", { detail: { exposures } }));
}

function choose(some, yes) {
  for (const row of some) {
    if (yes && !box(row).disabled) selected.add(row.dataset.eventlist);
    if (!yes) selected.delete(row.dataset.eventlist);
  }
  changed();
}

/** Hide the rows that the filters leave out; a filter that is no number leaves out nothing, and is marked. */
function show() {
  const text = filters.text.value.trim().toLowerCase();
  const [fraction, exposure, offAxis] = [bound(filters.fraction), bound(filters.exposure), bound(filters.offAxis)];
  let shown = 0;
  for (const row of rows()) {
    const { instrument, fraction: seen, exposure_s: seconds, off_axis: angle } = row.dataset;
    row.hidden = Boolean(
      (filters.camera.value && instrument !== filters.camera.value)
      || (text && !SEARCHED.some((name) => row.dataset[name].toLowerCase().includes(text)))
      || (fraction !== null && !(Number(seen) * 100 >= fraction))
      || (exposure !== null && !(Number(seconds) >= exposure))
      || (offAxis !== null && !(angle !== "" && Number(angle) <= offAxis)));
    shown += row.hidden ? 0 : 1;
  }
  for (const part of document.querySelectorAll("#exposures tbody")) {
    part.hidden = !part.querySelector("tr[data-eventlist]:not([hidden])");
  }
  const all = rows().length;
  document.getElementById("exposures-shown").textContent = shown === all ? "" : `${shown.toLocaleString("en")} of ${all.toLocaleString("en")} shown`;
}

function bound(field) {
  const text = field.value.trim();
  const number = text === "" ? null : Number(text.replace(",", "."));
  const wrong = Number.isNaN(number);
  if (wrong) field.setAttribute("aria-invalid", "true"); else field.removeAttribute("aria-invalid");
  return wrong ? null : number;
}

/** Sort each camera's rows; what is not known comes last, whichever way. */
function sort(key, down) {
  sorted = { key, down };
  const number = NUMBERS.has(key);
  for (const part of document.querySelectorAll("#exposures tbody")) {
    const found = [...part.querySelectorAll("tr[data-eventlist]")].map((row) => [row.dataset[key], row]);
    found.sort(([one], [other]) => {
      if (one === "" || other === "") return (one === "") - (other === "");
      const order = number ? Number(one) - Number(other) : one.localeCompare(other, "en", { numeric: true });
      return down ? -order : order;
    });
    part.append(...found.map(([, row]) => row));
  }
  for (const head of document.querySelectorAll("#exposures th[data-key]")) {
    if (head.dataset.key === key) head.setAttribute("aria-sort", down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  order.value = key;
}

/** Ask for the exposures that see the region now; of two questions under way only the last answer counts. */
const search = onceWaiting(async (signal) => {
  const asked = new URL(section.dataset.search, location.href);
  for (const [name, value] of new URLSearchParams(location.search)) if (name !== "exposure") asked.searchParams.append(name, value);
  asked.searchParams.set("source", region);
  const body = new URLSearchParams([...asked.searchParams, ...[...selected].map((source) => ["exposure", source])]);
  const away = document.getElementById("selector-away");
  section.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(asked.pathname, { method: "POST", body, signal, headers: { Accept: "text/html" } });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    document.getElementById("exposures").replaceWith(document.adoptNode(page.getElementById("exposures")));
    away.hidden = true;
    adopt();
    changed();
  } catch (error) {
    if (error.name === "AbortError") return;
    away.hidden = false;
    away.textContent = "The server does not answer: the table is that of the region before.";
  } finally {
    section.removeAttribute("aria-busy");
  }
});

document.addEventListener("region:changed", ({ detail }) => {
  if (detail.problems?.length && !detail.source) return;
  if (detail.source === region) return;
  region = detail.source;
  search();
});

form.addEventListener("change", ({ target }) => {
  if (target.name !== "exposure") return;
  choose([target.closest("tr")], target.checked);
});
form.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.choose === "all") choose(rows(), true);
  else if (button.dataset.choose === "none") choose(rows(), false);
  else if (button.dataset.choose === "shown") choose(rows().filter((row) => !row.hidden), true);
  else if (button.classList.contains("sort")) {
    const { key } = button.closest("th").dataset;
    sort(key, sorted.key === key && !sorted.down);
  } else if (button.name === "with" || button.name === "without") {
    event.preventDefault();
    choose([...button.closest("tbody").querySelectorAll("tr[data-eventlist]")], button.name === "with");
    button.focus();
  }
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const address = new URL(location.href), text = document.getElementById("sky-q").value.trim();
  if (text === (address.searchParams.get("q") ?? "")) return; // Enter in a filter
  if (text) address.searchParams.set("q", text); else address.searchParams.delete("q");
  history.replaceState(history.state, "", address);
  search();
});
order.addEventListener("change", () => { if (order.value) sort(order.value, false); });
for (const field of Object.values(filters)) field.addEventListener("input", show);

document.addEventListener("DOMContentLoaded", () => { // when the other parts listen
  for (const source of kept()) selected.add(source);
  adopt();
  changed();
});
