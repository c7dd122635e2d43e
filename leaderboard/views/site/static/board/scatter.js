"use strict";
/* Cost against quality, live: axes of the reader's choice, intervals as crosses, the front as a line. */
const Scatter = (() => {
  const { make, svg, find } = Dom;
  const WIDTH = 560, HEIGHT = 400, EDGE = { left: 72, right: 18, top: 14, bottom: 48 };
  const SHAPES = [d3.symbolCircle, d3.symbolSquare, d3.symbolTriangle, d3.symbolDiamond, d3.symbolCross, d3.symbolStar, d3.symbolWye];

  const MOST = 14; // points that all have their names beside them

  const costly = (column) => column.ratio || column.groups.includes("cost");

  function axes(view) {
    const columns = view.board.columns, measured = (one) => Table.tasksOf(view).some((task) => task.rows.some((row) => row.cells[one.index]));
    const across = columns.filter((one) => costly(one) && measured(one)), upwards = columns.filter((one) => !costly(one) && measured(one));
    const pick = (list, key, other) => list.find((one) => one.key === key) ?? list.find((one) => one.key === other) ?? list[0];
    return { across, upwards, x: pick(across, view.x, "fit"), y: pick(upwards, view.y, view.sort) };
  }

  function show(view, act) {
    const { across, upwards, x, y } = axes(view), place = find("scatter"), task = Table.tasksOf(view)[0];
    fill(find("x"), across, x);
    fill(find("y"), upwards, y);
    if (!x || !y) return place.replaceChildren(make("p", { class: "hint" }, "Nothing to draw: no cost was measured."));
    const bounds = [...view.bounds].map(([key, limit]) => [view.board.byKey.get(key), limit]);
    const points = task.rows.map((row) => ({ row, x: row.cell(x), y: row.cell(y), isInside: Model.holds(row, bounds) }))
      .filter((one) => one.x && one.y && Number.isFinite(one.x[0]) && one.x[0] > 0);
    if (!points.length) return place.replaceChildren(make("p", { class: "hint" }, "Nothing to draw: no row has both."));
    const drawn = laid(points, x, y), corners = cornersOf(drawn, x, y);
    place.replaceChildren(picture(drawn, corners, x, y, view, act), caption(task, view, drawn, corners, x, y));
  }

  function caption(task, view, { points, chance }, corners, x, y) {
    const apart = points.filter(isBeside(points, x)).flatMap((one, i) => [i ? ", " : " Costs of separate runs, so no corner: ", Dom.named(one.row.name)]);
    const far = points.filter((one) => one.edge).flatMap((one, i) =>
      [i ? "; " : " At the edge with an arrow, not to scale: ", Dom.named(one.row.name), ` ${Text.cell(one.y, y.digits).mean}`]);
    return make("figcaption", {}, `${task.name}${view.tasks.length > 1 ? ", the first of the tasks shown" : ""}. Bars: intervals of the table${points.some((one) => one.isCut) ? "; some go on beyond the picture" : ""}. `,
      Dom.named(y.better ? Front.told(corners, chance) : "No front: neither way is better."), ...apart, apart.length ? "." : "", ...far, far.length ? "." : "", " A point selects its row.");
  }

  function fill(select, columns, chosen) {
    const keys = columns.map((one) => one.key).join();
    if (select.dataset.keys !== keys) {
      select.replaceChildren(...columns.map((one) => make("option", { value: one.key }, one.title)));
      select.dataset.keys = keys;
    }
    if (chosen) select.value = chosen.key;
  }

  /* Scales that are fitted to the rows that trained, and where each point is: at an edge if they do not reach it. */
  function laid(points, x, y) {
    const chance = Model.atChance(points.map((one) => one.row));
    const limits = Front.fitted(points.map((one) => [one.row.name, one.y]), y.better, chance);
    const [left, right] = d3.extent(points.flatMap((one) => one.x).filter((one) => Number.isFinite(one) && one > 0)), pad = left === right ? 1.5 : (right / left) ** 0.06;
    const sx = d3.scaleLog([left / pad, right * pad], [EDGE.left, WIDTH - EDGE.right]);
    const sy = d3.scaleLinear(limits, [HEIGHT - EDGE.bottom, EDGE.top]);
    const placed = [];
    for (const one of points) {
      one.edge = Number.isNaN(one.y[0]) ? (y.better === "higher" ? -1 : 1) : Front.edge(one.y[0], limits);
      one.isCut = !one.edge && (one.y[1] < limits[0] || one.y[2] > limits[1]);
      one.cx = sx(one.x[0]);
      if (one.edge) placed.push(one);
      one.cy = one.edge ? 0 : sy(one.y[0]);
    }
    placed.sort((a, b) => a.cx - b.cx).forEach((one, i) => {
      const taken = new Set(placed.slice(0, i).filter((other) => other.edge === one.edge && one.cx - other.cx < 14).map((other) => other.level));
      for (one.level = 0; taken.has(one.level); one.level++);
      one.cy = one.edge > 0 ? EDGE.top + 22 + 24 * one.level : HEIGHT - EDGE.bottom - 22 - 24 * one.level;
    });
    return { points, sx, sy, chance };
  }

  function picture(drawn, corners, x, y, view, act) {
    const { points, sx, sy } = drawn;
    const made = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": `${y.title} against ${x.title}, ${points.length} methods` });
    const clip = svg("clipPath", { id: "inside" }, svg("rect", { x: EDGE.left, y: EDGE.top, width: WIDTH - EDGE.left - EDGE.right, height: HEIGHT - EDGE.top - EDGE.bottom }));
    const isNamed = (one) => points.length <= MOST || one.edge || one.row.base || corners.includes(one.row.name) || isChosen(one.row, view);
    made.append(clip, axis(sx, true, x), axis(sy, false, y), ...bounded(view, x, sx), front(corners, drawn));
    const placed = [];
    points.sort((a, b) => a.row.name < b.row.name ? -1 : 1).forEach((one, i) => made.append(point(one, i, drawn, view, act, [x, y])));
    points.filter(isNamed).forEach((one) => made.append(name(one, drawn, placed)));
    return made;
  }

  const isChosen = (row, view) => view.open === row.id || view.pins.includes(row.id);

  function axis(scale, isAcross, column) {
    const node = svg("g", { class: "axis", transform: isAcross ? `translate(0,${HEIGHT - EDGE.bottom})` : `translate(${EDGE.left},0)` });
    const across = d3.axisBottom(scale).ticks(5, "~r"), [low, high] = scale.domain();
    if (isAcross && high / low < 8) across.tickValues(d3.ticks(low, high, 5)).tickFormat(d3.format("~r"));
    d3.select(node).call(isAcross ? across : d3.axisLeft(scale).ticks(6));
    const place = isAcross ? { x: (EDGE.left + WIDTH - EDGE.right) / 2, y: 38, "text-anchor": "middle" } : { x: -(EDGE.top + HEIGHT - EDGE.bottom) / 2, y: -56, transform: "rotate(-90)", "text-anchor": "middle" };
    node.append(svg("text", { ...place, class: "title" }, column.title));
    return node;
  }

  function bounded(view, x, sx) {
    const limit = view.bounds.get(x.key), end = sx.range()[1];
    if (limit === undefined || sx(limit) >= end) return [];
    const from = Math.max(sx(limit), EDGE.left);
    return [svg("rect", { x: from, y: EDGE.top, width: end - from, height: HEIGHT - EDGE.top - EDGE.bottom, class: "beyond" })];
  }

  /* Costs of separate runs are no corners beside costs that were measured in turns: they are not of one scale. */
  const isBeside = (points, x) => (x.ratio && points.some((one) => one.row.source) ? (one) => !one.row.source : () => false);

  function cornersOf({ points, chance }, x, y) {
    const sign = y.better === "higher" ? -1 : 1, isApart = isBeside(points, x), usable = points.filter((one) => one.row.ranked && one.isInside && !isApart(one));
    const values = new Map(usable.map((one) => [one.row.name, new Map([...one.row.values(y)].map(([seed, value]) => [seed, sign * value]))]));
    const costs = new Map(usable.map((one) => [one.row.name, [...one.row.values(x).values()]]));
    return y.better ? Front.corners(values, costs, chance) : [];
  }

  function front(corners, { points, sx, sy }) {
    const at = new Map(points.map((one) => [one.row.name, [one.cx, sy(one.y[0])]])), path = d3.path();
    corners.forEach((corner, i) => {
      const [px, py] = at.get(corner);
      if (i) { path.lineTo(px, at.get(corners[i - 1])[1]); path.lineTo(px, py); } else path.moveTo(px, py);
    });
    if (corners.length > 1) path.lineTo(WIDTH - EDGE.right, at.get(corners[corners.length - 1])[1]);
    return svg("path", { d: corners.length > 1 ? String(path) : "", class: "front", "data-corners": JSON.stringify(corners), "clip-path": "url(#inside)" });
  }

  function point(one, i, { sx, sy }, view, act, columns) {
    const { row, cx, cy } = one;
    const said = columns.map((column, k) => { const { mean, spread } = Text.cell([one.x, one.y][k], column.digits, { ends: !column.ratio }); return `${column.title} ${mean}${spread}`; });
    const far = `${one.edge ? "; at the edge, not to scale" : ""}${row.chance.length ? `; no better than chance: seed ${row.chance.join(", ")}` : ""}`;
    const label = `${row.name}: ${said.join("; ")}${far}${row.ranked ? "" : `; not ranked: ${row.reason.slice(0, 200)}`}`;
    const act_ = () => act.open(row.id), node = svg("g", {
      class: `point${row.ranked ? "" : " unranked"}${one.isInside ? "" : " outside"}${isChosen(row, view) ? " chosen" : ""}`,
      tabindex: 0, role: "button", "aria-label": label, "data-row": row.id, onclick: act_,
      onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act_(); } },
    }, svg("title", {}, label));
    const bar = ([mean, low, high], scale, isAcross) => {
      if (!Number.isFinite(low) || !Number.isFinite(high)) return "";
      const [a, b] = [low, high].map((end) => scale(isAcross ? Math.max(end, scale.domain()[0]) : end));
      return svg("line", isAcross ? { x1: a, x2: b, y1: cy, y2: cy } : { x1: cx, x2: cx, y1: a, y2: b });
    };
    node.append(svg("g", { "clip-path": "url(#inside)" }, bar(one.x, sx, true), one.edge ? "" : bar(one.y, sy, false)));
    if (one.edge) node.append(svg("path", { d: `M${cx},${cy - 7 * one.edge} v${-11 * one.edge} m-4,${4 * one.edge} l4,${-4 * one.edge} l4,${4 * one.edge}`, class: "arrow" }));
    node.append(svg("path", { d: d3.symbol(SHAPES[i % SHAPES.length], 70)(), transform: `translate(${cx},${cy})` }));
    return node;
  }

  /* Boxes of a point and of its bars. */
  function taken(one, { sx, sy }) {
    const { cx, cy } = one, boxes = [{ x: cx - 5, y: cy - 5, w: 10, h: 10 }];
    if (Number.isFinite(one.x[1])) boxes.push({ x: sx(Math.max(one.x[1], sx.domain()[0])), y: cy - 1, w: sx(one.x[2]) - sx(Math.max(one.x[1], sx.domain()[0])), h: 2 });
    if (one.edge) boxes.push({ x: cx - 4, y: one.edge > 0 ? cy - 19 : cy, w: 8, h: 19 });
    else if (Number.isFinite(one.y[1])) boxes.push({ x: cx - 1, y: sy(one.y[2]), w: 2, h: sy(one.y[1]) - sy(one.y[2]) });
    return boxes;
  }

  /* A name where it covers no point and no other name, if there is such a place. */
  function name(one, drawn, placed) {
    const { points } = drawn, { cx, cy } = one, far = one.edge ? ` ${Text.general(one.y[0], 3)} ${one.edge > 0 ? "↑" : "↓"}` : "";
    const lines = Text.lines(`${one.row.name}${far}`, 26), w = 6.6 * Math.max(...lines.map((line) => line.length)), h = 12 * lines.length;
    const dots = points.flatMap((other) => taken(other, drawn));
    const hits = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
    const tries = [8, 16, 26, 38, 52, 70, 90].flatMap((d) => [[d, -h / 2], [-d - w, -h / 2], [-w / 2, -d - h], [-w / 2, d], [d, -d - h], [d, d - 4], [-d - w, -d - h], [-d - w, d - 4]]);
    const boxes = tries.map(([dx, dy]) => ({ x: cx + dx, y: cy + dy, w, h }));
    const inside = (box) => box.x > EDGE.left && box.x + box.w < WIDTH - 4 && box.y > 2 && box.y + box.h < HEIGHT - EDGE.bottom;
    const gap = (b, x, y) => Math.hypot(Math.max(b.x - x, 0, x - b.x - b.w), Math.max(b.y - y, 0, y - b.y - b.h));
    const isOwn = (b) => points.every((other) => other === one || gap(b, cx, cy) < gap(b, other.cx, other.cy));
    const free = boxes.filter((b) => inside(b) && ![...dots, ...placed].some((other) => hits(b, other)));
    const isLed = (b) => gap(b, cx, cy) > 14 && points.every((other) => other === one || gap(b, other.cx, other.cy) > 24);
    const box = free.find(isOwn) ?? free.find(isLed);
    if (!box) return svg("g");
    placed.push(box);
    const look = `label${one.isInside ? "" : " outside"}`, made = svg("g", { class: look, "aria-hidden": "true" });
    const [ex, ey] = [Math.max(box.x, Math.min(cx, box.x + w)), Math.max(box.y, Math.min(cy, box.y + h))];
    if (gap(box, cx, cy) > 14) made.append(svg("line", { x1: cx, y1: cy, x2: ex, y2: ey, class: "lead" }));
    made.append(svg("text", {}, ...lines.map((line, i) => svg("tspan", { x: box.x, y: box.y + 12 * i + 9 }, line))));
    return made;
  }

  return { show };
})();
