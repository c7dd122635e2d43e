"use strict";
/* What stands beside the table: two pinned rows, average ranks over tasks, the legend. */
const Panels = (() => {
  const { make, svg, find } = Dom;

  function pins(view, act) {
    const place = find("compare"), byId = new Map(view.board.tasks.flatMap((task) => task.rows.map((row) => [row.id, row])));
    const chosen = view.pins.map((id) => byId.get(id)), column = view.board.byKey.get(view.sort);
    const drop = chosen.map((row) => make("button", { type: "button", onclick: () => act.pin(row.id) }, "unpin ", Dom.named(row.name)));
    if (chosen.length < 2) {
      place.replaceChildren(make("p", { class: "hint" }, chosen.length ? `${chosen[0].name} is pinned: pin another row of ${chosen[0].task}.` : "Pin two rows of a task to compare them seed by seed."), ...drop);
      return;
    }
    place.replaceChildren(...compared(chosen, column), ...drop);
  }

  function compared([a, b], column) {
    if (a.task !== b.task) return [make("p", {}, `${a.name} and ${b.name} are of two tasks: pin rows of one.`)];
    const mine = a.values(column), other = b.values(column);
    if (!mine || !other) return [make("p", {}, `${column.key} was not measured of both.`)];
    const alternated = column.ratio && (a.source || b.source);
    if (alternated && a.source !== b.source) return [make("p", {}, `${column.key} of the two is from two measurements.`)];
    const isPaired = (seed) => alternated || a.alike[a.seeds.indexOf(seed)] === b.alike[b.seeds.indexOf(seed)];
    const keys = Stats.common(mine, other).filter(isPaired);
    if (!keys.length) return [make("p", {}, `${a.name} and ${b.name} have no seeds made on the same task, device and code: they cannot be paired.`)];
    const [first, second] = [mine, other].map((one) => new Map(keys.map((key) => [key, one.get(key)])));
    const difference = Stats.pairedDifference(first, second), p = Stats.pairedP(first, second);
    const words = Text.sentence([a.name, b.name], column.key, column.better, difference, p, keys.length);
    return [make("p", { class: "sentence", "aria-live": "polite" }, words), picture(difference, `${a.name} less ${b.name}`, column)];
  }

  function picture([mean, low, high], name, column) {
    const ends = [mean, low, high, 0].filter(Number.isFinite), span = Math.max(...ends) - Math.min(...ends) || 1;
    const x = d3.scaleLinear([Math.min(...ends) - 0.08 * span, Math.max(...ends) + 0.08 * span], [10, 310]);
    const label = `${name} on ${column.title}: ${Text.general(mean)}, 95 % interval ${Text.general(low)} to ${Text.general(high)}`;
    const made = svg("svg", { viewBox: "0 0 320 56", role: "img", "aria-label": label, class: "difference" });
    made.append(svg("line", { x1: x(0), x2: x(0), y1: 4, y2: 32, class: "zero" }));
    if (Number.isFinite(low)) made.append(svg("line", { x1: x(low), x2: x(high), y1: 18, y2: 18, class: "interval" }));
    made.append(svg("circle", { cx: x(mean), cy: 18, r: 4.5, class: "point" }));
    const axis = svg("g", { transform: "translate(0,34)" });
    d3.select(axis).call(d3.axisBottom(x).ticks(4));
    made.append(axis);
    return made;
  }

  /* Average ranks over the tasks shown, of methods that are ranked and measured on all of them. */
  function ranks(view, data) {
    const place = find("ranks"), tasks = Table.tasksOf(view), column = view.board.byKey.get(view.sort);
    place.hidden = tasks.length < 2;
    if (place.hidden) return;
    const cells = tasks.map((task) => new Map(task.rows.filter((row) => row.ranked).map((row) => [row.name, Stats.meanOf(row.values(column))])));
    const names = [...cells[0].keys()].filter((name) => cells.every((one) => Number.isFinite(one.get(name))));
    const critical = data.nemenyi[names.length - 2];
    const title = make("h2", {}, `Average ranks on ${column.title}`);
    if (names.length < 2 || !column.better || critical === undefined) {
      place.replaceChildren(title, make("p", { class: "hint" }, "Ranks need two methods that are ranked and measured on every task shown."));
      return;
    }
    const found = Stats.ranks(names, cells.map((one) => names.map((name) => one.get(name))), column.better, critical);
    place.replaceChildren(title, diagram(found, tasks.length));
    place.dataset.ranks = JSON.stringify(found);
  }

  const LINE = 14;

  /* Heights of names: down on the left, and on the right from the last up to the middle one; each as high as its lines. */
  function rows(names, half, top) {
    const at = new Array(names.length), order = names.map((_, i) => i), right = order.slice(half).reverse();
    const ends = [order.slice(0, half), right].map((side) => side.reduce((y, i) => { at[i] = y; return y + 4 + LINE * names[i].length; }, top));
    return { at, end: Math.max(...ends) };
  }

  function diagram(found, tasks) {
    const half = Math.ceil(found.sorted.length / 2), bars = 10 * found.groups.length, names = found.sorted.map(([name, rank]) => Text.lines(`${name} ${rank.toFixed(2)}`, 30));
    const places = rows(names, half, 40 + bars), height = places.end + 12;
    const x = d3.scaleLinear([1, found.sorted.length], [230, 570]);
    const words = found.sorted.map(([name, rank]) => `${name} ${rank.toFixed(2)}`).join(", ");
    const made = svg("svg", { viewBox: `0 0 800 ${height}`, role: "img", "aria-label": `average ranks: ${words}`, class: "ranks" });
    const axis = svg("g", { transform: "translate(0,24)" });
    d3.select(axis).call(d3.axisTop(x).ticks(Math.min(found.sorted.length, 10)).tickFormat(d3.format("d")));
    made.append(axis);
    found.sorted.forEach(([, rank], i) => {
      const isLeft = i < half, y = places.at[i], edge = isLeft ? 222 : 578, at = edge + (isLeft ? -4 : 4);
      made.append(svg("path", { d: `M${x(rank)},24 V${y} H${edge}`, class: "leader" }));
      const lines = names[i].map((line, k) => svg("tspan", { x: at, y: y + 4 + LINE * k }, line));
      made.append(svg("text", { "text-anchor": isLeft ? "end" : "start" }, ...lines));
    });
    found.groups.forEach(([first, last], i) => {
      const ends = [found.sorted[first][1], found.sorted[last][1]];
      made.append(svg("line", { x1: x(ends[0]) - 3, x2: x(ends[1]) + 3, y1: 32 + 10 * i, y2: 32 + 10 * i, class: "tied" }));
    });
    const legend = `Over ${tasks} tasks; Friedman p = ${Text.general(found.p, 2)}; a bar joins methods closer than ${found.difference.toFixed(2)}, not told apart (Nemenyi, 95 %).`;
    return make("figure", {}, make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "average ranks" }, made), make("figcaption", {}, legend));
  }

  function legend(view, seen) {
    const columns = view.columns.map((key) => view.board.byKey.get(key));
    const lines = ["Each cell: mean over n seeds ± half of its 95 % t interval, or its ends where a limit of the metric cuts it; the line below draws it on the column's scale, which fits the rows that trained and do not squeeze the others: ▸ and ◂ are beyond it."];
    if (columns.some((one) => one.ood)) lines.push("near, far: mean over those OOD sets, scored by maximum probability unless another score is named.");
    const rounds = [...new Set(seen.map((one) => one.row.rounds).filter(Boolean))].sort((a, b) => a - b);
    if (columns.some((one) => one.ratio) && rounds.length) lines.push(`×MAP: alternated with MAP in one process (ivi cost), median of ${rounds.join(" or ")} rounds ± half of the quartiles' distance, drawn on a logarithmic scale.`);
    const isRough = (row) => !row.rounds && columns.some((one) => one.ratio && row.cells[one.index]);
    if (seen.some((one) => isRough(one.row))) lines.push("~: ratio to MAP of the same seed, of separate runs, with whatever else the machine did then.");
    if (seen.slice(0, 60).some((one) => one.marks.includes("top"))) lines.push("Shaded and bold: the best group; ▾: told to be worse (paired t tests, 95 %, Holm over all pairs); neither: not told apart, at too wide a spread.");
    if (view.bounds.size) lines.push("Rows over a bound are grey and below the others; the best group is then that of the rows within.");
    for (const task of Table.tasksOf(view)) {
      const shown = columns.filter((one) => one.key in task.detectable).map((one) => `${one.title.replace(/ [↑↓]$/, "")} ${Text.general(task.detectable[one.key], 2)}`);
      if (shown.length && view.tasks.length === 1) lines.push(`Differences that so many seeds would show in 4 of 5 tables: ${shown.join(", ")}.`);
    }
    find("legend").replaceChildren(...lines.map((one) => make("li", {}, one)));
  }

  return { pins, ranks, legend };
})();
