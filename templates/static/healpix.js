// Outlines of MOCs: the cells of HEALPix (Gorski et al. 2005, nested numbering) whose sides are not shared by two of them.

import { position } from "./sky-sphere.js";

const LEAST_STEP_PX = 2.5;
const ROW = [2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4], COLUMN = [1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7];

/** Face of a cell, and its place in the face, x to the north-east and y to the north-west. */
function placeOf(order, cell) {
  const inFace = 4 ** order, face = Math.floor(cell / inFace);
  let rest = cell - face * inFace, x = 0, y = 0;
  for (let bit = 1; rest > 0; bit *= 2, rest = Math.floor(rest / 4)) {
    x += (rest % 2) * bit;
    y += (Math.floor(rest / 2) % 2) * bit;
  }
  return [face, x, y];
}

/** The unit vector of a corner of the grid of a face, x and y from 0 to 1. */
function cornerAt(face, x, y) {
  const height = ROW[face] - x - y;
  const near = height < 1 ? height : height > 3 ? 4 - height : 1;
  const z = height < 1 ? 1 - (near * near) / 3 : height > 3 ? (near * near) / 3 - 1 : ((2 - height) * 2) / 3;
  const along = (((COLUMN[face] * near + x - y) % 8) + 8) % 8, lon = near < 1e-12 ? 0 : ((Math.PI / 4) * along) / near;
  const cos = Math.sqrt(Math.max(0, 1 - z * z));
  return [cos * Math.cos(lon), cos * Math.sin(lon), z];
}

/** The outlines of a MOC (as JSON): lists of positions, each closed. */
export function outlines(moc) {
  const orders = Object.keys(moc).map(Number).filter((order) => moc[order].length), finest = Math.max(...orders), side = 2 ** finest;
  const corners = new Map(), names = new Map(), edges = new Map();
  const name = (face, x, y) => {
    const key = (face * (side + 1) + x) * (side + 1) + y;
    if (!names.has(key)) {
      const at = cornerAt(face, x / side, y / side), found = at.map((value) => (Math.round(value * 1e9) + 0) / 1e9).join();
      corners.set(found, at);
      names.set(key, found);
    }
    return names.get(key);
  };
  const toggle = (from, to) => {
    const back = `${to}|${from}`;
    if (!edges.delete(back)) edges.set(`${from}|${to}`, [from, to]);
  };
  for (const order of orders) {
    const width = 2 ** (finest - order);
    for (const cell of moc[order]) {
      const [face, column, row] = placeOf(order, cell), x = column * width, y = row * width;
      for (let at = 0; at < width; at += 1) {
        toggle(name(face, x + at, y), name(face, x + at + 1, y));
        toggle(name(face, x + width, y + at), name(face, x + width, y + at + 1));
        toggle(name(face, x + width - at, y + width), name(face, x + width - at - 1, y + width));
        toggle(name(face, x, y + width - at), name(face, x, y + width - at - 1));
      }
    }
  }
  return chained([...edges.values()]).map((loop) => loop.map((corner) => position(corners.get(corner))));
}

/** The path of a loop in a view; corners that are closer than a few pixels to the one before are left out. */
export function loopPath(loop, view) {
  let text = "", last = null;
  for (const corner of [...loop, loop[0]]) {
    const pixel = view.toPixel(corner);
    if (!pixel) last = null;
    else if (!last || Math.hypot(pixel[0] - last[0], pixel[1] - last[1]) >= LEAST_STEP_PX) {
      text += `${last ? "L" : "M"}${pixel[0].toFixed(1)} ${pixel[1].toFixed(1)}`;
      last = pixel;
    }
  }
  return text;
}

/** Edges, each from a corner to another one, joined to loops. */
function chained(edges) {
  const next = new Map();
  for (const [from, to] of edges) next.set(from, [...(next.get(from) ?? []), to]);
  const loops = [];
  for (const start of next.keys()) {
    while (next.get(start)?.length) {
      const loop = [start];
      for (let at = next.get(start).pop(); at !== undefined && at !== start; at = next.get(at)?.pop()) loop.push(at);
      loops.push(loop);
    }
  }
  return loops;
}
