// Geometry on the sphere. Positions are [longitude, latitude], all angles in degrees; position angles run from north through east.

const RADIANS = Math.PI / 180;

export function vector([lon, lat]) {
  const cos = Math.cos(lat * RADIANS);
  return [cos * Math.cos(lon * RADIANS), cos * Math.sin(lon * RADIANS), Math.sin(lat * RADIANS)];
}

/** The position of a vector of any length. */
export function position([x, y, z]) {
  return [wrapped(Math.atan2(y, x) / RADIANS), Math.atan2(z, Math.hypot(x, y)) / RADIANS];
}

/** A longitude from 0 up to, and not with, 360. */
export function wrapped(lon) {
  const found = ((lon % 360) + 360) % 360;
  return found === 360 ? 0 : found;
}

export function separation(a, b) {
  const u = vector(a), v = vector(b);
  return Math.atan2(length(cross(u, v)), dot(u, v)) / RADIANS;
}

/** The position angle at which b lies, as seen from a. */
export function bearing([lon, lat], [toLon, toLat]) {
  const apart = (toLon - lon) * RADIANS, from = lat * RADIANS, to = toLat * RADIANS;
  const east = Math.sin(apart) * Math.cos(to);
  const north = Math.cos(from) * Math.sin(to) - Math.sin(from) * Math.cos(to) * Math.cos(apart);
  return Math.atan2(east, north) / RADIANS;
}

/** The position at an angle and a distance from another one. */
export function offset([lon, lat], angle, distance) {
  const sin = Math.sin(lat * RADIANS), cos = Math.cos(lat * RADIANS);
  const far = Math.sin(distance * RADIANS), near = Math.cos(distance * RADIANS);
  const north = far * Math.cos(angle * RADIANS), east = far * Math.sin(angle * RADIANS);
  const out = near * cos - north * sin, up = near * sin + north * cos;
  return [wrapped(lon + Math.atan2(east, out) / RADIANS), Math.atan2(up, Math.hypot(out, east)) / RADIANS];
}

/** The position at a part of the way along the great circle from a to b. */
export function along(a, b, part) {
  const u = vector(a), v = vector(b), angle = Math.atan2(length(cross(u, v)), dot(u, v));
  if (angle < 1e-12) return part < 0.5 ? a : b;
  const first = Math.sin((1 - part) * angle) / Math.sin(angle), second = Math.sin(part * angle) / Math.sin(angle);
  return position(u.map((value, axis) => first * value + second * v[axis]));
}

/** The mean direction of positions. */
export function middle(positions) {
  return position(positions.map(vector).reduce((sum, each) => sum.map((value, axis) => value + each[axis]), [0, 0, 0]));
}

/** Positions turned by the rotation that takes one position to another one along a great circle. */
export function carried(positions, from, to) {
  const u = vector(from), v = vector(to), normal = cross(u, v), sin = length(normal), cos = dot(u, v);
  if (sin < 1e-15) return positions;
  const axis = normal.map((value) => value / sin);
  return positions.map((each) => {
    const p = vector(each), around = cross(axis, p), height = dot(axis, p) * (1 - cos);
    return position(p.map((value, index) => value * cos + around[index] * sin + axis[index] * height));
  });
}

/** Positions in the plane that touches the sky at a position, [east, north] in degrees; null for what is behind it. */
export function flattened(positions, [lon, lat]) {
  const sin = Math.sin(lat * RADIANS), cos = Math.cos(lat * RADIANS);
  return positions.map(([toLon, toLat]) => {
    const apart = (toLon - lon) * RADIANS, s = Math.sin(toLat * RADIANS), c = Math.cos(toLat * RADIANS);
    const depth = sin * s + cos * c * Math.cos(apart);
    return depth <= 0 ? null : [c * Math.sin(apart) / depth / RADIANS, (cos * s - sin * c * Math.cos(apart)) / depth / RADIANS];
  });
}

function dot(u, v) {
  return u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
}

function cross(u, v) {
  return [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
}

function length(u) {
  return Math.hypot(u[0], u[1], u[2]);
}
