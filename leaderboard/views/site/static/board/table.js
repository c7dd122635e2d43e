"use strict";
/* One table per task, laid out when it comes into sight; built once for its columns, then only reordered and marked anew. */
const Table = (() => {
  const { make, find } = Dom;
  let built = "", turn = 0;
  const rows = new Map();

  const SAID = { top: "best group", worse: "told to be worse than the best", rough: "of separate runs" };

  function show(view, data, act) {
    const wanted = [view.board.key, ...view.tasks, "", ...view.columns].join("\n"), isNew = wanted !== built;
    if (isNew) build(view, data, act);
    built = wanted;
    const columns = view.columns.map((key) => view.board.byKey.get(key));
    const sort = view.board.byKey.get(view.sort), bounds = [...view.bounds].map(([key, limit]) => [view.board.byKey.get(key), limit]);
    heads(view);
    const seen = [], first = [], later = [];
    for (const task of tasksOf(view)) {
      const kept = task.rows.filter((row) => Model.holds(row, bounds)), inside = new Set(kept);
      let marked = null; // of a task that nobody sees yet they are asked for later, or by a download
      const marksOf = (row) => {
        marked ??= columns.map((column) => Model.marks(task, column, kept, bounds.length > 0));
        return marked.map((one) => one.get(row) ?? "");
      };
      const order = Model.sorted(task.rows, sort, view.reverse);
      const lines = [...order.filter((row) => inside.has(row)), ...order.filter((row) => !inside.has(row))].map((row) => ({
        row, isInside: inside.has(row), get marks() { return marksOf(row); },
        isFound: !view.search || row.text.includes(view.search.toLowerCase()),
      }));
      seen.push(...lines.filter((one) => one.isFound));
      const body = rows.get(task.rows[0].id).line.parentNode;
      (isSeen(body.closest("section"), isNew ? first.length : null) ? first : later).push(() => place(body, lines, view));
    }
    first.forEach((job) => job());
    finish(later);
    return seen;
  }

  /* Whether a part is on the screen; of those that were just built, that are not laid out yet, the first two are. */
  function isSeen(part, before) {
    if (before !== null) return before < 2;
    const { top, bottom } = part.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  }

  /* What nobody sees follows a body at a time, so that the screen answers at once; a newer view takes its place. */
  function finish(jobs) {
    const root = document.documentElement, mine = ++turn;
    if (jobs.length) root.dataset.busy = "true"; else delete root.dataset.busy;
    const step = () => {
      if (mine !== turn) return;
      jobs.shift()();
      if (jobs.length) setTimeout(step); else delete root.dataset.busy;
    };
    if (jobs.length) requestAnimationFrame(() => setTimeout(step));
  }

  /* Move and mark the rows of a task; those that are in their place already stay there. */
  function place(body, lines, view) {
    let next = body.querySelector("tr[data-row]");
    for (const { row, isInside, isFound, marks } of lines) {
      const made = rows.get(row.id);
      mark(made, row, view, isInside, isFound, marks);
      if (made.line === next) next = made.more.nextSibling;
      else for (const one of [made.line, made.more]) body.insertBefore(one, next);
    }
  }

  const tasksOf = (view) => view.board.tasks.filter((one) => view.tasks.includes(one.name));

  function mark(made, row, view, isInside, isFound, marks) {
    made.line.hidden = !isFound;
    made.line.classList.toggle("outside", !isInside);
    made.outside.hidden = isInside;
    const isOpen = view.open === row.id, isPinned = view.pins.includes(row.id);
    made.more.hidden = !isOpen || !isFound;
    made.name.setAttribute("aria-expanded", String(isOpen));
    if (isOpen && !made.more.firstChild) made.more.append(made.detail());
    made.pin.checked = isPinned;
    made.line.classList.toggle("pinned", isPinned);
    made.cells.forEach((cell, i) => {
      if (cell.mark === marks[i]) return;
      cell.mark = marks[i];
      cell.node.dataset.mark = marks[i];
      cell.said.textContent = marks[i] ? `(${SAID[marks[i]]})` : "";
    });
  }

  function build(view, data, act) {
    rows.clear();
    const columns = view.board.columns.filter((one) => view.columns.includes(one.key));
    columns.sort((a, b) => view.columns.indexOf(a.key) - view.columns.indexOf(b.key));
    const width = columns.length + 3;
    find("board").replaceChildren(...tasksOf(view).map((task) => {
      const scales = columns.map((column) => scaleOf(task.rows, column));
      const body = make("tbody", {}, ...task.rows.flatMap((row) => Object.values(line(row, columns, scales, width, data, act))));
      return make("section", {}, make("table", {}, caption(view, task), head(columns, act), body));
    }));
  }

  const caption = (view, task) =>
    make("caption", {}, make("b", {}, make("a", { href: task.page }, task.name)), ` · ${view.board.title}`);

  function head(columns, act) {
    const cells = columns.map((one) => {
      const [, words, arrow] = /^(.*?)( [↑↓])?$/.exec(one.title);
      const button = make("button", { type: "button", title: one.key, onclick: () => act.sort(one.key) }, words, (arrow ?? "").replace(" ", "\u00a0"), make("span", { class: "order", "aria-hidden": "true" }));
      return make("th", { scope: "col", "data-key": one.key, class: "number" }, button);
    });
    return make("thead", {}, make("tr", {},
      make("th", { scope: "col", class: "pin" }, make("abbr", { title: "pin two rows to compare them" }, "pin")),
      make("th", { scope: "col", class: "name" }, "method"),
      make("th", { scope: "col", class: "number" }, make("abbr", { title: "seeds that are ok" }, "n")), ...cells));
  }

  function heads(view) {
    for (const cell of find("board").querySelectorAll("thead th[data-key]")) {
      const isSorted = cell.dataset.key === view.sort, better = view.board.byKey.get(cell.dataset.key).better;
      const isUp = (better === "higher") === view.reverse;
      if (isSorted) cell.setAttribute("aria-sort", isUp ? "ascending" : "descending"); else cell.removeAttribute("aria-sort");
      cell.querySelector(".order").textContent = isSorted ? (isUp ? "\u00a0▴" : "\u00a0▾") : "";
    }
  }

  function line(row, columns, scales, width, data, act) {
    const pin = make("input", { type: "checkbox", "aria-label": `pin ${row.name} on ${row.task}`, onchange: () => act.pin(row.id) });
    const name = make("button", { type: "button", class: "method", "aria-expanded": "false", onclick: () => act.open(row.id) }, make("bdi", {}, row.name));
    const badge = make("span", { class: "badge", "data-state": row.ranked ? "ranked" : row.state || "other", title: data.ranked[row.state] ?? row.reason }, badgeOf(row, data));
    const outside = make("span", { class: "badge", "data-state": "outside", hidden: true }, "over the bound");
    const remarks = Text.remarks(row).map((one) => make("div", { class: "remark" }, one));
    const cells = columns.map((column, i) => cell(row, column, scales[i]));
    const node = make("tr", { "data-row": row.id, class: row.ranked ? "" : "unranked" },
      make("td", { class: "pin" }, pin), make("th", { scope: "row", class: "name" }, name, " ", badge, " ", outside, ...remarks),
      make("td", { class: "number" }, String(row.n)), ...cells.map((one) => one.node));
    const more = make("tr", { class: "more", hidden: true });
    rows.set(row.id, { line: node, more, pin, name, outside, cells, detail: () => detail(row, width, data) });
    return { node, more };
  }

  const badgeOf = (row, data) => data.badges[row.state] ?? (row.state || "not ranked");

  function cell(row, column, scale) {
    const interval = row.cell(column), { mean, spread } = Text.cell(interval, column.digits, { ends: !column.ratio });
    const said = make("span", { class: "hidden-visually" });
    const bar = make("span", { class: "bar", "aria-hidden": "true" });
    if (interval && scale) draw(bar, interval, scale);
    const number = make("span", { class: "mean" }, mean);
    const half = spread ? make("span", { class: "spread" }, spread) : "";
    const node = make("td", { class: "number", "data-key": column.key, "data-mark": "" }, number, half, said, bar);
    return { node, said, mark: "" };
  }

  /* Number -> share of the cell's width, over all intervals of the column; ratios of costs on a logarithmic scale. */
  function scaleOf(rows, column) {
    const ends = rows.flatMap((row) => row.cell(column) ?? []).filter(Number.isFinite);
    const log = column.ratio && ends.every((one) => one > 0), to = log ? Math.log : (x) => x;
    const low = Math.min(...ends.map(to)), span = Math.max(...ends.map(to)) - low;
    return span > 0 ? (x) => 3 + (94 * (to(x) - low)) / span : null;
  }

  function draw(bar, [mean, low, high], scale) {
    if (!Number.isFinite(mean)) return;
    const [a, b] = Number.isFinite(low) && Number.isFinite(high) ? [scale(low), scale(high)] : [scale(mean), scale(mean)];
    bar.style.setProperty("--from", `${a.toFixed(1)}%`);
    bar.style.setProperty("--to", `${b.toFixed(1)}%`);
    bar.style.setProperty("--at", `${scale(mean).toFixed(1)}%`);
    bar.classList.add("drawn");
  }

  function detail(row, width, data) {
    const copy = make("button", { type: "button", onclick: () => Dom.copy(row.command, copy) }, "copy");
    const meaning = data.ranked[row.state] ?? "";
    return make("td", { colspan: width }, make("div", { class: "detail" },
      make("p", {}, make("b", {}, `${badgeOf(row, data)}: `), meaning, row.reason ? ` Here: ${row.reason}` : ""),
      make("p", {}, make("b", {}, "re-run: "), data.verified[row.verified] ?? row.verified, "."),
      make("p", { class: "command" }, make("code", {}, row.command), " ", copy),
      make("p", {}, make("a", { href: row.page }, "every seed, cost and environment of this row"))));
  }

  return { show, tasksOf };
})();
