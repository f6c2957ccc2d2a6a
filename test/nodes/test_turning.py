"""Orientation on a robot behind MoveIt Servo: commanded turns turn the hand, drifts do not, and halts end both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from messages import decode_hand
from ros_rig import Rig
from servo_bench import Bench
from servo_emulator import HUMBLE, JAZZY
from small_task import write_small_task
from specs import GRIPPER_OPEN

from roman_moe.core.action import Command
from roman_moe.core.errors import RomanError
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import HandState
from roman_moe.core.tasks import load_spec
from roman_moe.nodes.base.node import MALFORMED
from roman_moe.nodes.base.topics import CODEC, HAND_STATE, TWIST_COMMAND, Topic
from roman_moe.wire.codec import message_stamp

TWISTS = Topic("/servo_node/delta_twist_cmds", TwistStamped)
LITTLE = 0.02  # [rad]


@pytest.fixture
def yawing(tmp_path: Path) -> Path:
    return write_small_task(tmp_path / "yawing", "rz")


def hand(rig: Rig, spec: TaskSpec) -> HandState:
    return decode_hand(rig.heard[HAND_STATE.name][-1], spec)


@pytest.mark.parametrize(("arm", "version"), [("franka", JAZZY), ("ur", HUMBLE)])
def test_a_drift_is_turned_back(rig: Rig, bundle: Path, arm: str, version: str) -> None:
    """The task's actions do not turn the hand: nothing but the bridge does."""
    bench = Bench(rig, bundle, arm, version)
    bench.start()
    bench.command_until(lambda: any(bench.speeds), 0.05)
    bench.robot.turn(np.array([0.08, 0.0, 0.05]))
    assert np.linalg.norm(bench.robot.turned()) > 0.09
    bench.command_until(lambda: np.linalg.norm(bench.robot.turned()) < 0.01, 0.05)
    bench.robot.drift = np.array([0.0, LITTLE, 0.0])  # [rad/s] for ever: it stays this much off, times 1 s
    bench.command_until(lambda: bench.robot.turned()[1] > 0.9 * LITTLE, 0.05)
    seen = len(bench.speeds)
    bench.command_until(lambda: len(bench.speeds) > seen + 200, 0.05)
    assert bench.robot.turned() == pytest.approx([0.0, LITTLE, 0.0], abs=0.3 * LITTLE)


def test_the_fingertips_stay_while_the_hand_is_turned_back(rig: Rig, bundle: Path) -> None:
    """Servo moves UR's tool0, 145 mm from the fingertips."""
    bench = Bench(rig, bundle, "ur")
    bench.start()
    bench.command_until(lambda: any(bench.speeds), 0.01)
    bench.robot.turn(np.array([0.0, 0.09, 0.0]))
    before = bench.robot.position
    bench.command_until(lambda: np.linalg.norm(bench.robot.turned()) < 0.01, 0.01)
    went = bench.robot.position - before  # along y as commanded
    assert went[[0, 2]] == pytest.approx([0.0, 0.0], abs=0.0005)


@pytest.mark.parametrize("version", [JAZZY, HUMBLE])
@pytest.mark.parametrize("unit", ["speed_units", "unitless"])
def test_a_commanded_turn_turns_the_hand_and_its_other_axes_are_kept(
    rig: Rig, bundle: Path, yawing: Path, version: str, unit: str
) -> None:
    bench = Bench(rig, bundle, "ur", version, task=yawing, command_in_type=unit)
    bench.file.write_text(bench.file.read_text().replace("command_in_type: speed_units", f"command_in_type: {unit}"))
    bench.start()
    bench.command_until(lambda: any(bench.speeds), 0.05)
    bench.robot.turn(np.array([0.08, 0.0, 0.0]))
    bench.command_until(lambda: bench.robot.turned()[2] > 0.5, 0.05, (0.0, 0.0, 0.2))
    bench.command_until(lambda: bool(np.linalg.norm(bench.robot.turned()[:2]) < 0.01), 0.05, (0.0, 0.0, 0.2))
    spec = load_spec(yawing)
    reached = bench.robot.turned()[2]
    bench.command_until(lambda: abs(hand(rig, spec).hand_angular_velocity[2] - 0.2) < 0.05, 0.05, (0.0, 0.0, 0.2))
    bench.command_until(lambda: bench.robot.turned()[2] < reached - 0.2, 0.05, (0.0, 0.0, -0.2))


def test_hand_state_says_how_the_hand_is_turned(rig: Rig, bundle: Path, yawing: Path) -> None:
    bench = Bench(rig, bundle, "franka", task=yawing)
    bench.start()
    bench.command(0.0)
    spec = load_spec(yawing)
    assert hand(rig, spec).hand_orientation == pytest.approx([1.0, 0.0, 0.0, 0.0])
    bench.robot.turn(np.array([0.0, 0.0, 0.6]))
    rig.spin_until(lambda: abs(hand(rig, spec).hand_orientation[0] - np.cos(0.3)) < 1e-6)
    assert hand(rig, spec).hand_orientation == pytest.approx([np.cos(0.3), np.sin(0.3), 0.0, 0.0])


@pytest.mark.parametrize("how", ["stop", "silence"])
def test_a_halt_ends_turns_and_corrections(rig: Rig, bundle: Path, yawing: Path, how: str) -> None:
    bench = Bench(rig, bundle, task=yawing, command_age=60.0 if how == "stop" else 2.0)
    rig.listen(TWISTS)
    bench.start()
    bench.command_until(lambda: bench.robot.turned()[2] > 0.05, 0.05, (0.0, 0.0, 0.2))
    if how == "stop":
        assert rig.trigger("arm_bridge/stop").success
    twists = rig.heard[TWISTS.name]
    rig.spin_until(lambda: bool(twists) and twists[-1].twist == TwistStamped().twist and bench.speeds[-1] == 0.0)
    rig.spin_until(lambda: not bench.servo.servo.moves)
    bench.robot.turn(np.array([0.08, 0.0, 0.0]))
    left, sent, seen = bench.robot.turned(), len(twists), len(bench.speeds)
    if how == "stop":
        bench.command_until(lambda: len(bench.speeds) > seen + 100, 0.05, (0.0, 0.0, 0.2))
    else:
        rig.spin_until(lambda: len(bench.speeds) > seen + 100)
    np.testing.assert_array_equal(bench.robot.turned(), left)
    assert all(message.twist == TwistStamped().twist for message in twists[sent:])


def test_a_turn_that_the_task_does_not_know_is_refused_and_counted(rig: Rig, bundle: Path, yawing: Path) -> None:
    bench = Bench(rig, bundle, task=yawing)
    bench.start()
    message = rig.last(HAND_STATE, 1)
    turn = Command(message_stamp(message), np.array([0.05, 0.0, 0.0]), GRIPPER_OPEN, np.array([0.1, 0.0, 0.0]))
    rig.send(TWIST_COMMAND, CODEC.twist(turn))
    rig.spin_until(lambda: rig.reported("arm_bridge", MALFORMED) == 1)
    rig.spin_until(lambda: rig.said("arm_bridge", "0.1 rad/s about rx: task 'turning' turns the hand about rz"))
    assert not any(bench.speeds)


def test_a_task_that_turns_faster_than_the_arm_is_held_to_the_arms_limit(
    rig: Rig, bundle: Path, tmp_path: Path
) -> None:
    bench = Bench(rig, bundle, "ur", task=write_small_task(tmp_path / "fast", "rz", top_angular_speed=1.0))
    rig.listen(TWISTS)
    bench.start()
    bench.command_until(lambda: bench.robot.turned()[2] > 0.5, 0.05, (0.0, 0.0, 1.0))
    speeds = [abs(message.twist.angular.z) for message in rig.heard[TWISTS.name]]
    assert max(speeds) == pytest.approx(0.3, abs=1e-9)


def test_a_servo_that_turns_slower_than_the_arms_file_says_is_refused(rig: Rig, bundle: Path, tmp_path: Path) -> None:
    task = write_small_task(tmp_path / "fast", "rz", top_angular_speed=1.0)
    bench = Bench(rig, bundle, "ur", task=task, scale__rotational=0.28)
    with pytest.raises(RomanError, match="scale.rotational 0.28 rad/s is below the 0.3 rad/s that the hand turns at"):
        bench.start()


def test_unitless_turns_need_servos_own_scale(rig: Rig, bundle: Path) -> None:
    bench = Bench(rig, bundle, "ur", command_in_type="unitless", scale__rotational=0.5)
    bench.file.write_text(bench.file.read_text().replace("speed_units", "unitless"))
    with pytest.raises(RomanError, match="scale.rotational is 0.5, the arm's file says rotational_scale 0.3"):
        bench.start()
