"""The commands of docs/demonstrations.md, run in order as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from roman_moe.cli import main as entry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]

ROOT = Path(__file__).parents[2]
FOREIGN, VIDEOS = "open_set", ("replay.mp4", "scenes.mp4")
"""A dataset of somebody else, which test/demos/convert makes; and videos, which take minutes to draw."""


def commands(page: str) -> list[list[str]]:
    """Arguments of the command lines of a page, less their comments."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [shlex.split(line, comments=True) for line in re.findall(r"^    roman-moe (.*)$", text, re.MULTILINE)]


def test_every_command_on_demonstrations_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert entry.main(["collect", "--skills", "push", "--episodes", "8", "--gate-episodes", "1"]) == 0
    ran = [command for command in commands("demonstrations.md") if not {FOREIGN, *VIDEOS} & set(command)]
    assert len(ran) == 10
    for command in ran:
        assert entry.main(command) == 0, command
    assert Path("push.png").stat().st_size > 10_000
    episodes = {folder: len(list(Path(folder, "push").glob("episode_*"))) for folder in ("better", "parts")}
    assert episodes == {"better": 6, "parts": 9}
    back = {folder: len(list(Path("back", folder, "push").glob("episode_*"))) for folder in ("lerobot", "robomimic")}
    assert back == {"lerobot": 8, "robomimic": 8}
