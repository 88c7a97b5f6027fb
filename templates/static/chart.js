// What a plot of points says at a place: of each series the point whose bin lies there, else the nearest one.

const NUMBER = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: false });

/** The points at a place, given in parts of the plot, in words. */
export function readChart({ axes, series, x }, place) {
  const [axis] = axes, unit = x.match(/\(([^)]*)\)/)?.[1] ?? "";
  const at = axis.log ? axis.low * (axis.high / axis.low) ** place.x : axis.low + place.x * (axis.high - axis.low);
  const found = series.map((one) => [one, pointAt(one, at, axis)]).filter(([, i]) => i >= 0);
  if (!found.length) return "";
  const [first, place0] = found[0];
  return `${NUMBER.format(first.low[place0])} – ${NUMBER.format(first.high[place0])}${unit && ` ${unit}`}: ${
    found.map(([one, i]) => `${one.label && `${one.label} `}${value(one, i)}`).join("; ")}`;
}

/** The place of the next point of the series with the most points, to the left (-1) or to the right (1); null for none. */
export function nextPoint({ axes: [axis, up], series }, { x }, direction) {
  const longest = series.reduce((one, other) => (other.middle.length > one.middle.length ? other : one), series[0]);
  const parts = longest?.middle.map((value, i) => [partOf(axis, value), partOf(up, longest.rate[i])]) ?? [];
  const next = parts.filter(([part]) => part >= 0 && part < 1 && (part - x) * direction > 1e-6);
  if (!next.length) return null;
  const [part, height] = next.reduce((one, other) => ((other[0] - one[0]) * direction < 0 ? other : one));
  return { x: part, y: Math.min(Math.max(height, 0), 1 - 1e-9) };
}

function partOf({ low, high, log }, value) {
  return log ? Math.log(Math.max(value, Number.MIN_VALUE) / low) / Math.log(high / low) : (value - low) / (high - low);
}

/** The number of the point whose bin holds a value, else of the one whose middle is nearest in the plot; -1 for none. */
function pointAt({ low, high, middle }, at, axis) {
  const within = low.findIndex((value, i) => value <= at && at < high[i]);
  if (within >= 0) return within;
  const here = partOf(axis, at), away = middle.map((value) => Math.abs(partOf(axis, value) - here));
  return away.reduce((best, distance, i) => (best < 0 || distance < away[best] ? i : best), -1);
}

function value({ rate, rateLow, rateHigh }, i) {
  const ends = rateLow[i] === null || rateHigh[i] === null ? "" : ` (${written(rateLow[i])} to ${written(rateHigh[i])})`;
  return `${written(rate[i])}${ends}`;
}

function written(number) {
  const size = Math.abs(number);
  if (size === 0 || (size >= 0.001 && size < 100_000)) return NUMBER.format(number).replace("-", "\u2212");
  return number.toExponential(2).replace("e+", "e").replace(/-/g, "\u2212");
}
