"""What changes in a graph becomes a word, once."""

from __future__ import annotations

import re

import pytest

from roman_moe.nodes.base.diagnostics import readable
from roman_moe.nodes.bringup.change_reports import ChangeReports

WELL = {"stopped": "False", "taken_out": ""}


def test_stop_take_out_and_their_ends_are_told_once() -> None:
    changes = ChangeReports()
    assert changes.lines("blender", WELL) == []
    assert changes.lines("blender", {**WELL, "stopped": "True"}) == ["blender is stopped"]
    assert changes.lines("blender", {**WELL, "stopped": "True"}) == []
    assert changes.lines("blender", {**WELL, "taken_out": "pull,push"}) == [
        "blender is armed again",
        "pull is taken out",
        "push is taken out",
    ]
    assert changes.lines("blender", {**WELL, "taken_out": "push"}) == ["pull is put back"]


def test_a_graph_that_is_found_stopped_is_told() -> None:
    assert ChangeReports().lines("blender", {**WELL, "stopped": "True"}) == ["blender is stopped"]


def test_a_swap_is_told_and_a_first_network_is_not() -> None:
    changes = ChangeReports()
    first = {"model": "/models/roman/push.onnx", "sha256": "ab", "swaps": "0"}
    assert changes.lines("expert_push", {}) == []
    assert changes.lines("expert_push", first) == []
    assert changes.lines("expert_push", {**first, "swaps": "1"}) == ["expert_push runs roman/push.onnx"]
    assert changes.lines("expert_push", {**first, "model": "/other/push.onnx", "swaps": "2"}) == [
        "expert_push runs other/push.onnx"
    ]


def test_a_node_that_is_started_again_with_its_model_is_no_swap() -> None:
    changes = ChangeReports()
    said = {"model": "/models/roman/push.onnx", "swaps": "3"}
    changes.lines("expert_push", said)
    assert changes.lines("expert_push", {}) == []
    assert changes.lines("expert_push", {**said, "swaps": "0"}) == []


def test_a_node_that_is_deactivated_is_told() -> None:
    changes = ChangeReports()
    assert changes.lines("gate", {"autostart": "False"}) == ["gate is deactivated"]
    assert changes.lines("gate", {"autostart": "True"}) == ["gate is active again"]


def test_faults_are_told_at_powers_of_ten() -> None:
    changes, told = ChangeReports(), []
    for count in range(1, 121):
        said = {"missed_ticks": str(count), "last_fault": f"missed_ticks: number {count}", "swaps": "0"}
        told += changes.lines("blender", said)
    assert told == [
        "blender: missed ticks: number 1",
        "blender: missed ticks (10 times): number 10",
        "blender: missed ticks (100 times): number 100",
    ]


def test_faults_of_a_node_that_is_started_again_are_told_anew() -> None:
    changes, told = ChangeReports(), []
    for count in (37, 1, 2, 10):
        told += changes.lines("gate", {"missed_ticks": str(count), "last_fault": f"missed_ticks: number {count}"})
    assert told == [
        "gate: missed ticks (37 times): number 37",
        "gate: missed ticks: number 1",
        "gate: missed ticks (10 times): number 10",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at 12350000000 ns: held", "at 12.35 s: held"),
        ("no command for 0 ns in time", "no command for 0.00 s in time"),
        ("12 of 3 ns_1 and ns 5", "12 of 3 ns_1 and ns 5"),
        ("within 0.02 s", "within 0.02 s"),
    ],
)
def test_stamps_are_told_in_seconds(text: str, shown: str) -> None:
    assert readable(text) == shown


def test_a_stamp_of_the_wall_clock_is_a_time_of_day() -> None:
    assert re.fullmatch(r"at \d\d:\d\d:\d\d\.\d\d: held", readable("at 1795645622843466326 ns: held"))
