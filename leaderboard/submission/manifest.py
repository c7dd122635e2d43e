"""The manifest of a bundle: who made it, what is in it, and with what it was made.

A bundle is a folder ``<method>/<version>/``::

    manifest.json   this
    source/         the method's source: every file that `Manifest.source` names, and no other
    records/        a results folder as `ivi run` leaves it: plan, records, predictions, scores
    cost/           what `ivi cost` measured
    log.txt         what `ivi submit` said
    reviews/        what reviews found, and challenges/: what others hold against the row; written by the board, no part
                    of what was submitted and of no digest
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from leaderboard.identity import RULES, Count, MethodName, Name, Part, Sha256, digest
from leaderboard.record import Label, Prose, RecordError
from leaderboard.shelf import first_of, read_bytes
from leaderboard.store import write_once

MANIFEST, SOURCE, RECORDS, COST, LOG = "manifest.json", "source", "records", "cost", "log.txt"
REVIEWS, CHALLENGES = "reviews", "challenges"
MANIFEST_SCHEMA = 1
"""Grows with every change of the fields below."""

RelPath = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*){0,7}$", max_length=200)
]
"""A file below a folder of the bundle: nothing hidden, nothing that leaves."""
KeptPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.,=+/-]*$", max_length=500)]
Version = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.+!-]*$", max_length=60)]
_WORD = "[A-Za-z_][A-Za-z0-9_]*"
Entry = Annotated[str, Field(pattern=rf"^({_WORD}(\.{_WORD})*|[A-Za-z0-9_./+-]+\.py):{_WORD}(\.{_WORD})*$")]
Line = Annotated[Prose, Field(min_length=1, max_length=500)]
Licence = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+() -]*$", max_length=100)]
Link = Annotated[str, Field(pattern=r"^(https://[!-~]+)?$", max_length=500)]
Lock = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)],
        Annotated[str, Field(pattern=r"^[!-~]+$", max_length=100)],
    ],
    Field(max_length=2000),
]


class Method(Part):
    """The method.

    Attributes:
        name: as in the identity of its runs.
        package: distribution that has it; None for a method from a file.
        version: of the package; of a file what its author calls it.
        entry: ``module:Class``, or ``file.py:Class`` with the file below ``source/``.
        classes: the files below ``source/`` whose hashes make the source hash of its runs, in their order.
        label: what people call its row, with its parameters: what `ivi run` is given is ``name(parameters)``.
    """

    name: MethodName
    package: Name | None
    version: Version
    entry: Annotated[Entry, Field(max_length=300)]
    classes: Annotated[tuple[RelPath, ...], Field(min_length=1, max_length=50)]
    label: Label

    @property
    def folder(self) -> Path:
        """Where its bundle belongs: ``<method>/<version>``."""
        return Path(self.name.replace("/", "--")) / self.version


class Source(Part):
    """Every file below ``source/`` with its SHA-256, and that of them all (`identity.digest` of ``files``)."""

    files: Annotated[dict[RelPath, Sha256], Field(min_length=1, max_length=500)]
    sha256: Sha256

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Source:
        if self.sha256 != digest(self.files):
            raise ValueError(f"sha256 is {self.sha256[:12]}…, its files give {digest(self.files)[:12]}…")
        return self


class Manifest(Part):
    """A bundle in one file.

    Attributes:
        author, licence, citation, link: of the method; citation and link may be empty.
        suite, rules: what the records are of.
        packages: distribution -> version of everything that was installed where the records were made.
        tuning: what was tuned and on what, in the author's words.
        created: when, as ISO 8601.
        files: every other file that was submitted but for the sources, with its SHA-256.
        seal: `identity.digest` of all of the above: what has changed on its way is seen. `write_manifest` gives both.
    """

    schema_version: Literal[1] = MANIFEST_SCHEMA
    method: Method
    author: Line
    licence: Licence
    citation: Annotated[Prose, Field(max_length=5000)] = ""
    link: Link = ""
    suite: Name
    rules: Count = RULES
    source: Source
    packages: Lock
    tuning: Line
    created: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\+00:00$")]
    files: Annotated[dict[KeptPath, Sha256], Field(max_length=5000)] = {}
    seal: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""

    @model_validator(mode="after")
    def _names_its_own_files(self) -> Manifest:
        missing = [name for name in self.method.classes if name not in self.source.files]
        if missing:
            raise ValueError(f"method.classes names {missing[0]}, which source.files does not")
        return self

    @property
    def own_seal(self) -> str:
        """What `seal` should be."""
        return digest(self.model_dump(mode="json", exclude={"seal"}))

    @property
    def source_hash(self) -> str:
        """The source hash that the runs of the method have: of its file, or of the hashes of several."""
        hashes = list(dict.fromkeys(self.source.files[name] for name in self.method.classes))
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def read_manifest(bundle: Path) -> Manifest:
    """The manifest of the bundle in a folder.

    Raises:
        RecordError: there is none, or it is damaged or newer than this program; one line.
    """
    try:
        return Manifest.model_validate_json(read_bytes(str(bundle / MANIFEST)))
    except ValidationError as error:
        raise RecordError(f"{MANIFEST}: {first_of(error)}") from None
    except RecordError as error:
        raise RecordError(f"{MANIFEST}: {error}") from None


def write_manifest(bundle: Path, manifest: Manifest) -> Path:
    """Write it, when all else is in its place, with the hashes of all that and its seal; an older one is replaced."""
    manifest = manifest.model_copy(update={"files": submitted_files(bundle), "seal": ""})
    manifest = manifest.model_copy(update={"seal": manifest.own_seal})
    path = bundle / MANIFEST
    write_once(path, manifest.model_dump_json(indent=1).encode() + b"\n", replace=True)
    return path


def submitted_files(bundle: Path) -> dict[str, str]:
    """Path -> SHA-256 of what was submitted beside manifest and sources."""
    return {name: sha for name, sha in _files(bundle) if name.partition("/")[0] not in (MANIFEST, SOURCE)}


def bundle_digest(bundle: Path) -> str:
    """SHA-256 of all that was submitted: what fresh seeds are drawn from. It does not change with reviews."""
    return hashlib.sha256(json.dumps(dict(_files(bundle)), sort_keys=True).encode()).hexdigest()


def _files(bundle: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(bundle.rglob("*")):
        name = path.relative_to(bundle).as_posix()
        if name.partition("/")[0] not in (REVIEWS, CHALLENGES) and path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                yield name, hashlib.file_digest(stream, "sha256").hexdigest()
