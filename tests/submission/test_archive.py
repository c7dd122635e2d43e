"""Archives of strangers: unpacked within bounds and within a folder, or refused in a line."""

import io
import os
import stat
import zipfile

import pytest
from commands import ivi
from forging import BUNDLE

from leaderboard.submission.archive import open_archive, write_archive
from leaderboard.submission.shape import LARGEST, MOST_FILES


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.zip"


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def test_a_bundle_comes_out_as_it_went_in(file, into):
    bundle, findings = open_archive(write_archive(BUNDLE, file), into)
    assert findings == []
    names = {path.relative_to(BUNDLE) for path in BUNDLE.rglob("*") if path.is_file()}
    assert names == {path.relative_to(bundle) for path in bundle.rglob("*") if path.is_file()}
    assert all((bundle / name).read_bytes() == (BUNDLE / name).read_bytes() for name in names)


def test_an_archive_is_reviewed_like_a_folder(file):
    done = ivi("review", write_archive(BUNDLE, file), "--no-rerun", "--json")
    assert '"recomputed"' in done.stdout


def entry(name, mode=stat.S_IFREG | 0o644, kind=zipfile.ZIP_DEFLATED):
    info = zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = mode << 16, kind
    return info


def refused(file, into, *words):
    bundle, findings = open_archive(file, into)
    assert bundle is None and len(findings) == 1 and findings[0].level == "refuse"
    assert any(word in str(findings[0]) for word in words), str(findings[0])


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "m/../../evil",
        "/etc/cron.d/x",
        "m/1/..\\..\\x",
        "C:/x",
        "m//x",
        "m/1/\x1b[2J",
        "m/1/\u202ex",
        "m/1/.git/hooks/x",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused_and_nothing_is_written(file, into, name):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(entry(name), "x")
    refused(file, into, "lead elsewhere")
    assert list(into.iterdir()) == []


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_pipes_and_devices_are_refused(file, into, mode):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(entry("m/1/manifest.json", mode | 0o777), "/etc/passwd")
    refused(file, into, "link or a device")


def test_a_bomb_that_tells_its_size_is_refused_before_it_is_unpacked(file, into):
    with zipfile.ZipFile(file, "w") as archive, archive.open(entry("m/1/log.txt"), "w") as packed:
        for _ in range(LARGEST // 2**20 + 1):
            packed.write(bytes(2**20))
    assert file.stat().st_size < 2**20
    refused(file, into, "more bytes than a bundle may have")
    assert list(into.iterdir()) == []


def test_a_bomb_that_lies_about_its_size_is_stopped(file, into):
    with zipfile.ZipFile(file, "w") as archive, archive.open(entry("m/1/log.txt"), "w") as packed:
        for _ in range(40):
            packed.write(bytes(2**20))
    data = bytearray(file.read_bytes())
    claimed = (40 * 2**20).to_bytes(4, "little")
    data = data.replace(claimed, (100).to_bytes(4, "little"))
    file.write_bytes(data)
    bundle, findings = open_archive(file, into)
    assert findings or sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file()) <= 100


def test_more_files_than_a_bundle_has_are_refused(file, into):
    with zipfile.ZipFile(file, "w") as archive:
        for i in range(MOST_FILES + 1):
            archive.writestr(entry(f"m/1/{i}", kind=zipfile.ZIP_STORED), "")
    refused(file, into, "files")


def test_two_files_of_one_name_are_refused(file, into):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(entry("m/1/A"), "x")
        archive.writestr(entry("m/1/a"), "y")
    refused(file, into, "twice")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", os.urandom(1000), b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_or_an_empty_one_is_refused(file, into, data):
    file.write_bytes(data)
    refused(file, into, "cannot be read", "0 bundles")


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_damaged_archive_is_refused_or_what_it_holds_is(file, into, at):
    data = bytearray(write_archive(BUNDLE, file).read_bytes())
    data[int(at * len(data))] ^= 0xFF
    file.write_bytes(data)
    bundle, findings = open_archive(file, into)
    assert findings or bundle is not None


def test_an_unusual_way_of_packing_is_refused(file, into):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("m/1/log.txt", "x" * 1000)
    file.write_bytes(data.getvalue())
    refused(file, into, "unusual")
