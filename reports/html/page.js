// Sorting, filtering, copying, and drawing of the charts. Text of records is only ever set as text, never as markup.
"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, attributes = {}, text = "") => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  };
  const data = read("data");
  const say = (text) => data.texts[text] ?? text;
  const FACETS = Object.keys(data.facets);

  // Sorting: a button in each heading; up, down, and back to the report's order. Empty cells stay last.
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.key !== undefined ? Number(cell.dataset.key) : cell.textContent.trim();
  };
  const isNone = (key) => key === "-" || key === "";
  const compare = (one, other) =>
    typeof one === "number" && typeof other === "number" ? one - other
      : typeof one === "number" ? -1 : typeof other === "number" ? 1
      : one.localeCompare(other, undefined, { numeric: true });
  function sort(table, heading) {
    const body = table.tBodies[0];
    body.original ??= [...body.rows];
    const next = { ascending: "descending", descending: "none" }[heading.getAttribute("aria-sort")] ?? "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    let rows = body.original;
    if (next !== "none") {
      heading.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      const keyed = rows.map((row) => [keyOf(row, heading.cellIndex), row]);
      keyed.sort(([a], [b]) => isNone(a) - isNone(b) || (isNone(a) ? 0 : sign * compare(a, b)));
      rows = keyed.map(([, row]) => row);
    }
    body.append(...rows);
  }
  for (const table of all("table")) {
    if (table.tBodies[0].rows.length < 2) continue;
    for (const heading of table.tHead.rows[0].cells) {
      const button = make("button", { type: "button" }, heading.textContent);
      heading.replaceChildren(button);
      button.addEventListener("click", () => sort(table, heading));
    }
  }

  // Copying. Pages on disk have no clipboard API in some browsers: then the text is selected and copied from there.
  async function copy(code, button) {
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = say("Copied");
    setTimeout(() => { button.textContent = say("Copy"); }, 1500);
  }
  function addCopy(command) {
    if (command.querySelector("button")) return;
    const button = make("button", { type: "button", "aria-label": say("Copy the command") }, say("Copy"));
    button.addEventListener("click", () => copy(command.querySelector("code"), button));
    command.append(button);
  }

  // A record's fields come into the page when it is opened, or printed.
  let fields;
  function fill(cell) {
    if (cell.filled) return;
    cell.filled = true;
    fields ??= read("fields");
    const list = make("dl");
    for (const [name, text] of fields[Number(cell.dataset.number)]) list.append(make("dt", {}, name), make("dd", {}, text));
    cell.append(list);
  }
  document.addEventListener("toggle", ({ target }) => {
    if (!(target instanceof HTMLDetailsElement) || !target.open) return;
    if (target.classList.contains("cell")) fill(target);
    all(":scope > .command", target).forEach(addCopy);
  }, true);
  function open(number) {
    const cell = document.getElementById(`cell-${number}`);
    cell.open = true;
    fill(cell);
    cell.scrollIntoView({ block: "center" });
    cell.querySelector("summary").focus();
  }
  const printing = matchMedia("print");
  const beforePrint = () => all("details.cell:not([hidden])").forEach(fill);
  addEventListener("beforeprint", beforePrint);
  printing.addEventListener("change", () => { if (printing.matches) beforePrint(); });

  // Filtering: what is chosen holds for tables, cells and charts alike. What does not say a facet is not filtered by it.
  const form = document.querySelector(".filters");
  const inputs = all("[data-facet]", form);
  const chosen = () => Object.fromEntries(inputs.map((input) => [input.dataset.facet, input.value.trim()]));
  const matches = (element, wanted) =>
    FACETS.every((facet) => !wanted[facet] || element.dataset[facet] === undefined
      || element.dataset[facet].split(" ").includes(wanted[facet]));
  const words = (wanted) => wanted.text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  function hasWords(element, sought) {
    element.sought ??= element.textContent.toLocaleLowerCase();
    return sought.every((word) => element.sought.includes(word));
  }
  function filter() {
    const wanted = chosen(), sought = words(wanted);
    for (const body of all("[data-rows]")) {
      let left = 0;
      for (const row of body.children) {
        row.hidden = !(matches(row, wanted) && hasWords(row, sought));
        left += !row.hidden;
      }
      const note = (body.closest(".scroll") ?? body).nextElementSibling;
      note.hidden = left > 0;
    }
    for (const card of all(".card")) card.hidden = !matches(card, { ...wanted, text: "" });
    for (const table of all("table")) {
      for (const heading of table.tHead.rows[0].cells) {
        const hidden = !matches(heading, wanted);
        if (hidden === heading.hidden) continue;
        heading.hidden = hidden;
        for (const row of table.tBodies[0].rows) row.cells[heading.cellIndex].hidden = hidden;
      }
    }
    const cells = all("#cells .cell"), used = Object.values(wanted).filter(Boolean).length;
    document.querySelector(".count").textContent = say("%1 of %2 cells")
      .replace("%1", cells.filter((cell) => !cell.hidden).length).replace("%2", cells.length);
    const active = form.querySelector(".active");
    active.hidden = !used;
    active.textContent = used;
    drawn.forEach((chart) => chart.stale());
    // Those that nobody sees follow when the typing has stopped: a printed page has all of them.
    clearTimeout(settling);
    settling = setTimeout(() => drawn.forEach((chart) => chart.draw(true)), 600);
  }
  let waiting, settling;
  form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); });
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());

  // Charts. The library is in the page as text and becomes a script when the first chart is drawn.
  let library;
  const vega = () => library ??= new Promise((resolve) => {
    document.head.append(make("script", {}, document.getElementById("vega").textContent));
    resolve(window.vegaEmbed);
  });
  // The Pareto front of each machine: what no other row beats, being at least as fast and more accurate. Numbered.
  function paretoFront(rows) {
    const best = new Map(), front = [];
    for (const row of [...rows].sort((a, b) => a.ms - b.ms || b.top1 - a.top1)) {
      row.front = row.status === "ok" && row.top1 > (best.get(row.machine) ?? -1) ? front.push(row) : 0;
      if (row.front) best.set(row.machine, row.top1);
    }
    return front;
  }
  class Chart {
    constructor(figure) {
      this.figure = figure;
      Object.assign(this, data.charts[figure.dataset.chart]);
      this.selects = this.choose.map((field) => this.addChooser(field));
      this.near = false;
      new IntersectionObserver(([entry]) => { this.near = entry.isIntersecting; this.draw(); }, { rootMargin: "400px" })
        .observe(figure);
    }
    addChooser(field) {
      const label = make("label", { class: "choose" });
      const name = { model: "Model", batch: "Batch", images: "Images" }[field];
      const select = make("select", { "data-field": field });
      label.append(make("span", {}, say(name)), select);
      select.addEventListener("change", () => { this.fresh = false; this.draw(true); });
      this.figure.querySelector(".controls").append(label);
      return select;
    }
    stale() {
      this.fresh = false;
      if (this.near) this.draw();
    }
    left() {
      const wanted = chosen(), sought = words(wanted);
      return this.rows.filter((row) =>
        FACETS.every((facet) => !wanted[facet] || data.facets[facet][Number(wanted[facet])] === row[facet])
        && sought.every((word) => `${row.model} ${row.label} ${row.status}`.toLocaleLowerCase().includes(word)));
    }
    // The rows that all choosers leave. A chooser offers what the ones before it leave, and hides where that is one.
    choice() {
      return this.selects.reduce((rows, select) => {
        const field = select.dataset.field, values = [...new Set(rows.map((row) => String(row[field])))];
        if (field === "batch") values.sort((a, b) => a - b);
        const most = (text) => rows.filter((row) => String(row[field]) === text).length;
        const fullest = values.reduce((best, text) => (most(text) > most(best) ? text : best), values[0]);
        const value = values.includes(select.value) ? select.value : field === "model" ? fullest : values[0];
        select.replaceChildren(...values.map((text) => make("option", { value: text }, text)));
        if (value !== undefined) select.value = value;
        select.parentElement.hidden = values.length < 2 && field !== "model";
        return rows.filter((row) => String(row[field]) === value);
      }, this.left());
    }
    legend(rows) {
      const has = (field, name) => rows.some((row) => row[field] === name);
      const entry = (glyph, name, colour) => {
        const item = make("li");
        const mark = make("span", { "aria-hidden": "true" }, glyph);
        if (colour) mark.style.color = colour;
        item.append(mark, make("span", {}, name));
        return item;
      };
      const runtimes = Object.entries(this.marks.colours).filter(([name]) => has("runtime", name));
      const precisions = Object.entries(this.marks.glyphs).filter(([name]) => has("precision", name));
      this.figure.querySelector(".legend").replaceChildren(
        ...runtimes.map(([name, colour]) => entry("━", name, colour)),
        ...(this.figure.dataset.chart === "distribution" ? []
          : precisions.map(([name, glyph]) => entry(glyph, name))));
    }
    list(front) {
      const items = front.map((row) => {
        const item = make("li"), link = make("a", { href: `#cell-${row.number}` }, row.model);
        link.addEventListener("click", (event) => { event.preventDefault(); open(row.number); });
        const [latency, top1] = [row.ms_text, row.top1_text].map((text) => text.split(" ")[0]);
        item.append(link, `, ${row.label}: ${latency} ms, ${top1} %`);
        return item;
      });
      this.figure.querySelector(".front").replaceChildren(...items);
    }
    async draw(now = false) {
      if (this.fresh || !(this.near || now)) return;
      this.fresh = true;
      const rows = this.choice(), plot = this.figure.querySelector(".plot");
      this.legend(rows);
      if (this.figure.dataset.chart === "accuracy") this.list(paretoFront(rows));
      this.figure.querySelector(".none").hidden = rows.length > 0;
      plot.hidden = rows.length === 0;
      if (!rows.length) return;
      const vegaEmbed = await vega();
      this.result?.finalize();
      // Vega changes what it is given: it gets copies.
      const spec = structuredClone({ ...this.spec, data: { name: "rows", values: rows } });
      spec.height ??= 58 * rows.length;
      // Errors only: Vega warns of intervals that no row has. `ast`: expressions are interpreted, so no eval is needed.
      this.result = await vegaEmbed(plot, spec, { ast: true, renderer: "svg", actions: false, logLevel: 1 });
      this.view = this.result.view;
      this.view.addEventListener("click", (_, item) => {
        if (item?.datum?.number !== undefined) open(item.datum.number);
      });
      this.figure.dataset.drawn = rows.length;
    }
  }
  const drawn = [];
  const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 50));
  // After the first paint: the page is read before it is drawn. What is far away is drawn later, so that it prints.
  requestAnimationFrame(() => setTimeout(() => {
    for (const figure of all("[data-chart]")) if (data.charts[figure.dataset.chart]) drawn.push(new Chart(figure));
    window.vitbench = { charts: Object.fromEntries(drawn.map((chart) => [chart.figure.dataset.chart, chart])) };
    filter();
    clearTimeout(settling);
    const rest = [...drawn];
    const next = async () => {
      const chart = rest.shift();
      if (chart) { await chart.draw(true); idle(next); } else document.documentElement.dataset.ready = "yes";
    };
    idle(next);
  }));
})();
