"""The chaos bench's promises: faults are real, and what it counts is what happened."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy")

from roman_moe.bench import chaos
from roman_moe.cli.chaos import survived
from roman_moe.core.paths import find_shipped
from roman_moe.nodes.base.diagnostics import STATUS
from roman_moe.nodes.base.node import MALFORMED
from roman_moe.testing.saboteur import FAULTS, Saboteur


@pytest.mark.slow
def test_a_killed_node_stops_the_arm_and_the_task_goes_on():
    report = chaos.measure(find_shipped("models/roman"), runs=1, faults=["kill_expert", "malformed"], damaged=5)
    killed, deceived = report["faults"]["kill_expert"], report["faults"]["malformed"]
    assert (killed["runs"], killed["task_successes"], killed["restarts"]) == (1, 1, 1)
    assert killed["needs_stop"]
    assert killed["stopped_in_time"] == 1
    assert 0.0 < killed["slowest_stop_s"] <= 0.15
    assert (deceived["task_successes"], deceived["restarts"], deceived["needs_stop"]) == (1, 0, False)
    assert report["damaged_models"]["refused"] == report["damaged_models"]["tried"] == 5


def test_a_report_is_judged_by_all_that_it_counts():
    good = {"runs": 10, "stopped_in_time": 10, "task_successes": 9, "needs_stop": True}
    damaged = {"tried": 5, "refused": 5, "crashes": 0}
    assert survived({"faults": {"x": good}, "damaged_models": damaged})
    assert survived({"faults": {"x": {**good, "stopped_in_time": 0, "needs_stop": False}}})
    assert not survived({"faults": {"x": {**good, "task_successes": 8}}})
    assert not survived({"faults": {"x": {**good, "stopped_in_time": 9}}})
    assert not survived({"faults": {"x": good}, "damaged_models": {**damaged, "refused": 4}})
    assert not survived({"faults": {"x": good}, "damaged_models": {**damaged, "crashes": 1}})


def test_rest_is_where_the_hand_stays_and_not_where_it_is_slow():
    def track(xs):
        return [(i * 50_000_000, np.array([x, 0.0, 0.0])) for i, x in enumerate(xs)]

    stopped = [0.0, 0.01, 0.02, 0.025, 0.0265, 0.025, 0.0251]  # it swings back
    assert chaos.at_rest_from(track(stopped)) == 150_000_000
    creeping = [0.001 * i for i in range(20)]  # at 2 cm/s, without end
    assert chaos.at_rest_from(track(creeping)) == 16 * 50_000_000
    returning = [0.0, 0.01, 0.01, 0.01, 0.01, 0.0]
    assert chaos.at_rest_from(track(returning)) == 250_000_000


@pytest.mark.slow
def test_a_message_fault_meets_the_nodes_own_checks(monkeypatch: pytest.MonkeyPatch):
    """And not only the arm's rest between two publishers."""
    said: dict[str, str] = {}

    class Watching(Saboteur):
        def be_silent(self) -> None:
            if not said:  # at the end of the fault
                said.update({v.key: v.value for v in self.graph.monitor.statuses["blender"].values})
            super().be_silent()

    monkeypatch.setattr(chaos, "Saboteur", Watching)
    report = chaos.measure(find_shipped("models/roman"), runs=1, faults=["malformed"], damaged=0)
    assert report["faults"]["malformed"]["failures"] == []
    assert int(said[MALFORMED]) > 0
    assert "HALT_TWO_COMMANDERS" not in said[STATUS]


def test_faults_for_which_the_saboteur_counts_come_before_those_for_which_it_does_not():
    """Nodes never count it again."""
    uncounted = [fault.uncounted for fault in FAULTS if fault.graph == "usual" and fault.name != "swap_during_swap"]
    assert uncounted == sorted(uncounted)
    assert not next(fault for fault in FAULTS if fault.name == "two_gates").uncounted
