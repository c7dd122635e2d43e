"""What strangers wrote is shown as it was written, in every view: never as markup, a formula or an escape sequence."""

import csv
import html
import io
import json
import re
import unicodedata

import pytest
from builders import result, results
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from leaderboard.columns import columns
from leaderboard.table import Board, Row, fold
from leaderboard.views.csv import as_csv
from leaderboard.views.csv import escaped as csv_escaped
from leaderboard.views.json import as_json
from leaderboard.views.latex import as_latex
from leaderboard.views.latex import escaped as latex_escaped
from leaderboard.views.markdown import as_markdown
from leaderboard.views.markdown import escaped as markdown_escaped
from leaderboard.views.terminal import show
from leaderboard.views.text import plain

NASTY = [
    "a | b", "<script>alert(1)</script>", "<!-- end -->", "[x](javascript:alert(1))", "![x](https://evil.example/a.png)",
    "https://evil.example", "www.evil.example", "mailto:a@b.c", "**bold**", "_it_", "`code`", "~~gone~~", "$x^2$", "#1",
    "\\", "\\|", "\\\\|", "a\nb", "a\r\n| 1 | 2 |", "\x1b[2J\x1b]0;title\x07", "\x9b31m", "\u202egnp.exe", "m\u200bap",
    "\\input{/etc/passwd}", "\\write18{rm}", "a & b \\\\ \\hline", "100 % {x} #1 ~ ^^M", "=cmd|' /C calc'!A0", "+1+1",
    "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "[/INST]", "[bold red]x[/]", "[link=file:///x]y[/link]", "\ud800",
    "\u2028x", "\ufeffx", "a\x00b", "&lt;b&gt;", "&#124;", "",
]  # fmt: skip
hostile = st.one_of(
    st.sampled_from(NASTY), st.text(max_size=30), st.lists(st.sampled_from(NASTY), max_size=3).map("".join)
)


def board(task="task", method="map", reason="a reason", notes=("a note",)):
    chosen = columns(["nll"])
    first = Row(task, method, 1, False, reason, {"nll": None}, notes=tuple(notes))
    return Board([first, Row(task, "honest", 1, True, "", {"nll": None})], chosen)


hostile_boards = st.builds(board, hostile, hostile, hostile, st.lists(hostile, max_size=2))


def is_seen(character):
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")


@given(hostile)
def test_plain_text_is_one_line_in_which_everything_can_be_seen(text):
    shown = plain(text)
    assert all(map(is_seen, shown)) and len(shown.splitlines()) <= 1
    if all(" " <= c <= "~" for c in text):
        assert shown == text


@given(hostile)
def test_two_names_that_differ_look_different(text):
    assert plain(f"m\u200b{text}ap") != plain(f"m{text}ap")


@given(hostile_boards)
def test_markdown_keeps_its_cells_and_has_no_markup_of_strangers(made):
    text = as_markdown(made)
    lines = text.split("\n")
    table = lines[: next(i for i, line in enumerate(lines) if not line.startswith("|"))]
    assert len(table) == 4 and len({line.count("|") for line in table}) == 1
    assert all(map(is_seen, text.replace("\n", "")))
    rest = text.replace("<", "", 0)
    assert "<" not in rest and not re.search(r"\]\(|https?://|www\.|`|\\|!\[|\$", text)
    assert "-->" not in text


@given(hostile)
def test_markdown_shows_what_was_written(text):
    assert html.unescape(markdown_escaped(text)) == plain(text)


def test_common_names_stay_legible_in_markdown():
    for name in ("implicit_vi(rank=2,noise=shared)", "map", "1 of 3 seeds ok; seed 1 diverged: the loss is nan"):
        assert markdown_escaped(name) == name


LATEX_SAFE = re.compile(
    r"(?:[^\\&#$%_{}~^<>|\"]|\\[&#$%_{}]|\\text(?:backslash|asciitilde|asciicircum|less|greater|bar|quotedbl)\{\}"
    r"|\$\\(?:pm|uparrow|downarrow|times|infty)\$)*"
)


@given(hostile)
def test_latex_of_any_text_holds_no_command_of_its_own(text):
    assert LATEX_SAFE.fullmatch(latex_escaped(text))


@given(hostile_boards)
def test_latex_keeps_its_cells_and_comments(made):
    lines = as_latex(made).split("\n")
    inside = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert len(inside) == 2 and all(len(re.findall(r"(?<!\\)&", line)) == 2 for line in inside)
    after = lines[lines.index(r"\end{tabular}") + 1 :]
    assert after and all(line.startswith("% ") for line in after)


@given(hostile_boards)
def test_csv_has_a_line_a_row_and_no_formula(made):
    rows = list(csv.reader(io.StringIO(as_csv(made))))
    assert len(rows) == 3 and {len(row) for row in rows} == {len(rows[0])}
    for row in rows[1:]:
        assert not any(cell.lstrip().startswith(tuple("=+-@\t\r＝＋－＠")) for cell in row)


@given(hostile)
def test_csv_shows_what_was_written(text):
    assert csv_escaped(text).removeprefix("'") == plain(text).removeprefix("'")


@given(hostile_boards)
def test_json_is_ascii_without_markup_and_gives_back_what_was_written(made):
    text = as_json(made)
    assert text.isascii() and not re.search(r"[<>&]", text)
    row = json.loads(text)["rows"][0]
    assert (row["task"], row["method"], row["reason"]) == (made.rows[0].task, made.rows[0].method, made.rows[0].reason)


@given(hostile_boards)
def test_a_terminal_gets_no_escape_sequence_and_no_markup_is_read(made):
    console = Console(file=io.StringIO(), width=400, force_terminal=False)
    show(console, made, made.rows[0].task)
    text = console.file.getvalue()
    assert all(map(is_seen, text.replace("\n", "")))
    assert plain(made.rows[0].method).strip() in text and plain(made.rows[0].reason).strip() in text


@pytest.mark.parametrize("text", ["not [members, 7, classes]", "text with [/INST]", "[bold]x[/bold]"])
def test_brackets_of_an_error_are_shown(text):
    console = Console(file=io.StringIO(), width=200)
    show(console, board(reason=text), "title")
    assert text in console.file.getvalue()


SEEDS = (0.90, 0.91, 0.92, 0.93, 0.94)


def three_rows():
    rows = [*results("map", *SEEDS), *results("same", *(s + 0.001 * (-1) ** i for i, s in enumerate(SEEDS)))]
    rows += results("bad", *(s - 0.4 + 0.01 * (-1) ** i for i, s in enumerate(SEEDS)))
    return fold([*rows, result("stale_one", environment={"dirty": True})], chosen=columns(["accuracy", "nll"]))


def test_both_marks_are_in_every_view_for_people_and_their_meaning_below():
    made = three_rows()
    markdown = as_markdown(made)
    assert markdown.count("**0.92") == 2 and markdown.count("▾") == 3 and "told to be worse" in markdown
    assert as_latex(made).count(r"\textbf{0.92") == 2 and as_latex(made).count(r"$^{\bigtriangledown}$") == 2
    console = Console(file=io.StringIO(), width=200)
    show(console, made, "title")
    assert console.file.getvalue().count("▾") == 3
    rows = {row["method"]: row for row in json.loads(as_json(made))["rows"]}
    assert rows["map"]["best"] == ["accuracy", "nll"] and rows["bad"]["worse"] == ["accuracy", "nll"]


def test_markdown_and_latex_have_a_cell_for_every_column_and_footnotes():
    made = three_rows()
    lines = as_markdown(made).splitlines()
    assert {line.count(" | ") for line in lines[:6]} == {3}
    assert "| stale_one [1] |" in lines[5] and "[1] not ranked: 1 of 5 seeds ok; seed 1 not run yet" in lines
    latex = as_latex(made).partition("%")[0]
    assert r"stale\_one [1]" in latex and "±" not in latex and latex.count("&") == 5 * 3


def test_json_has_rows_and_columns_nan_is_a_string_and_null_was_not_measured():
    made = json.loads(as_json(fold([result()])))
    assert set(made) == {"against", "columns", "detectable", "rows"}
    assert made["columns"][0] == {"key": "accuracy", "title": "accuracy ↑", "better": "higher"}
    assert made["rows"][0]["metrics"]["accuracy"] == {"mean": 0.9, "low": "NaN", "high": "NaN"}
    assert made["rows"][0]["metrics"]["auroc_near"] is None


def test_csv_holds_every_number_of_the_rows():
    made = fold(results("map", 0.9, 0.7))
    (line,) = csv.DictReader(io.StringIO(as_csv(made)))
    assert float(line["accuracy_low"]) == made.rows[0].metrics["accuracy"].low and line["auroc_near"] == ""


def test_differences_have_a_sign_and_ratios_have_none():
    rows = [*results("map", 0.5, 0.9), *results("other", 0.61, 0.99)]
    shown = as_markdown(fold(rows, against="map"))
    assert "+0.100±0.127" in shown and "+1.00" not in shown and "ratios, as ever" in shown


def test_ratios_of_separate_runs_are_marked():
    shown = as_markdown(fold([*results("map", 0.9, 0.8), *results("other", 0.9, 0.8, fit_s=2.0)]))
    assert "~2.00" in shown and "of separate runs" in shown


def test_the_smallest_detectable_difference_stands_in_legend_and_json():
    made = three_rows()
    assert "differences that so many seeds would show" in as_markdown(made)
    assert json.loads(as_json(made))["detectable"]["task"]["nll"] > 0


def test_a_table_of_one_seed_says_that_there_is_no_interval_and_one_of_several_does_not():
    for rows, alone in (([result()], True), (results("map", 0.9, 0.8), False), (results("map", 0.9), True)):
        legend = as_markdown(fold(rows)).splitlines()[-1]
        assert ("one seed a row: no interval" in legend) is alone and ("mean over n seeds" in legend) is not alone
    assert "one seed a row: no interval" in as_markdown(fold([result(), result("other")], against="map"))


def with_ood(*sides):
    sets = {f"ood_{side}": {"auroc_max_probability": 0.9} for side in sides}
    return result(metrics={"test": {"accuracy": 0.9, "nll": 0.3, "ece": 0.1}, **sets})


@pytest.mark.parametrize("sides", [(), ("near",), ("far",), ("near", "far")], ids=str)
def test_columns_of_ood_sets_that_no_row_can_have_are_left_out_unless_asked_for(sides):
    rows = [with_ood(*sides)]
    keys = [one.key for one in columns(None, rows)]
    assert [key[6:] for key in keys if key.startswith("auroc")] == list(sides)
    asked = as_markdown(fold(rows, chosen=columns(["nll", "auroc_near", "auroc_far"], rows)))
    absent = [side for side in ("near", "far") if side not in sides]
    assert (f"–: not measured; these tasks name no {' and no '.join(absent)} OOD sets" in asked) is bool(absent)


def test_a_dash_of_another_reason_is_not_laid_to_the_tasks():
    rows = [with_ood("near", "far"), result("other")]
    shown = as_markdown(fold(rows, chosen=columns(["nll", "auroc_near", "fit"], rows)))
    assert "–: not measured" in shown and "these tasks name no" not in shown
