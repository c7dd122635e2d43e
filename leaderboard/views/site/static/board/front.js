"use strict";
/* Cost against quality: the rules of leaderboard.views.front, which a test of the project compares. Low is good. */
const Front = (() => {
  /* Corners of the front, the cheapest first; rows at chance are none. */
  function corners(values, costs, atChance = new Set()) {
    const names = [...values.keys()].filter((name) => !atChance.has(name)).sort(), pairs = [], p = [];
    for (let i = 0; i < names.length; i++) {
      for (let j = i + 1; j < names.length; j++) {
        const a = values.get(names[i]), b = values.get(names[j]);
        const one = Stats.common(a, b).length > Stats.FEW ? Stats.pairedP(a, b) : NaN;
        if (!Number.isNaN(one)) { pairs.push([names[i], names[j]]); p.push(one); }
      }
    }
    const better = new Set();
    Stats.holm(p).forEach((adjusted, i) => {
      if (adjusted >= 1 - Stats.LEVEL) return;
      const [a, b] = pairs[i], lower = Stats.pairedDifference(values.get(a), values.get(b))[0] < 0;
      better.add(lower ? `${a}\n${b}` : `${b}\n${a}`);
    });
    if (!better.size) return [];
    const order = names.sort((a, b) => Stats.mean(costs.get(a)) - Stats.mean(costs.get(b)) || (a < b ? -1 : 1)), front = [];
    for (const name of order) {
      const last = () => front[front.length - 1], beats = () => better.has(`${name}\n${last()}`);
      if (front.length && !beats()) continue;
      while (front.length && Math.min(...costs.get(name)) <= Math.max(...costs.get(last())) && beats()) front.pop();
      front.push(name);
    }
    return front;
  }

  /* Names that the axis is not fitted to: at chance, or above the first gap that is wider than the span below it. */
  function beyond(means, atChance = new Set()) {
    const finite = [...means].filter(([, mean]) => Number.isFinite(mean)), trained = finite.filter(([name]) => !atChance.has(name));
    const shown = (trained.length ? trained : finite).sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1));
    const isGap = (i) => { const span = shown[i - 1][1] - shown[0][1]; return span > 0 && shown[i][1] - shown[i - 1][1] > span; };
    let kept = Math.min(shown.length, Math.max(3, Math.ceil(shown.length / 2)));
    while (kept < shown.length && !isGap(kept)) kept++;
    const inside = new Set(shown.slice(0, kept).map(([name]) => name));
    return new Set([...means.keys()].filter((name) => !inside.has(name)));
  }

  /* Limits of the axis that is fitted to intervals [mean, low, high]. */
  function limits(fitted) {
    const means = fitted.length ? fitted.map(([mean]) => mean) : [0], [least, most] = [Math.min(...means), Math.max(...means)];
    const ends = [...means, ...fitted.flatMap(([, low, high]) => [low, high]).filter(Number.isFinite)], span = most - least || Math.abs(means[0]) || 1;
    return [Math.max(Math.min(...ends), least - 0.75 * span) - 0.1 * span, Math.min(Math.max(...ends), most + 0.75 * span) + 0.22 * span];
  }

  /* Limits of the axis for [name, interval] of each row, whichever way is better. */
  function fitted(rows, better, atChance) {
    const sign = better === "higher" ? -1 : 1, turned = ([mean, low, high]) => (sign > 0 ? [mean, low, high] : [-mean, -high, -low]);
    const lost = beyond(new Map(rows.map(([name, [mean]]) => [name, sign * mean])), atChance);
    const found = limits(rows.filter(([name]) => !lost.has(name)).map(([, interval]) => turned(interval)));
    return sign > 0 ? found : [-found[1], -found[0]];
  }

  /* The front in words, as below the figures. */
  function told(front, atChance) {
    const line = front.length > 1 ? "Line: front; each corner is told to be better than the one before (paired t, Holm) and dearer each time."
      : front.length ? `No front: no dearer method is told to be better than ${front[0]}.` : "No front: these seeds tell no two methods apart.";
    return atChance.size ? `${line} No better than chance in some seeds, so no corner: ${[...atChance].sort().join(", ")}.` : line;
  }

  /* 1 at the upper edge of the axis, -1 at the lower, 0 within. */
  const edge = (mean, [low, high]) => (mean < low ? -1 : mean <= high ? 0 : 1);

  return { corners, beyond, limits, fitted, told, edge };
})();
