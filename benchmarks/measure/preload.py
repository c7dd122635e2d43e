"""What the fork server loads once for the processes of all runs: libraries, and the built-in methods."""

from importlib import import_module

from baselines.registry import known_methods

OURS = (
    "benchmarks.cli",  # every process loads the program that started it again
    "benchmarks.measure.fitting",
    "benchmarks.measure.predicting",
    "benchmarks.measure.search",
    "benchmarks.sealing",
)
# By name, so that a method is loaded if and only if it is ours: nothing of a plug-in runs here.
BUILT_IN = [one.target.partition(":")[0] for one in known_methods().values() if one.package == "ivi-bench"]

for name in (*OURS, *BUILT_IN):
    import_module(name)
