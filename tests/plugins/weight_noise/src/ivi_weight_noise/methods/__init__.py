"""One file per method."""

from ivi_weight_noise.methods.decay import NoDecay

from .noise import WeightNoise

__all__ = ["NoDecay", "WeightNoise"]
