"""Sites built once, and Chromium to look at them; without it these tests are skipped, and say so."""

import shutil
from importlib.util import find_spec

import boards
import pytest
from pages import go

from benchmarks.described import texts
from leaderboard.views.site.build import build


def found():
    """The path of Chromium, or why there is no browser here."""
    if find_spec("playwright") is None:
        return None, "playwright is not installed"
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return path, "there is no Chromium on this machine"


def pytest_collection_modifyitems(items):
    """Skip what wants a browser before a site is built for it."""
    path, reason = found()
    for item in items:
        if path is None and "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """The site of the published records."""
    return build(boards.RECORDS, tmp_path_factory.mktemp("published"), texts()).index.parent


@pytest.fixture(scope="session")
def thirty_records(tmp_path_factory):
    """Thirty methods on three tasks, with rows that failed or are stale."""
    return boards.many(tmp_path_factory.mktemp("records") / "many", methods=30, tasks=3)


@pytest.fixture(scope="session")
def thirty(thirty_records, tmp_path_factory):
    return build(thirty_records, tmp_path_factory.mktemp("thirty")).index.parent


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """Four methods, and the cheapest, which two seeds leave at chance: its folder, and the site of it."""
    folder = boards.many(tmp_path_factory.mktemp("records") / "few", methods=4, tasks=1, odd=False)
    for seed in range(5):
        record, scores = boards.variant("untrained_without_warmup", "task-0", seed, dearer=0.5)
        if seed in (0, 2):
            scores.sets["test"].update(accuracy=0.1, nll=2.3)
        boards.write(folder, record, scores)
    return folder, build(folder, tmp_path_factory.mktemp("untrained")).index.parent


@pytest.fixture(scope="session")
def chromium():
    from playwright.sync_api import sync_playwright

    path, _ = found()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


OWN = ("file:", "data:", "blob:")
WATCH = """
window.violations = [];
const refused = (event) => violations.push(event.violatedDirective + " " + event.blockedURI);
document.addEventListener("securitypolicyviolation", refused);
"""
LATE = """
const json = Response.prototype.json;
Response.prototype.json = async function () {
  await new Promise((done) => setTimeout(done, 100));
  return json.call(this);
};
"""
"""Data are read after the page was loaded: a test that does not wait for them fails always, not now and then."""


@pytest.fixture
def visit(chromium):
    """Open a page; when the test ends nothing may have been refused, asked of another host, or failed in a script."""
    said, contexts = [], []

    def opened(path, hash="", width=1280, **settings):
        context = chromium.new_context(viewport={"width": width, "height": 900}, accept_downloads=True, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.add_init_script(WATCH + LATE)
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
        page.on(
            "request", lambda one: said.append(one.url) if not one.url.startswith(("file:", "data:", "blob:")) else None
        )
        go(page, path, hash)
        return page

    yield opened
    for context in contexts:
        for page in context.pages:
            said += page.evaluate("window.violations ?? []")
        context.close()
    assert said == []
