// The region editor: shapes as SVG over the view of the sky, drawn, taken by their nodes and moved by pointer and keyboard.

import * as shapes from "./region-shapes.js";
import { NAMES } from "./region-store.js";
import { separation } from "./sky-sphere.js";

const SVG = "http://www.w3.org/2000/svg";
const CLICK_PX = 4, CLOSE_PX = 9, TINY_PX = 12, MOST_NODES = 300, MOST_MIDPOINTS = 60;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class RegionEditor {
  #drag = null;
  #corners = null;
  #pointer = null;
  #frame = 0;

  /** `say` is called with what is to be told at once. */
  constructor(svg, view, store, say) {
    Object.assign(this, { svg, view, store, say, tool: "circle", chosen: { shape: -1, node: -1 } });
    this.setMode("edit");
    svg.addEventListener("pointerdown", (event) => this.#pressed(event));
    svg.addEventListener("pointermove", (event) => this.#moved(event));
    svg.addEventListener("pointerup", (event) => this.#released(event));
    svg.addEventListener("pointercancel", () => this.cancel());
    // not "dblclick": there is none where a frame has drawn the node anew while it was pressed
    svg.addEventListener("mousedown", (event) => event.detail === 2 && this.#deleteAt(event));
    svg.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    svg.addEventListener("keydown", (event) => this.#key(event));
    svg.addEventListener("keyup", (event) => event.key in ARROWS && this.store.commit());
    store.addEventListener("draw", () => this.draw());
    view.onMove(() => this.draw());
  }

  /** "edit": pointers draw and move shapes; "pan": they move the sky. */
  setMode(mode) {
    this.mode = mode;
    this.svg.classList.toggle("panning", mode === "pan");
    if (mode === "pan") this.#corners = null;
    this.draw();
  }

  setTool(tool) {
    this.tool = tool;
    this.#corners = null;
    this.setMode("edit");
  }

  choose(shape, node = -1) {
    this.chosen = { shape, node };
    const found = this.store.shapes[shape];
    if (found) this.say(node >= 0 ? `${shapes.nodes(found)[node].name} is chosen` : `${shapes.KINDS[found.kind].title} ${shape + 1} is chosen`);
    this.draw();
  }

  /** End a drawing or a movement, and leave everything as it was before. */
  cancel() {
    const wasBusy = this.#drag || this.#corners;
    this.#drag = this.#corners = null;
    this.store.revert();
    if (wasBusy) this.say("The drawing is ended");
    return Boolean(wasBusy);
  }

  /** Close a polygon that is being drawn. */
  finish() {
    const corners = this.#corners;
    this.#corners = null;
    if (corners?.length >= 3) this.#add(shapes.polygon(corners));
    else if (corners) this.say("A polygon needs three corners at least");
    this.draw();
  }

  clear() {
    this.#corners = null;
    this.choose(-1);
    this.store.show([]);
    this.store.commit();
    this.say(`The ${this.store.active} region is cleared`);
  }

  /** Delete the chosen corner of a polygon, else the chosen shape. */
  deleteChosen() {
    const { shape: index, node } = this.chosen, shape = this.store.shapes[index];
    if (!shape) return this.say("Nothing is chosen: click a shape, or press Page Down");
    const fewer = shape.kind === "polygon" && node >= 0 ? shapes.withoutCorner(shape, node) : null;
    this.store.show(fewer ? this.store.shapes.with(index, fewer) : this.store.shapes.toSpliced(index, 1));
    this.store.commit();
    this.choose(fewer ? index : -1, fewer ? Math.min(node, fewer.vertices.length - 1) : -1);
    this.say(fewer ? "The corner is deleted" : `${shapes.KINDS[shape.kind].title} is deleted`);
  }

  /** Add a shape of the chosen kind in the middle of the view. */
  addInMiddle() {
    const [width, height] = this.view.size, centre = this.view.toSky([width / 2, height / 2]);
    const edge = this.view.toSky([width / 2 + Math.min(width, height) / 6, height / 2]);
    if (centre && edge) this.#add(shapes.made(this.tool, centre, separation(centre, edge) * 3600));
  }

  #add(shape) {
    this.store.show([...this.store.shapes, shape]);
    this.store.commit();
    this.choose(this.store.shapes.length - 1, shape.kind === "polygon" ? -1 : 0);
    this.say(`${shapes.KINDS[shape.kind].title} is added to the ${this.store.active} region`);
  }

  #at(event) {
    const box = this.svg.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #pressed(event) {
    if (event.button !== 0 || this.mode !== "edit") return;
    this.svg.focus({ preventScroll: true });
    const pixel = this.#at(event), sky = this.view.toSky(pixel);
    if (!sky) return;
    const { shape, node, side } = this.#under(event);
    this.svg.setPointerCapture(event.pointerId);
    if (this.#corners || (this.tool === "polygon" && shape === undefined)) {
      this.#drag = { kind: "corner", from: pixel };
      return;
    }
    if (shape === undefined) {
      this.choose(-1);
      this.#drag = { kind: "draw", from: pixel, sky, before: this.store.shapes };
      return;
    }
    this.#take(Number(shape), node, side, pixel, sky);
  }

  /** What is under a pointer now: the frame that shows the last change may still be to come, and the target be that which has the pointer. */
  #under(event) {
    if (this.#frame) {
      cancelAnimationFrame(this.#frame);
      this.#frame = 0;
      this.#render();
    }
    return document.elementFromPoint(event.clientX, event.clientY)?.dataset ?? {};
  }

  /** Take a node, a new corner of a side, or a shape as a whole. */
  #take(index, node, side, pixel, sky) {
    let shape = this.store.shapes[index];
    if (side !== undefined) {
      shape = shapes.withCorner(shape, Number(side), sky);
      this.store.show(this.store.shapes.with(index, shape));
      node = Number(side) + 1;
    }
    this.choose(index, node === undefined ? -1 : Number(node));
    this.#drag = { kind: "move", from: pixel, sky, index, node: this.chosen.node, before: shape, isNew: side !== undefined };
  }

  #moved(event) {
    const pixel = this.#at(event);
    this.#pointer = pixel;
    if (this.#corners) this.draw();
    const drag = this.#drag, sky = drag && this.view.toSky(pixel);
    if (!sky || drag.kind === "corner") return;
    drag.isFar ||= Math.hypot(pixel[0] - drag.from[0], pixel[1] - drag.from[1]) >= CLICK_PX;
    if (!drag.isFar) return;
    if (drag.kind === "draw") this.store.show([...drag.before, this.#drawn(drag, sky, pixel)]);
    else {
      const shape = drag.node >= 0 ? shapes.withNode(drag.before, drag.node, sky) : shapes.withMove(drag.before, drag.sky, sky);
      this.store.show(this.store.shapes.with(drag.index, shape));
    }
  }

  /** The shape between where the pointer was pressed and where it is. */
  #drawn({ from, sky }, to, [x, y]) {
    const away = separation(sky, to) * 3600;
    if (this.tool !== "ellipse") return { ...shapes.made(this.tool, sky, away), handle: undefined };
    const across = this.view.toSky([x, from[1]]) ?? to, up = this.view.toSky([from[0], y]) ?? to;
    const [a, b] = [separation(sky, across) * 3600, separation(sky, up) * 3600];
    return shapes.made("ellipse", sky, Math.max(a, b / 20), Math.max(b, a / 20));
  }

  #released(event) {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag) return;
    if (drag.kind === "corner") this.#corner(this.#at(event));
    else if (drag.isFar || drag.isNew) {
      this.store.commit();
      if (drag.kind === "draw") this.#told();
    } else if (drag.kind === "draw") this.say(`Drag from the middle outwards to draw ${this.tool === "circle" ? "a circle" : `an ${this.tool}`}`);
  }

  #told() {
    const index = this.store.shapes.length - 1;
    this.choose(index, 0);
    this.say(`${shapes.KINDS[this.store.shapes[index].kind].title} is added to the ${this.store.active} region`);
  }

  /** A click of a polygon that is being drawn: a further corner, or its end at the first or last one. */
  #corner(pixel) {
    const sky = this.view.toSky(pixel);
    if (!sky) return;
    const corners = this.#corners ?? [];
    const near = (corner, most) => {
      const at = corner && this.view.toPixel(corner);
      return Boolean(at) && Math.hypot(at[0] - pixel[0], at[1] - pixel[1]) < most;
    };
    if (corners.length >= 3 && near(corners[0], CLOSE_PX)) return this.finish();
    if (near(corners.at(-1), CLICK_PX)) return corners.length >= 3 ? this.finish() : undefined;
    this.#corners = [...corners, sky];
    if (corners.length === 0) this.choose(-1);
    this.say(`Corner ${this.#corners.length}. Click the first corner, or press Enter, to close the polygon; Escape ends it`);
    this.draw();
  }

  #deleteAt(event) {
    const { shape, node } = this.#under(event);
    if (node === undefined || this.mode !== "edit" || this.#corners || this.store.shapes[shape]?.kind !== "polygon") return;
    this.#drag = null;
    this.choose(Number(shape), Number(node));
    this.deleteChosen();
  }

  #wheel(event) {
    event.preventDefault();
    this.view.zoom(Math.exp(Math.min(Math.max(event.deltaY, -300), 300) * 0.0015));
  }

  #key(event) {
    if (event.altKey || event.metaKey) return;
    const done = this.#doneByKey(event);
    if (done) event.preventDefault();
  }

  #doneByKey({ key, shiftKey, ctrlKey }) {
    if (ctrlKey) {
      const steps = { z: shiftKey ? "redo" : "undo", Z: "redo", y: "redo" };
      if (steps[key]) this.store[steps[key]]();
      return key in steps;
    }
    if (key in ARROWS) return this.#nudge(ARROWS[key], shiftKey ? 10 : 1);
    switch (key) {
      case "Escape": if (!this.cancel()) this.choose(-1); return true;
      case "Enter": if (this.#corners) this.finish(); else this.addInMiddle(); return true;
      case "Delete": case "Backspace": this.#back(); return true;
      case "Insert": this.#insert(); return true;
      case "PageDown": case "PageUp": this.#next(key === "PageDown" ? 1 : -1); return true;
      case "+": case "=": this.view.zoom(1 / 1.4); return true;
      case "-": this.view.zoom(1.4); return true;
      default: return false;
    }
  }

  #back() {
    if (!this.#corners) return this.deleteChosen();
    this.#corners = this.#corners.slice(0, -1);
    if (!this.#corners.length) this.#corners = null;
    this.draw();
  }

  #insert() {
    const { shape: index, node } = this.chosen, shape = this.store.shapes[index];
    if (shape?.kind !== "polygon" || node < 0) return this.say("Choose a corner of a polygon first");
    this.store.show(this.store.shapes.with(index, shapes.withCorner(shape, node, shapes.midpoints(shape)[node])));
    this.store.commit();
    this.choose(index, node + 1);
  }

  /** Choose the next node of the shapes of the active region. */
  #next(step) {
    const all = this.store.shapes.flatMap((shape, index) => shapes.nodes(shape).map((_, node) => [index, node]));
    if (!all.length) return this.say(`The ${this.store.active} region is empty: Enter adds a shape`);
    const first = all.findIndex(([shape]) => shape === this.chosen.shape);
    const at = this.chosen.node < 0 ? (step > 0 ? first - 1 : Math.max(first, 0)) : first + this.chosen.node;
    this.choose(...all[(Math.max(at, -1) + step + all.length) % all.length]);
  }

  /** Move the chosen node, the chosen shape or, with nothing chosen, the sky by pixels. */
  #nudge([dx, dy], pixels) {
    const { shape: index, node } = this.chosen, shape = this.store.shapes[index];
    if (!shape) {
      this.view.pan(dx * pixels * 8, dy * pixels * 8);
      return true;
    }
    const from = node >= 0 ? shapes.nodes(shape)[node].at : shapes.middleOf(shape), at = this.view.toPixel(from);
    const to = at && this.view.toSky([at[0] + dx * pixels, at[1] + dy * pixels]);
    if (!to) return true;
    this.store.show(this.store.shapes.with(index, node >= 0 ? shapes.withNode(shape, node, to) : shapes.withMove(shape, from, to)));
    return true;
  }

  /** Draw everything with the next frame. */
  draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render();
    });
  }

  #render() {
    const others = NAMES.filter((name) => name !== this.store.active);
    const groups = [...others, this.store.active].map((name) => this.#region(name));
    this.svg.querySelector("#sky-regions").replaceChildren(...groups, ...this.#unfinished());
  }

  #region(name) {
    const isActive = name === this.store.active, group = element("g", { class: `drawn of-${name}${isActive ? " active" : ""}` });
    this.store.now[name].shapes.forEach((shape, index) => {
      const isChosen = isActive && index === this.chosen.shape;
      const d = shapes.rings(shape).map((ring) => this.#path(ring)).join("");
      const kind = `${shape.exclude ? " excluded" : ""}${isChosen ? " chosen" : ""}${shapes.crosses(shape) ? " crossed" : ""}`;
      group.append(element("path", { d, class: "casing" }), element("path", { d, class: `outline${kind}`, "data-shape": index }));
      if (isActive && this.mode === "edit") group.append(...this.#handles(shape, index, isChosen));
    });
    return group;
  }

  /** The line through the positions of a ring; it is broken where they leave the view's half of the sky. */
  #path(ring, isClosed = true) {
    const pixels = ring.map((each) => this.view.toPixel(each));
    let text = "", isOn = false;
    for (const pixel of pixels) {
      text += pixel ? `${isOn ? "L" : "M"}${pixel[0].toFixed(2)} ${pixel[1].toFixed(2)}` : "";
      isOn = Boolean(pixel);
    }
    return isClosed && !pixels.includes(null) ? `${text}Z` : text;
  }

  #handles(shape, index, isChosen) {
    const found = [], all = shapes.nodes(shape);
    if (isChosen && all.length <= MOST_MIDPOINTS) {
      shapes.midpoints(shape).forEach((at, side) => found.push(this.#dot(at, 4, { class: "side", "data-shape": index, "data-side": side })));
    }
    if (!isChosen && (all.length > MOST_NODES || this.#isTiny(all))) return [];
    all.slice(0, MOST_NODES).forEach(({ name, at }, node) => {
      const is = isChosen && node === this.chosen.node;
      const dot = this.#dot(at, is ? 7 : 5, { class: `node${is ? " chosen" : ""}`, "data-shape": index, "data-node": node });
      if (dot) dot.append(Object.assign(document.createElementNS(SVG, "title"), { textContent: name }));
      found.push(dot);
    });
    return found.filter(Boolean);
  }

  /** Whether nodes lie so close together that they would hide their shape. */
  #isTiny(all) {
    const [first, ...others] = all.map(({ at }) => this.view.toPixel(at));
    return Boolean(first) && others.every((pixel) => pixel && Math.hypot(pixel[0] - first[0], pixel[1] - first[1]) < TINY_PX);
  }

  #dot(at, r, attributes) {
    const pixel = this.view.toPixel(at);
    return pixel && element("circle", { cx: pixel[0].toFixed(2), cy: pixel[1].toFixed(2), r, ...attributes });
  }

  #unfinished() {
    if (!this.#corners) return [];
    const d = this.#path(this.#corners, false), end = this.#pointer ? `L${this.#pointer[0]} ${this.#pointer[1]}` : "";
    return [element("path", { d: d + end, class: `outline open of-${this.store.active}` }),
      ...this.#corners.map((at) => this.#dot(at, 5, { class: "node" })).filter(Boolean)];
  }
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
