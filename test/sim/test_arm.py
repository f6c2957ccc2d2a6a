"""The arm's low-level control: it goes where it is told, within its limits, and stays where it is told to."""

import mujoco
import numpy as np
import pytest
from specs import GRIPPER_OPEN, HOME_POSITION
from worlds import TASK

from roman_moe.core.action import Command
from roman_moe.core.errors import RomanError
from roman_moe.core.state import rotated
from roman_moe.sim.arm import DAMPING, LIMIT_MARGIN, ORIENTATION_GAIN, TURN_LEAD, ArmController
from roman_moe.sim.world import World

ARMS = {"panda": 7, "ur5e": 6}
"""Joints of each arm."""
STILL = np.zeros(3)


@pytest.fixture(params=ARMS)
def lab(request):
    lab = World(TASK, arm=request.param)
    lab.reset(TASK.start(6), np.random.default_rng(0))
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


def count(lab):
    """Joints of the arm."""
    return len(lab.arm.arm.joints)


def place(lab, position):
    lab.arm.place(lab.data, position, GRIPPER_OPEN)
    mujoco.mj_forward(lab.model, lab.data)


def tilt(lab):
    """Angle between the gripper and straight down, fingers along y [rad]."""
    rotation = lab.data.site("hand").xmat
    return np.arccos(np.clip((rotation[0] - rotation[4] - rotation[8] - 1.0) / 2.0, -1.0, 1.0))


OFFSETS = np.random.default_rng(5).uniform(-1.0, 1.0, (12, 3)) * TASK.hand_range
FAR = ([0.2, 0.0, 0.0], [0.0, 0.2, 0.0], [0.2, -0.2, 0.0], [-0.2, 0.0, -0.2])
"""Velocities that take the hand as far as it gets: to a singular arm, and to ends of joints."""


def assert_moves(lab, reached, expected):
    """From `reached`, the hand moves at `expected` [m/s] for 6 s within a tenth of a millimetre: 1 mm a minute."""
    for second in range(6):
        state = drive(lab, expected, 20)
        assert np.linalg.norm(state.hand_position - reached - (second + 1.0) * expected) < 1e-4


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_hand_at_rest_stays(lab, offset):
    place(lab, HOME_POSITION + offset)
    drive(lab, [0.1, -0.1, 0.05], 20)  # away from where it was placed, so that the elbow has a way to go
    reached, joints = drive(lab, np.zeros(3), 20).hand_position, lab.data.qpos[lab.arm.joints]
    assert_moves(lab, reached, np.zeros(3))
    np.testing.assert_allclose(lab.data.qpos[lab.arm.joints], joints, atol=1e-4)  # nor does the elbow move


@pytest.mark.parametrize("velocity", FAR)
def test_a_hand_at_the_end_of_its_reach_stays(lab, velocity):
    lab.model.geom_contype[:] = lab.model.geom_conaffinity[:] = 0  # through the furniture
    drive(lab, velocity, 120)
    reached, down = drive(lab, np.zeros(3), 20).hand_position, tilt(lab)
    assert_moves(lab, reached, np.zeros(3))
    assert abs(tilt(lab) - down) < 1e-3


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_slow_hand_keeps_its_line_and_points_down(lab, offset):
    place(lab, HOME_POSITION + offset)
    drive(lab, [0.1, -0.1, 0.05], 20)
    slow = np.array([5e-4, -5e-4, 5e-4])
    assert_moves(lab, drive(lab, slow, 40).hand_position, slow)
    assert tilt(lab) < 1e-3


def random_pose(lab, rng, tilted):
    """A pose of the workspace with the elbow out of the posture's way and each joint moved by up to `tilted` [rad]."""
    place(lab, HOME_POSITION + rng.uniform(-1.0, 1.0, 3) * TASK.hand_range)
    lab.data.qpos[lab.arm.joints] += rng.uniform(-tilted, tilted, count(lab))
    mujoco.mj_forward(lab.model, lab.data)
    return lab.data.qpos[lab.arm.joints]


def twist_by_differences(lab, joint_velocity):
    """Twist of the hand at a joint velocity, from two poses beside the present one: linear, then angular."""
    step, poses = 1e-5, []
    for sign in (-1.0, 1.0):
        moved = mujoco.MjData(lab.model)
        moved.qpos[:] = lab.data.qpos
        moved.qpos[lab.arm.joints] += sign * step * joint_velocity
        mujoco.mj_kinematics(lab.model, moved)
        poses.append((moved.site("hand").xpos.copy(), moved.site("hand").xmat.reshape(3, 3).copy()))
    (start, before), (end, after) = poses
    turn = (after @ before.T - before @ after.T) / 2.0  # skew: a small rotation
    return np.array([*(end - start), turn[2, 1], turn[0, 2], turn[1, 0]]) / (2.0 * step)


def wanted_twist(lab, velocity):
    """Velocity, and the turn that brings the gripper down: axis times sine of the angle between the two."""
    turn = np.diag([1.0, -1.0, -1.0]) @ lab.data.site("hand").xmat.reshape(3, 3).T
    axis = [turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]
    return np.array([*velocity, *(ORIENTATION_GAIN / 2.0 * np.array(axis))])


def test_joint_velocities_give_the_wanted_twist(lab):
    rng = np.random.default_rng(1)
    for _ in range(30):
        joints, velocity = random_pose(lab, rng, 0.15), rng.uniform(-0.1, 0.1, 3)
        reached = twist_by_differences(lab, lab.arm.joint_velocity(lab.data, velocity, STILL, joints))
        np.testing.assert_allclose(reached, wanted_twist(lab, velocity), atol=0.004)  # the damping's part


def test_the_posture_moves_the_elbow_and_not_the_hand(lab):
    rng, slow = np.random.default_rng(2), np.array([1e-6, 0.0, 0.0])
    for _ in range(30):
        joints, apart = random_pose(lab, rng, 0.15), rng.uniform(-0.3, 0.3, count(lab))
        one, other = (lab.arm.joint_velocity(lab.data, slow, STILL, joints + side * apart) for side in (0.5, -0.5))
        assert (np.linalg.norm(one - other) > 1e-3) == (count(lab) > 6)  # six joints leave nothing free
        np.testing.assert_allclose(twist_by_differences(lab, one - other), 0.0, atol=1e-8)


@pytest.mark.parametrize("end", (0, 1))
def test_a_joint_at_the_end_of_its_range_leaves_the_motion_to_the_others(lab, end):
    for joint in range(count(lab)):
        assert_leaves_the_motion_to_the_others(lab, joint, end)


def assert_leaves_the_motion_to_the_others(lab, joint, end):
    rng, model, met = np.random.default_rng(3), lab.model, 0
    ranges, outward = model.jnt_range.copy(), 1.0 if end else -1.0
    for _ in range(20):
        joints, velocity = random_pose(lab, rng, 0.02), rng.uniform(-0.02, 0.02, 3)
        free = lab.arm.joint_velocity(lab.data, velocity, STILL, joints)
        model.jnt_range[joint, end] = joints[joint] + outward * LIMIT_MARGIN
        bound = ArmController(model, lab.arm.arm, 0.05).joint_velocity(lab.data, velocity, STILL, joints)
        model.jnt_range[:] = ranges
        if free[joint] * outward <= 0.0:
            np.testing.assert_array_equal(bound, free)
            continue
        met += 1
        assert bound[joint] == pytest.approx(0.0, abs=1e-12)
        wanted, stopped = wanted_twist(lab, velocity), np.where(np.arange(count(lab)) == joint, 0.0, free)
        error = np.linalg.norm(twist_by_differences(lab, bound) - wanted)
        assert error < np.linalg.norm(twist_by_differences(lab, stopped) - wanted) + 1e-4
        # Those alone move the hand in the plane of the arm: nothing makes up for them; nor for any one of only six.
        if count(lab) == 7 and joint not in (1, 3, 5):
            assert error < 0.01
    assert met >= 5


def test_joint_ranges_and_velocity_limits_hold_however_it_is_driven(lab):
    rng = np.random.default_rng(3)
    low, high = lab.model.jnt_range[lab.arm.joints].T
    for _ in range(30):
        velocity = rng.choice([-0.6, 0.6], 3)  # three times the top speed
        for _ in range(10):
            lab.step(Command(lab.stamp_ns, velocity, GRIPPER_OPEN))
            assert np.all(np.abs(lab.data.ctrl[: count(lab)]) <= lab.arm.speeds + 1e-12)
            assert np.all(lab.data.qpos[lab.arm.joints] > low - LIMIT_MARGIN)
            assert np.all(lab.data.qpos[lab.arm.joints] < high + LIMIT_MARGIN)
            strong, weak = {"panda": (87.0, 12.0), "ur5e": (150.0, 28.0)}[lab.arm.arm.name]
            assert np.all(np.abs(lab.data.actuator_force[: count(lab)]) <= strong)
            assert np.all(np.abs(lab.data.actuator_force[count(lab) - 3 : count(lab)]) <= weak)


def test_pushing_against_the_table_is_bounded_and_comes_back_at_once(lab):
    drive(lab, [0.0, 0.0, -0.2], 100)  # down onto the open table: far longer than the way
    stuck = lab.state.hand_position[2]
    state = drive(lab, [0.0, 0.0, 0.2], 6)
    assert state.hand_position[2] > stuck + 0.02


def test_every_start_of_the_hand_can_be_reached(lab):
    corners = np.array(np.meshgrid([-1, 0, 1], [-1, 0, 1], [-1, 0, 1])).reshape(3, -1).T
    for corner in corners:
        wanted = HOME_POSITION + corner * TASK.hand_range
        lab.arm.place(lab.data, wanted, GRIPPER_OPEN)
        mujoco.mj_kinematics(lab.model, lab.data)
        assert np.linalg.norm(lab.data.site("hand").xpos - wanted) < 1e-3


def test_a_command_that_is_not_finite_is_refused_and_moves_nothing(lab):
    before = lab.physics_state()
    with pytest.raises(RomanError, match="not finite"):
        lab.step(Command(0, np.array([np.nan, 0.0, 0.0]), GRIPPER_OPEN))
    np.testing.assert_array_equal(lab.physics_state(), before)


def turn_by(lab, angular, ticks, linear=STILL):
    for _ in range(ticks):
        state = lab.step(Command(lab.stamp_ns, np.asarray(linear, float), GRIPPER_OPEN, np.asarray(angular, float)))
    return state


def angle_between(one, other):
    """Between two orientations, quaternions [rad]."""
    return 2.0 * np.arccos(min(abs(float(one @ other)), 1.0))


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", (-1.0, 1.0))
def test_a_hand_turns_as_commanded_and_stays_where_it_is(lab, axis, sign):
    angular = np.zeros(3)
    angular[axis] = 0.4 * sign
    before = lab.state
    state = turn_by(lab, angular, 20)
    assert angle_between(rotated(before.hand_orientation, angular), state.hand_orientation) < 0.03  # the servos' lag
    np.testing.assert_allclose(state.hand_angular_velocity, angular, atol=0.03)
    assert np.linalg.norm(state.hand_position - before.hand_position) < 0.004
    halted = turn_by(lab, STILL, 20).hand_orientation
    assert angle_between(halted, turn_by(lab, STILL, 20).hand_orientation) < 1e-3


def test_a_turned_hand_keeps_its_orientation_while_it_moves(lab):
    start = lab.state
    turn_by(lab, [0.0, 0.0, 0.5], 20)
    wanted = rotated(start.hand_orientation, np.array([0.0, 0.0, 0.5]))
    for direction in ([0.1, 0.0, 0.0], [-0.1, 0.1, 0.0], [0.0, -0.1, -0.05]):
        state = turn_by(lab, STILL, 20, direction)
        assert angle_between(state.hand_orientation, wanted) < 0.01


def test_a_commanded_orientation_does_not_run_away_from_the_hand(lab):
    for _ in range(40):
        state = turn_by(lab, [0.0, 0.0, 20.0], 1)
        assert angle_between(lab.arm.orientation, state.hand_orientation) < TURN_LEAD + 20.0 * 0.05
    turn_by(lab, [0.0, 0.0, -20.0], 3)  # at once, and not after all that was commanded has been undone
    assert lab.state.hand_angular_velocity[2] < 0.0


@pytest.mark.parametrize("yaw", (-0.9, 0.4, 1.2))
def test_a_hand_is_placed_turned(lab, yaw):
    lab.place_hand(HOME_POSITION, GRIPPER_OPEN, yaw)
    mujoco.mj_forward(lab.model, lab.data)
    wanted = rotated(np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.0, 0.0, yaw]))
    assert angle_between(lab.state.hand_orientation, wanted) < 0.02
    assert np.linalg.norm(lab.state.hand_position - HOME_POSITION) < 1e-3


def test_an_angular_velocity_is_part_of_the_wanted_twist(lab):
    rng = np.random.default_rng(6)
    for _ in range(20):
        joints, velocity, angular = random_pose(lab, rng, 0.1), rng.uniform(-0.1, 0.1, 3), rng.uniform(-0.3, 0.3, 3)
        reached = twist_by_differences(lab, lab.arm.joint_velocity(lab.data, velocity, angular, joints))
        wanted = wanted_twist(lab, velocity) + np.array([0.0, 0.0, 0.0, *angular])
        np.testing.assert_allclose(reached, wanted, atol=0.006)  # the damping's part


def jacobian_by_differences(lab):
    """(6, n), a joint at a time."""
    return np.array([twist_by_differences(lab, one) for one in np.eye(count(lab))]).T


def singular_poses(lab, poses):
    """The most singular ones of some thousand random joint positions, (poses, n)."""
    low, high = lab.model.jnt_range[lab.arm.joints].T + np.array([[0.1], [-0.1]])
    joints = np.random.default_rng(8).uniform(low, high, (3000, count(lab)))
    smallest = []
    for position in joints:
        lab.data.qpos[lab.arm.joints] = position
        mujoco.mj_kinematics(lab.model, lab.data)
        mujoco.mj_comPos(lab.model, lab.data)
        jacobian = np.zeros((6, lab.model.nv))
        mujoco.mj_jacSite(lab.model, lab.data, jacobian[:3], jacobian[3:], lab.model.site("hand").id)
        smallest.append(np.linalg.svd(jacobian[:, lab.arm.dof])[1][-1])
    assert min(smallest) < DAMPING
    return joints[np.argsort(smallest)[:poses]]


def test_near_a_singular_pose_the_twist_is_the_damped_one_and_joints_stay_slow(lab):
    """What cannot be moved any more is left out, and not sought with all speed."""
    rng = np.random.default_rng(8)
    for joints in singular_poses(lab, 10):
        lab.data.qpos[lab.arm.joints] = joints
        mujoco.mj_forward(lab.model, lab.data)
        lab.arm.face(lab.state.hand_orientation)  # nothing to turn
        lab.arm.posture = joints  # nor to be drawn to
        twist = np.array([*rng.uniform(-0.002, 0.002, 3), 0.0, 0.0, 0.0])
        jacobian = jacobian_by_differences(lab)
        velocity = lab.arm.joint_velocity(lab.data, twist[:3], STILL, joints)
        square = jacobian @ jacobian.T
        damped = square @ np.linalg.solve(square + DAMPING**2 * np.eye(6), twist)
        np.testing.assert_allclose(twist_by_differences(lab, velocity), damped, atol=2e-6)
        assert np.linalg.norm(velocity) <= np.linalg.norm(twist) / (2.0 * DAMPING)


def test_a_start_out_of_reach_is_one_line(lab):
    with pytest.raises(
        RomanError, match=rf"hand position \[2\.0, 0\.0, 0\.3\] m: out of the reach of .* {lab.arm.arm.name}"
    ):
        lab.place_hand(np.array([2.0, 0.0, 0.3]), GRIPPER_OPEN)
