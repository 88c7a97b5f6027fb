// The regions over an image: moved as a whole or by their nodes, with the pointer and with the keyboard. `sight` maps
// positions (degrees, ICRS) to points of the overlay and back, null where there is none.

import { KINDS, middleOf, nodes, rings, withCorner, withMove, withNode, withoutCorner } from "./region-shapes.js";
import { NAMES } from "./region-store.js";
import { separation } from "./sky-sphere.js";

const SVG = "http://www.w3.org/2000/svg";
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP = 1, FAR = 10; // pixels of the screen that an arrow moves, and with Shift

export class ImageRegions {
  constructor(overlay, sight, store) {
    Object.assign(this, { overlay, sight, store, drag: null });
    overlay.addEventListener("pointerdown", (event) => this.begin(event));
    overlay.addEventListener("pointermove", (event) => this.follow(event));
    for (const end of ["pointerup", "pointercancel"]) overlay.addEventListener(end, () => this.end());
    overlay.addEventListener("keydown", (event) => this.key(event));
    overlay.addEventListener("keyup", (event) => { if (event.key in ARROWS) store.commit(); });
    overlay.addEventListener("dblclick", (event) => this.addCorner(event));
    store.addEventListener("draw", () => this.draw());
  }

  shapesOf(role) {
    return this.store.now[role].shapes;
  }

  get all() {
    return NAMES.flatMap((role) => this.shapesOf(role).map((shape, at) => ({ role, at, shape })));
  }

  /** Draws everything as it is now; what has the focus stays where it can, else gets the focus back. */
  draw() {
    const now = [...this.overlay.querySelectorAll("*")], group = element("g", ""), focused = document.activeElement?.dataset.key;
    group.append(...this.all.reverse().map((each) => this.drawShape(each)));
    const next = [...group.querySelectorAll("*")];
    if (now.length === next.length && now.every((part, at) => part.dataset.key === next[at].dataset.key && part.tagName === next[at].tagName)) {
      now.forEach((part, at) => { for (const { name, value } of next[at].attributes) if (part.getAttribute(name) !== value) part.setAttribute(name, value); });
      return;
    }
    this.overlay.replaceChildren(...group.children);
    if (focused) this.overlay.querySelector(`[data-key="${focused}"]`)?.focus({ preventScroll: true });
  }

  drawShape({ role, at, shape }) {
    const group = element("g", `onsky on-${role}${shape.exclude ? " cut" : ""}`), lines = rings(shape).map((line) => line.map((place) => this.sight.toScreen(place)));
    const seen = lines.every((line) => line.every(Boolean));
    const path = seen ? lines.map((line) => `M${line.map((point) => point.map((part) => part.toFixed(2)).join(" ")).join("L")}Z`).join("") : "";
    for (const kind of ["case", "line"]) group.append(element("path", kind, { d: path, "fill-rule": "evenodd" }));
    const words = `${role} region, ${shape.exclude ? "cut out: " : ""}${KINDS[shape.kind].title.toLowerCase()}. Arrow keys move it.`;
    describe(group.lastChild, { key: `${role}-${at}`, role, at }, words);
    nodes(shape).forEach(({ name, at: place }, node) => {
      const point = this.sight.toScreen(place), corner = shape.kind === "polygon";
      if (!point || (node === 0 && !corner)) return; // a shape is moved by its inside
      const knob = element("circle", "knob", { cx: point[0].toFixed(2), cy: point[1].toFixed(2), r: 6 });
      describe(knob, { key: `${role}-${at}-${node}`, role, at, node }, `${name} of the ${role} region. Arrow keys move it${corner ? ", Delete removes it" : ""}.`);
      group.append(knob);
    });
    return group;
  }

  begin(event) {
    const { role, at, node } = event.target.dataset;
    if (event.button !== 0 || role === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    event.target.focus({ preventScroll: true });
    this.overlay.setPointerCapture(event.pointerId);
    this.drag = { role, at: Number(at), node, from: this.sight.toSky(this.pointOf(event)), shape: this.shapesOf(role)[at] };
  }

  follow(event) {
    const to = this.drag && this.sight.toSky(this.pointOf(event));
    if (to) this.move(this.drag, to);
  }

  end() {
    if (this.drag) this.store.commit();
    this.drag = null;
  }

  move({ role, at, node, from, shape }, to) {
    this.take(role, at, node === undefined ? withMove(shape, from, to) : withNode(shape, Number(node), to));
  }

  take(role, at, shape) {
    this.store.show(this.shapesOf(role).with(at, shape), role);
  }

  key(event) {
    const { role, at, node } = event.target.dataset;
    if (role === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const shape = this.shapesOf(role)[at];
    if (event.key in ARROWS) {
      event.preventDefault();
      event.stopPropagation();
      const from = node === undefined ? middleOf(shape) : nodes(shape)[node].at, step = event.shiftKey ? FAR : STEP;
      const point = this.sight.toScreen(from), to = point && this.sight.toSky(point.map((part, axis) => part + step * ARROWS[event.key][axis]));
      if (to) this.move({ role, at: Number(at), node, from, shape }, to);
    } else if (event.key === "Delete" && node !== undefined && shape.kind === "polygon") {
      event.preventDefault();
      const fewer = withoutCorner(shape, Number(node));
      if (fewer) { this.take(role, Number(at), fewer); this.store.commit(); }
    }
  }

  /** A press twice on a side of a polygon adds a corner there. */
  addCorner(event) {
    const { role, at, node } = event.target.dataset, shape = role && this.shapesOf(role)[at], place = this.sight.toSky(this.pointOf(event));
    if (shape?.kind !== "polygon" || node !== undefined || !place) return;
    event.stopPropagation();
    const { vertices } = shape, longer = vertices.map((one, i) => {
      const next = vertices[(i + 1) % vertices.length];
      return separation(one, place) + separation(place, next) - separation(one, next);
    });
    this.take(role, Number(at), withCorner(shape, longer.indexOf(Math.min(...longer)), place));
    this.store.commit();
  }

  pointOf(event) {
    const rect = this.overlay.getBoundingClientRect();
    return [event.clientX - rect.left, event.clientY - rect.top];
  }
}

function element(name, kind, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  made.setAttribute("class", kind);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function describe(part, data, words) {
  for (const [name, value] of Object.entries(data)) part.dataset[name] = value;
  part.setAttribute("tabindex", "0");
  part.setAttribute("role", "button");
  part.setAttribute("aria-label", words);
}
