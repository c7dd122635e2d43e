"""What the page shows is what `ivi table` says: every number, bound and mark; the tests in it are those of Python."""

import base64
import json
import math
import re
import zlib

import numpy as np
import pandas as pd
import pytest
from boards import RECORDS
from commands import ivi
from pages import settle

from leaderboard.columns import column
from leaderboard.results import load_results
from leaderboard.rows import groups_of
from leaderboard.statistics import Interval, average_ranks, compare, paired_difference, paired_p
from leaderboard.student import half_width, two_sided
from leaderboard.table import Bound, fold
from leaderboard.views import front
from leaderboard.views.cells import cell
from leaderboard.views.site.numbers import _range_quantile
from leaderboard.views.site.reading import read_library

PAIR = """([a, b]) => {
  const [x, y] = [a, b].map((one) => new Map(one));
  return [Stats.pairedP(x, y), Stats.pairedDifference(x, y)];
}"""
TASKS = ["task-0", "task-1", "task-2"]
SHOWN = """() => {
  return [...document.querySelectorAll("#board tr[data-row]")].map((row) => ({
  id: row.dataset.row, inside: !row.classList.contains("outside"), n: Number(row.children[2].textContent),
  ranked: !row.classList.contains("unranked"), said: row.querySelector(".name").textContent,
  cells: Object.fromEntries([...row.querySelectorAll("td[data-key]")].map((one) => [one.dataset.key, {
    text: one.querySelector(".mean").textContent + (one.querySelector(".spread")?.textContent ?? ""),
    mark: one.dataset.mark }])),
}));
}"""


def data_of(site):
    text = (site / "board.html").read_text()
    held = re.search(r'<script type="application/octet-stream" id="data">(.*?)</script>', text)[1]
    return json.loads(zlib.decompress(base64.b64decode(held)))


def folders():
    return sorted(path.name for path in RECORDS.iterdir() if path.is_dir())


def address(board, tasks, **more):
    from urllib.parse import urlencode

    return "#" + urlencode([("board", board), *(("task", task) for task in tasks), *more.items()])


def number(value):
    return float(value) if isinstance(value, str) else value


@pytest.mark.parametrize("folder", folders())
def test_every_number_in_the_page_is_that_of_the_table(published, folder):
    (board,) = (one for one in data_of(published)["boards"] if one["key"] == folder)
    keys = [one["key"] for one in board["columns"]]
    suite = [board["suite"]] if board["suite"] else []
    table = json.loads(ivi("table", *suite, "--folder", RECORDS / folder, "-c", ",".join(keys), "-f", "json").stdout)
    seen = {(task["name"], row["name"]): row for task in board["tasks"] for row in task["rows"]}
    assert len(table["rows"]) == len(seen) > 0
    assert [one["title"] for one in table["columns"]] == [one["title"] for one in board["columns"]]
    for row in table["rows"]:
        mine = seen[row["task"], row["method"]]
        parts = [one and dict(zip(("mean", "low", "high"), one, strict=True)) for one in mine["cells"]]
        cells = dict(zip(keys, parts, strict=True))
        assert cells == row["metrics"]
        assert (mine["best"], mine["worse"]) == (row["best"], row["worse"])
        assert (mine["n"], mine["ranked"], mine["reason"]) == (row["n"], row["ranked"], row["reason"])
    assert {task["name"]: task["detectable"] for task in board["tasks"]} == table["detectable"]


@pytest.mark.parametrize("which", ["published", "thirty"])
def test_every_cell_on_the_screen_reads_as_the_terminal_writes_it(which, request, visit, thirty_records):
    library = read_library(RECORDS if which == "published" else thirty_records)
    page = visit(request.getfixturevalue(which) / "board.html")
    for board in library.boards:
        keys = ",".join(one.key for one in board.columns)
        page.evaluate("hash => { location.hash = hash; }", address(board.key, board.tasks, columns=keys))
        settle(page)
        rows = {one["id"]: one for one in page.evaluate(SHOWN)}
        assert [one.split("\n")[1] for one in rows] == [row.method for row in board.board.rows]
        for row in board.board.rows:
            cells = rows[f"{row.task}\n{row.method}"]["cells"]
            for one in board.columns:
                assert cells[one.key]["text"] == cell(row.metrics[one.key], one.digits, ends=not one.cost)
                is_rough = one.cost and not row.rounds and row.metrics[one.key] is not None
                mark = "rough" if is_rough else "top" if one.key in row.top else "worse" if one.key in row.worse else ""
                assert cells[one.key]["mark"] == mark, (row.method, one.key)


@pytest.mark.parametrize("limits", [{"fit": 1.2}, {"fit": 1.2, "predict": 2.0}, {"predict": 9.0}, {"memory": 1.05}])
def test_bounds_keep_and_mark_the_rows_that_the_table_keeps_and_marks(published, visit, limits):
    board = next(one for one in read_library(RECORDS).boards if one.key == "quick")
    same_under_bounds(visit(published / "board.html"), board, limits)


@pytest.mark.parametrize("limits", [{"fit": 1.8}, {"fit": 3.1, "predict": 4.0}, {"predict": 7.7}, {"fit": 100.0}])
def test_bounds_on_thirty_methods_keep_and_mark_what_the_table_does(thirty, thirty_records, visit, limits):
    (board,) = read_library(thirty_records).boards
    same_under_bounds(visit(thirty / "board.html"), board, limits)


def same_under_bounds(page, board, limits):
    where = [Bound(column(key), "<=", limit) for key, limit in limits.items()]
    made = fold(board.results, board.plan, board.columns, costs=board.costs, where=where)
    words = ",".join(f"{key}<={limit}" for key, limit in limits.items())
    keys = ",".join(one.key for one in board.columns)
    page.evaluate("hash => { location.hash = hash; }", address(board.key, board.tasks, where=words, columns=keys))
    settle(page)
    shown = [one for one in page.evaluate(SHOWN) if one["inside"]]
    assert [one["id"] for one in shown] == [f"{row.task}\n{row.method}" for row in made.rows]
    for one, row in zip(shown, made.rows, strict=True):
        marks = {key: cell["mark"] for key, cell in one["cells"].items() if cell["mark"] in ("top", "worse")}
        rough = {one.key for one in board.columns if one.cost and not row.rounds}
        wanted = {key: "top" for key in row.top} | {key: "worse" for key in row.worse}
        assert marks == {key: mark for key, mark in wanted.items() if key not in rough}


def test_marks_that_the_page_computes_are_those_of_python_without_a_bound_too(thirty, visit):
    page = visit(thirty / "board.html")
    differing = page.evaluate("""async () => {
      const found = [];
      const { boards } = Model.of(await Data.read());
      for (const board of boards) for (const task of board.tasks) for (const column of board.columns) {
        const mine = Model.marks(task, column, task.rows, true), python = Model.marks(task, column, task.rows, false);
        const differs = (row) => mine.get(row) !== python.get(row);
        found.push(...task.rows.filter(differs).map((row) => [task.name, column.key, row.name]));
      }
      return found;
    }""")
    assert differing == []


def test_two_pinned_rows_are_compared_as_the_command_compares_them(published, visit):
    page = visit(published / "board.html", address("quick", ["mnist5k-lenet5"], sort="ece"))
    for a, b in (("implicit_vi", "map"), ("kl_vi", "laplace")):
        for name in (a, b):
            page.get_by_label(f"pin {name} on mnist5k-lenet5", exact=True).check()
        settle(page)
        said = " ".join(page.locator("#compare .sentence").inner_text().split())
        command = ivi("compare", a, b, "--suite", "quick", "--metric", "ece", "--folder", RECORDS / "quick").stdout
        assert said in " ".join(command.split())
        for name in (a, b):
            page.get_by_label(f"pin {name} on mnist5k-lenet5", exact=True).uncheck()


def test_tests_of_pairs_are_those_of_python(published, visit):
    page, rng = visit(published / "board.html"), np.random.default_rng(0)
    for df in (1, 2, 3, 4, 9, 49):
        for t in (0.0, 0.3, 1.0, 2.5, 12.0, 1e4):
            assert page.evaluate("([df, t]) => Stats.twoSided(df, t)", [df, t]) == pytest.approx(
                float(two_sided(df, t)), 1e-11, 1e-300
            )
        assert page.evaluate("df => Stats.halfWidth(df)", df) == pytest.approx(half_width(df, 0.95), rel=1e-12)
    cases = [(rng.normal(size=n), rng.normal(size=n) + shift) for n in (2, 5, 10) for shift in (0.0, 1.0)]
    cases += [
        (np.array([0.5, 0.6, 0.7]), np.array([0.4, 0.5, 0.6])),
        (np.ones(4), np.ones(4)),
        (np.ones(4), np.zeros(4)),
    ]
    for x, y in cases:
        a, b = (dict(enumerate(one.tolist())) for one in (x, y))
        found = page.evaluate(PAIR, [list(a.items()), list(b.items())])
        assert found[0] == pytest.approx(paired_p(a, b), rel=1e-9, abs=1e-15)
        assert found[1] == pytest.approx(list(paired_difference(a, b)), rel=1e-9, abs=1e-15, nan_ok=True)
        sentence = page.evaluate(
            "([d, p, n]) => Text.sentence(['one', 'two'], 'nll', 'lower', d, p, n)", [*found[::-1], len(x)]
        )
        assert sentence == compare(a, b, ("one", "two"), "nll", "lower").sentence


def test_fronts_are_those_of_the_figures(thirty, thirty_records, visit):
    page, groups = visit(thirty / "board.html"), groups_of(load_results(thirty_records).results)
    for key in ("nll", "ece"):
        rows = [group for group in groups if group.task == "task-1" and not group.reason]
        base = next(group for group in rows if group.is_base).ok
        values = {group.name: {s: run.metrics["test"][key] for s, run in group.ok.items()} for group in rows}
        costs = {
            group.name: [run.cost["fit_s"] / base[s].cost["fit_s"] for s, run in group.ok.items()] for group in rows
        }
        wanted = front.corners(values, costs)
        page.evaluate("hash => { location.hash = hash; }", address("many", ["task-1"], x="fit", y=key))
        settle(page)
        assert json.loads(page.locator(".front").get_attribute("data-corners")) == wanted
        assert key != "nll" or wanted


def test_rules_of_the_front_and_the_axis_are_those_of_the_figures(thirty, visit):
    rng, cases, wanted = np.random.default_rng(0), [], []
    for n in (1, 2, 3, 4, 7, 12) * 4:
        means = dict(zip("abcdefghijkl"[:n], rng.exponential(size=n) ** 3, strict=True))
        means |= {"a": math.inf} if rng.random() < 0.2 else {}
        chance = [name for name in means if rng.random() < 0.25]
        values = {name: dict(enumerate((mean + 0.01 * rng.normal(size=5)).tolist())) for name, mean in means.items()}
        costs = {name: (rng.lognormal() * np.array([0.95, 1.0, 1.04])).tolist() for name in means}
        kept = [Interval(one, one - 3 * rng.random(), one + rng.random()) for one in means.values() if one < math.inf]
        axis, found = front.limits(kept), front.corners(values, costs, chance)
        cases.append(
            [[[k, *v.items()] for k, v in values.items()], list(costs.items()), chance, kept, list(means.items())]
        )
        sides = [front.edge(one, axis) for one in means.values()]
        wanted.append([found, front.told(found, chance), sorted(front.beyond(means, chance)), list(axis), sides])
    assert any(len(one[0]) > 1 for one in wanted) and any(one[2] for one in wanted)
    found = visit(thirty / "board.html").evaluate(
        """cases => cases.map(([values, costs, chance, kept, means]) => {
      const skip = new Set(chance), axis = Front.limits(kept);
      const of = new Map(values.map(([name, ...seeds]) => [name, new Map(seeds)]));
      const corners = Front.corners(of, new Map(costs), skip);
      return [corners, Front.told(corners, skip), [...Front.beyond(new Map(means), skip)].sort(), axis,
        means.map(([, mean]) => Front.edge(mean, axis))];
    })""",
        cases,
    )
    for mine, python in zip(found, wanted, strict=True):
        assert mine[3] == pytest.approx(python[3], rel=1e-12)
        assert mine[:3] + mine[4:] == python[:3] + python[4:]


def test_a_row_at_chance_squeezes_no_axis_and_begins_no_front(untrained, visit):
    folder, site = untrained
    page = visit(site / "board.html")
    (board,) = read_library(folder).boards
    lines = {name: line for (_, name), line in board.lines.items()}
    assert lines["untrained_without_warmup"].group.at_chance == (0, 2) and lines["untrained_without_warmup"].is_ranked
    values, costs = ({n: one.values[key] for n, one in lines.items()} for key in ("nll", "fit"))
    seeds = {name: list(one.values()) for name, one in costs.items()}
    told = front.corners(values, seeds, {"untrained_without_warmup"})
    assert json.loads(page.locator(".front").get_attribute("data-corners")) == told
    far = page.locator(".point:has(.arrow)")
    said = far.get_attribute("aria-label")
    assert far.count() == 1 and "not to scale; no better than chance: seed 0, 2" in said
    assert front.told(told, {"untrained_without_warmup"}) in page.locator("#scatter figcaption").inner_text()
    heights = page.locator(".point:not(:has(.arrow)) > path").evaluate_all(
        "all => all.map((one) => one.getBBox && one.getBoundingClientRect().y)"
    )
    whole = page.locator("#scatter svg").bounding_box()
    assert max(heights) - min(heights) > whole["height"] / 3
    bars = page.locator("td[data-key=nll] .bar")
    assert bars.evaluate_all("all => all.map((one) => one.dataset.edge ?? '')") == ["", "", "", "", "high"]


@pytest.mark.parametrize("cost", ["fit", "predict"])
def test_costs_of_separate_runs_are_no_corners_beside_costs_measured_in_turns(cost, published, visit):
    (board,) = (one for one in read_library(RECORDS).boards if one.key == "quick")
    lines = {name: line for (_, name), line in board.lines.items() if line.is_ranked and line.values[cost]}
    in_turns = {name: line for name, line in lines.items() if line.measured}
    assert 0 < len(in_turns) < len(lines)
    values = {name: line.values["nll"] for name, line in in_turns.items()}
    costs = {name: list(line.values[cost].values()) for name, line in in_turns.items()}
    wanted = front.corners(values, costs, {name for name, line in in_turns.items() if line.group.at_chance})
    page = visit(published / "board.html", address("quick", ["mnist5k-lenet5"], x=cost))
    assert json.loads(page.locator(".front").get_attribute("data-corners")) == wanted
    said = page.locator("#scatter figcaption").inner_text()
    apart = re.search(r"Costs of separate runs, so no corner: (.*?)\.", said)[1]
    assert set(apart.split(", ")) == lines.keys() - in_turns.keys()


def test_average_ranks_are_those_of_demsar(thirty, thirty_records, visit):
    results = load_results(thirty_records).results
    page = visit(thirty / "board.html", address("many", TASKS))
    shown = json.loads(page.locator("#ranks").get_attribute("data-ranks"))
    groups = [group for group in groups_of(results) if not group.reason]
    means = {(g.task, g.name): np.mean([r.metrics["test"]["nll"] for r in g.ok.values()]) for g in groups}
    cells = {task: {g.name: means[task, g.name] for g in groups if g.task == task} for task in TASKS}
    wanted = average_ranks(pd.DataFrame.from_dict(cells, orient="index"), "lower")
    assert dict(shown["sorted"]) == pytest.approx(wanted.average)
    assert shown["difference"] == pytest.approx(wanted.critical_difference, rel=1e-8)
    assert shown["p"] == pytest.approx(wanted.friedman_p, rel=1e-9)
    names = [name for name, _ in shown["sorted"]]
    ends = [(group[0], group[-1]) for group in wanted.groups]
    assert [(names[a], names[b]) for a, b in shown["groups"]] == ends


def test_the_quantile_of_a_range_is_that_of_scipy():
    from scipy.stats import studentized_range

    for k in (2, 3, 10, 31, 100):
        assert _range_quantile(k) == pytest.approx(studentized_range.ppf(0.95, k, np.inf), rel=1e-8)


@pytest.mark.parametrize("digits", [0, 2, 3])
def test_numbers_are_rounded_as_python_rounds_them(published, visit, digits):
    rng = np.random.default_rng(digits)
    values = [0.5, 1.5, 2.5, 0.125, 0.375, 0.0625, -0.0625, 1e6 + 0.5, 123456789.0, 0.0005, 0.0015, 2.675, 1e-9, -3.0]
    values += (rng.normal(size=200) * 10.0 ** rng.integers(-4, 7, 200)).tolist()
    page = visit(published / "board.html")
    found = page.evaluate(f"values => values.map((x) => Text.cell([x, x - 1, x + 1], {digits}).mean)", values)
    assert found == [cell(Interval(x, x - 1, x + 1), digits).partition(" ")[0] for x in values]
    general = page.evaluate("values => values.map((x) => Text.general(x))", values)
    assert general == [f"{x:.4g}" for x in values]


@pytest.mark.parametrize("kind", ["csv", "json", "latex"])
def test_a_download_is_what_the_command_prints(thirty, thirty_records, visit, kind):
    page = visit(thirty / "board.html", address("many", TASKS, where="fit<=2.5"))
    with page.expect_download() as waiting:
        page.locator(f"#{kind}").click()
    text = waiting.value.path().read_text()
    printed = ivi("table", "many", "--folder", thirty_records, "--where", "fit<=2.5", "-f", kind).stdout
    if kind == "csv":
        import io

        mine, other = (pd.read_csv(io.StringIO(one)) for one in (text, printed))
        pd.testing.assert_frame_equal(mine, other, check_exact=True)
    elif kind == "json":
        mine, other = json.loads(text), json.loads(printed)
        assert mine["columns"] == other["columns"]
        for one, two in zip(mine["rows"], other["rows"], strict=True):
            rough = {"fit", "predict"}
            assert {**one, "best": [k for k in one["best"] if k not in rough]} == {
                **two,
                "best": [k for k in two["best"] if k not in rough],
            }
    else:
        assert text.strip().splitlines() == [line for line in printed.strip().splitlines() if not is_legend(line)]


def is_legend(line):
    return line.startswith("% ") and not line.startswith("% [")


def test_a_view_comes_back_from_its_address(published, visit):
    page = visit(
        published / "board.html", address("quick", ["mnist5k-lenet5"], where="fit<=1.2,predict<=2.0", sort="-ece")
    )
    page.get_by_label("search").fill("lap")
    page.locator("tr[data-row='mnist5k-lenet5\\a laplace'] .method").click()
    settle(page)
    shown, link = page.evaluate(SHOWN), page.evaluate("location.hash")
    again = visit(published / "board.html", link)
    assert again.evaluate(SHOWN) == shown and [one["id"] for one in shown if one["inside"]]
    assert again.locator("tr.more:not([hidden])").inner_text() == page.locator("tr.more:not([hidden])").inner_text()
    assert "ivi run mnist5k-lenet5 -m laplace -s 10" in again.locator("tr.more:not([hidden])").inner_text()
    assert math.isclose(float(again.get_by_label("training at most, exactly").input_value()), 1.2)


def test_the_board_with_most_ranked_runs_is_the_first_and_history_the_last():
    boards = read_library(RECORDS).boards
    ranked = [sum(row.n for row in one.board.rows if row.ranked) for one in boards]
    assert boards[0].key == "quick" and ranked == sorted(ranked, reverse=True) and ranked[-1] == 0
