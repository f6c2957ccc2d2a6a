"""The bridge and MoveIt Servo: the same units on both sides, and a robot that does what it is told, or no motion."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from bundles import write_loose_limits
from ros_rig import TIMEOUT, Rig
from servo_emulator import FRANKA, HUMBLE, JAZZY, PREFIX, UR, PointRobot, ServoNode
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool

from roman_moe.arms.config import load_arm_config
from roman_moe.core.action import GRIPPER_OPEN, Command
from roman_moe.core.errors import RomanError
from roman_moe.core.messages import message_stamp
from roman_moe.core.paths import config_path
from roman_moe.nodes.arm_bridge import ArmBridge
from roman_moe.nodes.topics import CODEC, HAND_STATE, TWIST_COMMAND, Topic

SPEED = 0.35  # [m/s] of config/limits.yaml
PARAMETERS = {"franka": FRANKA, "ur": UR}
SLOWLY = {"publish_period": 0.01}  # this machine may be busy


class Bench:
    """A bridge with a shipped arm file, the emulator of Servo, a robot that is a point, and a commander."""

    def __init__(self, rig: Rig, bundle: Path, arm: str = "ur", version: str = JAZZY, ready: bool = True, **servo: Any):
        self.rig = rig
        content = yaml.safe_load(config_path(f"arms/{arm}.yaml").read_text())
        content["pose"]["max_age"] = content["fingers"]["max_age"] = 30.0
        content["gripper"].pop("action", None)
        self.file = bundle.parent / f"{arm}.yaml"
        self.file.write_text(yaml.safe_dump(content))
        limits = yaml.safe_load(write_loose_limits(bundle.parent).read_text())
        self.limits = bundle.parent / "real_speed.yaml"
        self.limits.write_text(yaml.safe_dump({**limits, "speed": SPEED}))
        self._bundle = bundle
        config = load_arm_config(self.file)
        rig.listen(HAND_STATE)
        self.gripper = Topic(config.gripper.topic, Float64MultiArray)
        rig.listen(self.gripper)
        self.robot = rig.join(lambda context: PointRobot(context, config, (0.3, 0.0, 0.3)))
        parameters = {**PARAMETERS[arm], **SLOWLY, **{k.replace("__", "."): v for k, v in servo.items()}}
        self.servo = rig.join(lambda c: ServoNode(c, config, self.robot, version, parameters, ready))
        self.speeds: list[float] = []
        step = self.servo.step

        def watched() -> np.ndarray:
            velocity = step()
            self.speeds.append(float(np.linalg.norm(velocity[:3])))
            return velocity

        self.servo.step = watched  # type: ignore[method-assign]
        self.robot.drive(self.servo)

    def start(self, **parameters: Any) -> ArmBridge:
        files = {"controller": str(self._bundle), "config": str(self.file), "limits": str(self.limits)}
        parameters = {"servo_timeout": 20.0, **files, **parameters}
        return self.rig.start_beside(ArmBridge(context=self.rig.context, parameters=parameters))

    def command_until(self, condition: Callable[[], bool], speed: float) -> None:
        end = time.monotonic() + 3.0 * TIMEOUT
        while not condition():
            assert time.monotonic() < end, self.rig.report("arm_bridge")
            self.command(speed)

    def command(self, speed: float) -> None:
        """Answer the next hand state, back and forth within the workspace."""
        before = len(self.rig.heard[HAND_STATE.name])
        message = self.rig.last(HAND_STATE, before + 1)
        self._way = getattr(self, "_way", 1.0)
        if abs(self.robot.position[1]) > 0.2 and self.robot.position[1] * self._way > 0.0:
            self._way = -self._way
        command = Command(message_stamp(message), np.array([0.0, self._way * speed, 0.0]), GRIPPER_OPEN)
        self.rig.send(TWIST_COMMAND, CODEC.twist(command))


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
    with pytest.raises(RomanError, match="nobody knows which units it takes.*servo_unchecked"):
        bench.start()
    bench.start(servo_unchecked=True)


@pytest.mark.parametrize("gone", ["servo", "gripper"])
def test_without_servo_or_gripper_it_is_not_active(rig: Rig, bundle: Path, gone: str) -> None:
    bench = Bench(rig, bundle)
    if gone == "servo":
        rig.remove(bench.servo)
        bench.servo.step = lambda: np.zeros(6)  # type: ignore[method-assign]
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
