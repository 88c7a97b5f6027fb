// A tangential projection (TAN) both ways, between pixels of an image, which count from 0, and ICRS in degrees.

import { tangential } from "./skyplace.js";

const RADIANS = Math.PI / 180;
const FARTHEST = Math.cos(80 * RADIANS); // from the tangent point: what lies farther away is not drawn

/** The unit vector of a place. */
export function vectorOf({ lon, lat }) {
  const cos = Math.cos(lat * RADIANS);
  return [cos * Math.cos(lon * RADIANS), cos * Math.sin(lon * RADIANS), Math.sin(lat * RADIANS)];
}

/** The place of a vector of any length. */
export function placeOf([x, y, z]) {
  return { lon: ((Math.atan2(y, x) / RADIANS) + 360) % 360, lat: Math.atan2(z, Math.hypot(x, y)) / RADIANS };
}

export class Tangent {
  /** `pixel`, `value` and `matrix` as the header says, `icrs` the matrix that turns its coordinates into ICRS. */
  constructor({ pixel, matrix, value, icrs }) {
    this.header = { pixel, matrix, value };
    this.icrs = icrs;
    const [[a, b], [c, d]] = matrix, size = a * d - b * c;
    this.inverse = [[d / size, -b / size], [-c / size, a / size]];
  }

  toSky(pixel) {
    const vector = vectorOf(tangential(this.header, pixel));
    return placeOf(this.icrs.map((row) => row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2]));
  }

  /** The pixel of a place; null where the projection does not reach. */
  toPixel(place) {
    const [x, y, z] = vectorOf(place);
    const turned = [0, 1, 2].map((at) => this.icrs[0][at] * x + this.icrs[1][at] * y + this.icrs[2][at] * z);
    const { pixel, value: [lon0, lat0] } = this.header;
    const cosLon = Math.cos(lon0 * RADIANS), sinLon = Math.sin(lon0 * RADIANS);
    const towards = turned[0] * cosLon + turned[1] * sinLon, east = turned[1] * cosLon - turned[0] * sinLon;
    const sin = Math.sin(lat0 * RADIANS), cos = Math.cos(lat0 * RADIANS), depth = sin * turned[2] + cos * towards;
    if (!(depth > FARTHEST)) return null;
    const across = east / depth / RADIANS, up = (cos * turned[2] - sin * towards) / depth / RADIANS;
    return this.inverse.map(([one, other], axis) => pixel[axis] + one * across + other * up);
  }
}
