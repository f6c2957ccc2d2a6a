"""The public names of a package, each imported when it is asked for.

`from roman_moe.control import load_bundle` needs onnxruntime, but importing the package alone does not: a stop must be
quick, and a robot lacks what only a laptop has.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def lazy_exports(package: str, **modules: str) -> Callable[[str], Any]:
    """`__getattr__` of a package that has these names, each in the module that is given."""

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)

    return find
