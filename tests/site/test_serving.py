"""The site while runs finish, and its picture."""

import shutil
import signal
import socket
import struct
import subprocess
import time
import urllib.request

import boards
import pytest
from commands import command, heeds_interrupts, ivi

from leaderboard.views.site.camera import BROWSERS, photograph
from leaderboard.views.site.serving import state_of, watch


class Enough(Exception):
    """Ends a watch."""


def watched(folder, steps):
    """How often the site was built while ``steps`` happened, one between two looks."""
    built, left = [], iter(steps)

    def wait():
        step = next(left, None)
        if step is None:
            raise Enough
        step()

    with pytest.raises(Enough):
        watch(folder, lambda: built.append(len(list(folder.rglob("*.json")))), wait)
    return built


def test_a_run_that_finishes_is_shown_once_its_files_are_all_there(tmp_path):
    records = [boards.variant("map", "task", seed) for seed in range(3)]

    def finish(seed):
        return lambda: boards.write(tmp_path, *records[seed])

    def nothing():
        pass

    assert watched(tmp_path, [nothing, nothing]) == []
    assert watched(tmp_path, [finish(0), finish(1), nothing, nothing, nothing]) == [4]
    assert watched(tmp_path, [finish(2), nothing, nothing]) == [6]


def test_what_is_no_record_changes_nothing(tmp_path):
    before = state_of(tmp_path)
    (tmp_path / ".lock").touch()
    (tmp_path / ".half.json").touch()
    (tmp_path / "predictions.safetensors").touch()
    assert state_of(tmp_path) == before


def test_serving_answers_this_machine_and_goes_when_it_is_told_to(tmp_path):
    boards.many(tmp_path / "many", methods=3, tasks=1, odd=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ("site", "--folder", tmp_path / "many", "--out", tmp_path / "site", "--serve", "--port", port)
    with subprocess.Popen(
        command(*arguments), cwd=boards.ROOT, stdout=subprocess.DEVNULL, preexec_fn=heeds_interrupts
    ) as serving:
        try:
            text = asked(f"http://127.0.0.1:{port}/board.html", serving)
            assert text == (tmp_path / "site/board.html").read_text()
            serving.send_signal(signal.SIGINT)
            assert serving.wait(60) == 130
        finally:
            serving.kill()


def asked(address, serving):
    for _ in range(600):
        assert serving.poll() is None
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                assert answer.headers["Cache-Control"] == "no-store"
                return answer.read().decode()
        except OSError:
            time.sleep(0.2)
    raise AssertionError("no answer")


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="there is no Chromium on this machine")
def test_a_screenshot_is_a_picture_of_the_window(published, tmp_path):
    photograph(published / "board.html", "", tmp_path / "board.png", (800, 600))
    data = (tmp_path / "board.png").read_bytes()
    assert data.startswith(b"\x89PNG") and struct.unpack(">II", data[16:24]) == (800, 600)


def test_without_a_browser_a_screenshot_says_what_it_needs(tmp_path, monkeypatch):
    boards.many(tmp_path / "many", methods=2, tasks=1, odd=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    options = ("--out", tmp_path / "site", "--screenshot", tmp_path / "a.png")
    done = ivi("site", "--folder", tmp_path / "many", *options, code=2)
    assert "a screenshot needs a browser: one of chromium" in done.stderr
