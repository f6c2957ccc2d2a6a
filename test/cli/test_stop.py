"""`roman-moe stop`: without a graph it says so, in one line."""

from __future__ import annotations

import dataclasses

import pytest

from roman_moe.cli import main as entry
from roman_moe.cli import quick_stop
from roman_moe.cli.stop import Stop

pytest.importorskip("rclpy")

from roman_moe.nodes.bringup import graph_client


@pytest.mark.parametrize("arguments", [["stop"], ["stop", "--rearm"], ["swap", "push", "--take-out"]])
def test_without_a_graph_there_is_nothing_to_command(
    arguments: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_client, "FIND_TIMEOUT", 0.1)
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


@pytest.mark.parametrize(
    ("arguments", "rearm", "ros_arguments"),
    [
        ([], False, ()),
        (["--rearm"], True, ()),
        (["--rearm", "--namespace", "left"], True, ("--ros-args", "-r", "__ns:=/left")),
        (["--ros-args", "-r", "__ns:=/left", "--", "--rearm"], True, ("--ros-args", "-r", "__ns:=/left")),
    ],
)
def test_the_quick_way_and_the_usual_one_do_the_same(
    arguments: list[str], rearm: bool, ros_arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[bool, tuple[str, ...]]] = []

    def command(rearm: bool, ros_arguments: tuple[str, ...]) -> int:
        calls.append((rearm, ros_arguments))
        return 0

    monkeypatch.setattr(quick_stop, "command", command)
    assert quick_stop.stop(arguments) == 0
    monkeypatch.setattr(quick_stop, "stop", lambda _: None)
    assert entry.main(["stop", *arguments]) == 0
    assert calls == [(rearm, ros_arguments)] * 2


@pytest.mark.parametrize("arguments", [["--help"], ["--now"], ["x"], ["--namespace"], ["--namespace", "--rearm"]])
def test_what_is_not_plain_takes_the_usual_way(arguments: list[str]) -> None:
    assert quick_stop.stop(arguments) is None


def test_every_option_of_a_stop_is_known_to_the_quick_way() -> None:
    assert {field.name for field in dataclasses.fields(Stop)} == {"rearm", "namespace", "ros_args"}
