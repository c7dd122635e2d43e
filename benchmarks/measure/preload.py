"""What the fork server loads once for the processes of all runs: libraries, and the built-in methods."""

from importlib import import_module

from baselines.registry import known_methods

# By name, so that a method is loaded if and only if it is ours: nothing of a plug-in runs here.
for method in known_methods().values():
    if method.package == "ivi-bench":
        import_module(method.target.partition(":")[0])
