// Draws every picture where the page has room for it, and again when that room changes.
"use strict";

const PICTURES = {
  rates: drawRates,
  outcomes: drawOutcomes,
  losses: (host, index) => drawCurves(host, index, "curves"),
  sharpness: (host, index) => drawCurves(host, index, "sharpness"),
  costs: drawCosts,
  minima: drawMinima,
  slider: drawSlider,
};

function drawAll() {
  for (const host of document.querySelectorAll("[data-picture]")) {
    const draw = PICTURES[host.dataset.picture];
    host.replaceChildren();
    if (draw.length < 2) {
      draw(host);
      continue;
    }
    // All panels first: how wide one is depends on how many there are.
    const panels = DATA.optimizers.map(() => host.appendChild(html("div", { class: "panel" })));
    panels.forEach((panel, index) => draw(panel, index));
  }
}

function drawLegends() {
  const statuses = Object.entries(DATA.statuses).filter(([status]) => DATA.settings.some((s) => s.status === status));
  const swatch = (colour) => sample("rect", "bar", { fill: colour });
  document.getElementById("statuses").append(legend([
    ...statuses.map(([status, colour]) => [swatch(colour), status]),
    [sample("rect", "band"), "10 to 90 % of the restarts"],
    [sample("rect", "fallen"), "unstable"],
    [sample("rect", "interval"), "the cliff's interval"],
  ]));
  const seen = Object.entries(DATA.stacks).filter((_, k) => DATA.settings.some((s) => s.outcomes[k]));
  document.getElementById("stacks").append(legend([
    ...seen.map(([name, colour]) => [swatch(colour), name]),
    [sample("path", "fit"), "stable, fitted, and its band"],
  ]));
  const [low, high] = rateLimits();
  for (const host of document.querySelectorAll(".rate-legend")) {
    const steps = [0, 1, 2, 3, 4].map((i) => low * (high / low) ** (i / 4));
    host.append(legend(steps.map((rate) => [sample("path", "curve", { style: `stroke: ${rateColour(rate)}` }), number(rate)])));
  }
}

if (DATA.settings.length) {
  drawLegends();
  drawAll();
  let width = document.body.clientWidth;
  addEventListener("resize", () => {
    if (document.body.clientWidth === width) return;
    width = document.body.clientWidth;
    drawAll();
  });
}
[...table.tHead.rows[0].cells].forEach((th, column) => th.querySelector("button").addEventListener("click", () => sortBy(column)));
for (const field of document.querySelectorAll(".filters input, .filters select")) field.addEventListener("input", filter);
document.addEventListener("click", (event) => {
  const opener = event.target.closest("button[data-open]");
  if (opener) openSetting(Number(opener.dataset.open));
});
document.querySelector("#setting .close").addEventListener("click", () => document.getElementById("setting").close());
