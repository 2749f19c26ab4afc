// Figures that a reader moves (book/_ext/touch.py): put the chosen picture's values in place; nothing is computed here.
window.addEventListener("DOMContentLoaded", () => {
  for (const figure of document.querySelectorAll(".touch")) {
    const { sizes, changes } = JSON.parse(figure.querySelector("script").textContent);
    const parts = figure.querySelectorAll("[data-part]");
    const controls = figure.querySelectorAll("input, select");
    const show = () => {
      const chosen = [...controls].map((control) => Number(control.value));
      for (const [part, attribute, axes, values] of changes) {
        const value = values[axes.reduce((at, axis) => at * sizes[axis] + chosen[axis], 0)];
        if (attribute) parts[part].setAttribute(attribute, value);
        else parts[part].textContent = value;
      }
      for (const slider of figure.querySelectorAll("input")) {
        const word = JSON.parse(slider.dataset.words)[slider.value];
        slider.setAttribute("aria-valuetext", word);
        slider.nextElementSibling.textContent = word;
      }
    };
    figure.addEventListener("input", show);
    show();
  }
});
