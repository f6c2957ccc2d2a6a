"""The programs of docs/library.md and the commands of docs/your_task.md, run as they stand there and at full size."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documented import Line, apply, steps_of, words_of
from episodes import make_meta, make_ticks
from specs import ROMAN, SKILLS

from roman_moe.cli import main as entry
from roman_moe.core.conditions import Condition
from roman_moe.core.spec import TaskSpec
from roman_moe.core.spec_parts import SkillSpec
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


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_the_commands_of_your_task_solve_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "your_task.md").read_text(encoding="utf-8").partition("## A task without simulation")[0]
    for step in steps_of(text):
        if isinstance(step, Line):
            assert entry.main(words_of(step.text)) == 0, step.text
        elif step.kind == "diff":
            apply(step.text, tmp_path)
    for number, report in json.loads(Path("out/block.json").read_text())["scenarios"].items():
        assert report["successes"] >= 48, number
