"""How long the site takes: to build from the published records and from 10,000; to show, sort and bound in Chromium.

Run with ``pytest benchmarks/speed/test_site.py -s``. Times are medians, printed beside their target and the machine's
load, not asserted: a busy machine is no fault of the code.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from pathlib import Path

import pytest

from benchmarks.described import texts
from benchmarks.speed import test_records
from leaderboard.views.site.build import build

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests/support"))
TRIES = 5

FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"
SETTLED = """(change) => new Promise((done) => {
  const start = performance.now();
  change();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
})"""

SLIDE = """() => {
  const slider = document.querySelector("#bounds input");
  slider.value = %d;
  slider.dispatchEvent(new Event("input"));
}"""


@pytest.fixture(scope="module")
def chromium():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def told(what: str, seconds: list[float], target: float) -> None:
    load = os.getloadavg()[0]
    print(
        f"\n{what}: {statistics.median(seconds):.3f} s (least {min(seconds):.3f}), target {target} s; load {load:.1f}"
    )


def built(folder: Path, to: Path, tries: int, text=None) -> tuple[list[float], list[float]]:
    """Seconds by the clock and of the processor."""
    clock, processor = [], []
    for _ in range(tries):
        start, used = time.perf_counter(), time.process_time()
        build(folder, to, text)
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return clock, processor


def shown(chromium, page_path: Path, hash: str, paint: float) -> None:
    paints, ready, sorts, bounds = [], [], [], []
    for _ in range(TRIES):
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.goto(page_path.as_uri() + hash)
        page.wait_for_selector("html[data-ready]", state="attached")
        ready.append(page.evaluate("performance.getEntriesByType('navigation')[0].domComplete") / 1000)
        page.wait_for_timeout(200)
        paints.append(page.evaluate(FIRST_PAINT) / 1000)
        page.wait_for_selector("html[data-warm]", state="attached", timeout=120_000)
        for key in ("ece", "accuracy", "nll"):
            click = f"() => document.querySelector('th[data-key={key}] button').click()"
            sorts.append(page.evaluate(f"({SETTLED})({click})") / 1000)
        for value in (60, 90, 120):
            bounds.append(page.evaluate(f"({SETTLED})({SLIDE % value})") / 1000)
        context.close()
    told("first paint", paints, paint)
    told("all of the page", ready, paint)
    told("sort", sorts, 0.1)
    told("bound", bounds, 0.1)


def test_the_site_of_the_published_records(tmp_path, chromium):
    clock, processor = built(ROOT / "leaderboard/records", tmp_path, 3, texts())
    told("published records, clock", clock, 10.0)
    told("published records, processor", processor, 10.0)
    shown(chromium, tmp_path / "board.html", "", 1.0)


def test_thirty_methods_on_ten_tasks(tmp_path, chromium):
    import boards

    boards.many(tmp_path / "many", methods=30, tasks=10, odd=False)
    clock, processor = built(tmp_path / "many", tmp_path / "site", 1)
    told("thirty methods on ten tasks, clock", clock, 10.0)
    told("thirty methods on ten tasks, processor", processor, 10.0)
    tasks = "".join(f"&task=task-{i}" for i in range(10))
    shown(chromium, tmp_path / "site/board.html", f"#board=many{tasks}", 1.0)


def test_ten_thousand_records(tmp_path, chromium):
    test_records.make(tmp_path / "speed")
    clock, processor = built(tmp_path / "speed", tmp_path / "site", 1)
    told("ten thousand records, clock", clock, 60.0)
    told("ten thousand records, processor", processor, 60.0)
    print(f"board's page: {(tmp_path / 'site/board.html').stat().st_size / 1e6:.1f} MB")
    tasks = "".join(f"&task=task{i}" for i in range(10))
    shown(chromium, tmp_path / "site/board.html", f"#board=speed{tasks}", 1.5)
