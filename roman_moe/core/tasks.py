"""Finds tasks: shipped ones, a user's folder, or those of an installed package.

No code of a task runs here: only its `task.yaml` is read.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path

from roman_moe.core.errors import ConfigError
from roman_moe.core.files import atomic_folder, version_of
from roman_moe.core.spec import NAME, TASK_FILE, TaskSpec, read_spec

ENTRY_POINTS = "roman_moe.tasks"
"""Group of the entry points by which an installed package offers tasks: their name, and the package of each."""

TEMPLATE = Path(__file__).parents[1] / "tasks" / "templates" / "minimal"

SHIPPED = Path(__file__).resolve().parents[1] / "tasks"


def known_tasks() -> dict[str, Path]:
    """Folder of each task that can be named, by its name: ours, then those of installed packages."""
    tasks = {file.parent.name: file.parent for file in sorted(SHIPPED.glob(f"*/{TASK_FILE}"))}
    for point in entry_points(group=ENTRY_POINTS):
        for folder in _folders_of(point.module):
            tasks.setdefault(point.name, folder)
    return tasks


def _folders_of(module: str) -> list[Path]:
    """Where an installed package is; nothing of it runs: to look for an inner package would import the outer one."""
    package, *inner = module.split(".")
    spec = importlib.util.find_spec(package)
    places = (spec.submodule_search_locations or ()) if spec else ()
    return [folder for place in places if (folder := Path(place, *inner)).is_dir()]


def task_folder(task: str | os.PathLike[str]) -> Path:
    """Folder of a task, given by its name or its path.

    Raises:
        ConfigError: if there is none, naming those that there are.
    """
    path = Path(task)
    if path.is_dir() and (path / TASK_FILE).is_file():
        return path
    known = known_tasks()
    if str(task) in known:
        return known[str(task)]
    if path.is_dir():
        raise ConfigError(f"{path}: has no {TASK_FILE}: expected a task's folder (roman-moe tasks new PATH makes one)")
    raise ConfigError(f"unknown task {str(task)!r}: expected a folder with a {TASK_FILE}, or one of {', '.join(known)}")


def can_be_named(task: str) -> bool:
    """Whether `task_folder` finds a task of this name: in the folder where the command runs, or installed."""
    return (Path(task) / TASK_FILE).is_file() or task in known_tasks()


def task_package(folder: Path) -> str | None:
    """Name of the package that a task's folder is: one of ours, or installed; None for a folder like any other."""
    folder = folder.resolve()
    if folder.parent == SHIPPED:
        return f"{__package__.partition('.')[0]}.{SHIPPED.name}.{folder.name}"
    for point in entry_points(group=ENTRY_POINTS):
        if any(path.resolve() == folder for path in _folders_of(point.module)):
            return point.module
    return None


def new_task(path: Path) -> Path:
    """Write the smallest complete task into a new folder, whose name becomes the task's.

    Raises:
        ConfigError: if the folder exists, or its name cannot be a task's.
    """
    if path.exists():
        raise ConfigError(f"{path}: exists already: choose another folder")
    name = path.resolve().name
    if not NAME.fullmatch(name):
        raise ConfigError(f"{path}: {name!r} is not a valid task name: expected lower-case letters, digits and _")
    with atomic_folder(path) as new:
        shutil.copytree(TEMPLATE, new, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        text = (TEMPLATE / TASK_FILE).read_text(encoding="utf-8").replace("name: my_task\n", f"name: {name}\n")
        (new / TASK_FILE).write_text(text, encoding="utf-8")
    return path


def load_spec(task: str | os.PathLike[str]) -> TaskSpec:
    """TaskSpec of a task, given by its name or its folder.

    Raises:
        ConfigError: if there is none, or naming the mistake in its task.yaml.
    """
    file = (task_folder(task) / TASK_FILE).absolute()
    return _spec_of(file, version_of(file))


@lru_cache(maxsize=16)
def _spec_of(file: Path, _: tuple[int, ...]) -> TaskSpec:
    return read_spec(file)
