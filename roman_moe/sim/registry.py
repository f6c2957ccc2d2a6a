"""Finds, runs and checks the Python code of a task, by its name or folder. Only this module does so.

Code runs only from a folder that the user named, from a package that the user installed, or from our own tasks.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from roman_moe.core.config import place_of
from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.core.files import version_of
from roman_moe.core.spec import TASK_FILE
from roman_moe.core.tasks import load_spec, task_folder, task_package
from roman_moe.sim.task import SimSkill, SimTask

Kind = TypeVar("Kind", SimSkill, SimTask)

TASK_MODULE = "simulation"
"""Module of a task's folder that may derive its `SimTask`."""


def load_sim_task(task: str | os.PathLike[str]) -> SimTask:
    """SimTask of a task, given by its name or its folder.

    Raises:
        ConfigError: if there is none, or naming file and line of the first mistake in it.
    """
    folder = task_folder(task).resolve()
    return _load(folder, version_of(folder / TASK_FILE))


@lru_cache(maxsize=16)
def _load(folder: Path, _: tuple[int, ...]) -> SimTask:
    spec = load_spec(folder)
    package = _package(folder)
    skills = {}
    for name in spec.skill_names:
        kind = _class_in(folder, package, name, SimSkill) or SimSkill
        if not spec.skills[name].success and kind.achieved is SimSkill.achieved:
            raise ConfigError(
                f"{place_of(folder / TASK_FILE, f'skills.{name}')}: no success condition: expected conditions "
                f"success here, or a class derived from SimSkill with a method achieved in {name}.py"
            )
        skills[name] = kind(spec, name)
    task = (_class_in(folder, package, TASK_MODULE, SimTask) or SimTask)(spec, folder, skills)
    unknown = [name for name in task.placing if name not in skills]
    if unknown or (task.placing and len(task.placing) != len(skills)):
        raise ConfigError(f"{folder / TASK_MODULE}.py: placing is {task.placing}: expected every skill once")
    return task


def _package(folder: Path) -> str:
    """Name under which the folder's modules are imported; they may import each other relatively."""
    name = task_package(folder)
    if name is not None:
        return name
    name = f"roman_moe_task_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    if name not in sys.modules:
        module = ModuleType(name, "A task's folder that the user named.")
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    return name


def _class_in(folder: Path, package: str, module: str, kind: type[Kind]) -> type[Kind] | None:
    """The one class in a module of the folder that derives `kind`; None if there is no such file.

    Raises:
        ConfigError: if it raises at import, or has none or several.
    """
    file = folder / f"{module}.py"
    if not file.is_file():
        return None
    try:
        content = importlib.import_module(f"{package}.{module}")
    except Exception as error:  # whatever the user's code raises
        raise ConfigError(f"{_where(error, folder, file)}: {type(error).__name__}: {error}") from error
    found = [
        value
        for value in vars(content).values()
        if isinstance(value, type) and issubclass(value, kind) and value.__module__ == content.__name__
    ]
    if len(found) != 1:
        names = ", ".join(each.__name__ for each in found) or "none"
        raise ConfigError(f"{file}: classes derived from {kind.__name__}: {names}: expected one")
    return found[0]


@contextmanager
def naming_place(folder: Path) -> Iterator[None]:
    """What a task's own code raises while it runs becomes one line.

    Raises:
        ConfigError: naming file and line within the task's folder; an error from elsewhere passes as it is.
    """
    try:
        yield
    except RomanError:
        raise
    except Exception as error:  # whatever the user's code raises
        place = _where(error, folder, folder)
        if place == str(folder):
            raise
        raise ConfigError(f"{place}: {type(error).__name__}: {error}") from error


def _where(error: Exception, folder: Path, file: Path) -> str:
    """File and line of the folder in which an error was raised."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    lines = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(folder)
    ]
    return f"{lines[-1].filename}, line {lines[-1].lineno}" if lines else str(file)
