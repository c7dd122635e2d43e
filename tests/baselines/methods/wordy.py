"""A method whose hyperparameter is a word."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wordy:
    """Says a word."""

    word: str = "x"
