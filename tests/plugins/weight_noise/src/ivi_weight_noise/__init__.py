"""Methods for ivi-bench, as a package of somebody else would bring them."""

from .methods import NoDecay, WeightNoise

__all__ = ["NoDecay", "WeightNoise"]
