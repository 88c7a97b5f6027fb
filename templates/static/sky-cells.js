// The cells of a MOC on the sky as an outline of the page's own: Aladin Lite draws cells of high orders some arcsec beside their place,
// and those of others coarsely.

import { loopPath, outlines } from "./healpix.js";

const MOST_CELLS = 40_000;

export class SkyCells {
  #loops = [];

  constructor(path, view) {
    Object.assign(this, { path, view });
    view.onMove(() => this.draw());
  }

  /** Draw the cells of a MOC (as JSON), none for null; return whether they are few enough for that. */
  show(moc) {
    const count = cellsOf(moc ?? {}), areFew = count <= MOST_CELLS;
    this.#loops = count && areFew ? outlines(moc) : [];
    this.draw();
    return areFew;
  }

  /** The corners of all outlines. */
  get corners() {
    return this.#loops.flat();
  }

  draw() {
    this.path.setAttribute("d", this.#loops.map((loop) => loopPath(loop, this.view)).join(""));
  }
}

export function cellsOf(moc) {
  return Object.values(moc).reduce((sum, cells) => sum + cells.length, 0);
}
