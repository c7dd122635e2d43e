"""Where a method's code is run at last: in the process that fits it, and nowhere else."""

from __future__ import annotations

import importlib
import sys
from functools import reduce
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from baselines.names import UserError
from baselines.registry import MethodClass


def load(method: MethodClass) -> Any:
    """Import the class of ``method``.

    Raises:
        UserError: Python finds another file under that name than the one that was read.
        Exception: whatever its module raises.
    """
    module_name, _, qualname = method.target.rpartition(":")
    module = _from_file(method) if method.package is None else _installed(method, module_name)
    return reduce(getattr, qualname.split("."), module)


def _installed(method: MethodClass, name: str) -> ModuleType:
    module = importlib.import_module(name)
    origin = getattr(module, "__file__", None)
    if origin is None or not Path(origin).samefile(method.source):
        raise UserError(
            f"method '{method.name}': its source was read from {method.source}, but Python imports {origin}: "
            f"two packages have a module {name}"
        )
    return module


def _from_file(method: MethodClass) -> ModuleType:
    name = f"ivi_method_{method.source_sha256[:16]}"  # no module of that name is installed
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, method.source)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses looks its module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
