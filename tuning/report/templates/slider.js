// The lesson itself: the same starts on J(w), and a slider over the learning rate.
"use strict";

function drawSlider(host) {
  const { ground } = DATA;
  const names = [...new Set(ground.sweep.map((s) => s.optimizer))].sort((a, b) => a - b);
  const range = html("input", { type: "range", id: "rate", min: 0, step: 1 });
  const chosen = html("select", { id: "walker" }, ...names.map((i) => html("option", { value: i }, DATA.optimizers[i].name)));
  const said = html("output", { for: "rate walker" });
  const stage = html("div");
  host.append(
    html("p", { class: "controls" },
      html("label", { for: "walker" }, "walk with"), chosen,
      html("label", { for: "rate" }, "learning rate"), range, said),
    stage);
  const sweep = () => ground.sweep.filter((s) => s.optimizer === Number(chosen.value));
  const show = () => {
    const here = sweep()[Number(range.value)];
    said.textContent = number(here.rate);
    range.setAttribute("aria-valuetext", `${number(here.rate)} with ${DATA.optimizers[here.optimizer].name}`);
    drawWalks(stage, here);
  };
  const choose = () => {
    const rates = sweep().map((s) => s.rate);
    range.max = rates.length - 1;
    const best = DATA.best?.optimizer === Number(chosen.value) ? DATA.best.rate : Math.sqrt(rates[0] * rates.at(-1));
    const far = (rate) => Math.abs(Math.log(rate / best));
    range.value = rates.reduce((found, rate, i) => (far(rate) < far(rates[found]) ? i : found), 0);
    show();
  };
  range.addEventListener("input", show);
  chosen.addEventListener("change", choose);
  choose();
}

/** The walks of `here` over the curve; a walk is told in words beneath. */
function drawWalks(stage, here) {
  const { ground } = DATA;
  const known = ground.w.map((w, i) => [w, ground.loss[i]]).filter((p) => p[1] !== null);
  const J = (w) => {
    const i = known.findIndex((p) => p[0] >= w);
    if (i <= 0) return known.at(i)[1] + (i < 0 ? Math.abs(w - known.at(-1)[0]) : known[0][0] - w) * 1e3;
    const [[w0, j0], [w1, j1]] = [known[i - 1], known[i]];
    return j0 + ((j1 - j0) * (w - w0)) / (w1 - w0);
  };
  const bottom = Math.min(...known.map((p) => p[1]));
  const starts = ground.sweep[0].walks.map((walk) => J(walk[0]));
  const top = Math.min(Math.max(...known.map((p) => p[1])), bottom + 1.5 * Math.max(Math.max(...starts) - bottom, 1e-12));
  const room = 0.08 * (top - bottom);
  stage.replaceChildren();
  const drawn = plot(stage, {
    label: `J over w, and ${here.walks.length} walks with ${DATA.optimizers[here.optimizer].name} at the learning rate ${number(here.rate)}`,
    x: { low: known[0][0], high: known.at(-1)[0], label: "weight w" },
    y: { low: bottom - room, high: top, label: "loss J(w)" }, height: 300,
  });
  const { at, add } = drawn;
  drawn.path(known, { class: "ground" });
  for (const w of ground.global) add("text", { class: "star", x: at.x(w), y: at.y(J(w)) + 18, "text-anchor": "middle" }, "★");
  for (const w of ground.local) add("circle", { class: "local", cx: at.x(w), cy: at.y(J(w)) + 10, r: 5 });
  const words = here.walks.map((walk, k) => {
    const steps = walk.slice(0, walk.includes(null) ? walk.indexOf(null) : undefined);
    const points = steps.map((w) => [w, J(w)]);
    drawn.path(points, { class: `walk s${k}` });
    const seen = ([w, j]) => w >= known[0][0] && w <= known.at(-1)[0] && j <= top;
    points.slice(1).forEach(([w, j], i) => seen([w, j]) && add("circle", { class: `dot s${k}`, cx: at.x(w), cy: at.y(j), r: i < 14 ? 3 : 1.6 }));
    add("circle", { class: `dot s${k} start`, cx: at.x(points[0][0]), cy: at.y(points[0][1]), r: 6 });
    const [w, j] = points.at(-1);
    const out = steps.length < walk.length;
    const away = out ? `has left for infinity after ${steps.length - 1} steps` : `after ${steps.length - 1} steps is at ${number(w)}, J = ${number(j)}`;
    const inside = !out && w > known[0][0] && w < known.at(-1)[0];
    return [sample("path", `walk s${k}`), `from ${number(walk[0])}: ${out || inside ? away : `is out of the picture after ${steps.length - 1} steps`}`];
  });
  stage.append(legend(words));
  const near = settingsOf(here.optimizer).reduce((a, b) =>
    Math.abs(Math.log(b.rate / here.rate)) < Math.abs(Math.log(a.rate / here.rate)) ? b : a);
  const parts = Object.keys(DATA.stacks).map((name, k) => [near.outcomes[k], name]).filter(([n]) => n);
  stage.append(html("p", { class: "note" }, `At the nearest rate of the job, ${number(near.rate)}: ${parts.map(([n, name]) => `${n} ${name}`).join(", ")}.`));
}
