"""Where tasks are: shipped with us, in a folder of the user's, or in a package that offers them.

Nothing of a task runs here: only its `task.yaml` is read.
"""

from __future__ import annotations

import importlib.util
import os
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path

from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TASK_FILE, TaskSpec, read_spec

ENTRY_POINTS = "roman_moe.tasks"
"""Group of the entry points by which an installed package offers tasks: their name, and the package of each."""

SHIPPED = Path(__file__).parents[1] / "tasks"


def known_tasks() -> dict[str, Path]:
    """Folder of each task that can be named, by its name: ours, then those of installed packages."""
    tasks = {file.parent.name: file.parent for file in sorted(SHIPPED.glob(f"*/{TASK_FILE}"))}
    for point in entry_points(group=ENTRY_POINTS):
        package, *inner = point.module.split(".")
        spec = importlib.util.find_spec(package)  # of the outermost one alone: to look for an inner one imports it
        for place in (spec.submodule_search_locations or ()) if spec else ():
            if (folder := Path(place, *inner)).is_dir():
                tasks.setdefault(point.name, folder)
    return tasks


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


def load_spec(task: str | os.PathLike[str]) -> TaskSpec:
    """TaskSpec of a task, given by its name or its folder.

    Raises:
        ConfigError: if there is none, or naming the mistake in its task.yaml.
    """
    file = (task_folder(task) / TASK_FILE).absolute()
    found = file.stat()
    return _spec_of(file, (found.st_ino, found.st_mtime_ns, found.st_size))


@lru_cache(maxsize=16)
def _spec_of(file: Path, _: tuple[int, int, int]) -> TaskSpec:
    return read_spec(file)
