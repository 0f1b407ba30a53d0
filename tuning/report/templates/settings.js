// The settings' table, sorted and filtered; what a pointer over a picture tells; a setting's own page.
"use strict";

const table = document.getElementById("settings-table");
const rowOf = (number) => document.querySelector(`tr[data-setting="${number}"]`);

/** What the table says of a setting: [heading, cell], ... */
function facts(number) {
  const row = rowOf(number);
  const headings = [...row.closest("table").tHead.rows[0].cells].map((th) => th.textContent.trim());
  return headings.map((heading, i) => [heading, row.cells[i].textContent.trim()]);
}
const titleOf = (number) => {
  const [, optimizer, status, rate] = facts(number).map(([, cell]) => cell);
  return `${optimizer} at ${rate}: ${status}`;
};

function sortBy(column) {
  const heads = [...table.tHead.rows[0].cells];
  const head = heads[column];
  const down = head.getAttribute("aria-sort") === "ascending";
  heads.forEach((th) => th.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent.trim();
  const compare = (a, b) => {
    const [left, right] = [key(a), key(b)];
    if (left === "" || right === "") return (left === "") - (right === ""); // unknown: always last
    const order = isNaN(left) || isNaN(right) ? left.localeCompare(right) : left - right;
    return down ? -order : order;
  };
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
}

function filter() {
  const [words, optimizer, status] = ["words", "optimizer", "status"].map(
    (name) => document.getElementById(`filter-${name}`).value.trim().toLowerCase());
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = row.textContent.toLowerCase().replace(/\s+/g, " ");
    const cell = (i) => row.cells[i].textContent.trim().toLowerCase();
    const fits = words.split(/\s+/).every((word) => text.includes(word)) &&
      (!optimizer || cell(1) === optimizer) && (!status || cell(2).endsWith(status));
    row.hidden = !fits;
    shown += fits;
  }
  document.getElementById("shown").textContent = `${shown} of ${table.tBodies[0].rows.length} settings`;
}

const tip = document.body.appendChild(html("div", { id: "tip", role: "status", hidden: "" }));

/** Beside the pointer: the numbers of the nearest of `rows`; a click on a setting opens it. */
function hover({ root }, rows, distance, said = (s) => [titleOf(s.number), facts(s.number).slice(4)]) {
  const nearest = (event) => {
    const box = root.getBoundingClientRect();
    const zoom = root.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * zoom, (event.clientY - box.top) * zoom];
    return rows.reduce((best, s) => {
      const far = distance(s, x, y);
      return best === null || far < best.far ? { s, far } : best;
    }, null)?.s;
  };
  root.addEventListener("pointermove", (event) => {
    const found = nearest(event);
    if (found === undefined) return;
    const [title, lines] = said(found);
    tip.replaceChildren(html("strong", {}, title), html("dl", {},
      ...lines.flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, String(value))])));
    tip.hidden = false;
    const side = event.clientX > innerWidth / 2 ? event.clientX - tip.offsetWidth - 14 : event.clientX + 14;
    tip.style.left = `${Math.max(4, side)}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 4))}px`;
  });
  root.addEventListener("pointerleave", () => { tip.hidden = true; });
  root.addEventListener("click", (event) => {
    const found = nearest(event);
    if (found?.number !== undefined) openSetting(found.number);
  });
}

const sample = (tag, name, attributes = {}) =>
  svg("svg", { width: 18, height: 12, viewBox: "0 0 18 12", "aria-hidden": "true" },
    tag === "rect" ? svg("rect", { width: 18, height: 12, class: name, ...attributes })
      : svg("path", { d: "M0 6H18", fill: "none", class: name, ...attributes }));
const legend = (entries) =>
  html("ul", { class: "legend" }, ...entries.map(([mark, ...text]) => html("li", {}, mark, " ", ...text)));

/** Every restart a square, in the order of the bars; each counts for several where they are many. */
function drawRestarts(host, outcomes) {
  const names = Object.keys(DATA.stacks);
  const all = outcomes.reduce((a, b) => a + b, 0);
  const each = Math.max(1, Math.ceil(all / 1024));
  const squares = outcomes.flatMap((n, k) => Array(Math.ceil(n / each)).fill(k));
  const [size, across] = [11, Math.floor(Math.max(host.clientWidth, 260) / 11)];
  const label = names.map((n, k) => [outcomes[k], n]).filter(([n]) => n);
  host.append(svg("svg", { role: "img", class: "restarts", "aria-label": `The restarts: ${label.map(([n, name]) => `${n} ${name}`).join(", ")}`,
    viewBox: `0 0 ${across * size} ${Math.ceil(squares.length / across) * size}`, style: `max-width: ${across * size}px` },
  ...squares.map((k, i) => svg("rect", { class: "bar", x: (i % across) * size, y: Math.floor(i / across) * size, width: size - 2, height: size - 2, fill: DATA.stacks[names[k]] }))));
  host.append(legend(label.map(([n, name]) => [sample("rect", "bar", { fill: DATA.stacks[name] }), `${n} ${name}`])));
}

function drawOneCurve(host, number) {
  const curve = DATA.curves[number];
  if (!curve) return;
  const y = lossAxis([...curve.p10, ...curve.p50]);
  const end = curve.steps.at(-1);
  const drawn = plot(host, { title: "Loss: the median, and the band from 10 to 90 % of the restarts",
    label: `Loss of ${titleOf(number)} against the training step`, y,
    x: { low: 1, high: end + 1, log: true, label: "training step", names: (v) => (v === 1 ? "0" : String(v)) } });
  const x = curve.steps.map((s) => s + 1);
  drawn.area(x, curve.p10.map(y.height), curve.p90.map((v, i) => (curve.p10[i] === null ? null : (y.height(v) ?? 3 * y.high))), { class: "band" });
  drawn.path(x.map((v, i) => [v, y.height(curve.p50[i])]), { class: "median" });
}

/** A setting's own page, over the others: its numbers, curves and restarts. Escape closes it. */
function openSetting(number) {
  tip.hidden = true;
  const dialog = document.getElementById("setting");
  const body = dialog.querySelector(".body");
  dialog.querySelector("h2").textContent = titleOf(number);
  body.replaceChildren();
  if (!dialog.open) dialog.showModal();
  const { outcomes } = [...DATA.settings, ...DATA.others].find((s) => s.number === number);
  body.append(html("h3", {}, "What became of its restarts"));
  drawRestarts(body, outcomes);
  drawOneCurve(body, number);
  const led = DATA.minima.filter((m) => m.by[number]).map((m) => html("li", {}, `${m.by[number]} to the minimum at ${m.loss}${m.global ? " ★" : ""}`));
  if (led.length) body.append(html("h3", {}, "Where they went"), html("ul", {}, ...led.slice(0, 12)));
  body.append(html("h3", {}, "Numbers"), html("dl", {},
    ...facts(number).flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, value)])));
}
