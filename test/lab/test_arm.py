"""The arm's low-level control: it goes where it is told, within its limits, and its Jacobian is the true one."""

import mujoco
import numpy as np
import pytest

from roman_moe.core.action import GRIPPER_OPEN, Command
from roman_moe.core.errors import RomanError
from roman_moe.core.features import HOME_POSITION
from roman_moe.lab import layout
from roman_moe.lab.arm import ARM_JOINTS, LIMIT_MARGIN, VELOCITY_LIMITS
from roman_moe.lab.lab import Lab
from roman_moe.lab.starts import scenario_start


@pytest.fixture
def lab():
    lab = Lab()
    lab.reset(scenario_start(6), np.random.default_rng(0))
    lab.arm.place(lab.data, HOME_POSITION, GRIPPER_OPEN)
    mujoco.mj_forward(lab.model, lab.data)
    return lab


def drive(lab, velocity, ticks):
    for _ in range(ticks):
        state = lab.step(Command(lab.stamp_ns, np.asarray(velocity, float), GRIPPER_OPEN))
    return state


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", (-1.0, 1.0))
def test_hand_follows_a_commanded_velocity_and_keeps_pointing_down(lab, axis, sign):
    velocity = np.zeros(3)
    velocity[axis] = 0.1 * sign
    before = lab.state.hand_position
    state = drive(lab, velocity, 20)
    moved = state.hand_position - before
    # One second at 0.1 m/s, less the servos' lag of about 40 ms.
    assert moved[axis] * sign == pytest.approx(0.1 - 0.004, abs=0.004)
    assert np.abs(np.delete(moved, axis)).max() < 0.004
    assert lab.data.site("hand").xmat[8] < -0.999
    assert state.hand_velocity[axis] * sign == pytest.approx(0.1, abs=0.01)


def test_hand_stands_still_without_a_velocity(lab):
    before = lab.state.hand_position
    assert np.abs(drive(lab, np.zeros(3), 100).hand_position - before).max() < 5e-4


def test_site_jacobian_agrees_with_finite_differences(lab):
    data, model = lab.data, lab.model
    jacobian = np.zeros((3, model.nv))
    site = model.site("hand").id
    mujoco.mj_jacSite(model, data, jacobian, None, site)
    for joint in range(ARM_JOINTS):
        positions = []
        for step in (-1e-6, 1e-6):
            moved = mujoco.MjData(model)
            moved.qpos[:] = data.qpos
            moved.qpos[joint] += step
            mujoco.mj_kinematics(model, moved)
            positions.append(moved.site_xpos[site].copy())
        np.testing.assert_allclose(jacobian[:, joint], (positions[1] - positions[0]) / 2e-6, atol=1e-6)


def test_joint_ranges_and_velocity_limits_hold_however_it_is_driven(lab):
    rng = np.random.default_rng(3)
    low, high = lab.model.jnt_range[:ARM_JOINTS].T
    for _ in range(30):
        velocity = rng.choice([-0.6, 0.6], 3)  # three times the top speed
        for _ in range(10):
            lab.step(Command(lab.stamp_ns, velocity, GRIPPER_OPEN))
            assert np.all(np.abs(lab.data.ctrl[:ARM_JOINTS]) <= VELOCITY_LIMITS + 1e-12)
            assert np.all(lab.data.qpos[:ARM_JOINTS] > low - LIMIT_MARGIN)
            assert np.all(lab.data.qpos[:ARM_JOINTS] < high + LIMIT_MARGIN)
            assert np.all(np.abs(lab.data.actuator_force[:4]) <= 87.0)
            assert np.all(np.abs(lab.data.actuator_force[4:7]) <= 12.0)


def test_pushing_against_the_table_is_bounded_and_comes_back_at_once(lab):
    drive(lab, [0.0, 0.0, -0.2], 100)  # down onto the open table: far longer than the way
    stuck = lab.state.hand_position[2]
    state = drive(lab, [0.0, 0.0, 0.2], 6)
    assert state.hand_position[2] > stuck + 0.02


def test_every_start_of_the_hand_can_be_reached(lab):
    corners = np.array(np.meshgrid([-1, 0, 1], [-1, 0, 1], [-1, 0, 1])).reshape(3, -1).T
    for corner in corners:
        wanted = HOME_POSITION + corner * layout.HAND_RANGE
        lab.arm.place(lab.data, wanted, GRIPPER_OPEN)
        mujoco.mj_kinematics(lab.model, lab.data)
        assert np.linalg.norm(lab.data.site("hand").xpos - wanted) < 1e-3


def test_a_command_that_is_not_finite_is_refused_and_moves_nothing(lab):
    before = lab.physics_state()
    with pytest.raises(RomanError, match="not finite"):
        lab.step(Command(0, np.array([np.nan, 0.0, 0.0]), GRIPPER_OPEN))
    np.testing.assert_array_equal(lab.physics_state(), before)
