// Pictures of the sky: another scale or other colours without leaving the page, what lies under the pointer, and the
// picture as PNG. The server draws; without this script the form opens its drawing alone.

const VALUE = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: false });
const ENLARGED = 2;

export function readSkies(root) {
  for (const figure of root.querySelectorAll("figure[data-sky]")) {
    if (!figure.dataset.read) {
      figure.dataset.read = "yes";
      dress(figure);
    }
  }
}

function dress(figure) {
  const picture = figure.querySelector(".drawing img"), form = figure.querySelector("form.look");
  const reading = figure.querySelector(".place"), save = form.querySelector("[data-save]");
  form.querySelector("[data-show]").hidden = true;
  save.hidden = false;
  form.addEventListener("change", () => {
    const address = `${form.getAttribute("action")}?${new URLSearchParams(new FormData(form))}`;
    picture.src = address;
    picture.parentElement.href = address;
  });
  save.addEventListener("click", () => savePng(picture, save.dataset.save).catch((error) => {
    reading.textContent = `The picture could not be saved (${error.message}).`;
  }));
  let data = null;
  picture.addEventListener("pointerenter", () => {
    data ??= load(figure.dataset.sky).catch((error) => {
      reading.textContent = `Its values could not be loaded (${error.message}).`;
      return null;
    });
  });
  picture.addEventListener("pointermove", async (event) => {
    const { offsetX, offsetY } = event;
    const sky = await data;
    if (sky) reading.textContent = wordsAt(sky, offsetX / picture.clientWidth, offsetY / picture.clientHeight) || "\u00a0";
  });
  picture.addEventListener("pointerleave", () => { reading.textContent = "\u00a0"; });
}

async function load(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const sky = await response.json();
  const bytes = Uint8Array.from(atob(sky.values), (letter) => letter.charCodeAt(0));
  sky.values = new Float32Array(bytes.buffer);
  return sky;
}

/** What lies at a place of the drawing, given in parts of its width and height; "" beside the picture. */
export function wordsAt(sky, across, down) {
  const [left, top, width, height] = sky.box;
  const x = (across * sky.drawing[0] - left) / width, y = 1 - (down * sky.drawing[1] - top) / height;
  if (!(x >= 0 && x < 1 && y >= 0 && y < 1)) return "";
  const value = sky.values[Math.floor(y * sky.rows) * sky.columns + Math.floor(x * sky.columns)];
  const words = [`${sky.measure}: ${Number.isNaN(value) ? "none" : written(value)}`];
  const pixel = [sky.low[0] + x * sky.columns * sky.step[0], sky.low[1] + y * sky.rows * sky.step[1]];
  if (sky.sky) words.unshift(placeOf(sky.sky, x, y));
  sky.axes.forEach(([name, zero, step], axis) => words.splice(axis, 0, `${name} ${(zero + pixel[axis] * step).toFixed(1)}`));
  words.push(`pixel ${pixel[0].toFixed(1)}, ${pixel[1].toFixed(1)}`);
  return words.join(" \u00b7 ");
}

/** A value with four digits, by a power of ten where it is below a thousandth. */
function written(value) {
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(3).replace("e-", " \u00d7 10^\u2212") : VALUE.format(value);
}

/** Coordinates between the nodes: unit vectors are interpolated, which holds at the poles and across 0 h too. */
function placeOf(sky, x, y) {
  const { lon, lat } = between(sky, x, y);
  const system = sky.system ? ` ${sky.system}` : "";
  if (!sky.names[0].startsWith("Right")) return `${lon.toFixed(5)}, ${lat.toFixed(5)}${system}`;
  return `${hours(lon)} ${degrees(lat)}${system} (${lon.toFixed(5)}, ${lat >= 0 ? "+" : ""}${lat.toFixed(5)})`;
}

export function between({ nodes, lon, lat }, x, y) {
  const last = nodes - 1, column = Math.min(Math.floor(x * last), last - 1), row = Math.min(Math.floor(y * last), last - 1);
  const u = x * last - column, v = y * last - row, sum = [0, 0, 0];
  for (const [dx, dy, weight] of [[0, 0, (1 - u) * (1 - v)], [1, 0, u * (1 - v)], [0, 1, (1 - u) * v], [1, 1, u * v]]) {
    const node = (row + dy) * nodes + column + dx, a = lon[node] * Math.PI / 180, d = lat[node] * Math.PI / 180;
    sum[0] += weight * Math.cos(d) * Math.cos(a);
    sum[1] += weight * Math.cos(d) * Math.sin(a);
    sum[2] += weight * Math.sin(d);
  }
  const longitude = Math.atan2(sum[1], sum[0]) * 180 / Math.PI;
  return { lon: (longitude + 360) % 360, lat: Math.atan2(sum[2], Math.hypot(sum[0], sum[1])) * 180 / Math.PI };
}

function hours(degreesEast) {
  return sexagesimal(degreesEast / 15, 2, "").replace(/^24:/, "00:");
}

function degrees(value) {
  return sexagesimal(Math.abs(value), 1, value < 0 ? "\u2212" : "+");
}

function sexagesimal(value, decimals, sign) {
  const unit = 10 ** decimals, total = Math.round(value * 3600 * unit);
  const seconds = ((total % (60 * unit)) / unit).toFixed(decimals).padStart(3 + decimals, "0");
  const two = (number) => String(number).padStart(2, "0");
  return `${sign}${two(Math.floor(total / (3600 * unit)))}:${two(Math.floor(total / (60 * unit)) % 60)}:${seconds}`;
}

async function savePng(picture, name) {
  await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = picture.naturalWidth * ENLARGED;
  canvas.height = picture.naturalHeight * ENLARGED;
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => { canvas.toBlob(done, "image/png"); });
  if (!blob) throw new Error("the browser makes no PNG of it");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
