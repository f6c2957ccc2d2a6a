"""`roman-moe status`: what was seen becomes a report, a table and an exit code; the rest is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from roman_moe.cli import main as entry
from roman_moe.cli.status import nodes_table, report_of, streams_line

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from roman_moe.nodes import operator
from roman_moe.nodes.operator import Sight


def seen() -> Sight:
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
    sight = Sight(statuses={"blender": blender, "expert_push": expert}, leading=("push", 0.75))
    sight.rates = {"scene": 20.0, "/diagnostics": 9.0}
    sight.ages = {"scene": 0.0312, "/diagnostics": 0.1}
    return sight


def test_the_report_has_models_who_leads_rates_ages_and_the_last_fault() -> None:
    report = report_of(seen())
    assert report["nodes"]["expert_push"]["level"] == "ok"
    assert report["nodes"]["expert_push"]["sha256"] == "0123456789abcdef" * 4
    assert report["nodes"]["blender"]["level"] == "warning"
    assert report["nodes"]["blender"]["last_fault"] == "missed_ticks: at 50 ns"
    assert report["leading"] == {"skill": "push", "weight": 0.75}
    assert report["rates_hz"]["scene"] == 20.0
    assert report["ages_s"]["scene"] == 0.031


def test_the_table_shows_them_too() -> None:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(nodes_table(report_of(seen())))
    shown = capture.get()
    for text in ("roman/push.onnx", "0123456789ab", "missed_ticks 3", "last: missed_ticks: at 50 ns", "warning"):
        assert text in shown
    line = streams_line(report_of(seen()))
    assert line == "push leads with 0.75; scene 20.0 Hz (31 ms ago)"
    assert streams_line(report_of(Sight())) == "no weights; no scenes, no commands"


@pytest.mark.parametrize("seconds", ["0", "nan", "-1", "1e9", "soon"])
def test_a_time_that_cannot_be_looked_for_gives_one_line_and_2(seconds: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["status", "--seconds", seconds]) == 2
    captured = capfd.readouterr()
    assert "--seconds" in captured.err
    assert captured.err.count("\n") == 1


def test_without_a_graph_it_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "FIND_PATIENCE", 0.1)
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    assert entry.main(["status", "--seconds", "1", "--json", str(tmp_path / "none.json")]) == 2
    captured = capfd.readouterr()
    assert captured.err.startswith("roman-moe: node blender is not running in /, ")
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "none.json").exists()
