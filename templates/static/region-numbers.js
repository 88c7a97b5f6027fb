// The numbers of the shapes as fields beside the sky: another look at the same state. What is typed is taken over at once.

import { KINDS, written } from "./region-shapes.js";

const MOST_CORNERS = 40;

export class RegionNumbers {
  #built = "";

  /** `panel` gets the fields of the region of that name. */
  constructor(panel, name, store, say) {
    Object.assign(this, { panel, name, store, say });
    store.addEventListener("draw", () => this.#draw());
    panel.addEventListener("change", (event) => this.#changed(event.target));
    panel.addEventListener("keydown", (event) => event.key === "Enter" && this.#entered(event));
    panel.addEventListener("click", (event) => event.target.dataset.remove && this.#remove(Number(event.target.dataset.remove)));
    this.#draw();
  }

  get #shapes() {
    return this.store.now[this.name].shapes;
  }

  #entered(event) {
    event.preventDefault(); // it would send the form
    this.#changed(event.target);
  }

  #draw() {
    const plan = this.#shapes.map((shape) => `${shape.kind}${shape.vertices?.length ?? ""}`).join(" ");
    if (plan !== this.#built) {
      this.#built = plan;
      this.panel.replaceChildren(...this.#shapes.map((shape, index) => this.#fields(shape, index)));
    }
    this.#shapes.forEach((shape, index) => this.#fill(shape, index));
  }

  #fields(shape, index) {
    const set = node("fieldset", { className: "shape" }), head = node("legend", { textContent: `${KINDS[shape.kind].title} ${index + 1}` });
    set.append(head, ...labels(shape).slice(0, 2 * MOST_CORNERS + 9).map(([label, key]) => {
      const field = node("input", { type: "text", inputMode: "decimal", autocomplete: "off", spellcheck: false });
      Object.assign(field.dataset, { shape: index, key });
      const wrap = node("label", { textContent: label });
      wrap.append(field);
      return wrap;
    }));
    const cut = node("label", { className: "tick", textContent: "Cut out" }), box = node("input", { type: "checkbox" });
    Object.assign(box.dataset, { shape: index, key: "exclude" });
    cut.prepend(box);
    const remove = node("button", { type: "button", className: "quiet", textContent: "Delete" });
    remove.setAttribute("aria-label", `Delete ${head.textContent.toLowerCase()} of the ${this.name}`);
    remove.dataset.remove = index;
    const foot = node("div", { className: "foot" });
    foot.append(cut, remove);
    if (shape.vertices?.length > MOST_CORNERS) foot.prepend(node("p", { className: "muted", textContent: `${shape.vertices.length} corners: the text has them all` }));
    set.append(foot);
    return set;
  }

  #fill(shape, index) {
    const fields = this.panel.querySelectorAll(`[data-shape="${index}"]`);
    for (const field of fields) {
      if (field.type === "checkbox") field.checked = shape.exclude;
      else if (field !== document.activeElement) {
        field.value = valueOf(shape, field.dataset.key);
        field.removeAttribute("aria-invalid");
      }
    }
  }

  #changed(field) {
    const index = Number(field.dataset.shape), shape = this.#shapes[index];
    if (!shape) return;
    const changed = field.type === "checkbox" ? { ...shape, exclude: field.checked } : withValue(shape, field.dataset.key, field.value);
    field.toggleAttribute("aria-invalid", !changed);
    if (!changed) return this.say(`“${field.value}” cannot be taken: ${expected(field.dataset.key)}`);
    this.store.show(this.#shapes.with(index, changed), this.name);
    this.store.commit();
  }

  #remove(index) {
    this.store.show(this.#shapes.toSpliced(index, 1), this.name);
    this.store.commit();
  }
}

/** Label and key of each number of a shape. */
function labels(shape) {
  if (shape.kind === "polygon") return shape.vertices.flatMap((_, at) => [[`RA ${at + 1} (deg)`, `ra ${at}`], [`Dec ${at + 1} (deg)`, `dec ${at}`]]);
  const { sizes, turns } = KINDS[shape.kind];
  return [["RA (deg)", "ra"], ["Dec (deg)", "dec"], ...sizes.map((name, at) => [`${name} (arcsec)`, `size ${at}`]), ...(turns ? [["Angle (deg)", "angle"]] : [])];
}

function valueOf(shape, key) {
  const [what, at] = key.split(" "), place = at === undefined || what === "size" ? shape.centre : shape.vertices[at];
  switch (what) {
    case "ra": return written(place[0], 6);
    case "dec": return written(place[1], 6);
    case "size": return written(shape.sizes[at], 3);
    default: return written(shape.angle, 3);
  }
}

/** The shape with a number that was typed; null if it is none that may stand there. */
function withValue(shape, key, text) {
  const [what, at] = key.split(" "), value = what === "ra" || what === "dec" ? coordinate(text, what) : number(text);
  if (value === null) return null;
  if (what === "angle") return { ...shape, angle: value };
  if (what === "size") return sized(shape, shape.sizes.with(Number(at), value));
  const axis = what === "ra" ? 0 : 1;
  if (at === undefined) return { ...shape, centre: shape.centre.with(axis, value) };
  return { ...shape, vertices: shape.vertices.with(Number(at), shape.vertices[at].with(axis, value)) };
}

function sized(shape, sizes) {
  const isRing = shape.kind === "annulus" && sizes[0] >= sizes[1];
  return isRing || sizes.some((size) => !(size > 0 && size <= 180 * 3600)) ? null : { ...shape, sizes };
}

function expected(key) {
  const what = key.split(" ")[0];
  if (what === "ra") return "a right ascension is 0 to 360 degrees, or hours such as 09:55:53.3";
  if (what === "dec") return "a declination is −90 to 90 degrees, or such as +69:39:04";
  return what === "angle" ? "an angle is a number of degrees" : "a size is a number of arcsec above 0, at an annulus the inner one below the outer one";
}

function number(text) {
  const plain = text.trim().replace(/^−/, "-");
  return plain !== "" && Number.isFinite(Number(plain)) ? Number(plain) : null;
}

/** Degrees of a coordinate in degrees, or in hours or degrees with minutes and seconds. */
export function coordinate(text, what) {
  const parts = /^\s*([-+−]?)(\d{1,3})[:h d]+(\d{1,2})[:m ]+(\d{1,2}(?:\.\d*)?)s?\s*$/.exec(text);
  let value = number(text);
  if (parts) value = (/[-−]/.test(parts[1]) ? -1 : 1) * (Number(parts[2]) + Number(parts[3]) / 60 + Number(parts[4]) / 3600) * (what === "ra" ? 15 : 1);
  const [low, high] = what === "ra" ? [0, 360] : [-90, 90];
  return value !== null && value >= low && value <= high ? value : null;
}

function node(name, properties) {
  return Object.assign(document.createElement(name), properties);
}
