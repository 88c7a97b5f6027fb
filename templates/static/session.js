// The session of the sky page: keeps regions, search, selection and values under a name, so that the work goes on later.
// Without JavaScript its form sends what the address of the page has.

const place = document.getElementById("sky-session");
const form = document.getElementById("session-form");
const name = document.getElementById("session-name");
const button = document.getElementById("session-save");
const status = document.getElementById("session-status");
const link = document.getElementById("session-link");

const now = { source: null, background: null, exposures: null };
let address = place.dataset.address, revision = Number(place.dataset.revision), saved = "";

document.addEventListener("region:changed", ({ detail }) => {
  now.source = detail.source ?? "";
  now.background = detail.background ?? "";
  tellChange();
});
document.addEventListener("selection:changed", ({ detail }) => {
  now.exposures = detail.exposures;
  tellChange();
});
document.addEventListener("session:load", ({ detail }) => location.assign(`${place.dataset.sessions}/${detail.session}/continue`));
form.addEventListener("submit", (event) => { event.preventDefault(); save(); });

/** What the page has now; what no other part has told of is as it stands in the address. */
function content() {
  const asked = new URLSearchParams(location.search);
  const sent = new FormData(form);
  const values = {
    source: now.source ?? sent.get("source"),
    background: now.background ?? sent.get("background"),
    search: document.getElementById("sky-q")?.value ?? asked.get("q") ?? sent.get("search"),
    exposures: now.exposures ?? sent.getAll("exposure"),
    definition: asked.get("definition") ?? document.getElementById("definition")?.value ?? "",
  };
  if (name.value.trim()) values.name = name.value.trim();
  const filled = document.getElementById("run-form");
  return filled ? { ...values, parameters: parametersOf(filled) } : values;
}

/** The values of the form of a job: none of our own fields, and no files. */
function parametersOf(filled) {
  const values = {};
  for (const [key, value] of new FormData(filled)) {
    if (key.startsWith("_") || key === "RUNID" || typeof value !== "string" || value === "") continue;
    (values[key] ??= []).push(value);
  }
  return values;
}

async function save() {
  const sent = content();
  button.disabled = true;
  status.textContent = "Saving…";
  try {
    const response = await fetch(`${place.dataset.sessions}${address ? `/${address}` : ""}`, {
      method: address ? "PATCH" : "POST",
      headers: { Accept: "application/json", "Content-Type": "application/json" },
      body: JSON.stringify(address ? { ...sent, revision } : sent),
    });
    const answer = await response.json();
    if (response.status === 409) return refuse();
    if (!response.ok) { status.textContent = `Not saved: ${answer.error}.`; return; }
    take(answer, sent);
  } catch {
    status.textContent = "Not saved: the server does not answer.";
  } finally {
    button.disabled = false;
  }
}

/** Somebody saved it elsewhere: nothing is overwritten, and the next press keeps what is here as another session. */
function refuse() {
  address = "";
  status.textContent = "Not saved: it was saved elsewhere meanwhile. Open its page to compare; Save now keeps this one as a new session.";
}

function take(answer, sent) {
  address = answer.url.split("/").pop();
  revision = answer.revision;
  saved = comparable(sent);
  name.value = answer.name;
  link.href = `${place.dataset.sessions}/${address}`;
  link.hidden = false;
  const page = new URL(location.href);
  page.searchParams.set("session", address);
  history.replaceState(history.state, "", page);
  for (const field of document.querySelectorAll('input[name="session"], input[name="_session"]')) field.value = address;
  const time = new Date(answer.changed).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
  status.textContent = `saved ${time}`;
  document.dispatchEvent(new CustomEvent("session:saved", { detail: { session: address, name: answer.name } }));
}

function tellChange() {
  if (saved && comparable(content()) !== saved) { status.textContent = "changed since it was saved"; saved = ""; }
}

function comparable(values) { return JSON.stringify([values.source, values.background, values.exposures]); }
