// What all pictures share: elements, axes, and how a number is written.
"use strict";

const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = document.querySelector("svg").namespaceURI;

/** An element with attributes and children; text is never read as markup. */
function build(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
const html = (tag, attributes = {}, ...children) =>
  build(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) =>
  build(document.createElementNS(SVG, tag), attributes, children);

/** Three significant digits, written as the tables write them. */
function number(value) {
  if (value === null || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const rounded = Number(value.toPrecision(3));
  const size = Math.abs(rounded);
  return size >= 1e-4 && size < 1e4
    ? rounded.toLocaleString("en", { maximumSignificantDigits: 3 })
    : rounded.toExponential().replace("e+", "e");
}

/** From values to pixels; `log` or linear. */
function scale({ low, high, log }, from, to) {
  const f = log ? Math.log10 : (value) => value;
  const span = f(high) - f(low) || 1;
  const at = (value) => from + ((to - from) * (f(value) - f(low))) / span;
  return Object.assign(at, { low, high, log });
}

/** Round values within the axis, at most `most` or so. */
function ticks({ low, high, log }, most) {
  const within = (values) => values.filter((v) => v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9));
  if (log) {
    const first = Math.floor(Math.log10(low));
    const count = Math.ceil(Math.log10(high)) - first + 1;
    const tens = within(Array.from({ length: count }, (_, i) => Number(`1e${first + i}`)));
    const leap = Math.ceil(tens.length / most);
    if (tens.length > 1) return tens.filter((_, i) => i % leap === 0);
    return within([0, 1].flatMap((i) => [1, 2, 5].map((d) => Number(`${d}e${first + i}`))));
  }
  const rough = (high - low) / most;
  const ten = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((d) => d * ten).find((s) => s >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

/**
 * Axes in `host`: `x` and `y` are { low, high, log, label, names }, `lanes` lines of text above.
 * What is drawn by `path`, `area` and `add` is cut off at the axes; coordinates are pixels of text.
 */
function plot(host, { title, label, x, y, height = 220, lanes = 0 }) {
  const width = Math.max(host.room ?? host.clientWidth, 260);
  const [left, top, foot] = [66, 8 + 17 * lanes, 40];
  const [right, bottom] = [width - 12, top + height];
  const at = { x: scale(x, left, right), y: scale(y, bottom, top) };
  const root = svg("svg", { viewBox: `0 0 ${width} ${bottom + foot}`, role: "img", "aria-label": label });
  const grid = root.appendChild(svg("g", { class: "grid", "aria-hidden": "true" }));
  for (const value of y.ticks ?? ticks(y, 5)) {
    grid.append(
      svg("path", { d: `M${left} ${at.y(value)}H${right}` }),
      svg("text", { x: left - 6, y: at.y(value) + 4, "text-anchor": "end" }, y.names?.(value) ?? number(value)),
    );
  }
  for (const value of x.ticks ?? ticks(x, Math.max(3, Math.floor(width / 80)))) {
    grid.append(
      svg("path", { d: `M${at.x(value)} ${bottom}v4` }),
      svg("text", { x: at.x(value), y: bottom + 17, "text-anchor": "middle" }, x.names?.(value) ?? number(value)),
    );
  }
  grid.append(
    svg("path", { class: "frame", d: `M${left} ${top}V${bottom}H${right}` }),
    svg("text", { x: (left + right) / 2, y: bottom + 34, "text-anchor": "middle" }, x.label),
    svg("text", { transform: `translate(12 ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, y.label),
  );
  const box = { x: left, y: top, width: right - left, height };
  const inner = root.appendChild(
    svg("svg", { ...box, viewBox: `${left} ${top} ${right - left} ${height}`, "aria-hidden": "true" }),
  );
  const over = root.appendChild(svg("g", { "aria-hidden": "true" }));
  const above = root.appendChild(svg("g", { class: "lanes", "aria-hidden": "true" }));
  if (title) host.append(html("h3", {}, title));
  host.append(root);
  const add = (tag, attributes, ...children) => inner.appendChild(svg(tag, attributes, ...children));
  return {
    root, at, left, right, top, bottom, add,
    /** As `add`, and not cut off. */
    put: (tag, attributes, ...children) => over.appendChild(svg(tag, attributes, ...children)),
    /** A line through `points` [x, y]; it is broken where one is null. */
    path: (points, attributes) => add("path", { d: broken(points, at), fill: "none", ...attributes }),
    /** What lies between two lines, as far as both are known. */
    area(xs, lower, upper, attributes) {
      const known = xs.map((v, i) => [v, lower[i], upper[i]]).filter((p) => p[1] !== null && p[2] !== null);
      const outline = [...known.map((p) => [p[0], p[2]]), ...known.reverse().map((p) => [p[0], p[1]])];
      if (known.length) add("path", { d: `${broken(outline, at)}Z`, stroke: "none", ...attributes });
    },
    /** From top to bottom at a value of x. */
    line: (value, attributes) => add("path", { d: `M${at.x(value)} ${top}V${bottom}`, ...attributes }),
    /** In a lane above, beside `value`: text after its mark, or where it would not fit before it. */
    say(lane, text, value, mark) {
      const place = Math.min(Math.max(at.x(value), left), right);
      const room = 6.7 * (text.length + 2);
      const before = place + room > right && place - room > 0;
      above.append(svg("text", {
        x: before ? place + 5 : Math.max(Math.min(place - 5, right - room), 0), y: 14 + 17 * lane,
        "text-anchor": before ? "end" : "start",
      }, before ? `${text} ${mark}` : `${mark} ${text}`));
    },
  };
}

/** A pixel; what is far outside is cut off anyway, and may be too large to be one. */
const kept = (pixel) => Math.min(Math.max(pixel, -1e4), 1e4).toFixed(1);

function broken(points, at) {
  let pen = "M";
  let d = "";
  for (const [x, y] of points) {
    if (x === null || y === null) {
      pen = "M";
    } else {
      d += `${pen}${kept(at.x(x))} ${kept(at.y(y))}`;
      pen = "L";
    }
  }
  return d;
}

/** A colour for a learning rate, from low to high; the theme has the anchors. */
function rateColour(rate) {
  const [low, high] = rateLimits();
  const place = high > low ? (3 * Math.log(rate / low)) / Math.log(high / low) : 0;
  const first = Math.min(Math.max(Math.floor(place), 0), 2);
  const share = Math.round(100 * (1 - (place - first)));
  return `color-mix(in oklab, var(--rate-${first}) ${share}%, var(--rate-${first + 1}))`;
}

const rateLimits = () => {
  const rates = DATA.settings.map((s) => s.rate);
  return [Math.min(...rates), Math.max(...rates)];
};

/** The axis of learning rates, the same in every picture. */
function rateAxis() {
  const [low, high] = rateLimits();
  const room = low < high ? (high / low) ** 0.04 : 2;
  return { low: low / room, high: high * room, log: true, label: "learning rate" };
}

/**
 * How losses go up an axis: the loss itself where all are positive, else above the lowest one; what
 * is within a millionth of the descent of J* is "at the minimum", for below lies only rounding.
 */
function lossAxis(values) {
  const { best, start, known } = DATA.losses;
  const finite = values.filter((v) => v !== null);
  const lowest = Math.min(...finite, best ?? Infinity);
  const from = start ?? Math.max(...finite);
  const shift = lowest > 0 || (best === 0 && lowest >= 0) ? 0 : lowest;
  const descent = Math.max(from - lowest, 1e-300);
  const floor = Math.max(lowest - shift, 1e-6 * descent);
  const low = 0.7 * floor;
  const high = Math.max(3 * (from - shift), 10 * low);
  const axis = { low, high, log: true };
  const atMinimum = lowest - shift < floor;
  const powers = ticks(axis, 5).filter((v) => !atMinimum || v > 2.5 * low);
  return {
    ...axis,
    label: shift === 0 ? "loss J" : `loss above J* = ${number(shift)}`,
    ticks: atMinimum ? [low * 1.15, ...powers] : powers,
    names: (v) => (atMinimum && v < 1.2 * low ? "at J*" : number(v)),
    height: (v) => (v === null ? null : Math.min(Math.max(v - shift, 1.15 * low), 3 * high)),
    best: best === null ? null : best - shift,
    bestSaid: known ? "J*, known" : "J*, best found",
    start: start === null ? null : start - shift,
    shift,
  };
}
