"""A folder on Python's path into which a test installs packages."""

import pytest

from baselines import registry


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An empty folder of packages; the registry looks again when the test begins and when it is over."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    registry.forget()
    yield folder
    registry.forget()
