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
  // All places first, then how wide they are, then what is in them: a width asked for after
  // something was drawn would lay out the whole page again.
  const tasks = [...document.querySelectorAll("[data-picture]")].flatMap((host) => {
    const draw = PICTURES[host.dataset.picture];
    host.replaceChildren();
    if (draw.length < 2) return [{ draw, host }];
    return DATA.optimizers.map((_, index) => {
      const panel = host.appendChild(html("div", { class: "panel" }));
      return { draw, host: panel, index };
    });
  });
  for (const { host } of tasks) host.room = host.clientWidth;
  for (const { draw, host, index } of tasks) draw(host, index);
}

function drawLegends() {
  const statuses = Object.entries(DATA.statuses).filter(([status]) => DATA.settings.some((s) => s.status === status));
  const swatch = (colour) => sample("rect", "bar", { fill: colour });
  document.getElementById("statuses").append(legend([
    ...statuses.map(([status, colour]) => [swatch(colour), status]),
    [sample("rect", "band"), "10 to 90 % of the restarts"],
    [sample("rect", "fallen"), "the unstable region"],
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
