"""The bridge and a gripper's action server: it moves, it holds, it fails, it goes; the goals really cross DDS."""

from __future__ import annotations

import dataclasses
import importlib
import math
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from bundles import write_loose_limits
from geometry_msgs.msg import TwistStamped
from messages import decode_hand
from rclpy.action import CancelResponse
from rclpy.node import Node
from ros_rig import Rig
from servo_emulator import PointRobot
from specs import GRIPPER_CLOSED, GRIPPER_OPEN, ROMAN
from std_msgs.msg import Float64MultiArray

from roman_moe.arms.config import GripperConfig, load_arm_config
from roman_moe.core.action import Command
from roman_moe.core.errors import MissingDependencyError, RomanError
from roman_moe.core.paths import config_path
from roman_moe.nodes.arms.arm_bridge import GRIPPER_TROUBLE, ArmBridge
from roman_moe.nodes.arms.arm_gripper import ActionGripper, make_gripper
from roman_moe.nodes.base.diagnostics import LAST_FAULT
from roman_moe.nodes.base.managed_node import CALLBACK_FAULTS
from roman_moe.nodes.base.topics import CODEC, GRIPPER_COMMAND, HAND_STATE, TWIST_COMMAND, Topic
from roman_moe.wire.codec import message_stamp

SERVO = Topic("/servo_node/delta_twist_cmds", TwistStamped)
PERIOD = 0.01  # [s]
FORWARD = np.array([0.03, 0.0, 0.0])  # so slow that a robot that stands still is no fault
PATIENT = {"answer_timeout": 120.0, "timeout": 120.0}  # this machine may be busy

pytestmark = pytest.mark.usefixtures("control_msgs")


def emulators() -> Any:
    return importlib.import_module("gripper_emulator")  # needs control_msgs, as long as a test has it


class Robot(PointRobot):
    """Stands still; its fingers and its gripper go on by one period each 10 ms."""

    def __init__(self, context: Any, config: Any, fingers: Any) -> None:
        super().__init__(context, config)
        self.fingers = fingers
        self.gripper: Any = None
        self.create_timer(PERIOD, self._step)

    def _step(self) -> None:
        self.fingers.step(PERIOD)
        if self.gripper is not None:
            self.gripper.step(PERIOD)
        self.opening = self.fingers.width
        self.tell()

    def finger_states(self) -> dict[str, list[Any]]:
        """As the gripper's driver has them."""
        return super().finger_states() if self.gripper is None else self.gripper.joint_states()


class Harness:
    """A bridge between an emulated gripper and a blender played by hand."""

    def __init__(
        self,
        rig: Rig,
        bundle: Path,
        arm: str = "franka",
        make: str = "FrankaGripper",
        change: Any = None,
        **fingers: Any,
    ) -> None:
        self.rig = rig
        content = yaml.safe_load(config_path(f"arms/{arm}.yaml").read_text())
        content["pose"]["max_age"] = content["fingers"]["max_age"] = 30.0
        content["gripper"].update({**PATIENT, **(change or {})})
        self.file = bundle.parent / "arm.yaml"
        self.file.write_text(yaml.safe_dump(content))
        self.parameters = {
            "bundle": str(bundle),
            "config": str(self.file),
            "limits": str(write_loose_limits(bundle.parent)),
        }
        for topic in (SERVO, HAND_STATE):
            rig.listen(topic)
        self.fingers = emulators().PlainFingers(**fingers)
        self.robot = rig.join(lambda context: Robot(context, load_arm_config(self.file, ROMAN), self.fingers))
        if make:
            self.start_gripper(make)

    def start_gripper(self, make: str) -> None:
        kind = getattr(emulators(), make)
        self.robot.gripper = self.rig.join(lambda context: kind(context, self.fingers))

    def end_gripper(self) -> None:
        gripper, self.robot.gripper = self.robot.gripper, None
        self.rig.remove(gripper)

    def start(self) -> ArmBridge:
        self.node = self.rig.add(ArmBridge, servo_unchecked=True, **self.parameters)
        self.rig.last(HAND_STATE)
        return self.node

    def command(self, opening: float, velocity: np.ndarray = FORWARD) -> None:
        stamp = message_stamp(self.rig.last(HAND_STATE))
        self.rig.spin_until(lambda: message_stamp(self.rig.last(HAND_STATE)) > stamp)
        command = Command(message_stamp(self.rig.last(HAND_STATE)), velocity, opening)
        self.rig.send(GRIPPER_COMMAND, CODEC.gripper(command))
        self.rig.send(TWIST_COMMAND, CODEC.twist(command))

    def state(self) -> str:
        return self.rig.fact("arm_bridge", "gripper_state")

    def until_state(self, text: str) -> None:
        self.rig.spin_until(lambda: text in self.state())

    @property
    def halted(self) -> bool:
        twists = self.rig.heard[SERVO.name]
        return bool(twists) and twists[-1].twist.linear.x == 0.0

    def until_halted(self) -> None:
        self.rig.spin_until(lambda: self.halted)

    def pass_time(self, states: int = 20) -> None:
        count = len(self.rig.heard[HAND_STATE.name])
        self.rig.last(HAND_STATE, count + states)


ARMS = pytest.mark.parametrize(
    ("arm", "make", "change"),
    [
        ("franka", "FrankaGripper", {}),
        ("ur", "RobotiqController", {}),
        ("ur", "HumbleRobotiqController", {"action_type": "GripperCommand"}),
    ],
)


@ARMS
def test_a_gripper_opens_and_closes_by_its_action(rig: Rig, bundle: Path, arm: str, make: str, change: Any) -> None:
    harness = Harness(rig, bundle, arm, make, change, width=0.05, target=0.05)
    harness.start()
    harness.command(GRIPPER_CLOSED)
    harness.until_state("reached: 0.0 mm")
    assert harness.fingers.width == pytest.approx(0.0, abs=0.0025)  # the controllers' tolerance: 0.02 rad
    harness.command(GRIPPER_OPEN)
    largest = load_arm_config(harness.file, ROMAN).gripper.largest_opening
    harness.until_state(f"reached: {1e3 * largest:.1f} mm")
    rig.spin_until(lambda: math.isclose(harness.fingers.width, largest, abs_tol=2e-5))
    assert harness.robot.gripper.results == {"SUCCEEDED": 2}
    assert rig.reported("arm_bridge", GRIPPER_TROUBLE) == 0


@ARMS
def test_an_object_is_held_with_one_goal(rig: Rig, bundle: Path, arm: str, make: str, change: Any) -> None:
    """Thicker than franka_gripper's tolerance of 5 mm, whose goal is aborted; the controllers report a stall."""
    harness = Harness(rig, bundle, arm, make, change, width=0.07, target=0.07, thickness=0.02)
    harness.start()
    harness.command(GRIPPER_CLOSED)
    harness.until_state("holding")
    hand = decode_hand(rig.heard[HAND_STATE.name][-1])
    assert hand.finger_opening == pytest.approx(0.02, abs=1e-4)
    rig.spin_until(lambda: decode_hand(rig.heard[HAND_STATE.name][-1]).finger_forces.all())
    harness.pass_time()
    how = "SUCCEEDED" if make == "RobotiqController" else "ABORTED"
    assert harness.robot.gripper.results == {how: 1}
    assert rig.reported("arm_bridge", GRIPPER_TROUBLE) == 0
    assert not harness.halted


def test_opening_beyond_the_calibrated_width_is_given_up_and_halts_the_arm(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, change={"largest_opening": 0.08}, width=0.0, target=0.0)
    harness.start()
    harness.command(GRIPPER_OPEN)
    harness.until_state("failed: 80.0 mm (ABORTED, goal not reached: the fingers stand at 0.0 mm")
    harness.until_halted()
    rig.spin_until(lambda: rig.said("arm_bridge", "HALT_GRIPPER: /franka_gripper/gripper_action: ABORTED"))
    harness.pass_time()
    assert harness.robot.gripper.goals == [0.08] * 3
    assert rig.reported("arm_bridge", GRIPPER_TROUBLE) == 3
    harness.command(GRIPPER_CLOSED)  # another opening, which works, ends it
    harness.until_state("reached")
    rig.spin_until(lambda: rig.report("arm_bridge").message == "following commands" or harness.command(GRIPPER_CLOSED))


def test_rearming_tries_again(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, change={"largest_opening": 0.08}, width=0.0, target=0.0)
    harness.start()
    harness.command(GRIPPER_OPEN)
    harness.until_state("failed")
    harness.robot.gripper.max_width = 0.081  # homed
    rig.trigger("arm_bridge/rearm")
    harness.until_state("reached: 80.0 mm")


def test_without_a_server_the_bridge_does_not_activate(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, make="", change={"timeout": 0.05})
    with pytest.raises(RomanError, match="no action server /franka_gripper/gripper_action within 0.05 s: start the"):
        harness.start()
    assert not rig._probe.get_publishers_info_by_topic(SERVO.name)


def test_read_only_needs_no_gripper(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, make="", change={"timeout": 0.05})
    harness.parameters["read_only"] = True
    harness.start()


def test_without_a_subscriber_the_bridge_does_not_activate(
    rig: Rig, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = Harness(rig, bundle, make="", change={"timeout": 0.05})
    monkeypatch.setitem(sys.modules, "control_msgs.action", None)
    complaint = r"nobody subscribes to /fr3_gripper_controller/commands \(action .* needs control_msgs .* within 0.05 s"
    with pytest.raises(RomanError, match=complaint):
        harness.start()


@pytest.mark.parametrize("way", ["action", "topic"])
def test_the_arm_halts_while_its_gripper_is_gone(
    rig: Rig, bundle: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    harness = Harness(rig, bundle, make="FrankaGripper" if way == "action" else "")
    complaint = "no action server /franka_gripper/gripper_action"
    driver: list[Node] = []

    def subscribe() -> None:
        driver.append(rig.join(lambda context: Node("driver", context=context)))
        driver[-1].create_subscription(Float64MultiArray, "/fr3_gripper_controller/commands", lambda _: None, 10)

    if way == "topic":
        monkeypatch.setitem(sys.modules, "control_msgs.action", None)
        complaint = "nobody subscribes to /fr3_gripper_controller/commands"
        subscribe()
    harness.start()
    harness.command(GRIPPER_CLOSED)
    rig.spin_until(lambda: rig.heard[SERVO.name] and not harness.halted)
    if way == "action":
        harness.until_state("reached")
        harness.end_gripper()
    else:
        rig.remove(driver[-1])
    harness.until_halted()
    rig.spin_until(lambda: rig.said("arm_bridge", f"HALT_GRIPPER: {complaint}"))
    if way == "action":
        harness.fingers.width = harness.fingers.target = 0.05  # somebody has opened them meanwhile
        harness.start_gripper("FrankaGripper")
        rig.spin_until(lambda: harness.robot.gripper.results == {"SUCCEEDED": 1})  # it is commanded anew
    else:
        subscribe()
    rig.spin_until(lambda: rig.report("arm_bridge").message == "following commands" or harness.command(GRIPPER_CLOSED))


def test_a_driver_that_comes_back_is_sent_nothing_while_nobody_commands(rig: Rig, bundle: Path) -> None:
    """The blender has died, then the driver; what the fingers hold must not drop once the driver is there again."""
    harness = Harness(rig, bundle)
    node = harness.start()
    gripper, watch = node._gripper, node._watchdog
    assert gripper is not None
    harness.command(GRIPPER_CLOSED)
    harness.until_state("reached")
    watch._max_age, age = 0.0, watch._max_age  # the blender's commands are old
    harness.end_gripper()
    harness.until_state("to be sent: 0.0 mm")
    harness.start_gripper("FrankaGripper")
    rig.spin_until(lambda: not gripper.absent())
    harness.pass_time()
    assert harness.robot.gripper.goals == []
    watch._max_age = age
    watch._last_opening = None  # the twist of the blender's successor comes first
    harness.pass_time()
    assert harness.robot.gripper.goals == []
    harness.command(GRIPPER_CLOSED)
    rig.spin_until(lambda: harness.robot.gripper.goals == [0.0])


@ARMS
@pytest.mark.parametrize("when", ["moving", "sent"])
def test_a_stop_halts_fingers_on_their_way(rig: Rig, bundle: Path, arm: str, make: str, change: Any, when: str) -> None:
    harness = Harness(rig, bundle, arm, make, change, width=0.07, target=0.07)
    harness.fingers.speed = 0.005
    node = harness.start()
    harness.command(GRIPPER_CLOSED)
    harness.until_state("moving")
    if when == "sent":  # the gripper has not answered yet when the stop comes
        assert node._gripper is not None
        node._gripper.command(0.01)
        node._gripper.step(None, time.monotonic())
    assert rig.trigger("arm_bridge/stop").success
    gripper = harness.robot.gripper
    rig.spin_until(lambda: gripper.results["CANCELED"] + gripper.results["ABORTED"] >= (2 if when == "sent" else 1))
    assert gripper.results["CANCELED"] >= 1
    harness.until_state("stopped on the way to")
    sent, width = len(gripper.goals), harness.fingers.width
    assert width > 0.02
    harness.command(GRIPPER_CLOSED)
    harness.pass_time()
    assert harness.fingers.width == pytest.approx(width, abs=1e-3)
    assert not decode_hand(rig.heard[HAND_STATE.name][-1]).finger_forces.any()  # halted, it holds nothing
    rig.trigger("arm_bridge/rearm")
    harness.pass_time()
    harness.fingers.speed = 0.1
    harness.command(GRIPPER_CLOSED)  # the same as before the stop
    harness.until_state("reached: 0.0 mm")
    assert len(gripper.goals) == sent + 1
    assert rig.reported("arm_bridge", GRIPPER_TROUBLE) == 0


@ARMS
def test_a_stop_keeps_what_is_held(rig: Rig, bundle: Path, arm: str, make: str, change: Any) -> None:
    harness = Harness(rig, bundle, arm, make, change, width=0.07, target=0.07, thickness=0.02)
    harness.start()
    harness.command(GRIPPER_CLOSED)
    harness.until_state("holding")
    rig.trigger("arm_bridge/stop")
    harness.until_halted()
    harness.pass_time()
    rig.trigger("arm_bridge/rearm")
    harness.command(GRIPPER_CLOSED)
    harness.pass_time()
    assert harness.fingers.target == pytest.approx(0.0, abs=1e-4)  # it still grips
    assert sum(harness.robot.gripper.results.values()) == len(harness.robot.gripper.goals) == 1
    assert "holding" in harness.state()


def test_a_gripper_that_refuses_to_cancel_is_reported(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, width=0.07, target=0.07)
    harness.robot.gripper.server.register_cancel_callback(lambda _: CancelResponse.REJECT)
    harness.fingers.speed = 0.005
    harness.start()
    harness.command(GRIPPER_CLOSED)
    harness.until_state("moving")
    rig.trigger("arm_bridge/stop")
    rig.spin_until(lambda: rig.reported("arm_bridge", GRIPPER_TROUBLE) == 1)
    assert "refuses to cancel" in rig.fact("arm_bridge", LAST_FAULT)


def test_a_controller_that_takes_goals_and_does_not_move_halts_the_arm(rig: Rig, bundle: Path) -> None:
    """One that was deactivated keeps its action server."""
    harness = Harness(rig, bundle, "ur", "RobotiqController", width=0.05, target=0.05)
    harness.robot.gripper.active = False
    gripper = harness.start()._gripper
    assert isinstance(gripper, ActionGripper)
    gripper._config = dataclasses.replace(gripper._config, timeout=0.3)
    harness.command(GRIPPER_CLOSED)
    harness.until_halted()
    harness.until_state("failed: 0.0 mm (no result for 0.3 s)")
    assert harness.robot.gripper.goals == pytest.approx([0.7929] * 3)


def test_a_goal_that_somebody_cancels_is_sent_again(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, "ur", "RobotiqController", width=0.08, target=0.08)
    harness.start()
    harness.fingers.speed = 0.0
    gripper = harness.robot.gripper
    gripper.STALL_TIMEOUT = math.inf
    harness.command(GRIPPER_CLOSED)
    harness.until_state("moving")
    gripper.end("CANCELED")
    rig.spin_until(lambda: rig.reported("arm_bridge", GRIPPER_TROUBLE) == 1)
    harness.fingers.speed = 0.1
    harness.until_state("reached: 0.0 mm")
    assert gripper.results == {"CANCELED": 1, "SUCCEEDED": 1}


def test_a_goal_that_is_replaced_is_history(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, "ur", "RobotiqController", width=0.08, target=0.08)
    harness.start()
    harness.command(GRIPPER_CLOSED)
    rig.spin_until(lambda: len(harness.robot.gripper.goals) == 1)
    harness.command(GRIPPER_OPEN)
    harness.until_state("reached: 80.0 mm")
    assert harness.robot.gripper.goals == pytest.approx([0.7929, 0.7929 * (1.0 - 0.08 / 0.085)], abs=1e-5)
    assert rig.reported("arm_bridge", GRIPPER_TROUBLE) == 0


@pytest.mark.parametrize("spoil", ["reject", "raise"])
def test_whatever_comes_of_a_goal_ends_no_executor(
    rig: Rig, bundle: Path, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = Harness(rig, bundle, "ur", "RobotiqController", width=0.05, target=0.05)
    node = harness.start()
    assert isinstance(node._gripper, ActionGripper)
    if spoil == "reject":
        monkeypatch.setattr(node._gripper, "_goal", lambda opening: node._gripper._kind.Goal())  # no position
        complaint = "goal rejected"
    else:
        monkeypatch.setattr(node._gripper, "_on_answer", _raise)
        complaint = "RuntimeError: broken"
    harness.command(GRIPPER_CLOSED)
    harness.until_state(f"failed: 0.0 mm ({complaint})")
    harness.pass_time()
    assert rig.reported("arm_bridge", CALLBACK_FAULTS) == 0


def _raise(*_: Any) -> None:
    raise RuntimeError("broken")


def test_goals_carry_position_and_effort_of_their_type(rig: Rig) -> None:
    cases: list[tuple[GripperConfig, Callable[[Any], Any], Any]] = [
        (
            GripperConfig(joints=("a", "b"), action="/g", action_type="GripperCommand", scale=0.5, max_effort=7.0),
            lambda command: (command.position, command.max_effort),
            (0.03, 7.0),
        ),
        (
            GripperConfig(joints=("a",), action="/g", scale=10.0, offset=0.1),
            lambda command: (command.name, command.position.tolist(), command.effort.tolist()),
            (["a"], [0.7], [20.0]),
        ),
    ]
    for config, numbers, expected in cases:
        gripper = make_gripper(rig._probe, config, pytest.fail)
        assert isinstance(gripper, ActionGripper)
        assert numbers(gripper._goal(0.06).command) == expected
        assert gripper.absent() == "no action server /g"
        gripper.close()


def test_an_action_is_taken_where_control_msgs_is_and_a_topic_elsewhere(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = GripperConfig(joints=("a",), action="/g", topic="/t")
    assert make_gripper(rig._probe, both, pytest.fail).how == "action /g (ParallelGripperCommand)"
    monkeypatch.setitem(sys.modules, "control_msgs.action", types.ModuleType("old"))  # before ParallelGripperCommand
    assert make_gripper(rig._probe, both, pytest.fail).how == "topic /t (Float64MultiArray)"
    monkeypatch.setitem(sys.modules, "control_msgs.action", None)
    assert make_gripper(rig._probe, both, pytest.fail).how == "topic /t (Float64MultiArray)"
    with pytest.raises(MissingDependencyError, match="gripper action /g needs control_msgs"):
        make_gripper(rig._probe, GripperConfig(joints=("a",), action="/g"), pytest.fail)
