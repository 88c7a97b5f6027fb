// The two regions of the sky page, with what was before and after: every change of the editor, of the fields or of a text goes
// through here. "draw" is told of each change, "commit" when one is done.

import { fromJson, toDs9 } from "./region-shapes.js";

export const NAMES = ["source", "background"];
const MOST_STEPS = 200;

export class RegionStore extends EventTarget {
  #steps = [];
  #at = 0;

  constructor(regions) {
    super();
    this.active = "source";
    this.now = Object.fromEntries(NAMES.map((name) => [name, read(regions[name])]));
    this.#steps = [this.now];
  }

  get shapes() {
    return this.now[this.active].shapes;
  }

  text(name) {
    return this.now[name].text;
  }

  activate(name) {
    this.active = name;
    this.#tell("draw");
  }

  /** Show shapes of the active region, or of another one, while they are being changed. */
  show(shapes, name = this.active) {
    this.now = { ...this.now, [name]: { shapes, text: toDs9(shapes) } };
    this.#tell("draw");
  }

  /** Take over regions that the server has read: their texts stay as they were written. */
  adopt(regions) {
    this.now = { ...this.now, ...Object.fromEntries(Object.entries(regions).map(([name, region]) => [name, read(region)])) };
    this.#tell("draw");
    this.commit();
  }

  /** Make the last change a step that can be undone. */
  commit() {
    const before = this.#steps[this.#at];
    if (NAMES.every((name) => before[name].text === this.now[name].text && before[name].shapes.length === this.now[name].shapes.length)) return;
    this.#steps = [...this.#steps.slice(0, this.#at + 1), this.now].slice(-MOST_STEPS);
    this.#at = this.#steps.length - 1;
    this.#tell("commit");
  }

  /** Forget a change that is not done. */
  revert() {
    this.now = this.#steps[this.#at];
    this.#tell("draw");
  }

  get canUndo() {
    return this.#at > 0;
  }

  get canRedo() {
    return this.#at < this.#steps.length - 1;
  }

  undo() {
    if (this.canUndo) this.#go(this.#at - 1);
  }

  redo() {
    if (this.canRedo) this.#go(this.#at + 1);
  }

  #go(step) {
    this.#at = step;
    this.now = this.#steps[step];
    this.#tell("draw");
    this.#tell("commit");
  }

  #tell(name) {
    this.dispatchEvent(new Event(name));
  }
}

function read(region) {
  return { text: region.text, shapes: fromJson(region.shapes) };
}
