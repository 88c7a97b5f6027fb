// The job list: rows follow their jobs; a list that changed is fetched again as a whole.

import { Clock, poll, refreshParts } from "./live.js";

const status = document.getElementById("status");
const clock = new Clock();

for (const select of document.querySelectorAll("#filter select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
document.getElementById("refresh").addEventListener("click", async (event) => {
  event.preventDefault();
  try { await refresh(); status.textContent = "Up to date."; } catch { status.textContent = "The server does not answer."; }
});
startClocks();

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
  await refreshParts(["jobs"]);
  startClocks();
}

function startClocks() {
  for (const cell of document.querySelectorAll('tr[data-phase="EXECUTING"] .elapsed')) {
    if (cell.dataset.seconds) clock.run(cell, Number(cell.dataset.seconds));
  }
}
