// The page of an image: its values in colour, what lies under the pointer, and the regions of the job, which can be moved.
// Without this script, or where there is nothing to draw, the picture is the server's and the form asks for another one.

import { ImageCanvas, valuesOf } from "./image-canvas.js";
import { ImageFields } from "./image-fields.js";
import { ImageRegions } from "./image-regions.js";
import { rings } from "./region-shapes.js";
import { RegionStore } from "./region-store.js";
import { Tangent } from "./sky-projection.js";
import { separation } from "./sky-sphere.js";
import { equatorial, placeOf, written } from "./skyplace.js";

const WHEEL = 1.0015, FAR = 10;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const form = document.getElementById("view");
if (form) open().catch((error) => note(`The picture is the server's, as its values could not be loaded (${error.message}).`));

async function open() {
  const about = await (await asked(form.dataset.about)).json();
  if (about.reason) { note(`There is no picture: ${about.reason}.`); return; }
  const values = valuesOf(await (await asked(form.dataset.values)).arrayBuffer(), about);
  new View(about, values);
}

async function asked(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response;
}

function note(sentence) {
  const line = document.createElement("li");
  line.textContent = sentence;
  document.getElementById("notes").append(line);
}

class View {
  constructor(about, values) {
    this.about = about;
    this.stage = document.getElementById("stage");
    this.reading = document.getElementById("reading");
    for (const id of ["stage", "bar", "tools", "help"]) document.getElementById(id).hidden = false;
    document.getElementById("drawn").hidden = true;
    about.notes.forEach(note);
    this.image = new ImageCanvas(document.getElementById("picture"), about, values);
    this.tangent = about.projection ? new Tangent(about.projection) : null;
    this.cross = ["across", "up"].map((kind) => { const line = document.createElement("div"); line.className = `cross ${kind}`; line.hidden = true; return line; });
    this.stage.append(...this.cross);
    this.stage.tabIndex = 0;
    this.stage.setAttribute("role", "application");
    this.stage.setAttribute("aria-label", "The image. Arrow keys read it, plus and minus zoom, 0 shows all of it. The regions come after it.");
    this.at = null; // what is read, on the stage
    if (this.tangent) this.openRegions();
    this.image.resize();
    new ResizeObserver(() => { this.image.resize(); this.editor?.draw(); }).observe(this.stage);
    this.recolour();
    this.listen();
  }

  openRegions() {
    const sight = {
      toScreen: ([lon, lat]) => { const pixel = this.tangent.toPixel({ lon, lat }); return pixel && this.image.toScreen(pixel); },
      toSky: (point) => { const { lon, lat } = this.tangent.toSky(this.image.toPixel(point)); return [lon, lat]; },
    };
    const none = { text: "", shapes: [] }, store = new RegionStore({ source: none, background: none });
    this.editor = new ImageRegions(document.getElementById("overlay"), sight, store);
    const usual = () => ({ place: sight.toSky(this.image.size.map((side) => side / 2)), size: this.usualSize(sight) });
    new ImageFields(form, store, usual).read();
  }

  /** A twelfth of what is seen, in arc seconds: how large a region begins. */
  usualSize(sight) {
    const [wide, high] = this.image.size;
    return separation(sight.toSky([0, high / 2]), sight.toSky([wide, high / 2])) * 3600 / 12;
  }

  listen() {
    form.addEventListener("change", ({ target }) => {
      if (target.closest(".part")) form.requestSubmit(); // another part has other values: they are asked for
      else if (target.closest(".lookset")) this.recolour();
    });
    form.addEventListener("submit", (event) => {
      if (event.submitter?.closest(".lookset") && !document.activeElement?.closest(".part")) { event.preventDefault(); this.recolour(); }
    });
    this.stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.image.zoomBy(WHEEL ** -event.deltaY, this.pointOf(event));
      this.follow();
    }, { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.begin(event));
    this.stage.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) this.stage.addEventListener(end, () => { this.drag = null; });
    this.stage.addEventListener("pointerleave", () => { if (!this.drag) this.read(null); });
    this.stage.addEventListener("keydown", (event) => this.key(event));
    document.getElementById("tools").addEventListener("click", ({ target }) => this.act(target.dataset.do));
  }

  look() {
    const number = (name) => { const text = form.elements[name].value.trim().replace("\u2212", "-"), value = Number(text); return text && Number.isFinite(value) ? value : null; };
    return { scale: form.elements.scale.value, colours: form.elements.colours.value, inverted: form.elements.inverted.checked,
      percent: number("percent"), low: number("low"), high: number("high") };
  }

  recolour() {
    const look = this.look(), wrong = look.low !== null && look.high !== null && look.low >= look.high;
    for (const name of ["low", "high"]) form.elements[name].setAttribute("aria-invalid", wrong);
    if (wrong) { this.reading.textContent = "The lower end of the values comes first."; return; }
    this.image.colour(look).forEach((value, at) => { document.getElementById(at ? "bar-high" : "bar-low").textContent = written(value); });
    const bar = document.getElementById("bar-colours").getContext("2d"), line = new ImageData(256, 1);
    new Uint32Array(line.data.buffer).set(this.image.coloursOf(look));
    bar.putImageData(line, 0, 0);
    this.stage.classList.toggle("light", (look.colours === "paper") !== look.inverted);
  }

  begin(event) {
    if (event.button !== 0) return;
    this.drag = [event.clientX, event.clientY];
    this.stage.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (this.drag) {
      this.image.moveBy(event.clientX - this.drag[0], event.clientY - this.drag[1]);
      this.drag = [event.clientX, event.clientY];
      this.follow();
    }
    this.reading.removeAttribute("aria-live");
    this.read(this.pointOf(event));
  }

  key(event) {
    if (event.target !== this.stage || event.ctrlKey || event.metaKey || event.altKey) return;
    const zooms = { "+": "closer", "=": "closer", "-": "farther", "\u2212": "farther", 0: "all", Home: "all" };
    if (event.key in zooms) { event.preventDefault(); this.act(zooms[event.key]); return; }
    if (event.key === "Escape") { this.read(null); return; }
    if (!(event.key in ARROWS)) return;
    event.preventDefault();
    const step = (event.shiftKey ? FAR : 1) * Math.max(1, this.image.place.zoom), [wide, high] = this.image.size;
    const next = (this.at ?? [wide / 2, high / 2]).map((part, axis) => part + step * ARROWS[event.key][axis]);
    const over = next.map((part, axis) => part - Math.min(Math.max(part, 0), this.image.size[axis] - 1));
    if (over[0] || over[1]) { this.image.moveBy(-over[0], -over[1]); this.follow(); }
    this.reading.setAttribute("aria-live", "polite");
    this.read(next.map((part, axis) => part - over[axis]));
  }

  act(what) {
    if (what === "closer" || what === "farther") this.image.zoomBy(what === "closer" ? 1.5 : 1 / 1.5, this.at ?? undefined);
    if (what === "all") this.image.showAll();
    if (what === "regions") this.showRegions();
    if (what === "save") this.save();
    this.follow();
  }

  showRegions() {
    const pixels = (this.editor?.all ?? []).flatMap(({ shape }) => rings(shape).flat()).map(([lon, lat]) => this.tangent.toPixel({ lon, lat })).filter(Boolean);
    if (!pixels.length) { this.reading.textContent = "There is no region to show."; return; }
    const ends = (pick) => [0, 1].map((axis) => pick(...pixels.map((pixel) => pixel[axis])));
    this.image.showBetween(ends(Math.min), ends(Math.max));
  }

  /** Draws what lies over the picture anew, as it was moved. */
  follow() {
    this.editor?.draw();
    if (this.at) this.read(this.at);
  }

  read(point) {
    this.at = point;
    const pixel = point && this.image.toPixel(point), value = pixel ? this.image.valueAt(pixel) : undefined;
    for (const line of this.cross) line.hidden = !point;
    if (!point) { this.reading.textContent = "\u00a0"; return; }
    this.cross[0].style.top = `${point[1]}px`;
    this.cross[1].style.left = `${point[0]}px`;
    const { measure, named, first } = this.about, words = [this.placeWords(pixel)];
    named.forEach(([name, zero, step], axis) => words.push(`${name} ${(zero + pixel[axis] * step).toFixed(1)}`));
    words.push(value === undefined ? "outside" : `${measure}: ${Number.isNaN(value) ? "none" : written(value)}`);
    words.push(`pixel ${(pixel[0] + first).toFixed(1)}, ${(pixel[1] + first).toFixed(1)}`);
    this.reading.textContent = words.filter(Boolean).join(" \u00b7 ");
  }

  placeWords(pixel) {
    if (this.tangent) return equatorial(this.tangent.toSky(pixel), " ICRS");
    const { sky, low, step, rows, columns } = this.about;
    const [x, y] = [(pixel[0] - low[0]) / step[0] / columns, (pixel[1] - low[1]) / step[1] / rows];
    return sky && x >= 0 && x < 1 && y >= 0 && y < 1 ? placeOf(sky, pixel, x, y) : "";
  }

  pointOf(event) {
    const rect = this.stage.getBoundingClientRect();
    return [event.clientX - rect.left, event.clientY - rect.top];
  }

  async save() {
    const blob = await new Promise((done) => { this.image.canvas.toBlob(done, "image/png"); }), link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${document.querySelector("h1").textContent.trim().split("/").pop().replace(/\.fits.*$/, "")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}
