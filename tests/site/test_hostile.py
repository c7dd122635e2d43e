"""Whatever a stranger writes into a record is text on the site, and no page asks anything of anybody."""

import base64
import json
import re
import zlib
from pathlib import Path

import boards
import pytest
from pages import go, settle

from leaderboard.history import OldRecord, path_of
from leaderboard.plan import Plan, planned_run, write_plan
from leaderboard.record import Origin, Tuning
from leaderboard.views.site.build import Texts, build
from leaderboard.views.site.documents import documents
from leaderboard.views.site.methods import Hyperparameter, MethodText
from leaderboard.views.site.numbers import embedded
from leaderboard.views.site.tasks import TaskText

HOSTILE = (
    "<script>hit('script')</script>",
    "<img src=x onerror=hit('img')>",
    "</script><script>hit('closing')</script>",
    "<!--<script>hit('comment')",
    "javascript:hit('link')",
    "[click](javascript:hit('markdown'))",
    "{{ 7 * 7 }} {% raw %} {{ self.__class__ }}",
    '" onmouseover="hit(\'attribute\')" x="',
    "' autofocus onfocus=hit('quote') '",
    "<svg><style>@import 'http://127.0.0.1:9/x.css'</style></svg>",
    "<a href='http://127.0.0.1:9/'>away</a><base href='http://127.0.0.1:9/'>",
    "\u202eesrever\u2066 \u200bhidden\u2028next\u2029last",
    "${hit('template')} `hit('tick')`",
    "]]> <![CDATA[ <x:script xmlns:x='http://www.w3.org/1999/xhtml'>hit('cdata')</x:script>",
)
ALL = " ".join(HOSTILE)
PROVOKED = """(kind) => document.querySelectorAll("main *").forEach((one) => {
  if (!one.href && one.type !== "button") one.dispatchEvent(new Event(kind));
})"""
ACTIVE = """[...document.querySelectorAll("*")].filter((one) => [...one.attributes].some((a) => a.name.startsWith("on")
  || (a.name === "style" && one.tagName !== "SPAN") || (a.name === "href" && /^\\s*javascript:/i.test(a.value))
)).map((one) => one.outerHTML)"""


@pytest.fixture(scope="module")
def hostile_site(tmp_path_factory):
    folder, runs = tmp_path_factory.mktemp("hostile") / "suite", []
    for seed in range(4):
        for label in ("map", "stranger' (x='y')"):
            record, scores = boards.variant(label, "task", seed)
            changes = {
                "audit": record.audit.model_copy(update={"random": list(HOSTILE), "recipe_changes": {ALL: HOSTILE[0]}}),
                "origin": Origin(who=ALL, state="claimed"),
                "tuning": Tuning(tried={one: [one] for one in HOSTILE}, on="validation", criterion=ALL),
                "environment": record.environment.model_copy(
                    update={"device_name": ALL, "cpu": ALL, "packages": {**record.environment.packages, ALL: ALL}}
                ),
            }
            record = record.model_copy(update=changes if label != "map" else {})
            boards.write(folder, record, scores)
            runs.append(planned_run(record.identity, label, label == "map"))
    failed, _ = boards.variant("failing", "task", 0, status="failed", error="\n".join(HOSTILE))
    path = boards.write(folder, failed)
    path.with_name(path.name.removesuffix(".json") + ".log").write_text("\x1b[31m" + "\n".join(HOSTILE))
    write_plan(
        folder, Plan(suite="suite", description=ALL, runs=(*runs, planned_run(failed.identity, "failing", False)))
    )
    old = json.loads((Path(__file__).parents[1] / "old_records/schema1.json").read_text())
    old["method"] |= {"label": ALL, "name": ALL, "resolved": {ALL: ALL}, "recipe_changes": {ALL: ALL}}
    record = OldRecord.model_validate(old)
    where = path_of(folder, record)
    where.parent.mkdir(parents=True)
    where.write_text(record.model_dump_json())
    parameter = Hyperparameter(ALL, ALL, ALL, ALL)
    texts = Texts(
        {"method": MethodText("method", ALL, HOSTILE, (parameter,), ALL)}, {"task": TaskText(ALL, ((ALL, ALL),))}
    )
    return build(folder, tmp_path_factory.mktemp("site"), texts).index.parent


def test_nothing_that_strangers_wrote_runs_or_loads_on_any_page(hostile_site, visit):
    pages = sorted(hostile_site.rglob("*.html"))
    assert len(pages) > 8
    page = visit(pages[0])
    page.context.add_init_script("window.hits = []; window.hit = (what) => hits.push(what);")
    for path in pages:
        go(page, path)
        for kind in ("mouseover", "focus", "click"):
            page.evaluate(PROVOKED, kind)
        assert page.evaluate("window.hits") == [], path
        assert page.evaluate("window.violations") == [], path
        assert page.evaluate(ACTIVE) == [], path
        inside = "document.querySelectorAll('main script, main style, main img, main base, main iframe').length"
        assert page.evaluate(inside) == 0, path
        assert page.evaluate("[...document.links].every((a) => a.protocol === 'file:')"), path


def test_hostile_rows_are_shown_with_everything_visible(hostile_site, visit):
    page = visit(hostile_site / "board.html", "#board=suite&task=task&search=" + "script")
    shown = page.locator("#board").inner_text()
    assert "<script>hit('script')</script>" in shown and "{{ 7 * 7 }}" in shown
    assert r"\u202e" in shown and "\u202e" not in page.content() and "\u200b" not in page.content()
    page.get_by_label("search").fill("")
    settle(page)
    page.locator("#board .method").first.click()
    page.locator(".point").first.click()
    for name in page.locator("#board td.pin input").all()[:2]:
        name.check()
    settle(page)
    assert page.evaluate("window.violations") == []


def test_a_row_of_a_stranger_says_that_nobody_has_computed_it(hostile_site, visit):
    page = visit(hostile_site / "board.html", "#board=suite&task=task&row=task%2Fstranger%27%20%28x%3D%27y%27%29")
    detail = page.locator("tr.more:not([hidden])").inner_text()
    assert "claimed by its author; nobody else has computed it" in detail
    assert """ivi run task -m 'stranger'"'"' (x='"'"'y'"'"')' -s 4""" in detail


def test_every_page_has_a_policy_that_allows_its_own_script_alone(hostile_site, published):
    for path in [*hostile_site.rglob("*.html"), *published.rglob("*.html")]:
        text = path.read_text()
        (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
        assert "default-src &#39;none&#39;" in policy and "unsafe" not in policy, path
        assert text.index("Content-Security-Policy") < text.index("<style")


def test_a_page_in_which_something_was_put_does_not_run_it(published, tmp_path, chromium):
    tampered = tmp_path / "tampered.html"
    text = (published / "board.html").read_text()
    tampered.write_text(
        text.replace("<main", "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'><main")
    )
    page = chromium.new_context().new_page()
    page.goto(tampered.as_uri())
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("value", [*HOSTILE, "&amp;", "\ud800", "é\u2028"])
def test_embedded_data_are_letters_without_markup_and_mean_the_same(value):
    text = embedded({"key": value})
    assert re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", text)
    assert json.loads(zlib.decompress(base64.b64decode(text))) == {"key": value}


def test_markdown_of_a_document_is_no_markup_but_its_own(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# Title\n\n" + "\n\n".join(HOSTILE) + "\n\n| a | b |\n|--|--:|\n| 1 | 2 |\n")
    (one,) = documents(tmp_path, tmp_path / "out")
    tags = set(re.findall(r"<(/?[a-zA-Z][^\s>/]*)", one.content))
    assert {tag.strip("/") for tag in tags} <= {
        "h1",
        "p",
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "code",
        "a",
        "strong",
    }
    assert "style=" not in one.content and 'class="number"' in one.content
    assert not re.search(r'href="(?!https?:|#|[\w-]+\.html)', one.content)
