"use strict";
/* The data of the page, and the view that the reader chose, which is also the page's address. */
const Model = (() => {
  const NUMBERS = { NaN, Infinity, "-Infinity": -Infinity };
  const number = (one) => (typeof one === "string" ? NUMBERS[one] : one);

  class Row {
    constructor(raw, board, task) {
      Object.assign(this, raw);
      this.board = board;
      this.task = task.name;
      this.id = `${task.name}\n${raw.name}`;
      this.kept = new Map();
      this.text = [raw.name, task.name, raw.reason, ...raw.notes, raw.state].join(" ").toLowerCase();
    }

    /* [mean, low, high] or null. */
    cell(column) {
      const raw = this.cells[column.index];
      return raw && raw.map(number);
    }

    /* Map of seed (alternated costs: round) -> number, or null. */
    values(column) {
      if (!this.kept.has(column.key)) {
        const raw = this.raw(column), keys = column.ratio && this.source ? null : this.seeds;
        const entries = raw && raw.map((one, i) => [keys ? keys[i] : i, number(one)]).filter(([, one]) => one !== null);
        this.kept.set(column.key, raw && new Map(entries));
      }
      return this.kept.get(column.key);
    }

    raw(column) {
      return this.board.raw.get(this)[column.index];
    }
  }

  function boardOf(raw) {
    const board = { ...raw, raw: new Map() };
    board.columns = raw.columns.map((one, index) => ({ ...one, index }));
    board.byKey = new Map(board.columns.map((one) => [one.key, one]));
    board.tasks = raw.tasks.map((task) => {
      const made = { ...task, p: new Map() };
      made.rows = task.rows.map((one, place) => {
        const { values, ...rest } = one, row = new Row({ ...rest, place }, board, task);
        board.raw.set(row, values);
        return row;
      });
      return made;
    });
    return board;
  }

  const of = (raw) => ({ ...raw, boards: raw.boards.map(boardOf) });

  /* p of the paired test of two rows; no bound changes it, so it is kept. */
  function pairP(task, column, a, b) {
    const n = task.rows.length, at = Math.min(a.place, b.place) * n + Math.max(a.place, b.place);
    if (!task.p.has(column.key)) task.p.set(column.key, new Float64Array(n * n).fill(-1));
    const kept = task.p.get(column.key);
    if (kept[at] === -1) kept[at] = Stats.pairedP(a.values(column), b.values(column));
    return kept[at];
  }

  /* Row -> "top", "worse", "rough" or "" of a column, among the rows that are within the bounds. */
  function marks(task, column, kept, isBounded) {
    const rough = (row) => column.ratio && !row.rounds && row.cells[column.index] !== null;
    let top, worse;
    if (isBounded) {
      const ranked = kept.filter((row) => row.ranked && row.values(column) && row.values(column).size);
      const byName = new Map(ranked.map((row) => [row.name, row]));
      const sources = new Set(column.ratio ? ranked.map((row) => row.source) : ["seeds"]);
      const values = new Map(ranked.map((row) => [row.name, row.values(column)]));
      const found = Stats.marks(values, column.better, sources, (a, b) => pairP(task, column, byName.get(a), byName.get(b)));
      top = (row) => found.top.has(row.name);
      worse = (row) => found.worse.has(row.name);
    } else {
      top = (row) => row.best.includes(column.key);
      worse = (row) => row.worse.includes(column.key);
    }
    return new Map(kept.map((row) => [row, rough(row) ? "rough" : top(row) ? "top" : worse(row) ? "worse" : ""]));
  }

  /* Names of rows with a seed that is no better than chance. */
  const atChance = (rows) => new Set(rows.filter((row) => row.chance.length).map((row) => row.name));

  const holds = (row, bounds) =>
    bounds.every(([column, limit]) => {
      const cell = row.cell(column);
      return cell !== null && cell[0] <= limit;
    });

  /* As the table of the command sorts: ranked first, the best leading, NaN last. */
  function sorted(rows, column, reverse) {
    const sign = (column.better === "higher" ? -1 : 1) * (reverse ? -1 : 1);
    const means = new Map(rows.map((row) => [row, sign * Stats.meanOf(row.values(column))]));
    const last = (row) => Number.isNaN(means.get(row));
    return [...rows].sort((a, b) => (!a.ranked - !b.ranked) || (last(a) - last(b)) || (last(a) ? 0 : means.get(a) - means.get(b)));
  }

  /* The view in the address: everything that a reader chose. */
  function viewOf(data, hash) {
    const given = new URLSearchParams(hash.replace(/^#/, ""));
    const board = data.boards.find((one) => one.key === given.get("board")) ?? preferred(data.boards);
    const known = (keys) => keys.filter((key) => board.byKey.has(key));
    const list = (name) => (given.get(name) ?? "").split(",").filter(Boolean);
    const tasks = given.getAll("task").filter((name) => board.tasks.some((one) => one.name === name));
    const ids = new Set(board.tasks.flatMap((task) => task.rows.map((row) => row.id)));
    const sort = given.get("sort") ?? "";
    return {
      board,
      tasks: tasks.length ? tasks : [board.tasks[0].name],
      columns: given.has("columns") ? known(list("columns")) : known(board.default),
      sort: known([sort.replace(/^-/, "")])[0] ?? known(["nll", ...board.default])[0],
      reverse: sort.startsWith("-"),
      search: given.get("search") ?? "",
      bounds: new Map(
        list("where").map((one) => one.split("<=")).filter(([key, limit]) => board.byKey.has(key) && Number.isFinite(Number(limit)) && limit !== "")
          .map(([key, limit]) => [key, Number(limit)]),
      ),
      pins: given.getAll("pin").map((one) => one.replace("/", "\n")).filter((id) => ids.has(id)).slice(0, 2),
      open: given.getAll("row").map((one) => one.replace("/", "\n")).find((id) => ids.has(id)) ?? "",
      x: known([given.get("x") ?? ""])[0] ?? "",
      y: known([given.get("y") ?? ""])[0] ?? "",
    };
  }

  /* A board with ranked rows, of the current rules, if there is one. */
  const preferred = (boards) => boards.find((one) => one.tasks.some((task) => task.rows.some((row) => row.ranked))) ?? boards[0];

  function hashOf(view) {
    const given = new URLSearchParams({ board: view.board.key });
    view.tasks.forEach((name) => given.append("task", name));
    if (view.columns.join() !== view.board.default.join()) given.set("columns", view.columns.join());
    if (view.sort !== "nll" || view.reverse) given.set("sort", (view.reverse ? "-" : "") + view.sort);
    if (view.search) given.set("search", view.search);
    if (view.bounds.size) given.set("where", [...view.bounds].map(([key, limit]) => `${key}<=${limit}`).join());
    view.pins.forEach((id) => given.append("pin", id.replace("\n", "/")));
    if (view.open) given.set("row", view.open.replace("\n", "/"));
    if (view.x) given.set("x", view.x);
    if (view.y) given.set("y", view.y);
    return `#${given}`;
  }

  return { of, marks, atChance, holds, sorted, viewOf, hashOf, pairP };
})();
