"""The monitor tells each tick once, with the weights that the blender used for it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from ros_rig import Rig
from specs import GRIPPER_OPEN, SKILLS

from roman_moe.control.guard import GuardStatus
from roman_moe.core.action import Command
from roman_moe.nodes.arms.lab_node import LabNode
from roman_moe.nodes.base.diagnostics import HARDWARE, PROCESS, STATUS, STOPPED, local_name
from roman_moe.nodes.base.topics import CODEC, DIAGNOSTICS, ENDED, GRIPPER_COMMAND, OUTCOME, TICK, TWIST_COMMAND
from roman_moe.nodes.bringup.monitor import Monitor

TICK_NS = 50_000_000
ONE = np.eye(len(SKILLS))


@pytest.fixture
def monitor(rig: Rig) -> Monitor:
    return rig.join(Monitor)


def tick_message(tick: int, weights: np.ndarray, guard: GuardStatus = GuardStatus.NO_WARNING) -> Any:
    return CODEC.tick(tick * TICK_NS, SKILLS, np.array([*weights, *np.zeros(6), GRIPPER_OPEN, guard, 0.0]))


def tick(rig: Rig, number: int, leading: int) -> None:
    rig.send(TICK, tick_message(number, ONE[leading]))


def told(rig: Rig, monitor: Monitor, count: int) -> list[tuple[int, str]]:
    ticks = []

    def enough() -> bool:
        ticks.extend(monitor.take_ticks())
        return len(ticks) >= count

    rig.spin_until(enough)
    return [(tick.stamp_ns // TICK_NS, tick.leading) for tick in ticks]


def test_each_tick_is_told_once_with_the_weights_that_it_used(rig: Rig, monitor: Monitor) -> None:
    for number, leading in ((0, 3), (1, 3), (1, 3), (2, 5)):  # sent twice, while the arm is brought to rest
        tick(rig, number, leading)
    assert told(rig, monitor, 3) == [(0, SKILLS[3]), (1, SKILLS[3]), (2, SKILLS[5])]


def test_of_an_arm_that_is_halted_who_led_last_is_shown(rig: Rig, monitor: Monitor) -> None:
    tick(rig, 0, 1)
    rig.send(TICK, *(tick_message(number, 0.0 * ONE[0], GuardStatus.HALT_GATE_SILENT) for number in (1, 2)))
    assert told(rig, monitor, 3) == [(0, SKILLS[1]), (1, SKILLS[1]), (2, SKILLS[1])]


def test_who_comes_in_the_middle_counts_from_the_first_tick_that_it_saw(rig: Rig, monitor: Monitor) -> None:
    for number in (7, 8):
        tick(rig, number, 2)
    assert told(rig, monitor, 2) == [(0, SKILLS[2]), (1, SKILLS[2])]


def test_no_tick_is_lost_when_this_process_stood_still(rig: Rig, monitor: Monitor) -> None:
    count = 300
    for number in range(count):
        tick(rig, number, number % 7)
    assert told(rig, monitor, count) == [(number, SKILLS[number % 7]) for number in range(count)]


def test_a_clock_that_is_set_back_makes_no_tick_before_the_beginning(rig: Rig, monitor: Monitor) -> None:
    for number in (10, 14, 3, 4):
        tick(rig, number, 6)
    assert [number for number, _ in told(rig, monitor, 4)] == [0, 4, 0, 1]


def test_what_is_no_tick_is_passed_over(rig: Rig, monitor: Monitor) -> None:
    wrong = tick_message(0, ONE[0])
    wrong.name[-1] = "guards"
    rig.send(TICK, wrong)
    tick(rig, 1, 4)
    assert told(rig, monitor, 1) == [(0, SKILLS[4])]


def test_who_hears_nothing_is_known_from_then_until_it_hears(rig: Rig, monitor: Monitor) -> None:
    began = time.monotonic()
    rig.add(LabNode, task="roman", start="push", lockstep=True)
    rig.spin_until(lambda: "lab" in monitor.missing)
    assert began < monitor.missing["lab"] < time.monotonic()
    command = Command(0, np.zeros(3), GRIPPER_OPEN)
    rig.send(TWIST_COMMAND, CODEC.twist(command))
    rig.send(GRIPPER_COMMAND, CODEC.gripper(command))
    rig.spin_until(lambda: "lab" not in monitor.missing)


@pytest.mark.parametrize(
    ("status", "silence"),
    [
        (GuardStatus.HALT_EXPERTS_SILENT, True),
        (GuardStatus.HALT_OBSERVER_SILENT, True),
        (GuardStatus.HALT_TWO_COMMANDERS, False),
        (GuardStatus.STOPPED, False),
    ],
)
def test_a_guard_that_halts_for_want_of_an_answer_misses_something(
    rig: Rig, monitor: Monitor, status: GuardStatus, silence: bool
) -> None:
    facts = [KeyValue(key=STATUS, value=f"{status.value} {status.name}")]
    report = DiagnosticStatus(name="blender", message="held_ticks: 3", hardware_id="roman_moe", values=facts)
    rig.send(DIAGNOSTICS, DiagnosticArray(status=[report]))
    rig.spin_until(lambda: "blender" in monitor.statuses)
    assert ("blender" in monitor.missing) == silence


@pytest.mark.parametrize(
    ("name", "namespace", "local"),
    [
        ("blender", "/", "blender"),
        ("left/blender", "/left", "blender"),
        ("left/blender", "/", None),
        ("blender", "/left", None),
        ("a/left/blender", "/left", None),
        ("leftover/blender", "/left", None),
    ],
)
def test_reports_of_another_namespace_are_not_ours(name: str, namespace: str, local: str | None) -> None:
    assert local_name(DiagnosticStatus(name=name, hardware_id=HARDWARE), namespace) == local
    assert local_name(DiagnosticStatus(name=name, hardware_id="other"), namespace) is None


def report(rig: Rig, node: str, process: str = "") -> None:
    values = [KeyValue(key=STOPPED, value="True")] + ([KeyValue(key=PROCESS, value=process)] if process else [])
    rig.send(DIAGNOSTICS, DiagnosticArray(status=[DiagnosticStatus(name=node, hardware_id=HARDWARE, values=values)]))


def test_a_process_is_told_as_ended_once_and_its_successor_keeps_the_stop(rig: Rig, monitor: Monitor) -> None:
    """The successor that ends before its first report is not taken for its predecessor."""
    rig.listen(ENDED)
    report(rig, "gate", "aa")
    rig.spin_until(lambda: monitor._processes == {"gate": "aa"})
    monitor.tell_ended("gate")
    before = monitor.last_reports["gate"]
    report(rig, "gate", "aa")  # of the killed one, still on its way
    rig.spin_until(lambda: monitor.last_reports["gate"] > before)
    monitor.tell_ended("gate")
    assert monitor.restart_parameters("gate") == {"stopped": True}
    report(rig, "gate", "bb")
    rig.spin_until(lambda: monitor._processes == {"gate": "bb"})
    monitor.tell_ended("gate")
    rig.spin_until(lambda: [m.data for m in rig.heard[ENDED.name]] == ["aa", "bb"])


def test_a_nodes_first_report_names_its_process(rig: Rig) -> None:
    node = rig.add(LabNode, autostart=False)
    rig.spin_until(lambda: rig.report("lab") is not None)
    first = next(s for m in rig.heard[DIAGNOSTICS.name] for s in m.status if s.name == "lab")
    assert {v.key: v.value for v in first.values}[PROCESS] == node.process.hex()


def test_an_episodes_time_begins_with_the_labs_word_and_at_no_gap(rig: Rig, monitor: Monitor) -> None:
    """A blender that is back after a restart is still in the same episode."""
    first = 1_795_000_000 * 20  # [ticks] of the wall clock

    def begin(tick: int) -> None:
        said = {"seed": "0", "time_ns": "0", "first_ns": str(tick * TICK_NS)}
        values = [KeyValue(key=key, value=value) for key, value in said.items()]
        count = len(monitor.episodes)
        rig.send(OUTCOME, DiagnosticStatus(name="push", message="running", values=values))
        rig.spin_until(lambda: len(monitor.episodes) > count)

    begin(first)
    tick(rig, first, 1)
    tick(rig, first + 800, 1)  # 40 s later
    assert told(rig, monitor, 2) == [(0, SKILLS[1]), (800, SKILLS[1])]
    begin(first + 900)
    tick(rig, first + 802, 2)  # still of the last episode
    tick(rig, first + 900, 3)
    assert told(rig, monitor, 2) == [(802, SKILLS[2]), (0, SKILLS[3])]


def test_lockstep_time_begins_with_the_labs_word_although_the_first_tick_was_not_received(
    rig: Rig, monitor: Monitor
) -> None:
    tick(rig, 2, 1)  # overtakes the lab's word
    rig.spin_until(lambda: monitor.tick is not None)
    said = {"seed": "0", "time_ns": "0", "first_ns": "0", "real_time": "False"}
    values = [KeyValue(key=key, value=value) for key, value in said.items()]
    rig.send(OUTCOME, DiagnosticStatus(name="push", message="running", values=values))
    rig.spin_until(lambda: bool(monitor.episodes))
    tick(rig, 3, 2)
    assert told(rig, monitor, 2) == [(2, SKILLS[1]), (3, SKILLS[2])]
