// The list and the page of a session: buttons that copy, and jobs whose rows follow them.

import { offerCopies } from "./copying.js";
import { Clock, poll, refreshParts } from "./live.js";

const session = document.getElementById("worksession");
const clock = new Clock();

offerCopies();
// an archive that is not indexed, or no longer has these exposures, has no picture of them
document.querySelector("#footprints img")?.addEventListener("error", () => { document.getElementById("footprints").hidden = true; });
if (session) {
  startClocks();
  if (session.dataset.live === "yes") follow();
}

function follow() {
  const status = document.getElementById("live-status");
  poll(() => session.dataset.state, async ({ rows }) => {
    const shown = [...document.querySelectorAll("#session-jobs tbody tr")];
    const now = rows.map((row) => `${row.id} ${row.phase}`).join();
    if (shown.map((row) => `${row.dataset.id} ${row.dataset.phase}`).join() !== now) {
      await refreshParts(["session-jobs"]);
      startClocks();
      return "changed";
    }
    rows.forEach((row, i) => {
      const stage = shown[i].querySelector(".stage");
      if (stage && stage.textContent.trim() !== row.stage) stage.textContent = row.stage;
    });
    return rows.some((row) => row.phase === "EXECUTING") ? "changed" : "same";
  }, (seconds) => { status.textContent = seconds > 0 ? "The server does not answer; trying again." : ""; });
}

function startClocks() {
  for (const cell of document.querySelectorAll('tr[data-phase="EXECUTING"] .elapsed')) {
    if (cell.dataset.seconds) clock.run(cell, Number(cell.dataset.seconds));
  }
}
