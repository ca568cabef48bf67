"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const drill = document.getElementById("drill");
  const verdict = document.getElementById("verdict");

  // A drill is shown by its last verdict, a run by its own.
  function filter() {
    for (const one of all("[data-drill]")) {
      const wanted = (!drill.value || one.dataset.drill === drill.value) && (!verdict.value || one.dataset.verdict === verdict.value);
      one.hidden = !wanted;
    }
    if (drill.value) for (const one of all("section[data-drill]:not([hidden]) > details")) one.open = true;
    const rows = all("#runs-table tbody tr");
    const shown = rows.filter((row) => !row.hidden).length;
    document.getElementById("shown").textContent = shown === rows.length ? `${shown} runs` : `${shown} of ${rows.length} runs`;
  }

  function key(row, column) {
    const value = row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
    return value !== "" && !Number.isNaN(Number(value)) ? Number(value) : value;
  }

  function compare(a, b) {
    if (typeof a === typeof b) return a < b ? -1 : Number(a > b);
    return typeof a === "number" ? -1 : 1;
  }

  function sort(button) {
    const heading = button.closest("th");
    const body = button.closest("table").tBodies[0];
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows].map((row) => [key(row, heading.cellIndex), row]);
    rows.sort(([a], [b]) => (up ? compare(a, b) : compare(b, a)));
    body.append(...rows.map(([, row]) => row));
  }

  // The dots are links; arrow keys go from one to the next, so that a chart is one stop of the tab key.
  function chart(figure) {
    const dots = all(".dot", figure);
    const readout = figure.querySelector(".readout");
    const resting = readout.textContent;
    let now = dots.length - 1;
    function show(place) {
      dots[now].classList.remove("now");
      now = Math.min(Math.max(place, 0), dots.length - 1);
      dots[now].classList.add("now");
      readout.textContent = dots[now].dataset.said;
    }
    function rest() {
      dots[now].classList.remove("now");
      readout.textContent = resting;
    }
    const svg = figure.querySelector("svg");
    svg.addEventListener("pointermove", (event) => {
      const x = ((event.clientX - svg.getBoundingClientRect().left) / svg.clientWidth) * svg.viewBox.baseVal.width;
      const far = dots.map((dot) => Math.abs(Number(dot.dataset.x) - x));
      show(far.indexOf(Math.min(...far)));
    });
    svg.addEventListener("pointerleave", rest);
    svg.addEventListener("click", (event) => {
      const link = dots[now].closest("a");
      if (link && !event.target.closest("a")) link.dispatchEvent(new MouseEvent("click", { ctrlKey: event.ctrlKey, metaKey: event.metaKey }));
    });
    const stops = dots.map((dot) => dot.closest("a") ?? dot);
    stops.forEach((stop, place) => {
      stop.setAttribute("tabindex", place === stops.length - 1 ? "0" : "-1");
      stop.addEventListener("focus", () => show(place));
      stop.addEventListener("blur", rest);
      stop.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!step) return;
        event.preventDefault();
        stops[Math.min(Math.max(place + step, 0), stops.length - 1)].focus();
      });
    });
  }

  for (const link of all("#drills-table a[href^='#']")) {
    link.addEventListener("click", () => (document.getElementById(link.hash.slice(1)).closest("details").open = true));
  }
  window.addEventListener("beforeprint", () => all("details").forEach((one) => (one.open = true)));
  for (const select of [drill, verdict]) select.addEventListener("change", filter);
  for (const button of all("th button")) button.addEventListener("click", () => sort(button));
  for (const figure of all("figure.stamp")) chart(figure);
  filter();
})();
