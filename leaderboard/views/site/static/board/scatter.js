"use strict";
/* Cost against quality, live: axes of the reader's choice, intervals as crosses, the front as a line. */
const Scatter = (() => {
  const { make, svg, find } = Dom;
  const WIDTH = 560, HEIGHT = 400, EDGE = { left: 72, right: 18, top: 14, bottom: 48 };
  const SHAPES = [d3.symbolCircle, d3.symbolSquare, d3.symbolTriangle, d3.symbolDiamond, d3.symbolCross, d3.symbolStar, d3.symbolWye];

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
      .filter((one) => one.x && one.y && Number.isFinite(one.x[0]) && Number.isFinite(one.y[0]) && one.x[0] > 0);
    if (!points.length) return place.replaceChildren(make("p", { class: "hint" }, "Nothing to draw: no row has both."));
    place.replaceChildren(picture(points, x, y, view, act), caption(task, view));
  }

  const caption = (task, view) =>
    make("figcaption", {}, `${task.name}${view.tasks.length > 1 ? ", the first of the tasks shown" : ""}. Bars: intervals of the table. Line: the front; each corner is told to be better than the one before (paired t, Holm) and dearer. A point selects its row.`);

  function fill(select, columns, chosen) {
    const keys = columns.map((one) => one.key).join();
    if (select.dataset.keys !== keys) {
      select.replaceChildren(...columns.map((one) => make("option", { value: one.key }, one.title)));
      select.dataset.keys = keys;
    }
    if (chosen) select.value = chosen.key;
  }

  function picture(points, x, y, view, act) {
    const logs = points.every((one) => one.x[0] > 0);
    const ends = (key) => points.flatMap((one) => one[key]).filter((one) => Number.isFinite(one) && (key === "y" || one > 0));
    const [left, right] = d3.extent(ends("x")), means = d3.extent(points.map((one) => one.y[0])), span = means[1] - means[0] || Math.abs(means[0]) || 1;
    const [low, high] = d3.extent(ends("y"));
    const pad = left === right ? 1.5 : (right / left) ** 0.06;
    const sx = (logs ? d3.scaleLog : d3.scaleLinear)([left / pad, right * pad], [EDGE.left, WIDTH - EDGE.right]);
    const sy = d3.scaleLinear([Math.max(low, means[0] - 0.75 * span) - 0.06 * span, Math.min(high, means[1] + 0.75 * span) + 0.1 * span], [HEIGHT - EDGE.bottom, EDGE.top]);
    const made = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": `${y.title} against ${x.title}, ${points.length} methods` });
    const clip = svg("clipPath", { id: "inside" }, svg("rect", { x: EDGE.left, y: EDGE.top, width: WIDTH - EDGE.left - EDGE.right, height: HEIGHT - EDGE.top - EDGE.bottom }));
    made.append(clip, axis(sx, true, x), axis(sy, false, y), ...bounded(view, x, sx), front(points, x, y, sx, sy));
    const placed = [];
    points.sort((a, b) => a.row.name < b.row.name ? -1 : 1).forEach((one, i) => made.append(point(one, i, sx, sy, view, act, [x, y])));
    if (points.length <= 14) points.forEach((one) => made.append(name(one, points, sx, sy, placed)));
    return made;
  }

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

  function front(points, x, y, sx, sy) {
    const sign = y.better === "higher" ? -1 : 1, usable = points.filter((one) => one.row.ranked && one.isInside);
    const values = new Map(usable.map((one) => [one.row.name, new Map([...one.row.values(y)].map(([seed, value]) => [seed, sign * value]))]));
    const costs = new Map(usable.map((one) => [one.row.name, [...one.row.values(x).values()]]));
    const corners = y.better ? Stats.corners(values, costs) : [];
    const at = new Map(points.map((one) => [one.row.name, [sx(one.x[0]), sy(one.y[0])]])), path = d3.path();
    corners.forEach((corner, i) => {
      const [px, py] = at.get(corner);
      if (i) { path.lineTo(px, at.get(corners[i - 1])[1]); path.lineTo(px, py); } else path.moveTo(px, py);
    });
    if (corners.length > 1) path.lineTo(WIDTH - EDGE.right, at.get(corners[corners.length - 1])[1]);
    return svg("path", { d: corners.length > 1 ? String(path) : "", class: "front", "data-corners": JSON.stringify(corners), "clip-path": "url(#inside)" });
  }

  function point(one, i, sx, sy, view, act, columns) {
    const [cx, cy] = [sx(one.x[0]), sy(one.y[0])], { row } = one;
    const said = columns.map((column, k) => { const { mean, spread } = Text.cell([one.x, one.y][k], column.digits, { ends: !column.ratio }); return `${column.title} ${mean}${spread}`; });
    const label = `${row.name}: ${said.join("; ")}${row.ranked ? "" : `; not ranked: ${row.reason.slice(0, 200)}`}`;
    const act_ = () => act.open(row.id), node = svg("g", {
      class: `point${row.ranked ? "" : " unranked"}${one.isInside ? "" : " outside"}${view.open === row.id || view.pins.includes(row.id) ? " chosen" : ""}`,
      tabindex: 0, role: "button", "aria-label": label, "data-row": row.id, onclick: act_,
      onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act_(); } },
    }, svg("title", {}, label));
    const bar = ([mean, low, high], scale, isAcross) => {
      if (!Number.isFinite(low) || !Number.isFinite(high)) return "";
      const [a, b] = [low, high].map((end) => scale(isAcross ? Math.max(end, scale.domain()[0]) : end));
      return svg("line", isAcross ? { x1: a, x2: b, y1: cy, y2: cy } : { x1: cx, x2: cx, y1: a, y2: b });
    };
    node.append(svg("g", { "clip-path": "url(#inside)" }, bar(one.x, sx, true), bar(one.y, sy, false)));
    node.append(svg("path", { d: d3.symbol(SHAPES[i % SHAPES.length], 70)(), transform: `translate(${cx},${cy})` }));
    return node;
  }

  /* Boxes of a point and of its bars. */
  function taken(one, sx, sy) {
    const [cx, cy] = [sx(one.x[0]), sy(one.y[0])], boxes = [{ x: cx - 5, y: cy - 5, w: 10, h: 10 }];
    if (Number.isFinite(one.x[1])) boxes.push({ x: sx(Math.max(one.x[1], sx.domain()[0])), y: cy - 1, w: sx(one.x[2]) - sx(Math.max(one.x[1], sx.domain()[0])), h: 2 });
    if (Number.isFinite(one.y[1])) boxes.push({ x: cx - 1, y: sy(one.y[2]), w: 2, h: sy(one.y[1]) - sy(one.y[2]) });
    return boxes;
  }

  /* A name where it covers no point and no other name, if there is such a place. */
  function name(one, points, sx, sy, placed) {
    const [cx, cy] = [sx(one.x[0]), sy(one.y[0])], text = one.row.name.length > 26 ? `${one.row.name.slice(0, 25)}…` : one.row.name;
    const w = 6.4 * text.length, h = 12;
    const dots = points.flatMap((other) => taken(other, sx, sy));
    const hits = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
    const tries = [8, 16, 26, 38, 52, 70, 90].flatMap((d) => [[d, -h / 2], [-d - w, -h / 2], [-w / 2, -d - h], [-w / 2, d], [d, -d - h], [d, d - 4], [-d - w, -d - h], [-d - w, d - 4]]);
    const boxes = tries.map(([dx, dy]) => ({ x: cx + dx, y: cy + dy, w, h }));
    const inside = (box) => box.x > EDGE.left && box.x + box.w < WIDTH - 4 && box.y > 2 && box.y + box.h < HEIGHT - EDGE.bottom;
    const gap = (b, x, y) => Math.hypot(Math.max(b.x - x, 0, x - b.x - b.w), Math.max(b.y - y, 0, y - b.y - b.h));
    const isOwn = (b) => points.every((other) => gap(b, cx, cy) <= gap(b, sx(other.x[0]), sy(other.y[0])));
    const free = boxes.filter((b) => inside(b) && ![...dots, ...placed].some((other) => hits(b, other)));
    const isLed = (b) => gap(b, cx, cy) > 14 && points.every((other) => other === one || gap(b, sx(other.x[0]), sy(other.y[0])) > 24);
    const box = free.find(isOwn) ?? free.find(isLed);
    if (!box) return svg("g");
    placed.push(box);
    const look = `label${one.isInside ? "" : " outside"}`, made = svg("g", { class: look, "aria-hidden": "true" });
    const [ex, ey] = [Math.max(box.x, Math.min(cx, box.x + w)), Math.max(box.y, Math.min(cy, box.y + h))];
    if (gap(box, cx, cy) > 14) made.append(svg("line", { x1: cx, y1: cy, x2: ex, y2: ey, class: "lead" }));
    made.append(svg("text", { x: box.x, y: box.y + h - 3 }, text));
    return made;
  }

  return { show };
})();
