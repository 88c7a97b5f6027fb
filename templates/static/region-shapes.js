// Shapes of a region as values that are never changed: read from the JSON of reduction.regions, written as DS9, drawn as rings of
// positions, changed by their nodes. Sizes are arcsec; an angle runs as in DS9: from west, anticlockwise with north up.

import { along, bearing, carried, flattened, middle, offset, separation, wrapped } from "./sky-sphere.js";

const ARCSEC = { deg: 3600, arcmin: 60, arcsec: 1, rad: (180 / Math.PI) * 3600 };
const RING = 90;
const LONGEST_SIDE = 0.25;
const LEAST = 0.01;

/** What the sizes of each kind are; a half where the size is the full side of a box. */
export const KINDS = {
  circle: { title: "Circle", sizes: ["Radius"] },
  ellipse: { title: "Ellipse", sizes: ["Semi-axis 1", "Semi-axis 2"], turns: true },
  annulus: { title: "Annulus", sizes: ["Inner radius", "Outer radius"] },
  box: { title: "Box", sizes: ["Width", "Height"], turns: true },
  ellipse_annulus: { title: "Elliptical annulus", sizes: ["Inner semi-axis 1", "Inner semi-axis 2", "Outer semi-axis 1", "Outer semi-axis 2"], turns: true },
  polygon: { title: "Polygon", sizes: [] },
};

/** The shapes of a list of JSON objects. */
export function fromJson(entries) {
  return entries.map((entry) => {
    const sizes = [entry.radius, entry.semi_axes, entry.inner, entry.outer, entry.size].flat().filter((size) => size !== undefined);
    const shape = { kind: entry.shape, exclude: Boolean(entry.exclude), sizes: sizes.map((size) => measured(size)) };
    if (entry.shape === "polygon") return { ...shape, vertices: entry.vertices };
    return { ...shape, centre: entry.centre, angle: measured(entry.angle ?? 0) / 3600 };
  });
}

function measured(value) {
  return typeof value === "number" ? value * 3600 : value.value * ARCSEC[value.unit];
}

/** The DS9 text of shapes, '' for none. */
export function toDs9(shapes) {
  const ordered = [...shapes.filter((shape) => !shape.exclude), ...shapes.filter((shape) => shape.exclude)];
  return ordered.length ? ["icrs", ...ordered.map(statement)].join("; ") : "";
}

function statement(shape) {
  const name = { ellipse_annulus: "ellipse" }[shape.kind] ?? shape.kind, sign = shape.exclude ? "-" : "";
  if (shape.kind === "polygon") return `${sign}polygon(${shape.vertices.map(placeText).join(", ")})`;
  const sizes = shape.sizes.map((size) => `${written(size, 3)}"`);
  const angle = KINDS[shape.kind].turns ? [written(((shape.angle % 360) + 360) % 360, 4)] : [];
  return `${sign}${name}(${[placeText(shape.centre), ...sizes, ...angle].join(", ")})`;
}

function placeText([ra, dec]) {
  const text = written(wrapped(ra), 7);
  return `${text === "360" ? "0" : text}, ${written(dec, 7)}`;
}

/** A number with at most so many decimals. */
export function written(value, decimals) {
  const text = value.toFixed(decimals).replace(/\.?0+$/, "");
  return text === "-0" ? "0" : text;
}

/** A shape of a kind around a position, of a size in arcsec. */
export function made(kind, centre, size, other = size / 2, angle = 0) {
  const shape = { kind, exclude: false, centre, angle, sizes: [Math.max(size, LEAST)] };
  if (kind === "annulus") return { ...shape, sizes: [Math.max(size / 2, LEAST / 2), Math.max(size, LEAST)] };
  if (kind === "ellipse") return { ...shape, sizes: [Math.max(size, LEAST), Math.max(other, LEAST)] };
  if (kind !== "polygon") return shape;
  const vertices = [45, 315, 225, 135].map((turn) => offset(centre, turn, size / 3600));
  return { kind, exclude: false, sizes: [], vertices };
}

export function polygon(vertices) {
  return { kind: "polygon", exclude: false, sizes: [], vertices };
}

/** The borders of a shape: rings of positions, close enough to be joined by straight lines. */
export function rings(shape) {
  const { kind, centre, sizes, angle } = shape;
  if (kind === "polygon") return [sides(shape.vertices)];
  if (kind === "circle" || kind === "annulus") return sizes.map((size) => circle(centre, size / 3600));
  if (kind === "box") return [sides(corners(shape))];
  const pairs = sizes.length === 4 ? [sizes.slice(0, 2), sizes.slice(2)] : [sizes];
  return pairs.map(([a, b]) => Array.from({ length: RING }, (_, step) => {
    const phase = (2 * Math.PI * step) / RING;
    return turned(centre, a * Math.cos(phase), b * Math.sin(phase), angle);
  }));
}

function circle(centre, radius) {
  return Array.from({ length: RING }, (_, step) => offset(centre, (360 * step) / RING, radius));
}

function corners({ centre, sizes: [width, height], angle }) {
  return [[1, 1], [-1, 1], [-1, -1], [1, -1]].map(([x, y]) => turned(centre, (x * width) / 2, (y * height) / 2, angle));
}

/** The position at distances in arcsec along and across the first axis of a shape. */
function turned(centre, first, second, angle) {
  const cos = Math.cos((angle * Math.PI) / 180), sin = Math.sin((angle * Math.PI) / 180);
  const west = first * cos - second * sin, north = first * sin + second * cos;
  const distance = (Math.atan((Math.hypot(west, north) / 3600) * (Math.PI / 180)) * 180) / Math.PI;
  return offset(centre, (Math.atan2(-west, north) * 180) / Math.PI, distance);
}

function sides(vertices) {
  return vertices.flatMap((vertex, index) => {
    const next = vertices[(index + 1) % vertices.length];
    const pieces = Math.min(Math.ceil(separation(vertex, next) / LONGEST_SIDE) || 1, 40);
    return Array.from({ length: pieces }, (_, piece) => (piece === 0 ? vertex : along(vertex, next, piece / pieces)));
  });
}

/** What of a shape can be taken and moved: name and position of each node. */
export function nodes(shape) {
  if (shape.kind === "polygon") return shape.vertices.map((at, index) => ({ name: `Corner ${index + 1} of ${shape.vertices.length}`, at }));
  const found = [{ name: "Centre", at: shape.centre }];
  if (shape.kind === "ellipse_annulus") return found;
  const half = shape.kind === "box" ? 2 : 1;
  return [...found, ...shape.sizes.map((size, index) => {
    const name = KINDS[shape.kind].sizes[index], reach = size / half;
    if (!KINDS[shape.kind].turns) return { name, at: offset(shape.centre, shape.handle ?? 270, reach / 3600) };
    return { name, at: index === 0 ? turned(shape.centre, reach, 0, shape.angle) : turned(shape.centre, 0, reach, shape.angle) };
  })];
}

/** The shape with one of its nodes at another position. */
export function withNode(shape, index, to) {
  if (shape.kind === "polygon") return { ...shape, vertices: shape.vertices.with(index, to) };
  if (index === 0) return { ...shape, centre: to };
  const reach = Math.max(separation(shape.centre, to) * 3600, LEAST), towards = bearing(shape.centre, to);
  if (shape.kind === "circle") return { ...shape, sizes: [reach], handle: towards };
  if (shape.kind === "annulus") {
    const [inner, outer] = shape.sizes;
    const sizes = index === 1 ? [Math.min(reach, outer * 0.99), outer] : [inner, Math.max(reach, inner * 1.01)];
    return { ...shape, sizes, handle: towards };
  }
  const size = shape.kind === "box" ? 2 * reach : reach, angle = towards + 90;
  if (index === 1) return { ...shape, sizes: [size, shape.sizes[1]], angle: ((angle % 360) + 360) % 360 };
  return { ...shape, sizes: [shape.sizes[0], Math.max(size * Math.abs(Math.cos(((towards - shape.angle) * Math.PI) / 180)), LEAST)] };
}

/** The shape carried along as a whole. */
export function withMove(shape, from, to) {
  if (shape.kind === "polygon") return { ...shape, vertices: carried(shape.vertices, from, to) };
  return { ...shape, centre: carried([shape.centre], from, to)[0] };
}

export function midpoints(shape) {
  if (shape.kind !== "polygon") return [];
  return shape.vertices.map((vertex, index) => along(vertex, shape.vertices[(index + 1) % shape.vertices.length], 0.5));
}

/** The polygon with a further corner behind one of its corners. */
export function withCorner(shape, index, at) {
  return { ...shape, vertices: shape.vertices.toSpliced(index + 1, 0, at) };
}

/** The polygon without one of its corners; null if too few would be left. */
export function withoutCorner(shape, index) {
  return shape.vertices.length > 3 ? { ...shape, vertices: shape.vertices.toSpliced(index, 1) } : null;
}

export function middleOf(shape) {
  return shape.kind === "polygon" ? middle(shape.vertices) : shape.centre;
}

/** The distance from the middle of a shape to its farthest point, in degrees. */
export function reachOf(shape) {
  if (shape.kind === "polygon") return Math.max(...shape.vertices.map((vertex) => separation(middle(shape.vertices), vertex)));
  return (shape.kind === "box" ? Math.hypot(...shape.sizes) / 2 : Math.max(...shape.sizes)) / 3600;
}

const CHECKED_CORNERS = 400;

/** Whether sides of a polygon cross, as far as it has few corners and fits in a plane: the server tells of all others. */
export function crosses({ kind, vertices }) {
  if (kind !== "polygon" || vertices.length < 4 || vertices.length > CHECKED_CORNERS) return false;
  const flat = flattened(vertices, middle(vertices)), count = flat.length;
  if (flat.includes(null)) return false;
  return flat.some((a, first) => flat.some((c, second) => {
    const apart = second - first;
    if (apart < 2 || apart === count - 1) return false;
    const b = flat[first + 1], d = flat[(second + 1) % count];
    return side(a, b, c) !== side(a, b, d) && side(c, d, a) !== side(c, d, b);
  }));
}

function side([ax, ay], [bx, by], [x, y]) {
  return Math.sign((bx - ax) * (y - ay) - (by - ay) * (x - ax));
}
