"""A cache of its own for every test, tiny local data sets, and a stand-in for the hub on the loopback interface."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

settings.register_profile("data", deadline=None)  # these read and write files: a busy machine is no fault
settings.load_profile("data")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CIFAR_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IVI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IVI_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that lasts for the whole session, for sets that take seconds to decode."""
    return tmp_path_factory.mktemp("shared") / "cache"


@pytest.fixture
def warm(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IVI_CACHE", str(shared_cache))


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def colour_images(count: int, seed: int, size: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


@pytest.fixture
def cifar_like():
    """(count, seed) -> a table with the columns and features of CIFAR-10 on the hub."""
    import datasets

    def make(count: int, seed: int) -> datasets.Dataset:
        features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=CIFAR_CLASSES)})
        cells = [{"bytes": png(pixels), "path": None} for pixels in colour_images(count, seed)]
        return datasets.Dataset.from_dict({"img": cells, "label": [i % 10 for i in range(count)]}, features=features)

    return make


@pytest.fixture
def write_spec(tmp_path: Path):
    """(sources, changes) -> path of the spec of a small colour data set with splits train (20) and test (10)."""

    def write(sources: str, **changes: str) -> str:
        fields = {
            "title": '"Tiny"',
            "licence": '"none"',
            "citation": '"none"',
            "shape": "[3, 32, 32]",
            "num_classes": "10",
            "classes": json.dumps(CIFAR_CLASSES),
            "mean": "[0.5, 0.5, 0.5]",
            "std": "[0.25, 0.25, 0.25]",
            "splits": "{ train = { examples = 20 }, test = { examples = 10 } }",
        } | changes
        path = tmp_path / "tiny.toml"
        path.write_text("\n".join(f"{key} = {value}" for key, value in fields.items()) + "\n" + dedent(sources))
        return str(path)

    return write


@dataclass
class StandIn:
    """A hub with one data set; counts what it is asked for, and can be told to misbehave."""

    files: dict[str, bytes]
    url: str = ""
    requests: list[str] = field(default_factory=list)
    broken: bool = False

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        repo = "/datasets/uoft-cs/cifar10"
        if path.startswith(f"{repo}/resolve/"):
            name = path.removeprefix(f"{repo}/resolve/").partition("/")[2]
            if name not in self.files:
                return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b""
            headers = {"ETag": f'"{hashlib.sha256(self.files[name]).hexdigest()}"', "X-Repo-Commit": COMMIT}
            return 200, headers, self.files[name]
        if not path.startswith(f"/api{repo}"):
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        if "/paths-info/" in path:
            return 200, {}, json.dumps([self._entry(name) for name in self.files]).encode()
        if "/tree/" in path:
            folder = path.partition("/tree/")[2].partition("/")[2]
            return 200, {}, json.dumps(self._children(folder)).encode()
        info = {"id": "uoft-cs/cifar10", "sha": COMMIT, "private": False, "gated": False, "disabled": False, "tags": []}
        info |= {"downloads": 0, "likes": 0, "siblings": [{"rfilename": name} for name in self.files]}
        return 200, {}, json.dumps(info).encode()

    def _children(self, folder: str) -> list[dict[str, object]]:
        prefix = f"{folder}/" if folder else ""
        names = [name.removeprefix(prefix) for name in self.files if name.startswith(prefix)]
        folders = {name.partition("/")[0] for name in names if "/" in name}
        inner = [{"type": "directory", "path": prefix + name, "size": 0, "oid": "0" * 40} for name in sorted(folders)]
        return [*inner, *(self._entry(prefix + name) for name in names if "/" not in name)]

    def _entry(self, name: str) -> dict[str, object]:
        return {"type": "file", "path": name, "size": len(self.files[name]), "oid": "0" * 40}


def _handler(hub: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path.partition("?")[0])
            hub.requests.append(f"{self.command} {path}")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, body = hub.answer(path)
            self.send_response(status)
            for key, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                cut = hub.broken and path.endswith(".parquet")
                self.wfile.write(body[: len(body) // 2] if cut else body)
                self.close_connection = cut

        do_HEAD = do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def hub(cifar_like) -> Iterator[StandIn]:
    stand_in = StandIn(files={})
    for split, count, seed in (("train", 20, 0), ("test", 10, 1)):
        file = io.BytesIO()
        cifar_like(count, seed).to_parquet(file)
        stand_in.files[f"plain_text/{split}-00000-of-00001.parquet"] = file.getvalue()
    card = """
        ---
        configs:
        - config_name: plain_text
          data_files:
          - split: train
            path: plain_text/train-*
          - split: test
            path: plain_text/test-*
        ---
        """
    stand_in.files["README.md"] = dedent(card).lstrip().encode()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(stand_in))
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield stand_in
    server.shutdown()
    server.server_close()
    thread.join()
