// The form of a new job: says at once what the server would refuse, and that an upload is under way.

import { followCurve } from "./fitpanel.js";
import { sendFiles } from "./sending.js";

const form = document.querySelector("form.job");
const status = document.getElementById("status");
const most = Number(form.dataset.most);

document.getElementById("summary")?.focus();
followCurve(form);

form.addEventListener("change", () => {
  const size = [...form.querySelectorAll('input[type="file"]')].flatMap((input) => [...input.files])
    .reduce((sum, file) => sum + file.size, 0);
  const tooLarge = size > most;
  for (const input of form.querySelectorAll('input[type="file"]')) {
    input.setCustomValidity(tooLarge && input.files.length ? `This server takes ${(most / 1e6).toLocaleString()} MB at most.` : "");
  }
  status.textContent = tooLarge ? `The files have ${(size / 1e6).toLocaleString(undefined, { maximumFractionDigits: 0 })} MB; this server takes ${(most / 1e6).toLocaleString()} MB at most.` : "";
});

form.addEventListener("submit", (event) => {
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
  const uploads = [...form.querySelectorAll('input[type="file"]')].some((input) => input.files.length);
  status.textContent = uploads ? "Uploading…" : "Sending…";
  if (uploads) sendFiles(event, form, status);
});

// a page that comes back from the browser's memory may be sent again
window.addEventListener("pageshow", (event) => {
  if (event.persisted) { delete form.dataset.sent; status.textContent = ""; }
});
