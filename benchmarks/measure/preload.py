"""What the fork server loads once for all processes of runs: libraries, and the built-in methods with what they need."""

from importlib import import_module

import benchmarks.measure.fitting
import benchmarks.measure.predicting
from baselines.registry import known_methods

# By name, so that a method is loaded if and only if it is ours: nothing of a plug-in runs here.
for method in known_methods().values():
    if method.package == "ivi-bench":
        import_module(method.target.partition(":")[0])
