// An image on a canvas: its values in colour, moved and zoomed. Pixels are those of the image's plane, from 0; `low` and
// `step` say where the cells lie in it.

const CLOSEST = 64; // pixels of the screen for a cell, at most

export class ImageCanvas {
  constructor(canvas, about, values) {
    Object.assign(this, { canvas, about, values });
    this.cells = document.createElement("canvas");
    this.cells.width = about.columns;
    this.cells.height = about.rows;
    this.known = Float64Array.from(values.filter(Number.isFinite)).sort();
    this.palettes = Object.fromEntries(Object.entries(about.palettes).map(([name, text]) => [name, bytes(text)]));
    this.place = null; // the cell in the middle of the screen, from the upper left corner, and pixels of the screen for a cell
  }

  /** Colours the values anew, by a look as the server knows it; says the values of the ends. */
  colour(look) {
    const { rows, columns } = this.about, stretch = stretchOf(this.known, look), share = shareOf(stretch);
    const colours = this.coloursOf(look), image = new ImageData(columns, rows), pixels = new Uint32Array(image.data.buffer);
    for (let row = 0; row < rows; row += 1) {
      let to = (rows - 1 - row) * columns;
      for (let from = row * columns; from < (row + 1) * columns; from += 1, to += 1) {
        const value = this.values[from];
        pixels[to] = Number.isFinite(value) ? colours[Math.round(255 * share(value))] : 0;
      }
    }
    this.cells.getContext("2d").putImageData(image, 0, 0);
    this.draw();
    return [stretch.lowest, stretch.highest];
  }

  /** 256 colours as the numbers that a canvas takes. */
  coloursOf({ colours, inverted }) {
    const palette = this.palettes[colours];
    const found = Uint32Array.from({ length: 256 }, (_, at) => ((255 << 24) | (palette[3 * at + 2] << 16) | (palette[3 * at + 1] << 8) | palette[3 * at]) >>> 0);
    return inverted ? found.reverse() : found;
  }

  /** Takes the size that the canvas has on the screen. */
  resize() {
    const { clientWidth, clientHeight } = this.canvas, ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    if (!this.place) this.showAll(); else this.draw();
  }

  get size() {
    return [this.canvas.clientWidth, this.canvas.clientHeight];
  }

  /** The largest zoom at which all of the image is seen. */
  get whole() {
    return Math.min(this.size[0] / this.about.columns, this.size[1] / this.about.rows);
  }

  showAll() {
    this.place = { x: this.about.columns / 2, y: this.about.rows / 2, zoom: this.whole };
    this.draw();
  }

  /** Shows what lies between two pixels, with a margin. */
  showBetween([x0, y0], [x1, y1]) {
    const [a, b] = [this.cellOf([x0, y0]), this.cellOf([x1, y1])];
    const wide = Math.max(Math.abs(b[0] - a[0]), 2), high = Math.max(Math.abs(b[1] - a[1]), 2);
    const zoom = 0.6 * Math.min(this.size[0] / wide, this.size[1] / high);
    this.place = { x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2, zoom: this.allowed(zoom) };
    this.draw();
  }

  zoomBy(factor, [x, y] = this.size.map((side) => side / 2)) {
    const { zoom } = this.place, next = this.allowed(zoom * factor);
    const dx = x - this.size[0] / 2, dy = y - this.size[1] / 2;
    this.place = { x: this.place.x + dx / zoom - dx / next, y: this.place.y + dy / zoom - dy / next, zoom: next };
    this.keep();
  }

  moveBy(dx, dy) {
    this.place = { ...this.place, x: this.place.x - dx / this.place.zoom, y: this.place.y - dy / this.place.zoom };
    this.keep();
  }

  allowed(zoom) {
    return Math.min(Math.max(zoom, this.whole / 2), Math.max(CLOSEST, this.whole));
  }

  /** Never without a part of the image in the middle. */
  keep() {
    this.place.x = Math.min(Math.max(this.place.x, 0), this.about.columns);
    this.place.y = Math.min(Math.max(this.place.y, 0), this.about.rows);
    this.draw();
  }

  draw() {
    if (!this.place) return;
    const ratio = window.devicePixelRatio || 1, context = this.canvas.getContext("2d"), { x, y, zoom } = this.place;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.imageSmoothingEnabled = zoom * ratio < 1;
    context.setTransform(ratio * zoom, 0, 0, ratio * zoom, ratio * (this.size[0] / 2 - x * zoom), ratio * (this.size[1] / 2 - y * zoom));
    context.drawImage(this.cells, 0, 0);
  }

  /** The cell, from the upper left corner and with its part, at a pixel of the plane. */
  cellOf([x, y]) {
    const { low, step, rows } = this.about;
    return [(x - low[0]) / step[0], rows - (y - low[1]) / step[1]];
  }

  toScreen(pixel) {
    const cell = this.cellOf(pixel), { x, y, zoom } = this.place;
    return [this.size[0] / 2 + (cell[0] - x) * zoom, this.size[1] / 2 + (cell[1] - y) * zoom];
  }

  toPixel([atX, atY]) {
    const { low, step, rows } = this.about, { x, y, zoom } = this.place;
    return [low[0] + (x + (atX - this.size[0] / 2) / zoom) * step[0], low[1] + (rows - y - (atY - this.size[1] / 2) / zoom) * step[1]];
  }

  /** The value at a pixel; undefined outside of the image. */
  valueAt(pixel) {
    const [x, y] = this.cellOf(pixel), column = Math.floor(x), row = this.about.rows - 1 - Math.floor(y);
    return column >= 0 && column < this.about.columns && row >= 0 && row < this.about.rows ? this.values[row * this.about.columns + column] : undefined;
  }
}

/** The values of an image as numbers, NaN where there is none. */
export function valuesOf(buffer, { kind, none }) {
  if (kind === "float32") return new Float32Array(buffer);
  return Float32Array.from(new Uint16Array(buffer), (value) => (value === none ? NaN : value));
}

/** How values become colours, as the server has it (previews/raster.py): the ends, and what a typical value is. */
export function stretchOf(known, { scale, low, high, percent }) {
  let [from, to] = [low, high];
  if (percent !== null && known.length) {
    const rest = (100 - percent) / 2, [first, last] = [percentile(known, rest), percentile(known, 100 - rest)];
    from ??= first;
    if (last > first) to ??= last;
  }
  let lowest = from ?? 0;
  const begin = above(known, lowest), away = (value) => Math.max(1, 1e-6 * Math.abs(value));
  if (begin === known.length) return { scale, lowest, highest: to !== null && to > lowest ? to : lowest + away(lowest), typical: 1 };
  const highest = to ?? known[known.length - 1], count = known.length - begin;
  const median = (known[begin + ((count - 1) >> 1)] + known[begin + (count >> 1)]) / 2;
  if (highest <= lowest) lowest = highest - away(highest);
  return { scale, lowest, highest, typical: Math.max(Math.min(median, highest) - lowest, 1e-30 * (highest - lowest)) };
}

/** Where on the scale of colours a value lies, 0 to 1. */
export function shareOf({ scale, lowest, highest, typical }) {
  const most = highest - lowest, over = (value) => Math.min(Math.max(value, lowest), highest) - lowest;
  if (scale === "log") return (value) => Math.log1p(over(value) / typical) / Math.log1p(most / typical);
  if (scale === "asinh") return (value) => Math.asinh(3 * over(value) / typical) / Math.asinh(3 * most / typical);
  return scale === "sqrt" ? (value) => Math.sqrt(over(value) / most) : (value) => over(value) / most;
}

/** A percentile of sorted values, between two of them as numpy has it. */
function percentile(known, percent) {
  const at = (known.length - 1) * percent / 100, first = Math.floor(at), next = Math.min(first + 1, known.length - 1);
  return known[first] + (at - first) * (known[next] - known[first]);
}

/** How many of the sorted values are not above a limit. */
function above(known, limit) {
  let [first, last] = [0, known.length];
  while (first < last) {
    const half = (first + last) >> 1;
    if (known[half] > limit) last = half; else first = half + 1;
  }
  return first;
}

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
