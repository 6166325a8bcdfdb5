// Shows a seed below its arm when its point is chosen: its scores, its learning curve, its samples.
"use strict";
{
  const store = document.getElementById("seed-data");
  const seeds = store ? JSON.parse(store.dataset.seeds) : {};
  const [WIDTH, HEIGHT] = [420, 130];

  const make = (name, attributes = {}, ...children) => {
    const made = name.startsWith("svg:")
      ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
      : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  // steps on a log axis, as in the report's plots
  const drawCurve = (title, steps, values) => {
    const [first, last] = [Math.log(steps[0] || 1), Math.log(steps.at(-1))];
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const points = steps.map((step, place) => {
      const x = (WIDTH * (Math.log(step || 1) - first)) / (last - first || 1);
      const y = 2 + ((HEIGHT - 4) * (high - values[place])) / (high - low || 1);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    });
    const about = `${title} from ${values[0]} at step ${steps[0].toLocaleString("en")} to ${values.at(-1)} at step ${steps.at(-1).toLocaleString("en")}; steps on a log axis`;
    const line = make("svg:polyline", { points: points.join(" ") });
    const picture = make("svg:svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": about }, line);
    return make("figure", { class: "curve" }, picture, make("figcaption", {}, about));
  };

  const drawSamples = (cell) => {
    const missing = () => make("p", { class: "caption" }, "Its samples do not lie beside this page.");
    if (!seeds[cell]?.[0] || !store.dataset.samples) return missing();
    const picture = make("img", { src: `${store.dataset.samples}/${cell}.png`, alt: "samples from the prior" });
    picture.addEventListener("error", () => picture.replaceWith(missing()));
    return picture;
  };

  const describe = (cell) =>
    [...document.querySelectorAll(`circle[data-cell="${CSS.escape(cell)}"]`)].map((circle) => {
      const { title } = circle.closest("[data-metric]").dataset;
      return make("li", {}, `${title}: ${circle.textContent.replace(/^seed \d+: /, "")}`);
    });

  const show = (circle) => {
    const [row, { cell }] = [circle.closest("tr"), circle.dataset];
    const open = document.querySelector("tr.detail");
    open?.remove();
    for (const other of document.querySelectorAll("circle.chosen")) other.classList.remove("chosen");
    if (open?.dataset.cell === cell && open.dataset.metric === circle.closest("[data-metric]").dataset.metric) return;
    for (const same of document.querySelectorAll(`circle[data-cell="${CSS.escape(cell)}"]`)) same.classList.add("chosen");
    const [, title, steps, values] = seeds[cell] ?? [];
    const name = make("p", {}, make("strong", {}, `${row.cells[0].textContent}, ${circle.textContent.split(":")[0]}`));
    const content = [name, make("ul", {}, ...describe(cell)), ...(steps ? [drawCurve(title, steps, values)] : []), drawSamples(cell)];
    const detail = make("tr", { class: "detail", "data-cell": cell }, make("td", { colspan: 2 }, ...content));
    detail.dataset.metric = circle.closest("[data-metric]").dataset.metric;
    row.after(detail);
  };

  for (const circle of document.querySelectorAll("circle[data-cell]")) {
    for (const [key, value] of Object.entries({ tabindex: 0, role: "button", "aria-label": circle.textContent })) circle.setAttribute(key, value);
    circle.addEventListener("click", () => show(circle));
    circle.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      show(circle);
    });
  }
}
