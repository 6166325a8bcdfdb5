// Adds a bar that leaves of tables, verdicts, points and pictures those of some arms and of one metric.
"use strict";
{
  const FILTERED = "main tbody tr:not(.detail), .verdicts li, .gallery";
  const metrics = new Map();
  for (const { dataset } of document.querySelectorAll("[data-metric][data-title]")) {
    metrics.set(dataset.metric, { ...metrics.get(dataset.metric), ...dataset });
  }
  for (const metric of metrics.keys()) {
    for (const kind of ["comparisons", "effects", "runs"]) {
      const table = document.getElementById(`table-of-${kind}-${metric}`);
      if (table) table.dataset.metric = metric;
    }
  }

  // text that names arms: of a row all cells but numbers
  const textOf = (each) =>
    (each.cells ? [...each.cells].filter((cell) => !cell.classList.contains("number")) : [each])
      .map((part) => part.textContent)
      .join(" ")
      .toLowerCase();
  const all = [...document.querySelectorAll(FILTERED)].map((element) => ({ element, text: textOf(element) }));

  // the cell of a row below a heading; undefined where there is none
  const below = (row, heading) => {
    const headings = [...(row.closest("table")?.tHead?.rows[0].cells ?? [])];
    const column = headings.findIndex((each) => each.textContent === heading);
    return column < 0 ? undefined : row.cells[column].textContent;
  };
  const isOfMetric = (element, metric) => {
    const found = metric && element.cells && below(element, "Metric");
    if (!found || !metric.heading) return true;
    const scope = below(element, "Scored on");
    return found === metric.heading && (scope === undefined || scope === metric.scope);
  };

  const bar = document.createElement("form");
  bar.className = "filter";
  bar.setAttribute("role", "search");
  const input = document.createElement("input");
  Object.assign(input, { type: "search", placeholder: "arms with these words" });
  input.setAttribute("aria-label", "Show arms with these words");
  const select = document.createElement("select");
  select.setAttribute("aria-label", "Show one metric");
  select.append(new Option("all metrics", ""), ...[...metrics].map(([name, { title }]) => new Option(title, name)));
  const count = document.createElement("output");
  bar.append(input, select, count);

  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const metric = metrics.get(select.value);
    for (const detail of document.querySelectorAll("tr.detail")) detail.remove();
    let shown = 0;
    for (const { element, text } of all) {
      element.hidden = !(words.every((word) => text.includes(word)) && isOfMetric(element, metric));
      shown += !element.hidden;
    }
    for (const part of document.querySelectorAll("[data-metric]")) {
      part.hidden = Boolean(metric) && part.dataset.metric !== select.value;
    }
    for (const hidden of document.querySelectorAll("details")) hidden.open ||= words.length > 0;
    count.textContent = words.length || metric ? `${shown.toLocaleString("en")} of ${all.length.toLocaleString("en")} lines` : "";
  };
  bar.addEventListener("input", apply);
  bar.addEventListener("submit", (event) => event.preventDefault());
  if (all.length) document.body.prepend(bar);
}
