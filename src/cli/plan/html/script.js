"use strict";
(() => {
  const table = document.getElementById("table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const form = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const fields = form.elements;
  const states = [...fields.state.options].map((option) => option.text);
  const STATE = 4;

  // What a row is found by.
  const texts = rows.map((row) => {
    const name = row.cells[0].querySelector("summary").textContent;
    return [name, row.cells[1].textContent, row.cells[3].textContent].join(" ").toLowerCase();
  });
  const state = (row) => row.cells[STATE].textContent;

  const reasons = new Set(rows.flatMap((row) => row.dataset.r.split(" ")));
  for (const reason of [...reasons].sort()) fields.reason.add(new Option(reason, reason));
  const present = new Set(rows.map(state));
  for (const option of [...fields.state.options]) {
    if (option.value && !present.has(option.value)) option.remove();
  }

  const filter = () => {
    const words = fields.text.value.toLowerCase().split(/\s+/);
    let count = 0;
    rows.forEach((row, at) => {
      const fits =
        words.every((word) => texts[at].includes(word)) &&
        (!fields.state.value || state(row) === fields.state.value) &&
        (!fields.reason.value || row.dataset.r.split(" ").includes(fields.reason.value));
      row.hidden = !fits;
      count += fits;
    });
    shown.textContent = `${count} of ${rows.length} shown`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());

  const key = (row, at, column) => {
    const cell = row.cells[column];
    if (column === 0) return texts[at];
    if (column === STATE) return states.indexOf(cell.textContent);
    if (!table.tHead.rows[0].cells[column].classList.contains("n")) return cell.textContent;
    const number = parseFloat(cell.dataset.v ?? cell.textContent);
    return Number.isNaN(number) ? -2 : number;
  };
  const sort = (column, head) => {
    const descends = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", descends ? "descending" : "ascending");
    const keys = rows.map((row, at) => [key(row, at, column), row]);
    const order = (a, b) => (typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0);
    keys.sort(([a], [b]) => (descends ? order(b, a) : order(a, b)));
    body.append(...keys.map(([, row]) => row));
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => sort(column, head));
  });

  form.hidden = false;
  filter();
})();
