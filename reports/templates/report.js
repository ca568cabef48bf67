"use strict";
(() => {
  const INK = {
    light: { text: "#1c2127", soft: "#57606b", line: "#c3cad2" },
    dark: { text: "#e7eaee", soft: "#a6afba", line: "#414b56" },
  };
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const drawn = [];
  const PRINT_WIDTH = 690; // CSS pixels between the margins of an A4 page

  const theme = () => root.dataset.theme || (system.matches ? "dark" : "light");

  // Glyphs have colours that suit both pages; only what is written or ruled changes.
  function paint(view_document, ink) {
    for (const model of view_document._all_models.values()) {
      const set = {};
      if ("axis_label_text_color" in model.attributes) {
        Object.assign(set, {
          axis_label_text_color: ink.soft, major_label_text_color: ink.soft, axis_line_color: ink.line,
          major_tick_line_color: ink.line, minor_tick_line_color: null,
          axis_label_text_font_style: "normal", axis_label_text_font_size: "12px", major_label_text_font_size: "12px",
        });
      } else if (model.type === "Grid" && model.grid_line_color !== null) {
        set.grid_line_color = ink.line;
      } else if (model.tags && model.tags.includes("ink")) {
        set.text_color = ink.text;
      }
      if (Object.keys(set).length) model.setv(set);
    }
  }

  function json(id) {
    return JSON.parse(document.getElementById(id).textContent);
  }

  function items(charts, element_of) {
    const roots = {};
    for (const chart of charts) roots[chart.dataset.root] = element_of(chart);
    return [{ docid: "trial", root_ids: Object.keys(roots), roots }];
  }

  async function embed(group, charts, element_of) {
    const views = await Bokeh.embed.embed_items({ trial: json(group.dataset.document) }, items(charts, element_of));
    const list = views.flatMap((manager) => (manager.roots ? manager.roots : [manager]));
    return { views: list, document: list[0].model.document };
  }

  // A closed trial has no width to draw in, so each is drawn when it is opened.
  async function draw(group) {
    if (group.dataset.state) return;
    group.dataset.state = "drawing";
    const charts = [...group.querySelectorAll(".chart")];
    const { document: shown } = await embed(group, charts, (chart) => chart.id);
    paint(shown, INK[theme()]);
    drawn.push(shown);
    // A finger that drags over a chart means to scroll the page; the zoom buttons are there for it.
    if (window.matchMedia("(pointer: coarse)").matches) {
      for (const model of shown._all_models.values()) if (model.type === "BoxZoomTool") model.active = false;
    }
    keys(group, shown);
    zooms(group, shown.get_model_by_id(charts[0].dataset.root).x_range);
    group.dataset.state = "drawn";
  }

  function keys(group, shown) {
    for (const button of group.querySelectorAll("button.key")) {
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(on));
        const chart = button.closest("figure").querySelector(".chart");
        const plot = shown.get_model_by_id(chart.dataset.root);
        for (const renderer of plot.renderers) if (renderer.name === button.dataset.name) renderer.visible = on;
      });
    }
  }

  // All charts of a trial share one range, so setting it moves them all.
  function zooms(group, range) {
    for (const button of group.closest("details").querySelectorAll("button.zoom")) {
      button.addEventListener("click", () => range.setv({ start: Number(button.dataset.from), end: Number(button.dataset.to) }));
    }
  }

  const frame = () => new Promise((done) => setTimeout(done, 0));

  // Paper has its own width and is always light: each chart gets a still picture of it, drawn once at leisure.
  async function still(group) {
    if (group.dataset.still) return;
    group.dataset.still = "drawing";
    const charts = [...group.querySelectorAll(".chart")];
    const stage = document.createElement("div");
    stage.setAttribute("aria-hidden", "true");
    stage.style.cssText = `position:absolute;left:-9999px;top:0;width:${PRINT_WIDTH}px;visibility:hidden`;
    for (const chart of charts) {
      const place = document.createElement("div");
      place.id = `${chart.id}-still`;
      place.style.width = `${PRINT_WIDTH}px`;
      stage.append(place);
    }
    document.body.append(stage);
    const { views, document: copy } = await embed(group, charts, (chart) => `${chart.id}-still`);
    paint(copy, INK.light);
    await Promise.all(views.map((view) => view.ready));
    await frame();
    for (const chart of charts) {
      const view = views.find((one) => one.model.id === chart.dataset.root);
      const picture = document.createElement("img");
      picture.alt = chart.getAttribute("aria-label");
      picture.src = svg(view);
      chart.append(picture);
      chart.classList.add("drawn");
    }
    copy.clear();
    stage.remove();
    group.dataset.still = "drawn";
  }

  function svg(view) {
    const context = view.export("svg").ctx;
    return "data:image/svg+xml;charset=utf-8," + encodeURIComponent(context.get_serialized_svg(true));
  }

  function retheme() {
    const now = theme();
    for (const shown of drawn) paint(shown, INK[now]);
    const button = document.getElementById("theme");
    button.textContent = now === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(now === "dark"));
    button.setAttribute("aria-label", `Switch to ${now === "dark" ? "light" : "dark"} colours`);
  }

  const idle = (work) => ("requestIdleCallback" in window ? requestIdleCallback(work, { timeout: 2000 }) : setTimeout(work, 50));

  async function start() {
    for (const swatch of document.querySelectorAll(".swatch[data-colour]")) {
      swatch.style.setProperty("--c", swatch.dataset.colour);
    }
    document.getElementById("theme").addEventListener("click", () => {
      root.dataset.theme = theme() === "dark" ? "light" : "dark";
      retheme();
    });
    system.addEventListener("change", retheme);
    retheme();
    for (const link of document.querySelectorAll('a[href^="#trial-"]')) {
      link.addEventListener("click", () => {
        document.getElementById(link.hash.slice(1)).closest("details").open = true;
      });
    }
    // Nothing can be opened on paper; the logs stay in their files.
    const closed = [];
    window.addEventListener("beforeprint", () => {
      for (const details of document.querySelectorAll("details:not([open], .data, .log)")) {
        details.open = true;
        if (!details.matches(".trial > details")) closed.push(details);
      }
    });
    window.addEventListener("afterprint", () => {
      for (const details of closed.splice(0)) details.open = false;
    });
    const groups = [...document.querySelectorAll(".charts")];
    for (const group of groups) {
      const details = group.closest("details");
      if (details.open) await draw(group);
      else details.addEventListener("toggle", () => details.open && draw(group));
    }
    root.dataset.charts = "drawn";
    for (const group of groups) {
      await new Promise((done) => idle(done)); // between two trials somebody may want to scroll
      await still(group);
    }
    root.dataset.print = "ready";
  }

  start();
})();
