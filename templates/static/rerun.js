// Reruns: marks what was changed against what is recorded, keeps uploads within bounds; draws the overlaid spectra.

import { readFigures } from "./figures.js";
import { sendFiles } from "./sending.js";

const form = document.querySelector("form.job");
document.getElementById("summary")?.focus();

for (const control of document.querySelectorAll("[data-was]")) {
  const was = control.closest("td").querySelector(".was");
  const mark = () => {
    const changed = control.value.trim() !== control.dataset.was.trim();
    control.closest("tr").classList.toggle("changed", changed);
    was.hidden = !changed;
    was.textContent = changed ? `was ${control.dataset.was || "empty"}` : "";
  };
  control.addEventListener("input", mark);
  mark();
}

if (form) {
  const status = document.getElementById("status"), most = Number(form.dataset.most);
  const files = () => [...form.querySelectorAll('input[type="file"]')].flatMap((input) => [...input.files]);
  form.addEventListener("submit", (event) => {
    const size = files().reduce((sum, file) => sum + file.size, 0);
    if (form.dataset.sent || size > most) {
      event.preventDefault();
      if (size > most) status.textContent = `This server takes ${(most / 1e6).toLocaleString()} MB at most.`;
      return;
    }
    form.dataset.sent = "yes";
    status.textContent = files().length ? "Uploading…" : "Sending…";
    if (files().length) sendFiles(event, form, status);
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) { delete form.dataset.sent; status.textContent = ""; }
  });
}

readFigures(document);
