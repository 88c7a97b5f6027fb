// The folded curve beside the form of a new fit: it follows every change, and its table of parameters changes the form.

import { nextPoint, readChart } from "./chart.js";

const PAUSE = 30; // milliseconds without a further change before the server is asked
const STEP = 1.02; // what an arrow key multiplies a value by
const FILES = ["spectrum", "background", "response", "area"];
const TEXTS = ["model", "parameters", "energy", "grouping", "min_counts", "min_snr", "statistic", "abundance"];
const BACKGROUND = "use_background";
const NARROW = matchMedia("(max-width: 34rem)");

export function followCurve(form) {
  const place = form.querySelector("#fold");
  if (place) new Curve(form, place);
}

class Curve {
  constructor(form, place) {
    Object.assign(this, { form, place, address: place.dataset.address, plot: null, rows: [], asking: null, timer: 0 });
    for (const name of ["picture", "reading", "status", "notes", "table", "model", "link"]) {
      this[name] = place.querySelector(`#fold-${name}`);
    }
    this.data = form.elements.namedItem("_data");
    this.pictured = this.picture.getAttribute("src") !== null;
    place.querySelector("#fold-show").remove(); // else the Enter key would press it
    form.addEventListener("input", ({ target }) => this.changed(target));
    form.addEventListener("change", ({ target }) => this.changed(target));
    NARROW.addEventListener("change", () => this.ask());
    this.table.addEventListener("keydown", (event) => this.step(event));
    this.readAlong();
    this.ask();
  }

  /** Asks anew after a change of what a curve depends on; other files are sent, the same ones are found by their key. */
  changed(target) {
    if (this.table.contains(target)) this.writeTable();
    const name = target.name?.replace(/^_keep\./, "") ?? "";
    const isOther = FILES.includes(name) || name === BACKGROUND;
    if (isOther) this.data.value = "";
    if (isOther || TEXTS.includes(name) || this.table.contains(target)) this.ask();
  }

  ask() {
    this.writeLink();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), PAUSE);
  }

  get hasSpectrum() {
    const fields = [...this.form.querySelectorAll('[name="spectrum"], [name="_keep.spectrum"]')];
    return fields.some((field) => (field.type === "file" ? field.files.length : field.type === "checkbox" ? field.checked : field.value.trim()));
  }

  async send() {
    if (!this.hasSpectrum) { this.say("Choose a spectrum, and its curve is drawn here."); return; }
    this.asking?.abort();
    const asking = this.asking = new AbortController();
    if (!this.data.value) this.say("Reading the spectra…");
    try {
      const answer = await fetch(this.address, { method: "POST", body: this.body(), headers: { Accept: "application/json" }, signal: asking.signal });
      if (answer.status === 404 && this.data.value) { this.data.value = ""; this.send(); return; }
      if (!answer.headers.get("Content-Type")?.includes("json")) throw new Error(`the server answered with status ${answer.status}`);
      const told = await answer.json();
      if (answer.ok) this.show(told);
      else this.say(told.problems.map(([name, message]) => (name ? `${name}: ${message}` : message)).join("; "), true);
    } catch (error) {
      if (error.name !== "AbortError") this.say(`No curve: ${error.message}`, true);
    }
  }

  body() {
    const all = new FormData(this.form), body = new FormData();
    for (const [name, value] of all) {
      const isFile = FILES.includes(name.replace(/^_keep\./, ""));
      if (TEXTS.includes(name) || ["_token", "_earlier", "_data"].includes(name) || (isFile && !this.data.value)) body.append(name, value);
    }
    const background = this.form.elements.namedItem(BACKGROUND);
    if (background) body.append(BACKGROUND, background.checked);
    if (NARROW.matches) body.append("_narrow", "yes");
    return body;
  }

  show(told) {
    this.data.value = told.data;
    this.plot = told.plot;
    this.picture.src = told.picture;
    this.picture.alt = told.summary;
    this.picture.hidden = false;
    this.model.textContent = told.expression;
    this.notes.replaceChildren(...told.notes.map((note) => element("li", note)));
    this.say(told.statistic);
    this.fillTable(told.parameters);
  }

  say(text, wrong = false) {
    this.status.textContent = text;
    this.status.classList.toggle("wrong", wrong);
    this.place.classList.toggle("outdated", wrong);
  }

  fillTable(parameters) {
    const names = parameters.map(({ name, tied }) => `${name} ${tied}`).join();
    if (this.names !== names) {
      this.names = names;
      this.rows = parameters.map((one) => new Row(one));
      this.table.tBodies[0].replaceChildren(...this.rows.map(({ row }) => row));
      this.table.parentElement.hidden = false;
    }
    this.rows.forEach((row, i) => row.fill(parameters[i]));
  }

  /** Writes the table of parameters into the field that is sent with the form. */
  writeTable() {
    const field = this.form.elements.namedItem("parameters");
    const names = new Set(this.rows.map(({ name }) => name.toLowerCase()));
    const others = field.value.split("\n").filter((line) => line.trim() && !names.has(line.split("#")[0].split("=")[0].trim().toLowerCase()));
    field.value = [...this.rows.map((row) => row.text()), ...others].join("\n");
  }

  /** Arrow keys change the value of a parameter by a fiftieth. */
  step(event) {
    const { target, key } = event;
    if (!target.dataset.value || !["ArrowUp", "ArrowDown"].includes(key)) return;
    event.preventDefault();
    const value = Number(target.value) || 0;
    const next = value === 0 ? 0.01 : value * ((key === "ArrowUp") === (value > 0) ? STEP : 1 / STEP);
    target.value = String(Number(next.toPrecision(6)));
    target.dispatchEvent(new Event("input", { bubbles: true }));
  }

  writeLink() {
    const url = new URL(this.address.replace(/\/preview$/, ""), location.href);
    for (const [name, value] of new FormData(this.form)) {
      if (typeof value !== "string" || name.startsWith("_") || !value.trim()) continue;
      for (const line of value.split("\n")) if (line.trim()) url.searchParams.append(name, line.trim());
    }
    this.link.href = url.href;
  }

  /** Says what lies under the pointer, and follows the arrow keys from point to point. */
  readAlong() {
    this.picture.tabIndex = 0;
    const tell = (place) => { this.at = place; this.reading.textContent = (place && readChart(this.plot, place)) || "\u00a0"; };
    this.picture.addEventListener("pointermove", (event) => {
      if (!this.plot?.box) return;
      const held = this.picture.getBoundingClientRect(), [width, height] = this.plot.drawing, [left, top, across, up] = this.plot.box;
      const x = ((event.clientX - held.left) / held.width * width - left) / across;
      const y = 1 - ((event.clientY - held.top) / held.height * height - top) / up;
      tell(x >= 0 && x <= 1 ? { x, y } : null);
    });
    this.picture.addEventListener("keydown", (event) => {
      const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!direction || !this.plot?.axes) return;
      event.preventDefault();
      tell(nextPoint(this.plot, this.at ?? { x: direction > 0 ? 0 : 1 }, direction) ?? this.at);
    });
  }
}

class Row {
  constructor({ name, tied, unit, about }) {
    this.name = name;
    this.tied = tied;
    this.row = element("tr");
    const head = element("th", name);
    head.scope = "row";
    head.title = about;
    this.row.append(head);
    this.value = this.field("value", unit);
    this.value.dataset.value = "yes";
    this.low = this.field("lowest", "");
    this.high = this.field("highest", "");
    this.frozen = this.field("frozen", "", "checkbox");
    if (tied) for (const part of [this.value, this.low, this.high, this.frozen]) part.disabled = true;
  }

  field(what, unit, type = "text") {
    const cell = element("td"), input = element("input");
    input.type = type;
    if (type === "text") input.inputMode = "decimal";
    input.autocomplete = "off";
    input.setAttribute("aria-label", `${this.name}, ${what}`);
    cell.append(input);
    if (unit) { const told = element("span", unit); told.className = "muted"; cell.append(" ", told); }
    this.row.append(cell);
    return input;
  }

  /** Takes over what the server says, but not into the field that is being written in. */
  fill({ value, min, max, frozen }) {
    for (const [input, number] of [[this.value, value], [this.low, min], [this.high, max]]) {
      if (input.value === "" || (input !== document.activeElement && Number(input.value) !== number)) input.value = written(number);
    }
    this.frozen.checked = frozen;
  }

  text() {
    if (this.tied) return `${this.name} = ${this.tied}`;
    return `${this.name} = ${this.value.value} [${this.low.value}, ${this.high.value}]${this.frozen.checked ? " frozen" : " free"}`;
  }
}

/** A number with eight digits, the shortest way. */
function written(number) {
  const rounded = Number(number.toPrecision(8)), size = Math.abs(rounded);
  return size !== 0 && (size >= 1e6 || size < 1e-4) ? rounded.toExponential().replace("e+", "e") : String(rounded);
}

function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
