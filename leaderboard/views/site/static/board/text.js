"use strict";
/* Numbers, tables and sentences as text: as leaderboard.views write them. */
const Text = (() => {
  /* x with so many decimals: ties to even, as Python. */
  function fixed(x, digits) {
    const text = Math.abs(x) < 1e21 ? x.toFixed(digits) : String(x);
    const exact = Math.abs(x) < 1e15 ? x.toFixed(Math.min(100, digits + 30)) : "";
    if (!/50{29}$/.test(exact)) return grouped(text);
    const down = exact.slice(0, exact.length - 30).replace(/\.$/, ""), even = Number(down[down.length - 1]) % 2 === 0;
    return grouped(even ? down : text);
  }
  function grouped(text) {
    const [whole, rest] = text.split(".");
    return whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",") + (rest === undefined ? "" : `.${rest}`);
  }
  const signed = (x, digits) => (x < 0 || Object.is(x, -0) ? "" : "+") + fixed(x, digits);

  /* {mean, spread}: what a cell shows; as views.cells.cell. */
  function cell(interval, digits, { ends = false, sign = false } = {}) {
    if (!interval) return { mean: "–", spread: "" };
    const [mean, low, high] = interval;
    if (!Number.isFinite(mean)) return { mean: Number.isNaN(mean) ? "NaN" : mean > 0 ? "∞" : "-∞", spread: "" };
    const text = sign ? signed(mean, digits) : fixed(mean, digits);
    if (Number.isNaN(low) || Number.isNaN(high)) return { mean: text, spread: "" };
    if (Math.abs((high + low) / 2 - mean) > 0.5 * 10 ** -digits && ends) {
      return { mean: text, spread: ` [${fixed(low, digits)}, ${fixed(high, digits)}]` };
    }
    return { mean: text, spread: ` ± ${fixed((high - low) / 2, digits)}` };
  }

  /* As Python's f"{x:.4g}". */
  function general(x, digits = 4) {
    if (Number.isNaN(x)) return "nan";
    if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
    if (x === 0) return "0";
    const [mantissa, power] = x.toExponential(digits - 1).split("e"), exponent = Number(power);
    const strip = (text) => (text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text);
    if (exponent < -4 || exponent >= digits) {
      return `${strip(mantissa)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
    }
    return strip(x.toFixed(Math.max(0, digits - 1 - exponent)));
  }

  /* What a paired difference says; as statistics.compare. */
  function sentence(names, metric, better, difference, p, seeds) {
    const [mean, low, high] = difference;
    const bounds = `95 % interval of the difference ${general(low)} to ${general(high)}, ${seeds} seeds`;
    const higher = mean > 0;
    const judgement = { higher: higher ? "better" : "worse", lower: higher ? "worse" : "better" }[better];
    const direction = (higher ? "higher" : "lower") + (judgement ? ` (${judgement})` : "");
    if (seeds === 1) return `${names[0]} less ${names[1]} on ${metric} is ${general(mean)} on one seed: too few to judge.`;
    if (Number.isNaN(p)) return `${names[0]} and ${names[1]} cannot be compared on ${metric}: a value is NaN or infinite.`;
    if (Number.isNaN(low)) {
      return `${names[0]} less ${names[1]} on ${metric} is ${general(mean)}, and no seed of ${seeds} changes either: there is no spread to judge it by.`;
    }
    if (p < 1 - Stats.LEVEL) {
      return `${names[0]} has a ${direction} ${metric} than ${names[1]} by ${general(Math.abs(mean))} (${bounds}).`;
    }
    return `${names[0]} and ${names[1]} cannot be told apart on ${metric} (${bounds}).`;
  }

  function csv(rows, columns) {
    const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const safe = (text) => quoted(/^\s*[=+\-@＝＋－＠]/.test(text) ? `'${text}` : text);
    const fields = ["task", "method", "n", "ranked", "reason", "state", "notes"];
    const head = [...fields, ...columns.flatMap((one) => ["", "_low", "_high"].map((end) => safe(one.key + end)))];
    const numbers = (cell) => (cell ? [cell[0], ...cell.slice(1).map((one) => (Number.isNaN(one) ? "" : one))] : ["", "", ""]);
    const python = (x) => (Number.isNaN(x) ? "nan" : x === Infinity ? "inf" : x === -Infinity ? "-inf" : String(x));
    const lines = rows.map((row) => [
      safe(row.task), safe(row.name), row.n, row.ranked ? "True" : "False", safe(row.reason), row.standing, safe(row.notes.join("; ")),
      ...columns.flatMap((one) => numbers(row.cell(one)).map(python)),
    ]);
    return [head, ...lines].map((line) => line.join(",")).join("\n") + "\n";
  }

  function json(rows, columns, marks) {
    const number = (x) => (Number.isFinite(x) ? x : Number.isNaN(x) ? "NaN" : x > 0 ? "Infinity" : "-Infinity");
    const parts = (cell) => cell && { mean: number(cell[0]), low: number(cell[1]), high: number(cell[2]) };
    const marked = (row, kind) => columns.filter((one) => marks(row, one) === kind).map((one) => one.key).sort();
    return JSON.stringify({
      columns: columns.map(({ key, title, better }) => ({ key, title, better })),
      rows: rows.map((row) => ({
        task: row.task, method: row.name, n: row.n, ranked: row.ranked, reason: row.reason, state: row.standing, notes: row.notes,
        cost_rounds: row.rounds, best: marked(row, "top"), worse: marked(row, "worse"),
        metrics: Object.fromEntries(columns.map((one) => [one.key, parts(row.cell(one))])),
      })),
    }, null, 1).replace(/[<>&\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`) + "\n";
  }

  const TEX = {
    "\\": "\\textbackslash{}", "&": "\\&", "#": "\\#", "$": "\\$", "%": "\\%", _: "\\_", "{": "\\{", "}": "\\}",
    "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}",
    "|": "\\textbar{}", '"': "\\textquotedbl{}", "±": "$\\pm$", "↑": "$\\uparrow$", "↓": "$\\downarrow$",
    "×": "$\\times$", "–": "--", "∞": "$\\infty$",
  };
  const tex = (text) => [...text].map((c) => TEX[c] ?? c).join("");

  function latex(rows, columns, marks, severalTasks) {
    const head = [...(severalTasks ? ["task"] : []), "method", "n", ...columns.map((one) => one.title)];
    const notes = [], body = rows.map((row) => {
      const numbers = remarks(row).map((note) => {
        if (!notes.includes(note)) notes.push(note);
        return notes.indexOf(note) + 1;
      });
      const name = tex(row.name) + (numbers.length ? ` [${numbers.join(",")}]` : "");
      const cells = columns.map((one) => {
        const { mean, spread } = cell(row.cell(one), one.digits, { ends: !one.ratio }), mark = marks(row, one);
        const isWhole = spread.startsWith(" ["), shown = tex(isWhole ? mean + spread : mean), half = isWhole ? "" : tex(spread);
        if (mark === "top") return `\\textbf{${shown}}${half}`;
        if (mark === "worse") return `${shown}${half}$^{\\bigtriangledown}$`;
        return (mark === "rough" ? "$\\sim$" : "") + shown + half;
      });
      return [...(severalTasks ? [tex(row.task)] : []), name, String(row.n), ...cells].join(" & ") + " \\\\";
    });
    const align = "l".repeat(severalTasks ? 2 : 1) + "r".repeat(head.length - (severalTasks ? 2 : 1));
    return [
      `\\begin{tabular}{${align}}`, "\\toprule", `${head.map(tex).join(" & ")} \\\\`, "\\midrule", ...body, "\\bottomrule",
      "\\end{tabular}", ...notes.map((note, i) => `% [${i + 1}] ${note}`),
    ].join("\n") + "\n";
  }

  /* A name in the parts between which it may be broken, beside spaces: after _ ( , = and never within a word. */
  const parts = (name) => name.split(/(?<=[_(,=])(?! )/);

  /* A name in lines of at most so many characters; only a word that is longer than a line is cut in two. */
  function lines(name, width) {
    const words = name.split(/(?<=[_(,= ])/).flatMap((word) => word.match(new RegExp(`.{1,${width}}`, "gsu")) ?? []), found = [""];
    for (const word of words) {
      if (found[found.length - 1].length + word.trimEnd().length > width) found.push("");
      found[found.length - 1] += word;
    }
    return found.map((line) => line.trim());
  }

  const remarks = (row) => [...(row.ranked ? [] : [`not ranked: ${row.reason}`]), ...row.notes];

  return { cell, fixed, general, sentence, csv, json, latex, remarks, parts, lines };
})();
