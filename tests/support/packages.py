"""Installed packages for tests: by hand as an installer would leave them, or built and installed for real, offline."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from baselines import registry

GROUP = "ivi.baselines"


def install(folder: Path, package: str, entries: str, files: dict[str, str | bytes], version: str = "1.0") -> Path:
    """Lay a package into ``folder``: its files, and a dist-info that lists them. ``entries``: lines of our group."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    info = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entries}\n")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in [*files, f"{info.name}/METADATA"]))
    registry.forget()
    return info


def pip_install(target: Path, *sources: Path) -> None:
    """Install projects into ``target`` by pip, without a network; the projects' own folders stay clean."""
    copies = [shutil.copytree(source, target.parent / f"build-{source.name}") for source in sources]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--target", target]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *options, *copies], check=True, capture_output=True)


def editable_install(target: Path, source: Path, **settings: str) -> None:
    """Install the project at ``source`` as setuptools' editable wheel says (what `pip install -e` unpacks)."""
    code = f"import setuptools.build_meta as b; print(b.build_editable({str(target)!r}, {settings!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True, text=True)
    with zipfile.ZipFile(target / done.stdout.splitlines()[-1]) as wheel:
        wheel.extractall(target)
