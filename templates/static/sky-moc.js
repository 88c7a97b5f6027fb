// The MOC of the active region: its order, its outline on the sky, its files. The server makes it.

import { SkyCells, cellsOf } from "./sky-cells.js";

const CELL_ARCSEC = (Math.sqrt(Math.PI / 3) * 180 * 3600) / Math.PI;
const WAIT_MS = 150, LONGEST_LINK = 20_000;

export class SkyMoc {
  #timer = 0;
  #asked = null;
  #isSet = false;

  constructor(box, path, view, address) {
    Object.assign(this, { box, address, region: "", cells: new SkyCells(path, view) });
    this.order = box.querySelector("#moc-order");
    this.said = box.querySelector("#moc-said");
    this.shown = box.querySelector("#moc-shown");
    box.querySelector(".sky-moc-order").hidden = false;
    this.order.addEventListener("input", () => {
      this.#isSet = true;
      this.#later();
    });
    this.shown.addEventListener("change", () => this.#later(0));
    this.#tell("");
  }

  /** Take another region, '' for none; its order is the server's until one is set. */
  show(region) {
    if (region === this.region) return;
    this.region = region;
    this.#links();
    this.#later();
  }

  #query(form) {
    return new URLSearchParams({ REGION: this.region, FORMAT: form, ...(this.#isSet ? { ORDER: this.order.value } : {}) });
  }

  #links() {
    for (const link of this.box.querySelectorAll("a[data-form]")) {
      if (this.region && this.region.length < LONGEST_LINK) link.href = `${this.address}?${this.#query(link.dataset.form)}`;
      else link.removeAttribute("href");
    }
  }

  #later(wait = WAIT_MS) {
    this.#links();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fetch(), wait);
    if (this.#isSet) this.#tell("");
  }

  #tell(more) {
    const order = Number(this.order.value), cell = CELL_ARCSEC / 2 ** order;
    const size = cell >= 3600 ? `${(cell / 3600).toPrecision(2)}°` : cell >= 60 ? `${(cell / 60).toPrecision(2)}′` : `${cell.toPrecision(2)}″`;
    this.said.textContent = more || `${order}: cells of ${size}`;
  }

  async #fetch() {
    this.#asked?.abort();
    if (!this.shown.checked || !this.region) this.cells.show(null);
    if (!this.shown.checked) return;
    if (!this.region) return this.#tell("there is no region yet");
    this.#asked = new AbortController();
    try {
      const answer = await fetch(this.address, { method: "POST", body: this.#query("json"), signal: this.#asked.signal });
      if (!answer.ok) {
        this.cells.show(null);
        return this.#tell(reason(await answer.text()));
      }
      const moc = await answer.json(), orders = Object.keys(moc).map(Number);
      if (!this.#isSet) this.order.value = Math.max(...orders);
      const isDrawn = this.cells.show(moc);
      this.#tell("");
      this.said.textContent += `, ${cellsOf(moc)} of them${isDrawn ? "" : ", too many to be drawn"}`;
    } catch (error) {
      if (error.name !== "AbortError") this.#tell("the server does not answer");
    }
  }
}

/** The sentence of an error that came as VOTable. */
export function reason(text) {
  const found = new DOMParser().parseFromString(text, "application/xml").getElementsByTagName("INFO")[0];
  return found?.textContent.trim() || "it cannot be made";
}
