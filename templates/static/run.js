// Process control: the form of the chosen definition is put in place, and has the selection and the regions of the page.

import { refreshParts } from "./live.js";

const control = document.getElementById("control");
const choice = document.getElementById("definition");
const now = { exposures: null, source: null, background: null, counted: "" };

const form = () => document.getElementById("run-form");

// a form that was refused has the address it was sent to: this one can be kept and loaded again
if (location.pathname !== new URL(control.dataset.page, location.href).pathname) history.replaceState(history.state, "", control.dataset.page);
document.getElementById("run-summary")?.focus();

choice?.addEventListener("change", async () => {
  const status = document.getElementById("choose-status");
  const address = new URL(location.href);
  if (choice.value) address.searchParams.set("definition", choice.value); else address.searchParams.delete("definition");
  history.replaceState(history.state, "", address);
  status.textContent = "Loading…";
  try {
    const asked = new URL(address);
    asked.searchParams.delete("exposure"); // they are here
    await refreshParts(["run-place"], asked);
    status.textContent = "";
    document.querySelector("#run-place details.form")?.setAttribute("open", "");
  } catch {
    status.textContent = "The server does not answer; choose again.";
  }
  fill();
});

/** Put the selection and the regions of the page into the form. */
function fill() {
  const sent = form();
  if (!sent) return;
  if (now.exposures !== null) {
    for (const old of sent.querySelectorAll('input[name="_exposure"]')) old.remove();
    sent.append(...now.exposures.map((source) => hidden("_exposure", source)));
    const told = document.getElementById("run-exposures");
    if (told) told.textContent = now.exposures.length ? now.counted : "No exposure selected";
  }
  for (const name of ["source", "background"]) {
    if (now[name] === null) continue;
    sent.querySelector(`input[name="_${name}"]`).value = now[name];
    for (const told of sent.querySelectorAll(`[data-region="${name}"]`)) told.textContent = now[name] || "none";
  }
  sent.querySelector('input[name="_definition"]').value = choice.value;
}

function hidden(name, value) {
  const input = document.createElement("input");
  Object.assign(input, { type: "hidden", name, value });
  return input;
}

document.addEventListener("selection:changed", ({ detail }) => {
  now.exposures = detail.exposures;
  now.counted = document.getElementById("counted")?.textContent ?? `${detail.exposures.length} selected`;
  fill();
});
document.addEventListener("region:changed", ({ detail }) => {
  now.source = detail.source ?? "";
  now.background = detail.background ?? "";
  fill();
});

control.addEventListener("click", ({ target }) => {
  const field = target.dataset?.take && document.getElementById(target.dataset.take);
  if (field) { field.value = form().querySelector('input[name="_source"]').value; field.focus(); }
});

control.addEventListener("submit", async (event) => {
  if (event.target.id === "abort-form") {
    event.preventDefault();
    const button = event.target.querySelector("button");
    button.disabled = true;
    try {
      await fetch(event.target.action, { method: "POST", body: new URLSearchParams(new FormData(event.target)), redirect: "manual" });
    } catch { button.disabled = false; }
    return;
  }
  if (event.target !== form()) return;
  const status = document.getElementById("run-status");
  if (event.target.dataset.sent) { event.preventDefault(); return; }
  event.target.dataset.sent = "yes";
  status.textContent = [...event.target.querySelectorAll('input[type="file"]')].some((input) => input.files.length) ? "Uploading…" : "Sending…";
});
window.addEventListener("pageshow", ({ persisted }) => { // a page that comes back from the browser's memory may be sent again
  if (persisted && form()) { delete form().dataset.sent; document.getElementById("run-status").textContent = ""; }
});
