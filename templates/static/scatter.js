// What a plot of the rows of a table says at a place: the nearest point, with the number of its row.

const NUMBER = new Intl.NumberFormat("en", { maximumSignificantDigits: 7, useGrouping: false });
const NEAR = 0.06; // how far from the place a point may lie, in parts of the plot

/** The point at a place, given in parts of the plot, in words. */
export function readScatter(data, place) {
  const found = nearest(data, place);
  return found ? `Row ${found.row}: ${named(data.x, found.x)}; ${named(data.y, found.y)}` : "";
}

/** The number of the row whose point lies nearest to a place; null for none near it. */
export function nearestRow(data, place) {
  return nearest(data, place)?.row ?? null;
}

function nearest({ axes: [across, up], series, box }, place) {
  let best = null, least = NEAR;
  for (const { middle, rate, rows } of series) {
    for (let i = 0; i < rows.length; i += 1) {
      const right = partOf(across, middle[i]) - place.x, above = (partOf(up, rate[i]) - place.y) * box[3] / box[2];
      const distance = Math.hypot(right, above);
      if (distance < least) { least = distance; best = { row: rows[i], x: middle[i], y: rate[i] }; }
    }
  }
  return best;
}

/** A value with the name of its axis, `name (unit)`. */
function named(label, value) {
  const [, name, unit] = label.match(/^(.*?)(?: \(([^()]*)\))?$/);
  return `${name} ${written(value)}${unit ? ` ${unit}` : ""}`;
}

function written(number) {
  const size = Math.abs(number);
  if (size === 0 || (size >= 0.0001 && size < 1e9)) return NUMBER.format(number).replace("-", "\u2212");
  return number.toExponential(5).replace("e+", "e").replace(/-/g, "\u2212");
}

function partOf({ low, high, log }, value) {
  return log ? Math.log(Math.max(value, Number.MIN_VALUE) / low) / Math.log(high / low) : (value - low) / (high - low);
}
