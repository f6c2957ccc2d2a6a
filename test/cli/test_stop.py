"""`roman-moe stop`: without a graph it says so, in one line."""

from __future__ import annotations

import pytest

from roman_moe.cli import main as entry

pytest.importorskip("rclpy")

from roman_moe.nodes import operator


@pytest.mark.parametrize("arguments", [["stop"], ["stop", "--rearm"], ["swap", "push", "--take-out"]])
def test_without_a_graph_there_is_nothing_to_command(
    arguments: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "FIND_PATIENCE", 0.1)
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    assert entry.main(arguments) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("roman-moe: node blender is not running")
    assert captured.err.count("\n") == 1


def test_an_unknown_option_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["stop", "--now"]) == 2
    captured = capfd.readouterr()
    assert "--now" in captured.err
    assert captured.err.count("\n") == 1
