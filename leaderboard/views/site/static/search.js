"use strict";
/* Words of a query in the sections of all documents; all must be there, and a title counts more than text. */
(async () => {
  const sections = await Data.read(), field = document.getElementById("query");
  const place = document.getElementById("results"), count = document.getElementById("found");
  sections.forEach((one) => { one.low = one.text.toLowerCase(); one.head = `${one.document} ${one.title}`.toLowerCase(); });

  function around(one, word) {
    const at = Math.max(0, one.low.indexOf(word) - 80);
    return (at ? "…" : "") + one.text.slice(at, at + 240) + (at + 240 < one.text.length ? "…" : "");
  }

  function search() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const score = (one) => words.reduce((total, word) => total + 5 * one.head.includes(word) + Math.min(3, one.low.split(word).length - 1), 0);
    const found = sections.filter((one) => words.length && words.every((word) => one.head.includes(word) || one.low.includes(word)));
    found.sort((a, b) => score(b) - score(a));
    count.textContent = words.length ? `${found.length} sections` : "";
    place.replaceChildren(...found.slice(0, 40).map((one) => {
      const item = document.createElement("li"), link = document.createElement("a"), text = document.createElement("div");
      link.href = one.page;
      link.textContent = one.title === one.document ? one.title : `${one.document}: ${one.title}`;
      text.textContent = around(one, words[0]);
      text.className = "soft";
      item.append(link, text);
      return item;
    }));
    history.replaceState(null, "", field.value ? `#${encodeURIComponent(field.value)}` : "#");
    document.documentElement.dataset.drawn = location.hash;
  }

  field.value = decodeURIComponent(location.hash.slice(1));
  field.oninput = search;
  search();
})();
