// Boxes that scroll sideways can be reached with the keyboard: give each that overflows a place in the tab order and a name.
(() => {
  const mark = () => {
    for (const box of document.querySelectorAll(
      ".bd-article :is(.table-scroll, .text_html, .pst-scrollable-table-container, pre, mjx-container[display='true'], .math, figure)"
    )) {
      // A formula in a line holds its reading for screen readers too, which is wider than what is seen.
      const wide = box.matches("span.math") ? box.firstElementChild?.offsetWidth : box.scrollWidth;
      const scrolls = wide > box.clientWidth + 1;
      if (scrolls && !box.hasAttribute("tabindex")) {
        box.tabIndex = 0;
        // A figure has its own role, and its caption for a name.
        if (box.tagName === "FIGURE") continue;
        if (!box.hasAttribute("role")) box.setAttribute("role", "region");
        if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", "Scrollable content");
      }
    }
  };
  window.addEventListener("load", () => {
    mark();
    window.MathJax?.startup?.promise?.then(mark);
  });
  window.addEventListener("resize", mark);
})();

// The scoreboard: choose by paper, verdict, scope and gates; sort by verdict. Without a script it is a plain table.
(() => {
  const chosen = {};
  const options = (rows, key) => [...new Set(rows.map((row) => row.dataset[key]).filter(Boolean))].sort();
  window.addEventListener("DOMContentLoaded", () => {
    const tables = [...document.querySelectorAll("table.exhibits")];
    const rows = tables.flatMap((table) => [...table.querySelectorAll("tbody tr[data-verdict]")]);
    if (tables.length < 2 || !rows.length) return;
    const bar = document.createElement("form");
    bar.className = "scoreboard-filter";
    const count = document.createElement("output");
    const show = () => {
      for (const row of rows) row.hidden = Object.entries(chosen).some(([key, value]) => value && row.dataset[key] !== value);
      for (const table of tables) {
        const section = table.closest("section");
        if (section) section.hidden = ![...table.querySelectorAll("tbody tr")].some((row) => !row.hidden);
      }
      count.value = `${rows.filter((row) => !row.hidden).length} of ${rows.length} exhibits`;
      all.hidden = !Object.values(chosen).some(Boolean);
    };
    for (const key of ["paper", "verdict", "scope", "gates"]) {
      const label = document.createElement("label");
      const select = document.createElement("select");
      select.append(new Option(`any ${key}`, ""), ...options(rows, key).map((value) => new Option(value, value)));
      select.name = key;
      select.addEventListener("change", () => {
        chosen[key] = select.value;
        show();
      });
      label.append(`${key} `, select);
      bar.append(label);
    }
    const sort = document.createElement("button");
    sort.type = "button";
    sort.textContent = "sort by verdict";
    sort.addEventListener("click", () => {
      for (const table of tables) {
        const body = table.querySelector("tbody");
        body.append(...[...body.rows].sort((a, b) => a.dataset.verdict.localeCompare(b.dataset.verdict)));
      }
    });
    const all = document.createElement("button");
    all.type = "button";
    all.textContent = "show all";
    all.addEventListener("click", () => {
      for (const select of bar.querySelectorAll("select")) chosen[select.name] = select.value = "";
      show();
    });
    bar.append(sort, all, count);
    tables[0].closest("section").before(bar);
    show();
  });
})();

// Printing opens every fold.
window.addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
});
