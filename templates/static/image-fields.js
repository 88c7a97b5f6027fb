// The fields of the regions beside an image: the kind of a new shape, the numbers of each, and all of a region as text,
// which the server reads. They follow what is drawn, and what is drawn follows them.

import { RegionNumbers } from "./region-numbers.js";
import { fromJson, KINDS, made, middleOf } from "./region-shapes.js";
import { NAMES } from "./region-store.js";

const OFFERED = ["circle", "annulus", "ellipse", "box", "polygon"];

export class ImageFields {
  /** `usual()` tells where a new shape lies, and its size in arc seconds. */
  constructor(form, store, usual) {
    Object.assign(this, { form, store, usual, written: {} });
    for (const role of NAMES) this.build(role);
    store.addEventListener("draw", () => this.write());
    document.addEventListener("region:set", ({ detail }) => {
      for (const role of NAMES) form.elements[role].value = detail[role] ?? "";
      this.read();
    });
  }

  build(role) {
    const set = this.form.querySelector(`fieldset[data-role=${role}]`), place = set.querySelector(".numbers"), select = document.createElement("select");
    const label = document.createElement("label"), panel = document.createElement("div");
    select.append(new Option("none", ""), ...OFFERED.map((kind) => new Option(KINDS[kind].title, kind)));
    select.addEventListener("change", () => this.choose(role, select.value));
    label.append("Shape ", select);
    panel.className = "sky-numbers";
    place.append(label, panel);
    place.hidden = false;
    this.selects = { ...this.selects, [role]: select };
    new RegionNumbers(panel, role, this.store, (problem) => this.tell(role, problem));
    this.form.elements[role].addEventListener("change", () => this.read());
  }

  /** Has the server read the texts, and draws what it says. */
  async read() {
    const address = new URL(this.form.dataset.regions, location.href), asked = Object.fromEntries(NAMES.map((role) => [role, this.form.elements[role].value]));
    for (const role of NAMES) address.searchParams.set(role, asked[role]);
    try {
      const response = await fetch(address, { cache: "no-store" });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      this.take(await response.json(), asked);
    } catch (error) {
      this.tell("source", `The regions could not be read: ${error.message}`);
    }
  }

  /** Takes over what was read of some texts, where they have not changed meanwhile. */
  take(found, asked) {
    const same = NAMES.filter((role) => this.form.elements[role].value === asked[role]), good = same.filter((role) => !found[role].problem);
    this.store.adopt(Object.fromEntries(good.map((role) => [role, found[role]])));
    for (const role of same) this.tell(role, found[role].problem);
  }

  tell(role, problem) {
    document.getElementById(`${role}-problem`).textContent = problem;
    this.form.elements[role].toggleAttribute("aria-invalid", Boolean(problem));
  }

  /** Writes what is drawn into the fields. */
  write() {
    for (const role of NAMES) {
      if (this.written[role] === this.store.text(role)) continue; // a text that could not be read stays as it was typed
      this.written[role] = this.store.text(role);
      this.tell(role, "");
      this.form.elements[role].value = this.store.text(role);
      const kind = this.store.now[role].shapes[0]?.kind ?? "";
      if (kind && !OFFERED.includes(kind) && !this.selects[role].querySelector(`[value=${kind}]`)) this.selects[role].append(new Option(KINDS[kind].title, kind));
      this.selects[role].value = kind;
    }
    const [source, background] = NAMES.map((role) => this.store.text(role));
    document.dispatchEvent(new CustomEvent("region:changed", { detail: { source, background, problems: [] } }));
  }

  choose(role, kind) {
    const [first, ...others] = this.store.now[role].shapes, [other] = this.store.now[NAMES.find((name) => name !== role)].shapes;
    const { place, size } = this.usual(), about = first ?? other; // a background begins about its source
    this.store.show(kind ? [made(kind, about ? middleOf(about) : place, first?.sizes[0] ?? size), ...others] : [], role);
    this.store.commit();
  }
}
