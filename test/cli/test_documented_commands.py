"""Every command line in README and docs is one that `roman-moe` takes."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

import pytest

from roman_moe.cli.main import VERBS, verb_class
from roman_moe.cli.parsing import parse
from roman_moe.cli.ros_args import split

ROOT = Path(__file__).parents[2]
PAGES = sorted([*map(ROOT.joinpath, ("README.md", "CONTRIBUTING.md", "AGENTS.md")), *(ROOT / "docs").glob("*.md")])
PROGRAM = "roman-moe"


def lines_of(text: str) -> list[str]:
    """Command lines of an indented block, less their comments, and those in backquotes, which may be folded.

    Where a shell sends what they print is none of theirs.
    """
    blocks = [re.split(" [#>]", line)[0].strip() for line in text.splitlines() if line.startswith(f"    {PROGRAM} ")]
    quoted = [" ".join(found.split()) for found in re.findall(rf"`({PROGRAM}\s[^`]*)`", text)]
    return [spelled for line in blocks + quoted for spelled in alternatives(line)]


def alternatives(line: str) -> list[str]:
    """`bench sim | control` is two command lines."""
    first, *others = line.split(" | ")
    return [first, *(f"{first.rpartition(' ')[0]} {other}" for other in others)]


def documented() -> list[tuple[str, str]]:
    return [(page.name, line) for page in PAGES for line in lines_of(page.read_text(encoding="utf-8"))]


def test_the_lines_are_found():
    found = documented()
    assert {line.split()[1] for _, line in found} >= set(VERBS)
    assert ("README.md", "roman-moe bench endurance") in found


@pytest.mark.parametrize(("page", "line"), documented())
def test_a_documented_command_line_can_be_typed(page, line, capsys):
    _, verb, *arguments = shlex.split(line.replace(" ...", ""))
    if verb == "VERB":
        return
    assert verb in VERBS
    command = verb_class(verb)
    parts = getattr(command, "PARTS", {})
    if arguments and arguments[0] in parts:
        part, *arguments = arguments
        command = parts[part]
    elif not dataclasses.is_dataclass(command):
        assert not arguments  # the verb as such
        return
    own, ros_args = split(arguments)
    assert not ros_args or hasattr(command, "ros_args")
    assert parse(command, f"{PROGRAM} {verb}", own) is not None
    assert not capsys.readouterr().err  # says which options have former names
