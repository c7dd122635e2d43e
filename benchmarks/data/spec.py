"""What a data set is, read from one TOML file. Imports no torch."""

from __future__ import annotations


class DataError(ValueError):
    """Data that cannot be had, or is not what its spec says. One line: what is wrong, where, what would be right."""
