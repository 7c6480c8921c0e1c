"use strict";
(() => {
  const specs = JSON.parse(document.getElementById("charts").textContent);
  const views = {};
  const font = "system-ui, sans-serif";
  const config = {
    background: null,
    font,
    view: { stroke: null },
    axis: {
      labelColor: "var(--soft)", titleColor: "var(--soft)", tickColor: "var(--faint)", domainColor: "var(--faint)",
      gridColor: "var(--grid)", labelFont: font, titleFont: font, labelFontSize: 10, titleFontSize: 10.5,
      titleFontWeight: "normal", tickSize: 4, titlePadding: 5,
    },
    axisY: { labelFontSize: 10.5 },
    legend: {
      labelColor: "var(--ink)", titleColor: "var(--soft)", labelFont: font, titleFont: font, labelFontSize: 11,
      titleFontSize: 10.5, titleFontWeight: "normal", symbolSize: 500,
    },
  };
  const options = { renderer: "svg", actions: false, config, tooltip: { disableDefaultStyle: true } };

  async function draw() {
    for (const place of document.querySelectorAll("[data-chart]")) {
      const name = place.dataset.chart;
      try {
        views[name] = (await vegaEmbed(place, specs[name], options)).view;
      } catch (error) {
        place.textContent = "This chart could not be drawn: " + error.message;
        console.error(name, error);
      }
    }
    document.body.dataset.drawn = "yes";
  }

  function sortable(table) {
    table.querySelectorAll("thead th").forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        for (const body of table.tBodies) order(body, place, down ? -1 : 1);
      });
    });
  }

  function order(body, place, way) {
    const value = (row) => {
      const cell = row.cells[place];
      return cell.dataset.sort ?? cell.textContent.replace(/,/g, "").replace("−", "-").split(" ")[0];
    };
    const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
    rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      const [u, v] = [parseFloat(x), parseFloat(y)];
      if (place && (x === "" || y === "")) return (x === "") - (y === "");
      return way * (isNaN(u) || isNaN(v) ? x.localeCompare(y) : u - v);
    });
    body.append(...rows);
  }

  function pick(choice) {
    for (const [name, view] of Object.entries(views)) {
      if (name.startsWith("column-") || name === "dependence") if (view) view.signal("pick", +choice.value).runAsync();
    }
  }

  function reveal() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
  }

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((part) => (part.open = true));
  });
  addEventListener("afterprint", () => closed.forEach((part) => (part.open = false)));
  addEventListener("hashchange", reveal);
  document.querySelectorAll("table[data-sortable]").forEach(sortable);
  document.querySelectorAll("[data-pick]").forEach((choice) => choice.addEventListener("change", () => pick(choice)));
  document.addEventListener("click", (event) => {
    if (event.target.closest?.('a[href^="#health-"]')) setTimeout(reveal);
  });
  reveal();
  draw();
})();
