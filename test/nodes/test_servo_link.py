"""The bridge and MoveIt Servo: the same units on both sides, and a robot that does what it is told, or no motion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from ros_rig import Rig
from servo_bench import SPEED, Bench
from servo_emulator import HUMBLE, JAZZY, PREFIX, UR, ServoNode
from specs import ROMAN
from std_srvs.srv import SetBool

from roman_moe.arms.config import load_arm_config
from roman_moe.core.errors import RomanError
from roman_moe.nodes.arms.servo_link import ServoLink
from roman_moe.nodes.base.topics import DIAGNOSTICS, Topic

TWISTS = Topic("/servo_node/delta_twist_cmds", TwistStamped)


@pytest.mark.parametrize("version", [JAZZY, HUMBLE])
@pytest.mark.parametrize("arm", ["franka", "ur"])
def test_a_guarded_speed_is_the_robots_speed(rig: Rig, bundle: Path, arm: str, version: str) -> None:
    """Who commands 1 m/s gets the guard's 0.35 m/s, at the robot and not only in the bridge."""
    bench = Bench(rig, bundle, arm, version)
    bench.start()
    bench.command_until(lambda: sum(speed > SPEED - 1e-9 for speed in bench.speeds) >= 10, 1.0)
    assert max(bench.speeds) == pytest.approx(SPEED, abs=1e-9)


@pytest.mark.parametrize(
    ("servo", "complaint"),
    [
        ({"command_in_type": "unitless"}, "command_in_type is 'unitless' .* says 'speed_units'"),
        ({"scale__linear": 0.2}, "scale.linear is 0.2 m/s|scale.linear 0.2 m/s is below the guard's speed of 0.35"),
        ({"scale__rotational": 0.2}, "scale.rotational 0.2 rad/s is below the 0.25 rad/s that the hand turns at"),
        ({"incoming_command_timeout": 5.0}, "incoming_command_timeout is 5.0 s: expected"),
        ({"incoming_command_timeout": 0.0}, "incoming_command_timeout is 0.0 s: expected"),
        ({"apply_twist_commands_about_ee_frame": False}, "Servo would turn the hand"),
    ],
)
def test_a_servo_of_other_units_is_refused_in_one_line(
    rig: Rig, bundle: Path, servo: dict[str, Any], complaint: str
) -> None:
    bench = Bench(rig, bundle, **servo)
    with pytest.raises(RomanError, match=complaint) as refused:
        bench.start()
    assert "\n" not in str(refused.value)
    assert "/servo_node" in str(refused.value)


def test_units_that_cannot_be_read_need_a_flag(rig: Rig, bundle: Path) -> None:
    bench = Bench(rig, bundle)
    bench.servo.undeclare_parameter(PREFIX + "command_in_type")
    with pytest.raises(RomanError, match="its units are not known.*servo_unchecked"):
        bench.start()
    bench.start(servo_unchecked=True)


@pytest.mark.parametrize("gone", ["servo", "gripper"])
def test_without_servo_or_gripper_it_is_not_active(rig: Rig, bundle: Path, gone: str) -> None:
    bench = Bench(rig, bundle)
    if gone == "servo":
        rig.remove(bench.servo)
        bench.servo.step = lambda: np.zeros(6)  # type: ignore[method-assign]
        rig.listen(TWISTS)  # whoever else looks at the topic is no Servo
    else:
        bench.file.write_text(bench.file.read_text().replace(bench.gripper.name, "/nobody\n  timeout: 0.3"))
    with pytest.raises(RomanError, match="nobody subscribes to"):
        bench.start(servo_timeout=0.3)


def test_a_servo_that_changes_its_units_is_halted(rig: Rig, bundle: Path) -> None:
    bench = Bench(rig, bundle)
    bench.start()
    bench.command(0.05)
    rig.spin_until(lambda: any(bench.speeds))
    assert rig.set("/servo_node", PREFIX + "command_in_type", "unitless").successful
    bench.command_until(lambda: rig.said("arm_bridge", "command_in_type is 'unitless'"), 0.05)
    rig.spin_until(lambda: bench.speeds[-1] == 0.0)
    assert rig.set("/servo_node", PREFIX + "command_in_type", "speed_units").successful
    bench.command_until(lambda: bench.speeds[-1] > 0.0, 0.05)


def test_a_robot_that_ignores_twists_is_halted_and_starts_slowly_once_it_follows(rig: Rig, bundle: Path) -> None:
    """Servo drops twists with NO_WARNING until somebody switches it to them."""
    bench = Bench(rig, bundle, ready=False)
    bench.start()
    bench.command_until(
        lambda: rig.said("arm_bridge", "HALT_ARM_UNRESPONSIVE: the hand does not follow: it went 0 %"), SPEED
    )
    assert not any(bench.speeds)
    switched = rig.call(SetBool, "/servo_node/switch_command_type", SetBool.Request(data=True))
    bench.command_until(lambda: max(bench.speeds) > 0.9 * SPEED, SPEED)
    assert switched.done()
    begun = next(i for i, speed in enumerate(bench.speeds) if speed > 0.0)
    assert max(bench.speeds[begun : begun + 10]) <= 0.08 + 1e-9
    rig.spin_until(lambda: rig.said("arm_bridge", "following commands"))


def test_a_robot_that_stops_on_its_own_is_halted(rig: Rig, bundle: Path) -> None:
    bench = Bench(rig, bundle)
    bench.start()
    bench.command_until(lambda: bool(bench.speeds) and max(bench.speeds) > 0.2, 0.25)
    bench.robot.moves = False  # say, its controller was stopped
    bench.command_until(lambda: rig.said("arm_bridge", "HALT_ARM_UNRESPONSIVE: the hand does not follow"), 0.25)
    rig.spin_until(lambda: bench.speeds[-1] == 0.0)


def test_a_servo_that_goes_is_no_quiet_success(rig: Rig, bundle: Path) -> None:
    bench = Bench(rig, bundle)
    bench.start()
    bench.command(0.05)
    rig.spin_until(lambda: rig.said("arm_bridge", "following commands"))
    rig.remove(bench.servo)
    bench.servo.step = lambda: np.zeros(6)  # type: ignore[method-assign]
    bench.command_until(
        lambda: rig.said("arm_bridge", "HALT_ARM_UNRESPONSIVE: nobody subscribes to /servo_node/delta_twist_cmds"), 0.05
    )


@pytest.mark.parametrize("seen_by", ["id", "event"])
def test_the_successor_of_a_killed_servo_is_read_anew(
    rig: Rig, bundle: Path, monkeypatch: pytest.MonkeyPatch, seen_by: str
) -> None:
    """The killed one stays visible for 20 s: its topic has a subscriber all the time."""
    if seen_by == "id":
        monkeypatch.setattr(ServoLink, "_on_event", lambda self, event: None)
    bench = Bench(rig, bundle)
    bench.start()
    bench.command_until(lambda: bool(bench.speeds) and bench.speeds[-1] > 0.0, 0.05)
    for service in list(bench.servo.services):  # it answers nothing any more
        bench.servo.destroy_service(service)
    if seen_by == "event":
        monkeypatch.setattr(ServoLink, "_subscribers", lambda self: {b"one"})
    config = load_arm_config(bench.file, ROMAN)
    rig.join(lambda c: ServoNode(c, config, bench.robot, JAZZY, {**UR, "command_in_type": "unitless"}))
    bench.command_until(lambda: rig.said("arm_bridge", "command_in_type is 'unitless'"), 0.05)
    rig.spin_until(lambda: bench.speeds[-1] == 0.0)


def test_a_servo_that_is_found_at_the_last_moment_is_read(
    rig: Rig, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require = ServoLink.require
    monkeypatch.setattr(ServoLink, "require", lambda self, timeout: require(self, 0.0))
    bench = Bench(rig, bundle)
    rig.spin_until(lambda: rig._probe.count_subscribers(TWISTS.name))
    bench.start()
    bench.command_until(lambda: bool(bench.speeds) and bench.speeds[-1] > 0.0, 0.05)


def test_it_reports_while_it_waits(rig: Rig, bundle: Path) -> None:
    """A supervisor takes silence for a node that is frozen."""
    bench = Bench(rig, bundle)
    rig.remove(bench.servo)
    bench.servo.step = lambda: np.zeros(6)  # type: ignore[method-assign]
    with pytest.raises(RomanError, match="waited 3 s"):
        bench.start(servo_timeout=3.0)
    rig.spin_until(lambda: rig.said("arm_bridge", "(waited 3 s)"))
    messages = [s.message for a in rig.heard[DIAGNOSTICS.name] for s in a.status if s.name == "arm_bridge"]
    assert (
        messages.count(f"waiting for MoveIt Servo: nobody subscribes to {TWISTS.name}: is MoveIt Servo running?") >= 2
    )


def test_an_activation_on_request_waits_for_nothing(rig: Rig, bundle: Path) -> None:
    """It is a callback: whoever waits in it holds up all nodes of the process, its stop and Ctrl-C."""
    bench = Bench(rig, bundle)
    bench.start()
    assert rig.change_state("arm_bridge", "deactivate")
    assert rig.change_state("arm_bridge", "activate")
    bench.command_until(lambda: bool(bench.speeds) and bench.speeds[-1] > 0.0, 0.05)
    assert rig.change_state("arm_bridge", "deactivate")
    rig.remove(bench.servo)
    bench.servo.step = lambda: np.zeros(6)  # type: ignore[method-assign]
    rig.spin_until(lambda: not rig._probe.count_subscribers(TWISTS.name))
    assert not rig.change_state("arm_bridge", "activate")
    rig.spin_until(lambda: rig.said("arm_bridge", "is MoveIt Servo running? (waited 0 s)"))
