"""Pages of the site in a browser: what is asked of one is asked when it has drawn what its address says."""

SETTLED = """() => {
  const { drawn, busy } = document.documentElement.dataset;
  return document.readyState === "complete" && (!document.getElementById("data") || (drawn === location.hash && !busy));
}"""


def settle(page):
    """Wait for it: its data are read after it was loaded, and what nobody sees is drawn after the rest."""
    page.wait_for_function(SETTLED)


def go(page, path, hash=""):
    page.goto(path.as_uri() + hash)
    settle(page)
