"""The programs of docs/library.md and the commands of docs/your_task.md, run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from episodes import make_meta, make_ticks
from specs import ROMAN, SKILLS

from roman_moe.cli import main as entry
from roman_moe.core.spec import SkillSpec, TaskSpec
from roman_moe.demos.dataset import write_spec
from roman_moe.demos.writer import EpisodeWriter

DOCS = Path(__file__).parents[2] / "docs"
PROGRAMS = re.findall(r"```python\n(.*?)```", (DOCS / "library.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def demos(tmp_path: Path) -> Path:
    """A dataset in `demos`, as the third program expects it."""
    folder = tmp_path / "demos"
    folder.mkdir()
    write_spec(folder, ROMAN)
    for number in range(2):
        with EpisodeWriter(folder / SKILLS[0] / f"episode_{number:03d}", ROMAN, SKILLS[0]) as writer:
            for tick in make_ticks(SKILLS[0], seed=number):
                writer.add(*tick)
            writer.close(make_meta(SKILLS[0]))
    return folder


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_a_program_of_the_library_runs_as_it_stands(number: int, demos: Path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS[number]], cwd=demos.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_there_is_a_program_for_each_use():
    assert len(PROGRAMS) == 3


def test_every_key_of_a_task_is_documented():
    text = (DOCS / "your_task.md").read_text(encoding="utf-8")
    for kind in (TaskSpec, SkillSpec):
        for name in kind.__dataclass_fields__:
            assert f"`{name}`" in text, name


@pytest.mark.slow
def test_every_command_of_your_task_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^    roman-moe (.*)$", (DOCS / "your_task.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        assert entry.main(command.split()) == 0, command
