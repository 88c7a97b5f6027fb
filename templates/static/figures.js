// Plots and pictures of the sky: what lies under the pointer, zoom, other scales and colours without leaving the page,
// and downloads of what is shown. The server draws; without this script a form opens its drawing alone.

import { readChart, nextPoint } from "./chart.js";
import { nearestRow, readScatter } from "./scatter.js";
import { decode, readSky } from "./skyplace.js";

const ENLARGED = 2; // pixels of a PNG for each unit of the drawing
const LEAST = 8, THIN = 24; // how far a drag goes at least, and how wide a zoom is in both directions, in pixels of the screen
const NARROW = matchMedia("(max-width: 34rem)"); // as the page has it
const ENDS = ["x_low", "x_high", "y_low", "y_high"];
const READERS = { sky: readSky, scatter: readScatter, chart: readChart };
const WRONG = "It cannot be shown so: a limit is a number, the lower one comes first, and a logarithmic axis begins above 0.";

export function readFigures(root) {
  for (const figure of root.querySelectorAll("figure[data-shown]")) {
    if (!figure.dataset.read) {
      figure.dataset.read = "yes";
      new Figure(figure);
    }
  }
}

class Figure {
  constructor(figure) {
    this.figure = figure;
    this.picture = figure.querySelector(".drawing img");
    this.form = figure.querySelector("form.look") ?? document.getElementById(figure.dataset.form);
    this.own = figure.contains(this.form);
    this.narrow = figure.querySelector(".drawing source");
    this.reading = figure.querySelector(".reading");
    this.links = [...figure.querySelectorAll("a[data-suffix]")];
    this.place = null; // of the pointer, in parts of the plot from its lower left corner
    this.drag = null;
    this.layOver();
    this.listen();
  }

  /** A pane over the picture that has the pointer, the keyboard, the cross and the frame of a zoom. */
  layOver() {
    this.pane = element("div", "pane");
    this.cross = [element("div", "cross across"), element("div", "cross up")];
    this.frame = element("div", "zoom");
    this.pane.append(...this.cross, this.frame);
    for (const part of [...this.cross, this.frame]) part.hidden = true;
    this.pane.tabIndex = 0;
    this.pane.setAttribute("role", "application");
    this.pane.setAttribute("aria-label", `${this.picture.alt} Arrow keys read it, plus and minus zoom, 0 shows all.`);
    const link = this.picture.closest("a");
    link?.replaceWith(...link.childNodes);
    const holder = element("div", "held"), drawing = this.figure.querySelector(".drawing");
    holder.append(...drawing.childNodes, this.pane);
    drawing.append(holder);
    for (const link of this.links) link.hidden = false;
    for (const part of this.form.querySelectorAll("[data-show]")) part.hidden = true;
    this.reset = this.figure.querySelector("[data-reset]");
    this.reset.hidden = false;
  }

  listen() {
    NARROW.addEventListener("change", () => this.show());
    this.form.addEventListener("change", ({ target }) => { if (this.own || target.name.includes("_")) this.show(); });
    if (this.own) this.form.addEventListener("submit", (event) => { event.preventDefault(); this.show(); });
    this.reset.addEventListener("click", () => this.zoom({}));
    this.picture.addEventListener("error", () => { this.reading.textContent = WRONG; });
    this.links.find((link) => link.dataset.suffix === "png")?.addEventListener("click", (event) => {
      event.preventDefault();
      savePng(this.picture, event.currentTarget.getAttribute("download")).catch((error) => {
        this.reading.textContent = `The picture could not be saved (${error.message}).`;
      });
    });
    this.pane.addEventListener("pointerenter", () => this.load());
    this.pane.addEventListener("focus", () => this.load());
    this.pane.addEventListener("pointerdown", (event) => this.begin(event));
    this.pane.addEventListener("pointermove", (event) => this.move(event));
    this.pane.addEventListener("pointerup", (event) => this.end(event));
    this.pane.addEventListener("pointercancel", () => this.cancel());
    this.pane.addEventListener("pointerleave", () => { if (!this.drag) this.leave(); });
    this.pane.addEventListener("dblclick", () => this.zoom({}));
    this.pane.addEventListener("keydown", (event) => this.key(event));
  }

  /** The address of what is shown, in another form: svg, json or csv. */
  address(suffix) {
    const found = new URL(this.figure.dataset.address, location.href);
    found.pathname = found.pathname.replace(/svg$/, suffix);
    for (const [name, value] of new FormData(this.form)) {
      if (value && name !== "share" && name !== "job") found.searchParams.append(name, value);
    }
    if (NARROW.matches && suffix !== "csv") found.searchParams.set("size", "narrow");
    return found.href;
  }

  show() {
    this.loaded = null;
    this.reading.textContent = "\u00a0";
    this.picture.src = this.address("svg");
    this.narrow.srcset = this.picture.src;
    for (const link of this.links) link.href = this.address(link.dataset.suffix);
    this.figure.dispatchEvent(new CustomEvent("shown", { bubbles: true }));
  }

  zoom(ends) {
    this.cancel();
    for (const name of ENDS) this.form.elements[name].value = ends[name] ?? "";
    this.show();
  }

  load() {
    this.loaded ??= fetch(this.address("json")).then(async (response) => {
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      return response.headers.get("Content-Type").startsWith("application/json") ? decode(await response.json()) : null;
    }).catch((error) => {
      this.reading.textContent = `Its values could not be loaded (${error.message}).`;
      return null;
    }).then((data) => { this.data = data?.box ? data : null; return this.data; });
    return this.loaded;
  }

  /** Where the pointer is, in parts of the plot; outside of the plot also below 0 and above 1. */
  placeOf(event) {
    const rect = this.pane.getBoundingClientRect(), { drawing, box } = this.data;
    const x = (event.clientX - rect.left) / rect.width * drawing[0], y = (event.clientY - rect.top) / rect.height * drawing[1];
    return { x: (x - box[0]) / box[2], y: 1 - (y - box[1]) / box[3] };
  }

  begin(event) {
    if (event.button !== 0 || !this.data || !inside(this.placeOf(event))) return;
    this.drag = { from: this.placeOf(event), at: [event.clientX, event.clientY] };
    this.pane.setPointerCapture(event.pointerId);
  }

  async move(event) {
    if (!await this.load()) return;
    const place = this.placeOf(event);
    this.reading.removeAttribute("aria-live");
    this.point(inside(place) ? place : null);
    if (this.drag) this.drawFrame(event, place);
  }

  drawFrame(event, place) {
    const { from, at } = this.drag, to = { x: clamp(place.x), y: clamp(place.y) };
    const wide = Math.abs(event.clientX - at[0]), high = Math.abs(event.clientY - at[1]);
    this.frame.hidden = Math.max(wide, high) < LEAST;
    const both = this.figure.dataset.shown === "sky" || (wide >= THIN && high >= THIN);
    this.drag.to = {
      x: both || wide >= high ? [Math.min(from.x, to.x), Math.max(from.x, to.x)] : null,
      y: both || high > wide ? [Math.min(from.y, to.y), Math.max(from.y, to.y)] : null,
    };
    const x = this.drag.to.x ?? [0, 1], y = this.drag.to.y ?? [0, 1];
    this.lay(this.frame, x[0], y[1], x[1] - x[0], y[1] - y[0]);
  }

  end() {
    const drag = this.drag, shown = !this.frame.hidden;
    this.cancel();
    if (drag && !shown) this.choose(drag.from);
    if (!drag?.to || !shown) return;
    const ends = this.ends();
    for (const axis of ["x", "y"]) {
      const range = drag.to[axis];
      if (range && range[1] > range[0]) [ends[`${axis}_low`], ends[`${axis}_high`]] = range.map((part) => this.written(axis, part));
    }
    this.zoom(ends);
  }

  /** Tells the page which row of a table the point at a place is. */
  choose(place) {
    const row = this.figure.dataset.shown === "scatter" && place && this.data ? nearestRow(this.data, place) : null;
    if (row) this.figure.dispatchEvent(new CustomEvent("chosen", { bubbles: true, detail: { row } }));
  }

  cancel() {
    this.drag = null;
    this.frame.hidden = true;
  }

  leave() {
    this.point(null);
  }

  /** What is in the fields of the form now. */
  ends() {
    return Object.fromEntries(ENDS.map((name) => [name, this.form.elements[name].value]));
  }

  /** The value of an axis at a part of it, with as many digits as a pixel of the screen needs. */
  written(axis, part) {
    const { low, high, log } = this.data.axes[axis === "x" ? 0 : 1], value = valueAt({ low, high, log }, part);
    const digits = 3 - Math.floor(Math.log10(log ? value : high - low));
    return String(Number(value.toFixed(Math.min(Math.max(digits, 0), 20))));
  }

  key(event) {
    const step = event.shiftKey ? 0.1 : 0.01, moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const zooms = { "+": 0.5, "=": 0.5, "-": 2, "\u2212": 2 };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { this.cancel(); this.leave(); return; }
    if (event.key === "0" || event.key === "Home") { event.preventDefault(); this.zoom({}); return; }
    if (event.key === "Enter") { this.choose(this.place); return; }
    if (!(event.key in moves || event.key in zooms)) return;
    event.preventDefault();
    this.load().then((data) => {
      if (!data) return;
      this.reading.setAttribute("aria-live", "polite");
      if (event.key in zooms) { this.zoomAround(zooms[event.key]); return; }
      const [across, up] = moves[event.key], from = this.place ?? { x: 0.5, y: 0.5 };
      const next = across && !event.shiftKey && this.figure.dataset.shown !== "sky" ? nextPoint(data, from, across) : null;
      this.point(next ?? { x: clamp(from.x + across * step), y: clamp(from.y + up * step) });
    });
  }

  /** Zooms by a factor around the cross; a chart along x only, as its other axis follows. */
  zoomAround(factor) {
    const ends = this.ends(), { x, y } = this.place ?? { x: 0.5, y: 0.5 };
    const shrink = (at) => [at - at * factor, at + (1 - at) * factor];
    const sky = this.figure.dataset.shown === "sky";
    for (const [axis, at] of sky ? [["x", x], ["y", y]] : [["x", x]]) {
      [ends[`${axis}_low`], ends[`${axis}_high`]] = shrink(at).map((part) => this.written(axis, part));
    }
    this.zoom(ends);
  }

  /** Moves the cross to a place, and tells what lies there; null takes it away. */
  point(place) {
    this.place = place;
    for (const line of this.cross) line.hidden = !place;
    if (!place) { this.reading.textContent = "\u00a0"; return; }
    this.lay(this.cross[0], 0, place.y, 1, 0);
    this.lay(this.cross[1], place.x, 1, 0, 1);
    this.reading.textContent = READERS[this.figure.dataset.shown](this.data, place) || "\u00a0";
  }

  /** Lays a part of the pane over a part of the plot: its left and upper edge, its width and height. */
  lay(part, left, top, width, height) {
    const { drawing, box } = this.data, share = (value, whole) => `${100 * value / whole}%`;
    part.style.left = share(box[0] + left * box[2], drawing[0]);
    part.style.top = share(box[1] + (1 - top) * box[3], drawing[1]);
    part.style.width = share(width * box[2], drawing[0]);
    part.style.height = share(height * box[3], drawing[1]);
  }
}

export function valueAt({ low, high, log }, part) {
  return log ? low * (high / low) ** part : low + part * (high - low);
}

const inside = ({ x, y }) => x >= 0 && x < 1 && y >= 0 && y < 1;
const clamp = (part) => Math.min(Math.max(part, 0), 1 - 1e-9);

function element(name, kind) {
  const made = document.createElement(name);
  made.className = kind;
  return made;
}

async function savePng(picture, name) {
  await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = picture.naturalWidth * ENLARGED;
  canvas.height = picture.naturalHeight * ENLARGED;
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => { canvas.toBlob(done, "image/png"); });
  if (!blob) throw new Error("the browser makes no PNG of it");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
