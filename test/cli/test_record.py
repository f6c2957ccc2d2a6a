"""`roman-moe record`: what it cannot record is one line. test/learning/test_taught.py records."""

from __future__ import annotations

from pathlib import Path

import pytest
from specs import TURN_KEY

from roman_moe.cli import main as entry

pytest.importorskip("rclpy")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"--arm": "lab"}, "--arm lab: there is only mock"),
        ({"--task": "nowhere"}, "unknown task 'nowhere'"),
        ({"--skill": "trun"}, "--skill: unknown skill 'trun': did you mean 'turn'?"),
        ({"--episodes": "0"}, "--episodes 0: expected 1 or more"),
        ({"--arm": "servo"}, "--arm servo and --config, a robot's description, belong together"),
        ({"--config": "config/arms/franka.yaml"}, "--arm servo and --config, a robot's description, belong together"),
        ({"--limits": "none.yaml"}, "none.yaml: no such file"),
        ({"--topics": "none.yaml"}, "none.yaml: no such file"),
    ],
)
def test_what_cannot_be_recorded_is_named(
    changes: dict[str, str],
    complaint: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").mkdir()
    (tmp_path / "key" / "task.yaml").write_text(TURN_KEY)
    options = {"--task": "key", "--skill": "turn", "--arm": "mock", **changes}
    assert entry.main(["record", *(word for option in options.items() for word in option)]) == 2
    error = capfd.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not (tmp_path / "demos").exists()


@pytest.mark.parametrize("option", ["--task", "--skill", "--arm"])
def test_what_there_is_no_default_for_has_to_be_given(option: str, capfd: pytest.CaptureFixture[str]) -> None:
    options = {"--task": "roman", "--skill": "gate", "--arm": "mock"}
    del options[option]
    assert entry.main(["record", *(word for given in options.items() for word in given)]) == 2
    assert option in capfd.readouterr().err
