"""An operator drives through the blender: takes over, hands back, stops; whatever fails leaves the arm at rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blender_bench import ACTIVE, TICK_NS, Harness
from rclpy.node import Node
from ros_rig import Rig
from sensor_msgs.msg import Joy
from specs import ACTION_LAYOUT, GRIPPER_CLOSED, GRIPPER_OPEN, SKILLS
from std_srvs.srv import Trigger

from roman_moe.nodes.base.node import NOT_FINITE
from roman_moe.nodes.base.topics import CODEC, JOY, OPERATOR_ACTION, OPERATOR_WEIGHTS, TICK
from roman_moe.nodes.control.blender import MISSED_TICKS
from roman_moe.nodes.teleop.teleop import Teleop
from roman_moe.teleop.device import OperatorEvent, OperatorInput
from roman_moe.wire.codec import decode_tick, decode_weights

FORWARD = np.array([1.0, 0, 0, 0, 0, 0])


class Hands:
    """A device that a test moves."""

    help = fault = ""

    def __init__(self) -> None:
        self.axes, self.held = np.zeros(6), True
        self.events: list[OperatorEvent] = []
        self.keys: list[int] = []

    def read(self, now: float) -> OperatorInput:
        events, self.events = self.events, []
        keys, self.keys = self.keys, []
        return OperatorInput(self.axes if self.held else np.zeros(6), self.held, tuple(events), tuple(keys))

    def close(self) -> None:
        pass


class Driven(Harness):
    """A blender in lockstep, its gate and experts played by hand, and an operator with a device."""

    def __init__(self, rig: Rig, bundle: Path, gate: bool = False, **parameters: Any) -> None:
        super().__init__(rig, bundle, **{"lockstep": True, **parameters})
        rig.listen(TICK)
        self.hands, self.others = Hands(), []
        given = {"bundle": str(bundle), "gate": gate}
        self.teleop = rig.join(
            lambda context: Teleop(device=self.hands, on_event=self.others.append, context=context, parameters=given)
        )
        self.teleop.start()

    def event(self, *events: OperatorEvent) -> None:
        """Do something, and wait until the node has seen it."""
        self.hands.events += events
        self.rig.spin_until(lambda: not self.hands.events)

    def driven_tick(self, tick: int) -> Any:
        """A scene that the operator alone answers."""
        before = self.commands
        self.scene(tick)
        return self.command(before + 1)


@pytest.fixture
def driven(rig: Rig, bundle: Path) -> Driven:
    return Driven(rig, bundle)


def test_the_operator_takes_over_and_hands_back_without_a_missed_tick(driven: Driven) -> None:
    policy = driven.whole_tick(0)
    driven.event(OperatorEvent.TAKE_OVER, OperatorEvent.FASTER, OperatorEvent.FASTER)
    driven.hands.axes = FORWARD
    command = driven.driven_tick(1)
    assert command.stamp_ns == TICK_NS
    assert command.linear_velocity[0] > 0.0
    assert not command.linear_velocity[1:].any()
    assert not decode_tick(driven.rig.last(TICK, 2)).weights.any(), "no expert had a part in it"
    assert driven.rig.fact("blender", "driver") == "operator"
    driven.event(OperatorEvent.HAND_BACK)
    changed = driven.whole_tick(2)
    np.testing.assert_allclose(changed.linear_velocity, command.linear_velocity, atol=1e-9)
    later = [driven.whole_tick(tick) for tick in range(3, 14)][-1]
    np.testing.assert_allclose(later.linear_velocity, policy.linear_velocity, atol=1e-9)
    assert driven.rig.fact("blender", "driver") == "policy"
    assert driven.counts[MISSED_TICKS] == 0


def test_the_arm_rests_while_the_dead_man_is_loose(driven: Driven) -> None:
    driven.event(OperatorEvent.TAKE_OVER)
    driven.hands.axes = FORWARD
    assert driven.driven_tick(0).moves
    driven.hands.held = False
    assert not [driven.driven_tick(tick) for tick in range(1, 30)][-1].moves


def test_whoever_takes_over_drops_nothing_and_toggles_the_gripper(driven: Driven) -> None:
    closing = np.array([0.0, 0.0, 0.0, -1.0])
    driven.scene(0)
    driven.weights(0)
    for expert in ACTIVE:
        driven.action(0, expert, closing)
    assert driven.command(1).gripper_opening == GRIPPER_CLOSED
    driven.rig.last(TICK, 1)
    driven.rig.spin_until(lambda: driven.teleop._opening == GRIPPER_CLOSED)
    driven.event(OperatorEvent.TAKE_OVER)
    assert driven.driven_tick(1).gripper_opening == GRIPPER_CLOSED
    driven.event(OperatorEvent.GRIPPER)
    assert driven.driven_tick(2).gripper_opening == GRIPPER_OPEN


def test_a_stop_goes_to_the_blender_at_once_and_holds_until_it_is_re_armed(driven: Driven) -> None:
    driven.event(OperatorEvent.TAKE_OVER)
    driven.hands.axes = FORWARD
    assert driven.driven_tick(0).moves
    driven.event(OperatorEvent.STOP)
    driven.rig.spin_until(lambda: driven.rig.fact("blender", "stopped") == "True")
    assert not [driven.driven_tick(tick) for tick in range(1, 30)][-1].moves
    driven.event(OperatorEvent.REARM)
    driven.rig.spin_until(lambda: driven.rig.fact("blender", "stopped") == "False")
    assert driven.driven_tick(30).moves


def test_a_stop_reaches_all_that_command_the_arm_however_late_they_are_found(rig: Rig, bundle: Path) -> None:
    hands, given = Hands(), {"bundle": str(bundle)}
    rig.join(lambda context: Teleop(device=hands, context=context, parameters=given)).start()
    hands.events = [OperatorEvent.STOP]
    rig.spin_until(lambda: not hands.events)
    asked: list[str] = []

    def answer(node: str, response: Trigger.Response) -> Trigger.Response:
        asked.append(node)
        return response

    for name in ("arm_bridge", "blender"):
        node = rig.join(lambda context, name=name: Node(name, context=context))
        node.create_service(Trigger, "~/stop", lambda _, response, name=name: answer(name, response))
    rig.spin_until(lambda: set(asked) == {"arm_bridge", "blender"})


def test_acts_of_a_recording_go_to_whoever_records(driven: Driven) -> None:
    driven.event(OperatorEvent.NEXT, OperatorEvent.STOP, OperatorEvent.AGAIN, OperatorEvent.TAKE_OVER)
    assert driven.others == [OperatorEvent.NEXT, OperatorEvent.AGAIN, OperatorEvent.TAKE_OVER]


def test_an_operator_gives_weights_in_the_gates_place(rig: Rig, bundle: Path) -> None:
    driven = Driven(rig, bundle, gate=True)
    rig.listen(OPERATOR_WEIGHTS)
    driven.hands.keys = [2]
    driven.event(OperatorEvent.TAKE_OVER)
    driven.scene(0)
    driven.action(0, 2)
    driven.command(1)
    assert decode_tick(rig.last(TICK, 1)).weights.tolist() == [0, 0, 1, 0, 0, 0, 0]
    assert decode_weights(rig.last(OPERATOR_WEIGHTS, 1), SKILLS).tolist() == [0, 0, 1, 0, 0, 0, 0]
    driven.event(OperatorEvent.HAND_BACK)
    driven.whole_tick(1)
    assert decode_tick(rig.last(TICK, 2)).weights[0] == pytest.approx(0.6)


def test_an_operator_who_falls_silent_leaves_the_arm_at_rest(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, lockstep=False, deadline=0.5)
    rig.send(OPERATOR_ACTION, CODEC.action(0, ACTION_LAYOUT, np.array([1.0, 0.0, 0.0, 1.0])))
    harness.scene(0)
    assert harness.command(1).moves
    for tick in range(1, 6):
        harness.scene(tick)
        command = harness.command(tick + 1)
    assert not command.moves
    assert harness.counts[MISSED_TICKS] == 5
    rig.spin_until(lambda: rig.said("blender", "no answer from operator"))
    rig.send(OPERATOR_ACTION, CODEC.action(5 * TICK_NS + 1, ACTION_LAYOUT, np.full(4, np.nan)))  # its successor's
    harness.scene(6)
    harness.command(7)
    assert rig.fact("blender", "driver") == "policy"


def test_a_teleop_that_is_deactivated_hands_back(driven: Driven) -> None:
    driven.event(OperatorEvent.TAKE_OVER)
    driven.driven_tick(0)
    assert driven.rig.change_state("teleop", "deactivate")
    before = driven.commands
    driven.whole_tick(1)
    assert driven.commands == before + 1
    assert driven.rig.fact("blender", "driver") == "policy"


def test_a_device_that_is_lost_is_told_and_moves_nothing(driven: Driven) -> None:
    driven.event(OperatorEvent.TAKE_OVER)
    driven.hands.axes, driven.hands.held = FORWARD, False
    driven.hands.fault = "/dev/input/js0: it was unplugged: plug it in again"
    assert not driven.driven_tick(0).moves
    driven.rig.spin_until(lambda: driven.rig.said("teleop", "it was unplugged"))


def test_a_joystick_of_another_node_drives(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, lockstep=True)
    rig.add(Teleop, bundle=str(bundle), device="joy", drives=True)
    pressed = Joy(axes=[0.0, 1.0], buttons=[0, 0, 0, 0, 1])
    tick, moves = 0, False
    while not moves:  # what it said half a second ago no longer counts, and this machine may be busy
        assert tick < 1000
        rig.send(JOY, pressed)
        harness.scene(tick)
        moves = harness.command(tick := tick + 1).linear_velocity[0] > 0.0


@pytest.mark.parametrize("answer", [[2.0, 0.0, 0.0, 1.0], [float("nan"), 0.0, 0.0, 1.0], [float("inf")] * 4])
def test_an_operators_answer_out_of_range_moves_nothing(rig: Rig, bundle: Path, answer: list[float]) -> None:
    harness = Harness(rig, bundle, lockstep=True)
    rig.send(OPERATOR_ACTION, CODEC.action(0, ACTION_LAYOUT, np.array(answer)))
    rig.spin_until(lambda: harness.counts[NOT_FINITE] == 1)
    harness.whole_tick(0)
    assert rig.fact("blender", "driver") == "policy"
