// The fields of the exposures that were found, on the sky: outlines whose dashes and colours say the camera. The outline is that of
// the exposure's MOC, which the server has.

import { loopPath, outlines } from "./healpix.js";

const SVG = "http://www.w3.org/2000/svg";
const MOST = 36, AT_ONCE = 6;

export class SkyFields {
  #known = new Map();
  #exposures = [];
  #chosen = new Set();
  #frame = 0;

  /** `say` is called with what cannot be drawn. */
  constructor({ group, legend, view, address, say }) {
    Object.assign(this, { group, legend, view, address, say, isShown: true });
    view.onMove(() => this.draw());
  }

  show(isShown) {
    this.isShown = isShown;
    this.draw();
  }

  choose(sources) {
    this.#chosen = new Set(sources);
    this.draw();
  }

  /** Draw the fields of these exposures: rows of the archive's search. */
  async found(rows) {
    const exposures = rows.map((row) => ({ source: row.eventlist ?? row.source, camera: row.instrument || "unknown" })).filter(({ source }) => source);
    this.#exposures = exposures.slice(0, MOST);
    if (exposures.length > MOST) this.say(`${exposures.length} exposures see the region: the fields of ${MOST} are drawn`);
    this.draw();
    const missing = this.#exposures.filter(({ source }) => !this.#known.has(source));
    for (let at = 0; at < missing.length; at += AT_ONCE) {
      await Promise.all(missing.slice(at, at + AT_ONCE).map(({ source }) => this.#fetch(source)));
      this.draw();
    }
  }

  async #fetch(source) {
    this.#known.set(source, []);
    try {
      const answer = await fetch(`${this.address}?${new URLSearchParams({ ID: source, FORMAT: "json" })}`);
      if (answer.ok) this.#known.set(source, outlines(await answer.json()));
    } catch {
      this.#known.delete(source); // the server may be there again with the next search
    }
  }

  /** The corners of all fields that are drawn. */
  get corners() {
    return this.#exposures.flatMap(({ source }) => (this.#known.get(source) ?? []).flat());
  }

  draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const cameras = [...new Set(this.#exposures.map(({ camera }) => camera))].sort();
      const drawn = this.isShown ? this.#exposures.filter(({ source }) => this.#known.get(source)?.length) : [];
      this.group.replaceChildren(...drawn.map(({ source, camera }) => this.#outline(source, cameras.indexOf(camera))));
      this.#name(this.isShown ? cameras : []);
    });
  }

  #outline(source, camera) {
    const d = this.#known.get(source).map((loop) => loopPath(loop, this.view)).join("");
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    path.setAttribute("class", `field camera-${camera % 6}${this.#chosen.has(source) ? " chosen" : ""}`);
    return path;
  }

  #name(cameras) {
    if (this.legend.dataset.cameras === cameras.join()) return;
    this.legend.dataset.cameras = cameras.join();
    this.legend.replaceChildren(...cameras.map((camera, index) => {
      const item = document.createElement("li"), sample = document.createElementNS(SVG, "svg"), line = document.createElementNS(SVG, "path");
      sample.setAttribute("viewBox", "0 0 34 8");
      sample.setAttribute("width", 34);
      sample.setAttribute("height", 8);
      sample.setAttribute("aria-hidden", "true");
      line.setAttribute("d", "M1 4H33");
      line.setAttribute("class", `field camera-${index % 6}`);
      sample.append(line);
      item.append(sample, camera);
      return item;
    }));
  }
}
