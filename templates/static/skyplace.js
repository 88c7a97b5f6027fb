// What a picture of the sky says at a place: coordinates, value and pixel. Tangential projections are computed as their
// header says; of any other the server gives the coordinates of a few points.

const VALUE = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: false });
const RADIANS = Math.PI / 180;

/** The data of a figure with the values of its cells, if it has any, as numbers. */
export function decode(data) {
  if (typeof data.values === "string") {
    const bytes = Uint8Array.from(atob(data.values), (letter) => letter.charCodeAt(0));
    data.values = new Float32Array(bytes.buffer);
  }
  return data;
}

/** What lies at a place, given in parts of the picture from its lower left corner, in words. */
export function readSky(sky, { x, y }) {
  const value = sky.values[Math.floor(y * sky.rows) * sky.columns + Math.floor(x * sky.columns)];
  const pixel = [sky.low[0] + x * sky.columns * sky.step[0], sky.low[1] + y * sky.rows * sky.step[1]];
  const words = [`${sky.measure}: ${Number.isNaN(value) ? "none" : written(value)}`];
  if (sky.sky) words.unshift(placeOf(sky.sky, pixel, x, y));
  sky.named.forEach(([name, zero, step], axis) => words.splice(axis, 0, `${name} ${(zero + pixel[axis] * step).toFixed(1)}`));
  words.push(`pixel ${(pixel[0] + sky.first).toFixed(1)}, ${(pixel[1] + sky.first).toFixed(1)}`);
  return words.join(" \u00b7 ");
}

/** A value with four digits, by a power of ten where it is below a thousandth. */
export function written(value) {
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(3).replace("e-", " \u00d7 10^\u2212") : VALUE.format(value);
}

export function placeOf(sky, pixel, x, y) {
  const { lon, lat } = sky.tan ? tangential(sky.tan, pixel) : between(sky, x, y);
  const system = sky.system ? ` ${sky.system}` : "";
  if (!sky.names[0].startsWith("Right")) return `${lon.toFixed(5)}, ${lat.toFixed(5)}${system}`;
  return equatorial({ lon, lat }, system);
}

/** Right ascension and declination in words: in hours and degrees, and in degrees alone. */
export function equatorial({ lon, lat }, system) {
  return `${hours(lon)} ${degrees(lat)}${system} (${lon.toFixed(5)}, ${lat >= 0 ? "+" : ""}${lat.toFixed(5)})`;
}

/** The coordinates of a pixel, which counts from 0, in a tangential projection (Calabretta and Greisen 2002, 5.1.3). */
export function tangential({ pixel: [px, py], matrix: [[a, b], [c, d]], value: [lon, lat] }, [x, y]) {
  const across = (a * (x - px) + b * (y - py)) * RADIANS, up = (c * (x - px) + d * (y - py)) * RADIANS;
  const sin = Math.sin(lat * RADIANS), cos = Math.cos(lat * RADIANS), along = cos - up * sin;
  const east = Math.atan2(across, along) / RADIANS;
  return { lon: (((lon + east) % 360) + 360) % 360, lat: Math.atan2(sin + up * cos, Math.hypot(across, along)) / RADIANS };
}

/** Coordinates between the nodes: unit vectors are interpolated, which holds at the poles and across 0 h too. */
export function between({ nodes, lon, lat }, x, y) {
  const last = nodes - 1, column = Math.min(Math.floor(x * last), last - 1), row = Math.min(Math.floor(y * last), last - 1);
  const u = x * last - column, v = y * last - row, sum = [0, 0, 0];
  for (const [dx, dy, weight] of [[0, 0, (1 - u) * (1 - v)], [1, 0, u * (1 - v)], [0, 1, (1 - u) * v], [1, 1, u * v]]) {
    const node = (row + dy) * nodes + column + dx, a = lon[node] * RADIANS, d = lat[node] * RADIANS;
    sum[0] += weight * Math.cos(d) * Math.cos(a);
    sum[1] += weight * Math.cos(d) * Math.sin(a);
    sum[2] += weight * Math.sin(d);
  }
  const longitude = Math.atan2(sum[1], sum[0]) / RADIANS;
  return { lon: (longitude + 360) % 360, lat: Math.atan2(sum[2], Math.hypot(sum[0], sum[1])) / RADIANS };
}

export function hours(degreesEast) {
  return sexagesimal(degreesEast / 15, 2, "").replace(/^24:/, "00:");
}

export function degrees(value) {
  return sexagesimal(Math.abs(value), 1, value < 0 ? "\u2212" : "+");
}

function sexagesimal(value, decimals, sign) {
  const unit = 10 ** decimals, total = Math.round(value * 3600 * unit);
  const seconds = ((total % (60 * unit)) / unit).toFixed(decimals).padStart(3 + decimals, "0");
  const two = (number) => String(number).padStart(2, "0");
  return `${sign}${two(Math.floor(total / (3600 * unit)))}:${two(Math.floor(total / (60 * unit)) % 60)}:${seconds}`;
}
