// Interactive spectra: logarithmic axes, error bars, zoom by drag, reset by double click, values under the cursor.
// The plotting library is uPlot; while it is loading, or where it is missing, the server's picture stays.

const NUMBER = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, useGrouping: false });
const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

export function drawPlots(root) {
  for (const figure of root.querySelectorAll("figure[data-plot]")) {
    if (figure.dataset.library && !figure.dataset.drawn) {
      figure.dataset.drawn = "started";
      draw(figure).catch((error) => {
        figure.dataset.drawn = "failed";
        figure.querySelector(".reading").textContent = `The interactive plot could not be loaded (${error.message}).`;
      });
    }
  }
}

async function draw(figure) {
  const [{ default: uPlot }, plot] = await Promise.all([
    import(figure.dataset.library),
    fetch(figure.dataset.plot).then((response) => {
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      return response.json();
    }),
  ]);
  if (!plot.series.some((series) => series.rate.length)) return;
  const place = figure.querySelector(".canvas"), picture = place.querySelector("img");
  const { x, bins } = align(plot.series);
  const ranges = rangesOf(plot.series);
  let chart = null;

  const build = () => {
    chart?.destroy();
    const { width, height } = place.getBoundingClientRect();
    const made = new uPlot(options(plot, bins, ranges, width, height, figure), [x, ...bins.map(({ rate }) => rate)]);
    picture.hidden = true;
    figure.querySelector(".keys").classList.add("shown");
    place.append(made.root);
    made.root.setAttribute("role", "img");
    made.root.setAttribute("aria-label", `${picture.alt} Drag to zoom, double click to see all.`);
    chart = made;
  };
  build();
  figure.dataset.drawn = "yes";
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build);
  new ResizeObserver(() => {
    const { width, height } = place.getBoundingClientRect();
    if (width && (Math.abs(width - chart.width) > 1 || Math.abs(height - chart.height) > 1)) chart.setSize({ width, height });
  }).observe(place);
}

/** All series on one axis: the sorted middles of all points, and for each series its values there or null. */
function align(series) {
  const x = [...new Set(series.flatMap(({ middle }) => middle))].sort((a, b) => a - b);
  const place = new Map(x.map((value, i) => [value, i]));
  const bins = series.map((one) => {
    const spread = (values) => {
      const all = Array(x.length).fill(null);
      one.middle.forEach((value, i) => { all[place.get(value)] = values[i]; });
      return all;
    };
    return { low: spread(one.low), high: spread(one.high), rate: spread(one.rate), rateLow: spread(one.rateLow), rateHigh: spread(one.rateHigh) };
  });
  return { x, bins };
}

function rangesOf(series) {
  const all = (key) => series.flatMap((one) => one[key]);
  return {
    x: [Math.min(...all("low")) / 1.04, Math.max(...all("high")) * 1.04],
    y: [Math.min(...all("rate")) / 2.2, Math.max(...all("rateHigh")) * 1.1],
  };
}

function options(plot, bins, ranges, width, height, figure) {
  const style = getComputedStyle(figure), colour = (name) => style.getPropertyValue(name).trim();
  const colours = [colour("--accent"), colour("--second")], soft = colour("--soft"), line = colour("--line");
  const font = `13px ${style.getPropertyValue("--sans")}`;
  const axis = (label, size) => ({
    label, labelSize: 26, labelFont: font, font, size, stroke: soft,
    grid: { stroke: line, width: 1, filter: decadesOnly },
    ticks: { stroke: soft, width: 1, size: 5, filter: (u, splits) => splits },
    splits: (u, i, min, max) => logSplits(min, max),
    filter: labelled,
  });
  return {
    width, height,
    padding: [14, 18, 0, 4],
    legend: { show: false },
    cursor: { drag: { x: true, y: true, uni: 24, dist: 6 }, points: { size: 9 }, y: false },
    scales: {
      x: { time: false, distr: 3, range: (u, min, max) => energies(u, min, max, ranges.x) },
      y: { distr: 3, range: (u, min, max) => rates(min, max, ranges.y) },
    },
    axes: [
      { ...axis(plot.x, 36), values: (u, splits) => splits.map((value) => (value === null ? "" : NUMBER.format(value))) },
      { ...axis(plot.y, 56), values: (u, splits) => splits.map((value) => (value === null ? "" : power(value))) },
    ],
    series: [{}, ...plot.series.map((series, i) => ({
      label: series.label, stroke: colours[i % 2], paths: () => null,
      points: { show: true, size: 5, width: 1.2, stroke: colours[i % 2], fill: i ? colour("--card") : colours[0] },
    }))],
    hooks: {
      drawSeries: [(u, number) => bars(u, bins[number - 1], colours[(number - 1) % 2])],
      setCursor: [(u) => read(u, plot, bins, figure.querySelector(".reading"))],
    },
  };
}

/** The energies to show: what was dragged, or everything where uPlot asks with the first and the last point. */
function energies(u, min, max, all) {
  const x = u.data[0];
  return x.length === 1 || min === null || (min === x[0] && max === x[x.length - 1]) ? all : [min, max];
}

/** The rates to show where none were dragged: those of the energies shown. */
function rates(min, max, all) {
  return min === null ? all : [Math.max(all[0], min / 2.2), Math.min(all[1], max * 2)];
}

function logSplits(min, max) {
  const splits = [];
  for (let decade = Math.floor(Math.log10(min)); decade <= Math.ceil(Math.log10(max)); decade++) {
    for (let digit = 1; digit < 10; digit++) {
      const value = Number(`${digit}e${decade}`);
      if (value >= min && value <= max) splits.push(value);
    }
  }
  return splits;
}

const digitOf = (value) => Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9));
const decadesOnly = (u, splits) => splits.map((value) => (digitOf(value) === 1 ? value : null));

/** Decades carry numbers; where there are few, also 2 and 5, else all. */
function labelled(u, splits) {
  const decades = splits.filter((value) => digitOf(value) === 1).length;
  if (decades > 3) return decadesOnly(u, splits);
  const some = splits.map((value) => ([1, 2, 5].includes(digitOf(value)) ? value : null));
  return some.filter((value) => value !== null).length > 1 ? some : splits;
}

function power(value) {
  if (value > 0.00099 && value < 1001) return NUMBER.format(value);
  const exponent = Math.floor(Math.log10(value) + 1e-9), digit = digitOf(value);
  const raised = `10${[...String(exponent)].map((letter) => SUPERSCRIPT[letter]).join("")}`;
  return digit === 1 ? raised : `${digit}·${raised}`;
}

function bars(u, { low, high, rate, rateLow, rateHigh }, colour) {
  const { ctx, bbox } = u, x = (value) => u.valToPos(value, "x", true), y = (value) => u.valToPos(value, "y", true);
  const floor = u.scales.y.min;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.beginPath();
  rate.forEach((value, i) => {
    if (value === null) return;
    const middle = x(u.data[0][i]), at = y(value);
    ctx.moveTo(x(low[i]), at);
    ctx.lineTo(x(high[i]), at);
    ctx.moveTo(middle, y(Math.max(rateLow[i], floor)));
    ctx.lineTo(middle, y(rateHigh[i]));
  });
  ctx.strokeStyle = colour;
  ctx.globalAlpha = 0.65;
  ctx.lineWidth = devicePixelRatio;
  ctx.stroke();
  ctx.restore();
}

function read(u, plot, bins, reading) {
  const i = u.cursor.idx;
  if (i === null || i === undefined) { reading.textContent = "Drag to zoom, double click to see all."; return; }
  const unit = plot.x.startsWith("Energy") ? " keV" : "";
  const readings = bins.flatMap((bin, number) => (bin.rate[i] === null ? [] : [
    `${plot.series[number].label} ${scientific(bin.rate[i])} (${scientific(bin.rateLow[i])} to ${scientific(bin.rateHigh[i])})`,
  ]));
  const bin = bins.find(({ rate }) => rate[i] !== null);
  reading.textContent = `${NUMBER.format(bin.low[i])} – ${NUMBER.format(bin.high[i])}${unit}: ${readings.join("; ")}`;
}

const scientific = (value) => (value === 0 ? "0" : value >= 0.001 && value < 1000 ? NUMBER.format(value) : value.toExponential(2));
