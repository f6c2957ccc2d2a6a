"""Which suite a name means: one of ours, or the skills of any task."""

from __future__ import annotations

import os
from pathlib import Path

from roman_moe.core.config import suggestion
from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TASK_FILE
from roman_moe.core.tasks import known_tasks
from roman_moe.suites.conflict import CONFLICT
from roman_moe.suites.metaworld import SUITES, metaworld_suite
from roman_moe.suites.skills import skill_suite
from roman_moe.suites.suite import Suite

RENAMED = {"lab": "roman"}
"""Present names of suites by former ones, which the present version alone understands."""


def find_suite(name: str) -> Suite:
    """The suite of a name: "conflict", "mt3", "mt10", "mt50", or a task whose skills it is, by name or folder.

    Raises:
        ConfigError: if there is none, naming those that there are.
        MissingDependencyError: if it needs what is not installed.
    """
    name = RENAMED.get(name, name)
    if name == CONFLICT.name:
        return CONFLICT
    if name in SUITES:
        return metaworld_suite(name)
    tasks = known_tasks()
    if name in tasks or os.path.isfile(Path(name) / TASK_FILE):
        return skill_suite(name)
    there_are = suggestion(name, (CONFLICT.name, *SUITES, *tasks))
    raise ConfigError(f"unknown suite {name!r}: {there_are}, or the folder of a task whose skills it has")
