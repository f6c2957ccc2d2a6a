"""`roman-moe status`: what was seen becomes a report, a table and an exit code; the rest is one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from roman_moe.cli import main as entry
from roman_moe.cli.status import lead_line, picture, report_of, show, streams_line

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from roman_moe.nodes.bringup import snapshot
from roman_moe.nodes.bringup.snapshot import GraphSnapshot


def seen() -> GraphSnapshot:
    """A graph of two nodes, one of which is not well."""
    values = {"missed_ticks": "3", "guard": "11 HALT_GATE_SILENT", "last_fault": "missed_ticks: at 50 ns"}
    blender = DiagnosticStatus(
        level=DiagnosticStatus.WARN,
        name="blender",
        message="HALT_GATE_SILENT",
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
    model = {"model": "/somewhere/models/roman/push.onnx", "sha256": "0123456789abcdef" * 4, "swaps": "2"}
    expert = DiagnosticStatus(
        name="expert_push",
        message="giving actions",
        values=[KeyValue(key=key, value=value) for key, value in model.items()],
    )
    snapshot = GraphSnapshot(statuses={"blender": blender, "expert_push": expert}, leading=("push", 0.75))
    snapshot.rates = {"scene": 20.0, "/diagnostics": 9.0}
    snapshot.ages = {"scene": 0.0312, "/diagnostics": 0.1}
    return snapshot


def test_the_report_has_models_who_leads_rates_ages_and_the_last_fault() -> None:
    report = report_of(seen())
    assert report["nodes"]["expert_push"]["level"] == "ok"
    assert report["nodes"]["expert_push"]["sha256"] == "0123456789abcdef" * 4
    assert report["nodes"]["blender"]["level"] == "warning"
    assert report["nodes"]["blender"]["last_fault"] == "missed_ticks: at 50 ns"
    assert report["leading"] == {"skill": "push", "weight": 0.75}
    assert report["rates_hz"]["scene"] == 20.0
    assert report["ages_s"]["scene"] == 0.031


def test_a_node_that_is_expected_or_has_gone_quiet_is_stale() -> None:
    snapshot = seen()
    snapshot.expected = ("blender", "expert_push", "lab")
    snapshot.silences = {"blender": 0.2, "expert_push": 6.0}
    nodes = report_of(snapshot)["nodes"]
    assert nodes["lab"] == {"level": "stale", "message": "no report"}
    assert nodes["expert_push"]["level"] == "stale"
    assert nodes["expert_push"]["message"] == "no report for 6 s; the last: giving actions"
    assert nodes["blender"]["level"] == "warning"


def shown(width: int) -> str:
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(picture(report_of(seen())))
    return capture.get()


def test_the_picture_shows_them_too() -> None:
    text = shown(200)
    for part in ("roman/push.onnx", "0123456789ab", "missed_ticks 3", "last fault: missed_ticks: at 50 ns", "warning"):
        assert part in text
    assert streams_line(report_of(seen())) == "scene 20.0 Hz (31 ms ago)"
    assert lead_line(report_of(seen())) == "push leads with 0.75"
    empty = report_of(GraphSnapshot())
    assert (lead_line(empty), streams_line(empty)) == (
        "no weights",
        "no scenes, no commands",
    )


def test_at_80_columns_no_word_is_broken() -> None:
    assert set(shown(80).split()) == set(shown(200).split())
    assert max(map(len, shown(80).splitlines())) <= 80


def test_a_pipe_gets_each_node_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    report = report_of(seen())
    report["nodes"]["blender"]["message"] = "what is wrong " * 20
    show(Console(), report)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("blender") and line.endswith("what is wrong") for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_where_the_hand_is_can_be_read() -> None:
    snapshot = seen()
    snapshot.hand = np.array([0.1, -0.2, 0.3]), 0.04
    hand = report_of(snapshot)["hand"]
    assert hand == {"position_m": [0.1, -0.2, 0.3], "opening_m": 0.04}
    assert lead_line(report_of(snapshot)).endswith("hand at (0.100, -0.200, 0.300) m, opening 0.040 m")


@pytest.mark.parametrize("seconds", ["0", "nan", "-1", "1e9", "soon"])
def test_a_time_that_cannot_be_looked_for_gives_one_line_and_2(seconds: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["status", "--seconds", seconds]) == 2
    captured = capfd.readouterr()
    assert "--seconds" in captured.err
    assert captured.err.count("\n") == 1


def test_without_a_graph_it_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "FIND_TIMEOUT", 0.1)
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    assert entry.main(["status", "--seconds", "1", "--json", str(tmp_path / "none.json")]) == 2
    captured = capfd.readouterr()
    assert captured.err.startswith("roman-moe: node blender is not running in /, ")
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "none.json").exists()
