"""The task is data: nothing of the package outside tasks/ names a skill, an object or a flag of a shipped task."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from roman_moe.core.spec import TaskSpec
from roman_moe.core.tasks import SHIPPED, known_tasks, load_spec

PACKAGE = SHIPPED.parent
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if SHIPPED not in path.parents]
ENGLISH = {"button", "cover", "hole", "lock", "pin", "pull", "push", "slot", "tile"}
"""Names that are common words, too: these may stand in prose and as variables, but not by themselves in quotes."""


def named(spec: TaskSpec) -> set[str]:
    return {*spec.skills, *spec.objects, *spec.flags}


NAMES = set().union(*(named(load_spec(folder)) for folder in known_tasks().values() if folder.parent == SHIPPED))


def mentions(text: str) -> list[str]:
    """Names of tasks in a file's text."""
    found = re.findall(rf"\b(?:{'|'.join(sorted(NAMES - ENGLISH))})\b", text)
    quoted = re.compile(rf"[\"'](?:{'|'.join(sorted(NAMES & ENGLISH))})[\"']")
    strings = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    return [*found, *quoted.findall(text), *(value for value in strings if isinstance(value, str) and value in NAMES)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_outside_tasks_names_nothing_of_a_task(path: Path):
    assert mentions(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("line", ['skill = "push"', "# the vial", "x = pick_and_place", "# 'button'"])
def test_what_is_not_to_be_there_is_found(line: str):
    assert mentions(line)


def test_common_words_may_be_used():
    assert mentions("# push the lock's button\npull = lock.acquire()\n") == []
