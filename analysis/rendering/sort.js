// Sorts a table by a column: a click on its heading goes up, down, and back to the order that the report gave.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const given = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];

  const key = (row, column) => {
    const cell = row.cells[column];
    return "size" in cell.dataset ? cell.dataset.size && Number(cell.dataset.size) : cell.textContent.trim();
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  const sorted = (column, sign) =>
    [...given].sort((x, y) => {
      const [a, b] = [key(x, column), key(y, column)];
      if (a === "" || b === "") return (a === "") - (b === ""); // what is not there stays last, up or down
      return sign * compare(a, b);
    });

  const show = (rows) => {
    body.append(...rows);
    let above = null;
    for (const row of rows) {
      const name = row.cells[0];
      name.classList.toggle("repeats", name.textContent === above);
      above = name.textContent;
    }
  };
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[heading.ariaSort || "none"];
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      if (next !== "none") heading.setAttribute("aria-sort", next);
      show(next === "none" ? given : sorted(column, next === "ascending" ? 1 : -1));
    });
  });
}
