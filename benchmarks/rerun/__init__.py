"""A submitted method run again here, blind: `again.rerun` from a bundle to findings."""

from benchmarks.rerun.again import rerun as rerun

__all__ = ["rerun"]
