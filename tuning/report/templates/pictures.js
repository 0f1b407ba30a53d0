// The pictures of all settings. Each has its panels, one an optimizer, or is one picture.
"use strict";

const RECOMMENDED = "recommended";
const settingsOf = (index) =>
  DATA.settings.filter((s) => s.optimizer === index).sort((a, b) => a.rate - b.rate || a.number - b.number);
const last = (curve, name) => curve?.[name].findLast((_, i) => i === curve.steps.length - 1) ?? null;

/** The recommended rate, its margin, the cliff and the limit by the curvature: lines and words. */
function landmarks(drawn, index, words = true) {
  const { cliff, limit, stable } = DATA.optimizers[index];
  const best = DATA.best?.optimizer === index ? DATA.best : null;
  if (cliff?.estimate) {
    drawn.line(cliff.estimate, { class: "cliff" });
    if (words) drawn.say(1, cliff.said, cliff.estimate, "◆");
  } else if (words && cliff) {
    const [low, high] = rateLimits();
    drawn.say(1, stable ? cliff.said : `no stable rate between ${number(low)} and ${number(high)}`, drawn.at.x.low, "");
  }
  if (limit !== null && limit < drawn.at.x.high && limit > drawn.at.x.low) {
    drawn.line(limit, { class: "limit" });
    if (words) drawn.say(2, `limit by the flattest global minimum: ${number(limit)}`, limit, "┆");
  } else if (words && limit !== null) {
    const side = limit > drawn.at.x.high ? "right" : "left";
    const end = side === "right" ? drawn.at.x.high : drawn.at.x.low;
    drawn.say(2, `limit by the flattest global minimum: ${number(limit)}, off to the ${side}`, end, "");
  }
  if (best) {
    drawn.line(best.rate, { class: "best" });
    if (best.margin > 1) drawn.line(best.rate * best.margin, { class: "margin" });
    const margin = best.margin > 1 ? `, margin × ${number(best.margin)}` : "";
    if (words) drawn.say(0, `${best.said} ${number(best.rate)}${margin}`, best.rate, "★");
  }
}

/** Loss reached against the rate: what a search for a learning rate is expected to show. */
function drawRates(host, index) {
  const ends = (name) => DATA.settings.map((s) => last(DATA.curves[s.number], name));
  const y = lossAxis([...DATA.settings.map((s) => s.loss), ...ends("p10")]);
  const rows = settingsOf(index);
  const { name, cliff, stable } = DATA.optimizers[index];
  const drawn = plot(host, {
    title: name,
    label: `${name}: loss reached against the learning rate; ${cliff?.said ?? "no cliff known"}`,
    x: rateAxis(), y: { ...y, label: `${y.label}, reached` }, lanes: 3, height: 240,
  });
  const { at, top, bottom, right, left, add } = drawn;
  const from = cliff?.estimate ?? (stable ? null : at.x.low);
  if (from !== null) {
    const begin = Math.max(at.x(from), left);
    add("rect", { class: "fallen", x: begin, y: top, width: Math.max(right - begin, 0), height: bottom - top });
  }
  if (cliff?.estimate) {
    // An end that is not known is not drawn: the words above say so.
    const [low, high] = [at.x(cliff.low ?? cliff.estimate), at.x(cliff.high ?? cliff.estimate)];
    add("rect", { class: "interval", x: low, y: top, width: Math.max(high - low, 1), height: bottom - top });
  }
  const minima = DATA.minima.slice(0, 4).map((m) => [m.height - y.shift, m.global ? null : `a local minimum, ${m.loss}`]);
  let free = top - 12; // labels do not lie on one another
  for (const [value, text] of [[y.start, "J0, at the start"], [y.best, y.bestSaid], ...minima]) {
    if (value === null || text === null || value < y.low || value > y.high) continue;
    drawn.path([[at.x.low, value], [at.x.high, value]], { class: "level" });
    if (at.y(value) - free >= 12) add("text", { x: left + 4, y: (free = at.y(value)) - 4 }, text);
  }
  const curves = rows.map((s) => DATA.curves[s.number]);
  drawn.area(
    rows.map((s) => s.rate),
    curves.map((c) => y.height(last(c, "p10"))),
    // Where a tenth and more diverged the band has no upper end.
    curves.map((c) => (last(c, "p10") === null ? null : (y.height(last(c, "p90")) ?? 3 * y.high))),
    { class: "band" },
  );
  drawn.path(rows.map((s) => [s.rate, y.height(s.loss)]), { class: "median" });
  landmarks(drawn, index);
  for (const s of rows) point(drawn, s, at.x(s.rate), s.loss === null ? top + 6 : Math.max(at.y(y.height(s.loss)), top + 6));
  hover(drawn, rows, (s, px) => Math.abs(at.x(s.rate) - px));
}

/** A setting: a star, a filled or a hollow point, or a cross, in the colour of its status. */
function point(drawn, setting, x, y) {
  const colour = DATA.statuses[setting.status];
  if (setting.status === RECOMMENDED) {
    drawn.put("text", { class: "star", x, y: y + 7, "text-anchor": "middle", style: `fill: ${colour}` }, "★");
  } else if (setting.status === "unstable") {
    drawn.put("path", { class: "cross", d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`, stroke: colour });
  } else {
    const hollow = setting.status === "undecided";
    drawn.put("circle", { class: hollow ? "hollow" : "point", cx: x, cy: y, r: 4, fill: hollow ? null : colour, stroke: hollow ? colour : null });
  }
}

/** What became of the restarts at each rate, as parts of a bar; where it would be grey, why. */
function drawOutcomes(host, index) {
  const { name, grey, cliff } = DATA.optimizers[index];
  if (grey) {
    host.append(html("h3", {}, name), html("p", { class: "grey" }, grey));
    return;
  }
  const rows = settingsOf(index);
  const names = Object.keys(DATA.stacks);
  const total = names.map((_, k) => rows.reduce((sum, s) => sum + s.outcomes[k], 0));
  const percent = (v) => `${Math.round(100 * v)} %`;
  const drawn = plot(host, {
    title: name,
    label: `${name}: what became of the restarts. ${names.map((n, k) => `${n}: ${total[k]}`).join("; ")}`,
    x: rateAxis(), y: { low: 0, high: 1, label: "restarts", names: percent },
  });
  const { at, add } = drawn;
  const rates = [...new Set(rows.map((s) => s.rate))];
  const place = rates.map((r) => at.x(r));
  rates.forEach((rate, i) => {
    const here = rows.filter((s) => s.rate === rate);
    const counts = names.map((_, k) => here.reduce((sum, s) => sum + s.outcomes[k], 0));
    const all = Math.max(counts.reduce((a, b) => a + b, 0), 1);
    const x0 = Math.max(i ? (place[i - 1] + place[i]) / 2 : -Infinity, place[i] - 18);
    const x1 = Math.min(i + 1 < place.length ? (place[i] + place[i + 1]) / 2 : Infinity, place[i] + 18);
    let floor = 0;
    counts.forEach((count, k) => {
      if (!count) return;
      const [y0, y1] = [at.y(floor / all), at.y((floor + count) / all)];
      add("rect", { class: "bar", x: x0, y: y1, width: Math.max(x1 - x0, 0.5), height: y0 - y1, fill: DATA.stacks[names[k]] });
      floor += count;
    });
  });
  if (cliff?.curve.length > 1) {
    const [x, fitted, low, high] = [0, 1, 2, 3].map((k) => cliff.curve.map((p) => p[k]));
    drawn.area(x, low, high, { class: "fit-band" });
    drawn.path(x.map((v, i) => [v, fitted[i]]), { class: "fit" });
  }
  landmarks(drawn, index, false);
  hover(drawn, rows, (s, px) => Math.abs(at.x(s.rate) - px));
}

/** What success costs, a line an optimizer, told apart by dashes too. */
function drawCosts(host) {
  const rows = DATA.settings.filter((s) => s.cost);
  const costs = rows.map((s) => s.cost);
  const drawn = plot(host, {
    label: "Steps spent by all restarts for each that reached the target, against the learning rate",
    x: rateAxis(), height: 260,
    y: { low: Math.min(...costs) / 1.3, high: Math.max(...costs) * 1.3, log: true, label: "steps for each success" },
  });
  DATA.optimizers.forEach((_, index) => {
    const own = settingsOf(index).filter((s) => s.cost);
    drawn.path(own.map((s) => [s.rate, s.cost]), { class: `series s${index % 5}` });
    for (const s of own) {
      drawn.add("circle", { class: `dot s${index % 5}`, cx: drawn.at.x(s.rate), cy: drawn.at.y(s.cost), r: 4, "fill-opacity": /unstable|undecided/.test(s.status) ? 0 : 1 });
    }
  });
  if (DATA.best) {
    drawn.line(DATA.best.rate, { class: "best" });
    if (DATA.best.margin > 1) drawn.line(DATA.best.rate * DATA.best.margin, { class: "margin" });
  }
  hover(drawn, rows, (s, px, py) => Math.hypot(drawn.at.x(s.rate) - px, drawn.at.y(s.cost) - py));
  host.append(legend(DATA.optimizers.map(({ name }, i) => [sample("path", `series s${i % 5}`), name])));
}

/** The median curve of every setting, coloured by its rate; or its sharpness over the limit. */
function drawCurves(host, index, kind) {
  const rows = settingsOf(index).filter((s) => DATA[kind][s.number]);
  const all = Object.values(DATA[kind]);
  const end = Math.max(...all.map((c) => c.steps.at(-1)));
  const losses = kind === "curves";
  const y = losses
    ? lossAxis(all.flatMap((c) => c.p50))
    : { low: 0.01, high: 10, log: true, label: "sharpness / its limit" };
  const height = (s) => (losses ? y.height : (v) => (v === null ? null : Math.max(v / DATA[kind][s.number].limit, 0.01)));
  const { name } = DATA.optimizers[index];
  // Steps from 0 on a logarithmic axis: one more than they are.
  const drawn = plot(host, {
    title: name, label: `${name}: median ${losses ? "loss" : "sharpness"} against the training step, a line a learning rate`,
    x: { low: 1, high: end + 1, log: true, label: "training step", names: (v) => (v === 1 ? "0" : number(v)) }, y,
  });
  const lines = rows.map((s) => {
    const { steps, p50 } = DATA[kind][s.number];
    const points = steps.map((step, i) => [step + 1, height(s)(p50[i])]);
    const best = s.status === RECOMMENDED;
    drawn.path(points, { class: best ? "curve chosen" : "curve", style: `stroke: ${rateColour(s.rate)}` });
    return { ...s, points: points.filter((p) => p[1] !== null).map(([a, b]) => [drawn.at.x(a), drawn.at.y(b)]) };
  });
  if (!losses) drawn.path([[1, 1], [end + 1, 1]], { class: "level" });
  else if (y.best > y.low) drawn.path([[1, y.best], [end + 1, y.best]], { class: "level" });
  hover(drawn, lines, (s, px, py) => Math.min(...s.points.map(([a, b]) => Math.hypot(a - px, b - py)), Infinity));
}

/** The distinct minima: how good, how easily found, how sharp. */
function drawMinima(host) {
  const found = DATA.minima;
  const above = found.map((m) => m.above ?? 0);
  const most = Math.max(...found.map((m) => m.count));
  const wide = Math.max(...above, 1e-12);
  const drawn = plot(host, {
    label: `${found.length} distinct minima: restarts that ended in each, against its height above the best`,
    x: { low: -0.05 * wide, high: 1.08 * wide, label: "above the best, % of the descent", names: (v) => number(100 * v) },
    y: { low: 0.7, high: 1.6 * most, log: true, label: "restarts" },
  });
  found.forEach((m, i) => {
    const [x, y] = [drawn.at.x(above[i]), drawn.at.y(m.count)];
    drawn.add("path", { class: "stem", d: `M${x} ${drawn.bottom}V${y}` });
    drawn.put("text", { class: "star", x, y: y + 6, "text-anchor": "middle" }, m.global ? "★" : m.flat ? "■" : "●");
  });
  const said = ({ i }) => [`loss ${found[i].loss}`, [["restarts", found[i].count], ["sharpness λ", number(found[i].sharpness)]]];
  hover(drawn, found.map((_, i) => ({ i })), ({ i }, px) => Math.abs(drawn.at.x(above[i]) - px), said);
}
