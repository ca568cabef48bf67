"use strict";
(() => {
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const theme = () => root.dataset.theme || (system.matches ? "dark" : "light");
  function name() {
    const now = theme();
    button.textContent = now === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(now === "dark"));
    button.setAttribute("aria-label", `Switch to ${now === "dark" ? "light" : "dark"} colours`);
  }
  button.addEventListener("click", () => {
    root.dataset.theme = theme() === "dark" ? "light" : "dark";
    name();
  });
  system.addEventListener("change", name);
  name();
})();
