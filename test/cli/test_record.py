"""`roman-moe record`: what it cannot record is one line; at a terminal an operator corrects a policy.

test/learning/test_taught.py records what a node of one's own shows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bundles import write_tiny_bundle
from specs import ROMAN, SKILLS, TURN_KEY

from roman_moe.cli import main as entry
from roman_moe.demos.reader import episode_folders, read_episode
from roman_moe.testing.terminal import Terminal

pytest.importorskip("rclpy")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"--arm": "lap"}, "--arm lap: expected one of lab"),
        ({"--device": "mouse"}, "--device mouse: expected one of keyboard"),
        ({"--device": "none", "--device-file": "js0"}, "--device-file: this --device reads no file"),
        ({"--device": "gamepad", "--device-file": "js7"}, "js7: cannot be read: No such file or directory"),
        ({}, "--device keyboard: standard input is no terminal"),
        ({"--start": "turn"}, "--start is for --arm lab: with --arm mock there is no lab"),
        ({"--least-rate": "2"}, "--least-rate 2.0: expected 0 to 1"),
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


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "--skill: unknown skill ''"),
        (
            ["--skill", "push", "--arm", "mock", "--images"],
            "--images: expected --arm lab or servo, and a task with cameras",
        ),
        (["--intervene", "nowhere"], "nowhere"),
        (["--skill", "push", "--start", "nowhere"], "nowhere"),
    ],
)
def test_what_does_not_go_together_is_named(
    options: list[str], complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert entry.main(["record", *options]) == 2
    assert complaint in capfd.readouterr().err


@pytest.mark.usefixtures("own_domain")
def test_at_a_terminal_an_operator_corrects_a_policy(tmp_path: Path) -> None:
    bundle, demos = write_tiny_bundle(tmp_path / "tiny"), tmp_path / "demos"
    options = [
        "--bundle",
        str(bundle),
        "--arm",
        "mock",
        "--out",
        str(demos),
        "--episodes",
        "1",
        "--least-rate",
        "0",
    ]
    with Terminal("record", "--intervene", str(bundle), *options, "--operator", "Kim", "--notes", "slips") as operator:
        operator.shows("the policy drives, speed 50 %; ready to record")
        operator.type("n")
        operator.shows(f"recording {demos}")
        operator.type("r")
        operator.shows("demo_recorder/discard: discarded")
        operator.type("n")
        operator.shows(f"recording {demos}")
        operator.type("t")
        operator.shows(f"recording {demos}/")
        operator.type("h")
        operator.shows("the policy drives")
        operator.type("n")
        assert operator.ends() == 0
    (folder,) = episode_folders(demos)
    episode = read_episode(folder, ROMAN)
    assert (episode.meta.source, episode.meta.operator, episode.meta.notes) == ("keyboard", "Kim", "slips")
    assert folder.parent.name == episode.meta.network
    assert episode.meta.network in SKILLS
    assert episode.taught.any()
    assert not episode.answers[episode.taught, :3].any(), "an operator who holds no key rests"
    assert episode.policy is not None
    assert episode.policy[episode.taught, :3].any()
    assert episode.policy.shape == episode.answers.shape
    policys = ~episode.taught
    np.testing.assert_array_equal(episode.answers[policys], episode.policy[policys], "it drove the rest")
