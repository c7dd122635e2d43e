"""What a reader finds on the site, as somebody who was never there would look for it."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import boards
import pytest
from commands import ivi
from pages import go, settle

from leaderboard.views.site.build import build
from leaderboard.views.site.reading import read_library

PAGES = ("index.html", "board.html", "methods.html", "tasks.html", "search.html", "docs/findings.html")


class Links(HTMLParser):
    """Addresses that a page leads to, and its ids."""

    def __init__(self):
        super().__init__()
        self.found, self.ids = [], set()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids |= {values["id"]} if "id" in values else set()
        self.found += [values[key] for key in ("href", "src") if values.get(key)]


def links_of(path):
    parser = Links()
    parser.feed(path.read_text())
    return parser


def test_every_link_of_every_page_leads_to_a_page_or_another_site(published):
    pages = {path.resolve(): links_of(path) for path in published.rglob("*.html")}
    assert len(pages) > 100
    for path, links in pages.items():
        for link in links.found:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "data"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), (path, link)
            if parts.fragment and target.name not in ("board.html", "search.html"):
                assert unquote(parts.fragment) in pages[target].ids, (path, link)


def test_the_page_of_a_method_says_in_words_what_a_value_may_be(published):
    pages = {path.name: path.read_text() for path in (published / "methods").glob("*.html")}
    assert not [name for name, text in pages.items() if "Annotated[" in text or "Literal[" in text]
    (laplace,) = (text for name, text in pages.items() if name.startswith("laplace-"))
    assert "float &gt; 0 or &#34;marglik&#34; or &#34;validation&#34;" in laplace


def test_the_page_of_a_method_shows_the_picture_of_its_card(published):
    cards = {path.stem for path in (boards.RECORDS.parents[1] / "docs" / "cards").glob("*.png")}
    shown = {
        path.name.rpartition("-")[0]: re.search(r'src="(\.\./docs/pictures/[^"]+)"', path.read_text())
        for path in (published / "methods").glob("*.html")
    }
    assert cards and cards == {name for name, found in shown.items() if found}
    assert all((published / "methods" / found[1]).is_file() for found in shown.values() if found)


@pytest.mark.parametrize("name", ["board.html", "search.html"])
def test_a_browser_that_cannot_read_the_data_says_so(published, chromium, name):
    page = chromium.new_context().new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto((published / name).as_uri())
    assert "wants a newer browser" in page.locator("main").inner_text()


def test_a_row_costs_the_site_19_kB_without_pictures(published):
    pages = [re.sub(r"<svg.*?</svg>", "", path.read_text(), flags=re.S) for path in published.rglob("*.html")]
    rows = sum(len(board.board.rows) for board in read_library(boards.RECORDS).boards)
    assert 200 < rows and sum(map(len, pages)) < 19_000 * rows


def test_the_front_page_answers_what_is_best_at_what_one_can_afford(published, visit):
    page = visit(published / "index.html")
    card = page.locator(".answer", has_text="1.2 times MAP's training and twice its prediction").first
    said = " ".join(card.inner_text().split())
    bounds = ("--where", "fit<=1.2,predict<=2", "-f", "md", "-c", "nll")
    table = ivi("table", "quick", "--folder", boards.RECORDS / "quick", *bounds).stdout
    rows = re.findall(r"^\| (\w+) (?:\| \w+ )?\| (\d+) \| [*]{0,2}([^ *±]+)±([^ *]+)", table, re.M)
    (best, seeds, mean, half), (runner_up, *_) = rows[:2]
    assert f"{best} {mean} ± {half} nats" in said
    compared = ivi("compare", best, runner_up, "--suite", "quick", "--folder", boards.RECORDS / "quick").stdout
    sentence = re.search(r"Against the runner-up: (.*?\))\.", said)[1]
    assert sentence in " ".join(compared.split())
    assert f"ivi run mnist5k-lenet5 -m {best} -s {seeds}" in said
    assert "Re-run: made by the maintainers on their own machine; nobody else has re-run it." in said
    card.get_by_role("link", name="this view of the board").click()
    settle(page)
    assert page.get_by_label("training at most, exactly").input_value() == "1.2"
    assert page.locator("#board tr[data-row]:not(.outside) .method").first.inner_text() == best


def test_rows_that_failed_or_are_stale_are_there_with_their_reason(thirty, visit):
    page = visit(thirty / "board.html", "#board=many&task=task-0&row=task-0%2Ffailing")
    row = page.locator("tr[data-row='task-0\\a failing']")
    assert "incomplete" in row.inner_text() and "seed 0 failed: RuntimeError" in row.inner_text()
    detail = page.locator("tr.more:not([hidden])")
    assert boards.ERROR[-300:].strip() in detail.inner_text()
    stale = page.locator("tr[data-row='task-0\\a old_torch']").inner_text()
    assert "stale" in stale and "torch" in stale
    detail.get_by_role("link").click()
    assert boards.ERROR.strip() in page.locator("pre").nth(2).inner_text()


def test_searching_the_documents_finds_a_section_by_its_words(published, visit):
    page = visit(published / "search.html")
    page.get_by_label("search in all of them").fill("antithetic noise")
    settle(page)
    first = page.locator("#results a").first
    assert "noise" in page.locator("#results").inner_text().lower()
    first.click()
    assert "docs/" in page.url and page.locator("article").inner_text()


def test_the_board_is_used_with_the_keyboard_alone(published, visit):
    page = visit(published / "board.html")
    page.get_by_role("button", name="ECE", exact=False).first.focus()
    page.keyboard.press("Enter")
    settle(page)
    assert page.locator("th[aria-sort]").get_attribute("data-key") == "ece"
    page.locator("#board .method").first.focus()
    page.keyboard.press("Enter")
    settle(page)
    assert page.locator("tr.more:not([hidden])").count() == 1
    page.locator("#board td.pin input").first.focus()
    page.keyboard.press("Space")
    settle(page)
    assert page.locator("tr.pinned").count() == 1
    page.get_by_label("training at most, as a multiple of MAP's").focus()
    for _ in range(60):
        page.keyboard.press("ArrowLeft")
    settle(page)
    assert page.locator("tr.outside").count() > 0
    page.get_by_role("button", name=re.compile("^implicit_vi: ")).focus()
    page.keyboard.press("Enter")
    settle(page)
    assert page.locator("tr:has(.method[aria-expanded=true]) .method").text_content() == "implicit_vi"


def test_columns_are_shown_and_hidden_by_group(published, visit):
    page = visit(published / "board.html")
    page.locator("summary", has_text="columns").click()
    page.get_by_label("calibration", exact=True).check()
    settle(page)
    assert page.locator("th[data-key=brier]").count() == 1
    page.get_by_label("calibration", exact=True).uncheck()
    settle(page)
    assert page.locator("th[data-key=brier]").count() == 0


def test_the_choice_of_light_or_dark_stays(published, visit):
    page = visit(published / "index.html", color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.locator("#theme").click()
    assert page.evaluate(ground) != before
    dark = page.evaluate(ground)
    go(page, published / "methods.html")
    assert page.evaluate(ground) == dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["published", "thirty"])
def test_axe_finds_nothing_serious(which, scheme, request, visit):
    site = request.getfixturevalue(which)
    axe = (boards.ROOT / "tests/site/vendor/axe.min.js").read_text()
    names = [name for name in PAGES if (site / name).is_file()]
    names += [next((site / kind).glob("*.html")).relative_to(site).as_posix() for kind in ("methods", "runs", "tasks")]
    hash = "#row=mnist5k-lenet5%2Flaplace&where=fit%3C%3D1.2&pin=mnist5k-lenet5%2Flaplace&pin=mnist5k-lenet5%2Fmap"
    for name in names:
        page = visit(site / name, hash if name == "board.html" and which == "published" else "", color_scheme=scheme)
        page.evaluate(axe)
        found = page.evaluate("axe.run(document).then((one) => one.violations)")
        serious = [
            (one["id"], [node["html"][:200] + " " + node.get("failureSummary", "")[:300] for node in one["nodes"][:3]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], name


@pytest.mark.parametrize("width", [390, 1280, 1920])
@pytest.mark.parametrize("which", ["published", "thirty"])
def test_nothing_is_wider_than_the_screen(which, width, request, visit):
    site = request.getfixturevalue(which)
    names = [name for name in PAGES if (site / name).is_file()]
    inner = [path for kind in ("methods", "runs", "tasks") for path in sorted((site / kind).glob("*.html"))[-2:]]
    names += [path.relative_to(site).as_posix() for path in inner]
    page = visit(site / names[0], width=width)
    for name in names:
        go(page, site / name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name


BREAKS = """() => [...document.querySelectorAll("#board .method bdi")].flatMap((name) => {
  const range = document.createRange(), walker = document.createTreeWalker(name, NodeFilter.SHOW_TEXT), found = [];
  let above = null, before = "";
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (let i = 0; i < node.length; i++) {
      range.setStart(node, i);
      range.setEnd(node, i + 1);
      const { top, width } = range.getBoundingClientRect();
      if (!width) continue;
      if (above !== null && top > above + 3) found.push([before, name.textContent]);
      [above, before] = [top, node.data[i]];
    }
  }
  return found;
})"""
BOXES = """selector => [...document.querySelectorAll(selector)].map((one) => {
  const { left, top, right, bottom } = one.getBoundingClientRect(), svg = one.closest("svg").getBoundingClientRect();
  return [left, top, right, bottom, left >= svg.left - 1 && right <= svg.right + 1 && bottom <= svg.bottom + 1];
})"""


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light"), (1920, "dark")])
def test_names_break_between_their_words_and_are_neither_cut_nor_covered(width, scheme, thirty, untrained, visit):
    page = visit(thirty / "board.html", "#task=task-0&task=task-1&task=task-2", width=width, color_scheme=scheme)
    breaks = page.evaluate(BREAKS)
    assert any(name == boards.LONGEST for _, name in breaks)
    assert {before for before, _ in breaks} <= set("_(,= "), breaks
    cells = "all => all.filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent)"
    assert page.locator("#board th.name").evaluate_all(cells) == []
    few = visit(untrained[1] / "board.html", width=width, color_scheme=scheme)
    assert {before for before, _ in few.evaluate(BREAKS)} <= set("_(,= ")
    for shown, selector, count in ((page, "#ranks .ranks > text", 30), (few, "#scatter .label text", 3)):
        boxes = shown.evaluate(BOXES, selector)
        assert len(boxes) >= count and all(inside for *_, inside in boxes)
        for i, (left, top, right, bottom, _) in enumerate(boxes):
            others = [
                o for o in boxes[:i] if o[0] < right - 1 and left + 1 < o[2] and o[1] < bottom - 2 and top + 2 < o[3]
            ]
            assert not others, (selector, boxes[i], others)


def test_the_same_records_give_the_same_site(thirty_records, thirty, tmp_path):
    build(thirty_records, tmp_path)
    files = sorted(path.relative_to(thirty) for path in thirty.rglob("*.html"))
    assert files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.html"))
    assert all((thirty / one).read_bytes() == (tmp_path / one).read_bytes() for one in files)


def test_what_the_records_make_of_the_site_has_less_than_thirty_kilobytes_a_row_without_pictures(published):
    documents = published / "docs"
    files = [path for path in published.rglob("*") if path.is_file() and path.suffix not in (".png", ".jpg")]
    own = [path.read_bytes() for path in files if documents not in path.parents]
    drawn = sum(len(one) for content in own for one in re.findall(rb"<svg.*?</svg>", content, re.S))
    rows = sum(len(board.board.rows) for board in read_library(boards.RECORDS).boards)
    assert sum(map(len, own)) - drawn < 3e4 * rows


def test_a_folder_without_records_is_named_in_one_line(tmp_path):
    done = ivi("site", "--folder", tmp_path, "--out", tmp_path / "site", code=2)
    assert "no records in" in done.stderr and "Traceback" not in done.stderr
    assert "no such folder" in ivi("site", "--folder", tmp_path / "absent", code=2).stderr


def test_the_site_is_built_without_torch(tmp_path):
    boards.many(tmp_path / "many", methods=3, tasks=1, odd=False)
    code = (
        "import sys; sys.argv = ['ivi', 'site', '--folder', 'many', '--out', 'site']\n"
        "from benchmarks.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'timm', 'matplotlib'} & set(sys.modules), 'imported'"
    )
    surroundings = os.environ | {"PYTHONPATH": str(boards.ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=surroundings, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "site/index.html").is_file()
