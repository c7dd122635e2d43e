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
    const seen = [], first = [], rest = [], later = [];
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
      const body = rows.get(task.rows[0].id).line.parentNode, all = () => place(body, lines, view);
      if (!isSeen(body.closest("section"), isNew ? first.length : null)) later.push(all);
      else {
        const last = isNew ? lines.length : lastSeen(body);
        first.push(() => place(body, lines.slice(0, last), view));
        if (last < lines.length) rest.push(all);
      }
    }
    heads(view); // what is on the screen is asked before anything changes: else it would be laid out twice
    first.forEach((job) => job());
    finish([...rest, ...later]);
    return seen;
  }

  /* Whether a part is on the screen; of those that were just built, that are not laid out yet, the first two are. */
  function isSeen(part, before) {
    if (before !== null) return before < 2;
    const { top, bottom } = part.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  }

  /* How many rows there are down to the last that the screen shows, and two more: what is below them may follow. */
  function lastSeen(body) {
    const lines = [...body.querySelectorAll("tr[data-row]:not([hidden])")], end = Math.min(innerHeight, body.closest(".table-scroll").getBoundingClientRect().bottom);
    const below = lines.findIndex((one) => one.getBoundingClientRect().top >= end);
    return below < 0 ? Infinity : below + 2;
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
      cell.said.textContent = marks[i] ? ` (${SAID[marks[i]]})` : "";
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
      const [, words, last] = /^(.*? )??(\S+(?: [↑↓])?)$/.exec(one.title) ?? ["", "", one.title];
      const end = make("span", { class: "end" }, last, " ", make("span", { class: "order", "aria-hidden": "true" }, "▾"));
      const button = make("button", { type: "button", title: one.key, onclick: () => act.sort(one.key) }, words ?? "", end);
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
    }
  }

  function line(row, columns, scales, width, data, act) {
    const pin = make("input", { type: "checkbox", "aria-label": `pin ${row.name} on ${row.task}`, onchange: () => act.pin(row.id) });
    const name = make("button", { type: "button", class: "method", "aria-expanded": "false", onclick: () => act.open(row.id) }, make("bdi", {}, Dom.named(row.name)));
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
    const said = make("span", { class: "said" });
    const bar = make("span", { class: "bar", "aria-hidden": "true" });
    if (interval && scale) draw(bar, interval, scale);
    const number = make("span", { class: "mean" }, mean);
    const half = spread ? make("span", { class: "spread" }, spread) : "";
    const node = make("td", { class: "number", "data-key": column.key, "data-mark": "" }, number, half, said, bar);
    return { node, said, mark: "" };
  }

  /* The scale of a column: fitted as the picture's axis, that of ratios of costs to all and logarithmic. `at`: per cent of
     the cell; `edge`: the end that a row is beyond. */
  function scaleOf(rows, column) {
    const shown = rows.filter((row) => row.cell(column)), ends = shown.flatMap((row) => row.cell(column)).filter(Number.isFinite);
    const log = column.ratio && ends.every((one) => one > 0), to = log ? Math.log : (x) => x;
    if (!(Math.max(...ends) > Math.min(...ends))) return null;
    let limits = [Math.min(...ends.map(to)), Math.max(...ends.map(to))];
    if (!column.ratio) limits = Front.fitted(shown.map((row) => [row.name, row.cell(column)]), column.better, Model.atChance(shown));
    const at = (x) => Math.min(100, Math.max(0, 3 + (94 * (to(x) - limits[0])) / (limits[1] - limits[0])));
    return { at, edge: (x) => (column.ratio ? 0 : Front.edge(x, limits)) };
  }

  function draw(bar, [mean, low, high], { at, edge }) {
    if (!Number.isFinite(mean)) return;
    if (edge(mean)) {
      bar.dataset.edge = edge(mean) > 0 ? "high" : "low";
      return;
    }
    const [a, b] = Number.isFinite(low) && Number.isFinite(high) ? [at(low), at(high)] : [at(mean), at(mean)];
    bar.style.setProperty("--from", `${a.toFixed(1)}%`);
    bar.style.setProperty("--rest", `${(100 - b).toFixed(1)}%`);
    bar.style.setProperty("--at", `${at(mean).toFixed(1)}%`);
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
