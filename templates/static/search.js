// The search page: sends what was found by SAMP, one product, those that are ticked, or the table of all; shows in the box
// where a query is wrong; reads the plot of columns, whose points lead to their rows.

import { readFigures } from "./figures.js";
import { offerSamp } from "./samp-send.js";

offerSamp(document);
readFigures(document);
markWrong(document.getElementById("adql"));
for (const hint of document.querySelectorAll(".pointed")) hint.hidden = false;
document.addEventListener("chosen", ({ detail: { row } }) => {
  const found = document.getElementById(`row-${row}`);
  if (found) goTo(found);
  else document.querySelector("#plot .reading").textContent = `Row ${row} is not on this page: ask for more rows, or for the file.`;
});

/** Selects in the box of the query what is wrong with it. */
function markWrong(box) {
  const line = Number(box?.dataset.line), column = Number(box?.dataset.column);
  if (!line) return;
  const begin = box.value.split("\n").slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, column - 1);
  box.focus();
  box.setSelectionRange(begin, begin + box.dataset.wrong.length);
}

function goTo(row) {
  row.scrollIntoView({ block: "center", behavior: "instant" });
  row.focus({ preventScroll: true });
}
