// The job list: rows follow their jobs; a list that changed is fetched again as a whole.

import { Clock, poll, refreshParts } from "./live.js";
import { offerJobs } from "./send-jobs.js";

const status = document.getElementById("status");
const clock = new Clock();

for (const select of document.querySelectorAll("#filter select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
document.getElementById("refresh").addEventListener("click", async (event) => {
  event.preventDefault();
  try { await refresh(); status.textContent = "Up to date."; } catch { status.textContent = "The server does not answer."; }
});
document.addEventListener("change", (event) => { if (event.target.matches("#jobs .tick")) tell(); });
document.addEventListener("click", (event) => {
  if (!event.target.closest("#select-page")) return;
  event.preventDefault();
  const all = ticks(), tick = all.some((box) => !box.checked);
  for (const box of all) box.checked = tick;
  tell();
});
startClocks();
tell();
offerTable();

poll(
  () => document.getElementById("jobs").dataset.state + location.search,
  async ({ rows }) => {
    const shown = [...document.querySelectorAll("#jobs tbody tr")];
    const before = shown.map((row) => `${row.dataset.id} ${row.dataset.phase}`).join();
    const now = rows.map((row) => `${row.id} ${row.phase}`).join();
    if (before !== now) {
      if (document.querySelector("#jobs details.confirm[open]")) return "same"; // somebody is deciding
      await refresh();
      return "changed";
    }
    let changed = false;
    rows.forEach((row, i) => {
      const stage = shown[i].querySelector(".stage");
      if (stage.textContent.trim() !== row.stage) { stage.textContent = row.stage; changed = true; }
      changed ||= row.phase === "EXECUTING";
    });
    return changed ? "changed" : "same";
  },
  (seconds) => { status.textContent = seconds > 0 ? "The server does not answer; trying again." : ""; },
);

async function refresh() {
  const chosen = new Set(ticks().filter((box) => box.checked).map((box) => box.value));
  await refreshParts(["jobs", "selection-place"]);
  for (const box of ticks()) box.checked = chosen.has(box.value);
  startClocks();
  tell();
  offerTable();
}

function offerTable() {
  const button = document.getElementById("samp-jobs");
  if (button) offerJobs(button, ticks, (text) => { status.textContent = text; });
}

function ticks() { return [...document.querySelectorAll("#jobs .tick")]; }

/** Say how many jobs are selected, and what the link beside that would do. */
function tell() {
  const all = ticks(), chosen = all.filter((box) => box.checked).length;
  if (!all.length) return;
  document.getElementById("selected-count").textContent = chosen ? `${chosen} selected` : "";
  document.getElementById("select-page").textContent = chosen === all.length ? "Select none" : "Select all on this page";
}

function startClocks() {
  for (const cell of document.querySelectorAll('tr[data-phase="EXECUTING"] .elapsed')) {
    if (cell.dataset.seconds) clock.run(cell, Number(cell.dataset.seconds));
  }
}
