"use strict";
/* The board's page: controls, and what happens when one is used. */
(async () => {
  const { make, find } = Dom;
  const data = Model.of(await Data.read());
  let view = Model.viewOf(data, location.hash), seen = [];
  const GROUPS = { main: "main", calibration: "calibration", near: "near OOD", far: "far OOD", shift: "shift", cost: "cost" };
  const BOUNDS = [["fit", "training"], ["predict", "prediction"], ["memory", "memory"]];

  const act = {
    sort(key) { set(view.sort === key ? { reverse: !view.reverse } : { sort: key, reverse: false }); },
    open(id) { set({ open: view.open === id ? "" : id }); },
    pin(id) { set({ pins: view.pins.includes(id) ? view.pins.filter((one) => one !== id) : [...view.pins, id].slice(-2) }); },
  };

  function set(changes) {
    view = { ...view, ...changes };
    history.replaceState(null, "", Model.hashOf(view));
    draw();
  }

  /* The table first: what stands around it follows when the screen shows it; a newer view takes its place. */
  function draw() {
    seen = Table.show(view, data, act);
    const drawn = view, around = () => { if (drawn === view) drawAround(); };
    if (document.documentElement.dataset.ready) requestAnimationFrame(() => setTimeout(around)); else around();
    find("count").textContent = `${seen.filter((one) => one.isInside).length} of ${Table.tasksOf(view).reduce((n, task) => n + task.rows.length, 0)} rows`;
  }

  function drawAround() {
    Scatter.show(view, act);
    Panels.pins(view, act);
    Panels.ranks(view, data);
    Panels.legend(view, seen);
    document.documentElement.dataset.drawn = location.hash;
  }

  function controls() {
    const board = find("which");
    board.replaceChildren(...data.boards.map((one) => make("option", { value: one.key }, `${one.key}: ${one.title}`)));
    board.value = view.board.key;
    board.onchange = () => { location.hash = `#board=${encodeURIComponent(board.value)}`; };
    find("tasks").replaceChildren(make("legend", {}, "tasks"), ...view.board.tasks.map((task) => box(task.name, view.tasks.includes(task.name), (isOn) => {
      const names = view.board.tasks.map((one) => one.name).filter((name) => (name === task.name ? isOn : view.tasks.includes(name)));
      if (names.length) set({ tasks: names }); else controls();
    })));
    columns();
    bounds();
    find("search").value = view.search;
  }

  function box(text, isOn, change) {
    const input = make("input", { type: "checkbox", checked: isOn, onchange: () => change(input.checked) });
    input.checked = isOn;
    return make("label", { class: "box" }, input, make("bdi", {}, text));
  }

  function columns() {
    const names = Object.keys(GROUPS).filter((name) => view.board.columns.some((one) => one.groups[0] === name));
    find("columns").replaceChildren(...names.map((name) => {
      const members = view.board.columns.filter((one) => one.groups[0] === name);
      const toggle = (keys, isOn) => {
        const chosen = new Set(isOn ? [...view.columns, ...keys] : view.columns.filter((key) => !keys.includes(key)));
        set({ columns: view.board.columns.map((one) => one.key).filter((key) => chosen.has(key)) });
        columns();
      };
      const all = members.every((one) => view.columns.includes(one.key));
      return make("fieldset", {}, make("legend", {}, box(GROUPS[name], all, (isOn) => toggle(members.map((one) => one.key), isOn))),
        ...members.map((one) => box(one.title, view.columns.includes(one.key), (isOn) => toggle([one.key], isOn))));
    }));
  }

  /* Sliders over what the rows of this board cost, logarithmic; the right end is no bound. */
  function bounds() {
    const rows = view.board.tasks.flatMap((task) => task.rows);
    find("bounds").replaceChildren(...BOUNDS.flatMap(([key, words]) => {
      const column = view.board.byKey.get(key), found = column ? rows.map((row) => row.cell(column)).filter(Boolean).map((cell) => cell[0]).filter((one) => one > 0) : [];
      if (!found.length) return [];
      const low = Math.log(Math.min(...found) * 0.95), span = Math.log(Math.max(...found) * 1.05) - low || 1, limit = view.bounds.get(key);
      const slider = make("input", { type: "range", min: 0, max: 200, "aria-label": `${words} at most, as a multiple of MAP's` });
      const exact = make("input", { type: "number", min: 0, step: "any", placeholder: "any", "aria-label": `${words} at most, exactly` });
      const place = (value) => Math.max(0, Math.min(200, Math.round((200 * (Math.log(value) - low)) / span)));
      const say = (value) => slider.setAttribute("aria-valuetext", value === undefined ? "no bound" : `${value} times MAP`);
      const show = (value) => { slider.value = value === undefined ? 200 : place(value); };
      const change = (value) => {
        const next = new Map(view.bounds);
        if (value === undefined) next.delete(key); else next.set(key, value);
        say(value);
        set({ bounds: next });
      };
      slider.oninput = () => {
        const value = Number(slider.value) === 200 ? undefined : Number(Math.exp(low + (span * Number(slider.value)) / 200).toPrecision(3));
        exact.value = value ?? "";
        change(value);
      };
      exact.oninput = () => {
        const value = exact.value === "" || !(Number(exact.value) > 0) ? undefined : Number(exact.value);
        show(value);
        change(value);
      };
      show(limit);
      say(limit);
      exact.value = limit ?? "";
      return [make("div", { class: "bound" }, make("span", {}, `${words} ≤`), slider, exact, make("span", {}, "×MAP"))];
    }));
  }

  function downloads() {
    const table = () => {
      const list = view.columns.map((key) => view.board.byKey.get(key)), inside = seen.filter((one) => one.isInside);
      const marks = new Map(inside.map((one) => [one.row, one.marks]));
      return [inside.map((one) => one.row), list, (row, column) => marks.get(row)[list.indexOf(column)]];
    };
    const name = () => `${view.board.key}-${view.tasks.length === 1 ? view.tasks[0] : "tasks"}`;
    find("csv").onclick = () => Dom.save(`${name()}.csv`, "text/csv", Text.csv(...table()));
    find("json").onclick = () => Dom.save(`${name()}.json`, "application/json", Text.json(...table()));
    find("latex").onclick = () => Dom.save(`${name()}.tex`, "text/plain", Text.latex(...table(), view.tasks.length > 1));
    find("link").onclick = () => Dom.copy(location.href.split("#")[0] + Model.hashOf(view), find("link"));
    find("command").onclick = () => Dom.copy(commandOf(), find("command"));
  }

  /* The command that shows the same table in a terminal. */
  function commandOf() {
    const quoted = (text) => (/^[\w.,/:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);
    const what = view.board.suite || (view.tasks.length === 1 ? view.tasks[0] : "");
    const where = view.bounds.size ? ` --where ${quoted([...view.bounds].map(([key, limit]) => `${key}<=${limit}`).join())}` : "";
    const sort = view.sort === "nll" ? "" : ` --sort ${quoted(view.sort)}`;
    return `ivi table${what ? ` ${quoted(what)}` : ""} --folder ${quoted(view.board.folder)} -c ${quoted(view.columns.join())}${sort}${where}`;
  }

  function start() {
    controls();
    downloads();
    find("search").oninput = (event) => set({ search: event.target.value });
    find("x").onchange = (event) => set({ x: event.target.value });
    find("y").onchange = (event) => set({ y: event.target.value });
    find("reset").onclick = () => { location.hash = `#board=${encodeURIComponent(view.board.key)}`; };
    window.addEventListener("hashchange", () => { view = Model.viewOf(data, location.hash); controls(); draw(); });
    draw();
    document.documentElement.dataset.ready = "true";
    setTimeout(warm, 50, warmed());
  }

  /* Tests that a bound will ask for, a few milliseconds at a time. */
  function* warmed() {
    for (const board of data.boards) {
      for (const task of board.tasks) {
        const ranked = task.rows.filter((row) => row.ranked).sort((a, b) => (a.name < b.name ? -1 : 1));
        for (const key of board.default) {
          const column = board.byKey.get(key), rows = ranked.filter((row) => row.values(column));
          for (let i = 0; i < rows.length; i++) {
            for (let j = i + 1; j < rows.length; j++) Model.pairP(task, column, rows[i], rows[j]);
            yield;
          }
        }
      }
    }
  }
  function warm(steps) {
    const end = performance.now() + 8;
    while (performance.now() < end) if (steps.next().done) { document.documentElement.dataset.warm = "true"; return; }
    setTimeout(warm, 0, steps);
  }

  start();
})();
