"use strict";
/* The tests of leaderboard.statistics, pairs, student and ranks, on Maps of seed -> number. A test of the
   project compares each with Python's. */
const Stats = (() => {
  const LEVEL = 0.95, FEW = 3;
  const betas = new Map(), halves = new Map();

  function inverseBeta(df) {
    if (!betas.has(df)) {
      let ratio = df % 2 ? 1 / Math.sqrt(Math.PI) : Math.sqrt(Math.PI) / 2;
      for (let k = df % 2 ? 1 : 2; k < df; k += 2) ratio *= (k + 1) / k;
      betas.set(df, ratio / Math.sqrt(Math.PI));
    }
    return betas.get(df);
  }

  function fraction(a, b, x, terms) {
    let value = 1;
    for (let m = terms; m >= 0; m--) {
      value = 1 - ((a + m) * (a + b + m) / ((a + 2 * m) * (a + 2 * m + 1)) * x) / value;
      if (m) value = 1 + (m * (b - m) / ((a + 2 * m - 1) * (a + 2 * m)) * x) / value;
    }
    return value;
  }

  /* P(|T| >= |t|) of Student's t. */
  function twoSided(df, t) {
    const a = df / 2, square = t * t;
    if (square === Infinity) return 0;
    const x = df / (df + square), y = square / (df + square);
    const near = x > (a + 1) / (a + 2.5), first = near ? 0.5 : a, second = near ? a : 0.5;
    const scale = inverseBeta(df) * Math.exp(-a * Math.log1p(square / df)) * Math.sqrt(y);
    const part = scale / (first * fraction(first, second, near ? y : x, 40 + Math.floor(4 * Math.sqrt(a))));
    return near ? 1 - part : part;
  }

  /* Half the width of the interval of LEVEL, in standard errors. */
  function halfWidth(df) {
    if (!halves.has(df)) {
      let low = 0, high = 1;
      while (twoSided(df, high) > 1 - LEVEL) [low, high] = [high, 2 * high];
      for (let i = 0; i < 200; i++) {
        const middle = (low + high) / 2;
        if (!(low < middle && middle < high)) break;
        if (twoSided(df, middle) <= 1 - LEVEL) high = middle; else low = middle;
      }
      halves.set(df, high);
    }
    return halves.get(df);
  }

  const sum = (list) => list.reduce((total, one) => total + one, 0);
  const mean = (list) => sum(list) / list.length;
  function variance(list) {
    const middle = mean(list);
    return sum(list.map((one) => (one - middle) ** 2)) / (list.length - 1);
  }
  const allFinite = (list) => list.every(Number.isFinite);
  const common = (a, b) => [...a.keys()].filter((key) => b.has(key)).sort((p, q) => p - q);

  /* Standard error of the mean of a - b; the unpaired one where all pairs differ by the same. */
  function pairedError(a, b) {
    const differences = a.map((one, i) => one - b[i]);
    const rounding = 1e-9 * Math.max(...a.map(Math.abs), ...b.map(Math.abs));
    const alike = Math.max(...differences) - Math.min(...differences) <= rounding;
    const equal = differences.every((one) => one === 0);
    const flat = [a, b].reduce((wide, one) => wide + Math.max(...one) - Math.min(...one), 0) <= rounding;
    const square = alike ? (equal || flat ? 0 : variance(a) + variance(b)) : variance(differences);
    return Math.sqrt(square / a.length);
  }

  function pOf(a, b) {
    const error = pairedError(a, b), middle = mean(a.map((one, i) => one - b[i]));
    if (error === 0) return 1; // no seed changes either: there is no spread to judge by
    return twoSided(a.length - 1, middle / error);
  }

  /* NaN for one seed or values that are not finite. */
  function pairedP(a, b) {
    const keys = common(a, b), mine = keys.map((key) => a.get(key)), other = keys.map((key) => b.get(key));
    return keys.length < 2 || !allFinite(mine) || !allFinite(other) ? NaN : pOf(mine, other);
  }

  /* [mean, low, high] of a - b over common seeds. */
  function pairedDifference(a, b) {
    const keys = common(a, b), mine = keys.map((key) => a.get(key)), other = keys.map((key) => b.get(key));
    const differences = mine.map((one, i) => one - other[i]), middle = mean(differences);
    if (keys.length < 2 || !allFinite(differences)) return [middle, NaN, NaN];
    const half = halfWidth(keys.length - 1) * pairedError(mine, other);
    if (half === 0 && middle !== 0) return [middle, NaN, NaN];
    return [middle, middle - half, middle + half];
  }

  function holm(p) {
    const order = p.map((_, i) => i).sort((i, j) => p[i] - p[j] || i - j), adjusted = new Array(p.length);
    let largest = 0;
    order.forEach((i, rank) => {
      largest = Math.max(largest, p[i] * (p.length - rank));
      adjusted[i] = Math.min(largest, 1);
    });
    return adjusted;
  }

  /* Mean of finite numbers; NaN where there are none, or one is not finite. */
  function meanOf(values) {
    const list = values ? [...values.values()] : [];
    return list.length && allFinite(list) ? mean(list) : NaN;
  }

  function told(values, sign, pairP) {
    const means = new Map([...values].map(([name, found]) => [name, sign * meanOf(found)]));
    const judged = [...values.keys()].filter((name) => Number.isFinite(means.get(name)));
    if (judged.length < 2) return { top: [], worse: [] };
    const names = [...judged].sort((a, b) => means.get(a) - means.get(b)), best = values.get(names[0]);
    if (Math.min(...judged.map((name) => common(values.get(name), best).length)) <= FEW) return { top: [], worse: [] };
    const p = [], withBest = new Map();
    for (let i = 0; i < names.length; i++) {
      for (let j = i + 1; j < names.length; j++) {
        const one = pairP(names[i], names[j]);
        if (i === 0) withBest.set(names[j], p.length);
        p.push(Number.isNaN(one) ? 1 : one);
      }
    }
    const adjusted = holm(p);
    const top = names.filter((name, i) => i === 0 || adjusted[withBest.get(name)] >= 1 - LEVEL);
    return { top, worse: judged.filter((name) => !top.includes(name)) };
  }

  /* Which rows of a column are marked; as leaderboard.marks. pairP: p of two rows by name, which may be kept. */
  function marks(values, better, sources, pairP = (a, b) => pairedP(values.get(a), values.get(b))) {
    const none = { best: "", top: new Set(), worse: new Set() };
    if (!better || values.size < 2) return none;
    const sign = better === "higher" ? -1 : 1;
    const means = new Map([...values].map(([name, found]) => [name, sign * meanOf(found)]));
    const finite = [...means].filter(([, value]) => !Number.isNaN(value));
    const best = finite.reduce((one, other) => (one && one[1] <= other[1] ? one : other), null);
    none.best = best ? best[0] : "";
    if (sources.size > 1 || sources.has("")) return none;
    const found = told(values, sign, pairP);
    const limit = Math.min(Infinity, ...found.worse.map((name) => means.get(name)));
    const top = found.top.filter((name) => means.get(name) < limit);
    return { best: none.best, top: new Set(top), worse: new Set(found.worse) };
  }

  /* P(chi-squared of df > x), by the series or the continued fraction of the incomplete gamma function. */
  function chi2Above(df, x) {
    if (!(x > 0)) return 1;
    const a = df / 2, y = x / 2, scale = Math.exp(a * Math.log(y) - y - logGamma(a));
    if (y < a + 1) {
      let term = 1 / a, total = term;
      for (let n = 1; n < 1000 && term > total * 1e-17; n++) { term *= y / (a + n); total += term; }
      return Math.max(0, 1 - scale * total);
    }
    let b = y + 1 - a, c = 1e300, d = 1 / b, value = d;
    for (let i = 1; i < 1000; i++) {
      const an = -i * (i - a);
      b += 2;
      d = 1 / (an * d + b);
      c = b + an / c;
      value *= d * c;
      if (Math.abs(d * c - 1) < 1e-16) break;
    }
    return scale * value;
  }

  /* log Gamma of a half or a whole number, as a product. */
  function logGamma(a) {
    let start = a % 1 ? 0.5 : 1, total = a % 1 ? Math.log(Math.PI) / 2 : 0;
    for (; start < a; start++) total += Math.log(start);
    return total;
  }

  /* Average ranks over tasks; cells: one array per task, a finite number per method. */
  function ranks(names, cells, better, critical) {
    const tasks = cells.length, k = names.length, sign = better === "higher" ? -1 : 1, average = new Array(k).fill(0);
    let spread = 0;
    for (const row of cells) {
      const values = row.map((one) => sign * one);
      values.forEach((one, i) => {
        const rank = values.filter((v) => v < one).length + (values.filter((v) => v === one).length + 1) / 2;
        average[i] += rank / tasks;
        spread += (rank - (k + 1) / 2) ** 2;
      });
    }
    spread /= tasks * (k - 1);
    const statistic = spread ? tasks * sum(average.map((one) => (one - (k + 1) / 2) ** 2)) / spread : 0;
    const order = average.map((_, i) => i).sort((i, j) => average[i] - average[j] || i - j);
    const sorted = order.map((i) => [names[i], average[i]]), difference = critical * Math.sqrt(k * (k + 1) / (6 * tasks));
    const groups = [];
    let reached = 0;
    sorted.forEach(([, value], first) => {
      let last = first;
      sorted.forEach(([, other], i) => { if (other - value < difference) last = Math.max(last, i); });
      if (last > first && last > reached) { groups.push([first, last]); reached = last; }
    });
    return { sorted, difference, p: chi2Above(k - 1, statistic), groups };
  }

  return { LEVEL, FEW, twoSided, halfWidth, pairedP, pairedDifference, holm, mean, meanOf, marks, ranks, chi2Above, common };
})();
