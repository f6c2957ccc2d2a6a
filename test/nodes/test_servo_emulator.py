"""The emulator of MoveIt Servo does what Servo's sources say: the numbers behind every other test with a robot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rcl_interfaces.srv import GetParameters
from servo_emulator import HUMBLE, JAZZY, PREFIX, UR, PointRobot, Servo, ServoNode
from specs import ROMAN

from roman_moe.arms.config import load_arm_config

MS = 1_000_000
BOTH = pytest.mark.parametrize("version", [JAZZY, HUMBLE])


class Model:
    """Six straight joints; `condition` is the condition number of their Jacobian."""

    joint_positions = np.zeros(6)
    position_limits = np.tile([-1.0, 1.0], (6, 1))
    velocity_limits = np.full(6, 1.0)
    condition = 1.0

    def jacobian(self, joints: np.ndarray) -> np.ndarray:
        """It worsens as the last joint grows."""
        return np.diag([1.0, 1.0, 1.0, 1.0, 1.0, (1.0 - 0.1 * joints[5]) / self.condition])


def servo(version: str = JAZZY, model: Model | None = None, **parameters: Any) -> Servo:
    made = Servo(version, {key.replace("__", "."): v for key, v in parameters.items()}, model or Model(), ("p", "base"))
    made.command_type = "TWIST"
    return made


def twist(*numbers: float) -> np.ndarray:
    return np.array([*numbers, *[0.0] * (6 - len(numbers))])


def after(made: Servo, numbers: np.ndarray, frame: str = "base") -> np.ndarray:
    made.take(1000 * MS, frame, numbers)
    return made.iterate(1001 * MS)


@pytest.mark.parametrize(
    ("version", "unit", "scale", "expected"),
    [
        (JAZZY, "speed_units", 0.6, 0.35),
        (HUMBLE, "speed_units", 0.6, 0.35),
        (JAZZY, "speed_units", 0.2, 0.2),  # command.cpp: a limit there
        (HUMBLE, "speed_units", 0.2, 0.35),  # servo_calcs.cpp: for unitless commands alone
        (JAZZY, "unitless", 0.4, 0.14),
        (HUMBLE, "unitless", 0.4, 0.14),
    ],
)
def test_a_twist_means_what_the_parameters_say(version: str, unit: str, scale: float, expected: float) -> None:
    made = servo(version, command_in_type=unit, scale__linear=scale)
    np.testing.assert_allclose(after(made, twist(0.35)), twist(expected))


def test_only_humble_drops_a_unitless_twist_beyond_one() -> None:
    assert after(servo(JAZZY, scale__linear=0.4), twist(1.5))[0] == pytest.approx(0.6)
    assert not after(servo(HUMBLE, scale__linear=0.4), twist(1.5)).any()


@BOTH
@pytest.mark.parametrize(("frame", "number"), [("tool0", 0.1), ("base", np.nan), ("base", np.inf)])
def test_what_cannot_be_followed_is_dropped(version: str, frame: str, number: float) -> None:
    made = servo(version)
    assert not after(made, twist(number), frame).any()
    assert made.status == ("INVALID" if version == JAZZY else "NO_WARNING")


def test_twists_are_dropped_without_a_warning_until_somebody_switches_to_them() -> None:
    made = servo()
    made.command_type = "JOINT_JOG"
    assert not after(made, twist(0.1)).any()
    assert (made.status, made.counts["other_type"]) == ("NO_WARNING", 1)
    made.command_type = "TWIST"
    assert not made.iterate(1002 * MS).any()  # the old one is gone
    assert after(made, twist(0.1)).any()


@BOTH
def test_an_old_twist_is_a_halt_and_not_a_jump(version: str) -> None:
    made = servo(version, command_in_type="speed_units")
    assert after(made, twist(0.3))[0] == pytest.approx(0.3)
    assert made.iterate(1099 * MS)[0] == pytest.approx(0.3)
    speeds = [made.iterate((1100 + 10 * i) * MS)[0] for i in range(8)]
    assert speeds[:3] == pytest.approx([0.25, 0.2, 0.15])
    assert speeds[-1] == 0.0


def test_a_linear_twist_becomes_a_turn_where_twists_are_not_about_the_end_effector() -> None:
    """servo.cpp, toPlanningFrame: its adjoint is ordered for [angular; linear] twists."""
    made = servo(command_in_type="speed_units", apply_twist_commands_about_ee_frame=False)
    np.testing.assert_allclose(after(made, twist(0.1)), twist(0.0, 0.0, 0.0, 0.1))
    np.testing.assert_allclose(after(made, twist(0.1), "p"), twist(0.1))


@BOTH
@pytest.mark.parametrize(
    ("condition", "wanted", "share", "status"),
    [
        (17.0, (0.01,), 1.0, "NO_WARNING"),
        (23.5, (0.0, 0.0, 0.0, 0.0, 0.0, 0.001), 0.5, "DECELERATE_FOR_APPROACHING_SINGULARITY"),
        (23.5, (0.0, 0.0, 0.0, 0.0, 0.0, -0.001), 0.75, "DECELERATE_FOR_LEAVING_SINGULARITY"),
        (30.1, (0.01,), 0.0, "HALT_FOR_SINGULARITY"),
    ],
)
def test_near_a_singularity_it_slows_down(
    version: str, condition: float, wanted: tuple[float, ...], share: float, status: str
) -> None:
    model = Model()
    model.condition = condition
    made = servo(version, model, command_in_type="speed_units")
    np.testing.assert_allclose(after(made, twist(*wanted)), share * twist(*wanted))
    assert made.status == status


@BOTH
@pytest.mark.parametrize(
    ("distance", "share", "status"),
    [(0.03, 1.0, "NO_WARNING"), (0.01, 0.001**0.5, "DECELERATE_FOR_COLLISION"), (0.0, 0.0, "HALT_FOR_COLLISION")],
)
def test_near_an_obstacle_it_slows_down(version: str, distance: float, share: float, status: str) -> None:
    made = servo(version, command_in_type="speed_units")
    made.collision_distance = distance
    assert after(made, twist(0.1))[0] == pytest.approx(0.1 * share)
    assert made.status == status


@BOTH
def test_joints_keep_their_speed_and_their_range(version: str) -> None:
    made = servo(version, command_in_type="speed_units", scale__linear=5.0)
    np.testing.assert_allclose(after(made, twist(2.0, 1.0)), twist(1.0, 0.5))
    model = Model()
    model.joint_positions = np.array([0.95, 0.0, 0.0, 0.0, 0.0, 0.0])
    made = servo(version, model, command_in_type="speed_units")
    assert not after(made, twist(0.1, 0.1)).any()
    assert made.status == "JOINT_BOUND"
    assert after(made, twist(-0.1)).any()


def test_its_parameters_are_read_as_from_rclcpp(rig: Any) -> None:
    """One name that is not declared, and the answer has no values (rclcpp, parameter_service.cpp)."""
    config = load_arm_config("config/arms/ur.yaml", ROMAN)
    robot = rig.join(lambda context: PointRobot(context, config))
    node = rig.join(lambda context: ServoNode(context, config, robot, HUMBLE, UR))

    def read(*names: str) -> list[Any]:
        request = GetParameters.Request(names=[PREFIX + name for name in names])
        return list(rig.answer(rig.call(GetParameters, "/servo_node/get_parameters", request)).values)

    values = read("command_in_type", "scale.linear")
    assert (values[0].string_value, values[1].double_value) == ("speed_units", 0.6)
    assert read("command_in_type", "apply_twist_commands_about_ee_frame") == []
    assert rig.set("/servo_node", PREFIX + "scale.linear", 0.1).successful
    assert node.servo.parameters["scale.linear"] == 0.1
