"""The packages' public names: each is there, and importing a package alone imports nothing that it may lack."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

PACKAGES = ("core", "control", "demos", "sim")


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_what_its_module_has(name: str) -> None:
    package = importlib.import_module(f"roman_moe.{name}")
    for public in package.__all__:
        found = getattr(package, public)
        assert found.__doc__
        assert getattr(sys.modules[found.__module__], public) is found
        assert found.__module__.startswith(f"roman_moe.{name}.")
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


def test_a_package_alone_imports_nothing_heavy() -> None:
    heavy = {"numpy", "yaml", "onnxruntime", "mujoco", "rosbags", "torch", "gymnasium"}
    code = f"import sys, {', '.join(f'roman_moe.{name}' for name in PACKAGES)}; print({heavy!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False)
    assert done.stdout.strip() == "set()", done.stderr
