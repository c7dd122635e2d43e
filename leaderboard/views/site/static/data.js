"use strict";
/* The data of the page, which lies in it as JSON, deflated and in base64. */
const Data = {
  async read() {
    if (!("DecompressionStream" in window)) {
      document.getElementById("main").prepend("This page wants a newer browser (of 2023 or later): it cannot read its data in this one.");
      throw new Error("no DecompressionStream");
    }
    const bytes = Uint8Array.from(atob(document.getElementById("data").textContent), (one) => one.charCodeAt(0));
    const opened = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(opened).json();
  },
};
