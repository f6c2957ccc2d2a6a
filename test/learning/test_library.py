"""The programs of docs/library.md and the commands of docs/your_task.md, run as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from episodes import make_meta, make_ticks
from specs import ROMAN, SKILLS

from roman_moe.cli import main as entry
from roman_moe.core.conditions import Condition
from roman_moe.core.parts import SkillSpec
from roman_moe.core.spec import TaskSpec
from roman_moe.demos.dataset import write_spec
from roman_moe.demos.writer import EpisodeWriter

DOCS = Path(__file__).parents[2] / "docs"
LIBRARY = (DOCS / "library.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", LIBRARY, re.DOTALL)
OF_A_GRAPH = 3
"""Number of the program that needs a graph beside it."""


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


@pytest.mark.parametrize("number", range(OF_A_GRAPH))
def test_a_program_of_the_library_runs_as_it_stands(number: int, demos: Path):
    assert ran(number, demos.parent)


def ran(number: int, folder: Path) -> str:
    """What a program prints."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS[number]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_graph_of_ones_own_gets_twists_for_its_scenes(own_domain: int, tmp_path: Path):
    pytest.importorskip("rclpy")
    (tmp_path / "cell.yaml").write_text(*re.findall(r"```yaml\n(.*?)```", LIBRARY, re.DOTALL))
    (command,) = re.findall(r"^    roman-moe (run .*)$", LIBRARY, re.MULTILINE)
    with subprocess.Popen(
        [sys.executable, "-m", "roman_moe", *command.split()], cwd=tmp_path, stdout=subprocess.DEVNULL
    ) as graph:
        try:
            assert "geometry_msgs.msg.Vector3" in ran(OF_A_GRAPH, tmp_path)
            assert graph.poll() is None
        finally:
            graph.kill()


def test_there_is_a_program_for_each_use():
    assert len(PROGRAMS) == OF_A_GRAPH + 1


def test_every_key_of_a_task_is_documented():
    text = (DOCS / "your_task.md").read_text(encoding="utf-8")
    for kind in (TaskSpec, SkillSpec, Condition):
        for name in kind.__dataclass_fields__:
            assert f"`{name}`" in text, name


def apply(diff: str, folder: Path) -> None:
    """Change the files of a folder as a diff without line numbers says; its hunks are parted by @@."""
    for part in re.split("^--- ", diff, flags=re.MULTILINE)[1:]:
        name, _, hunks = part.partition("\n")
        text = (folder / name).read_text() if (folder / name).exists() else ""
        for hunk in hunks.split("@@\n"):
            old, new = (
                "".join(line[1:] for line in hunk.splitlines(True) if line[0] in signs) for signs in (" -", " +")
            )
            assert old in text, old
            text = text.replace(old, new, 1)
        (folder / name).write_text(text)


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_every_command_of_your_task_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "your_task.md").read_text(encoding="utf-8").partition("## A task without simulation")[0]
    steps = re.findall(r"^    roman-moe ([^\n]*)$|^```diff\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(steps) == 13
    for command, diff in steps:
        if diff:
            apply(diff, tmp_path)
        else:
            assert entry.main(command.split()) == 0, command
    for number, report in json.loads(Path("out/block.json").read_text())["scenarios"].items():
        assert report["successes"] >= 48, number
