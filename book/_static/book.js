// Boxes that scroll sideways can be reached with the keyboard: give each that overflows a place in the tab order and a name.
(() => {
  const mark = () => {
    for (const box of document.querySelectorAll(
      ".bd-article :is(.table-scroll, .text_html, .pst-scrollable-table-container, pre, mjx-container[display='true'], .math)"
    )) {
      const scrolls = box.scrollWidth > box.clientWidth + 1;
      if (scrolls && !box.hasAttribute("tabindex")) {
        box.tabIndex = 0;
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
