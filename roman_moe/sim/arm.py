"""Low-level control of a simulated arm: hand twist to joint velocity by damped least squares, any number of joints.

A twist of zero halts every joint. Any other one moves the hand as commanded. The posture acts in the null space alone,
and a joint at the end of its range leaves the motion to the others. The hand's orientation is kept by feedback. The
commanded one begins at that of the start and turns with the commanded angular velocity.

The joint servos themselves live in the model (`compose`): each integrates its commanded joint velocity into a position
reference and follows it with limited torque, at every physics step. This module sets those joint velocities once a
control period, so that a whole period is one call into MuJoCo.
"""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import RomanError
from roman_moe.core.state import POINTING_DOWN, rotated
from roman_moe.sim.arm_spec import ArmSpec

LIMIT_MARGIN = 0.02  # [rad] kept free at both ends of each joint's range
POSTURE_GAIN = 1.0  # [1/s]
ORIENTATION_GAIN = 4.0  # [1/s] pulls the gripper back to its commanded orientation
TURN_LEAD = 0.3  # [rad] by which the commanded orientation may be ahead of the hand's: it turns no farther then
DAMPING = 0.01  # of the least squares: small against the arm's manipulability in the workspace

Vector = NDArray[np.float64]


def resolve(jacobian: Vector, twist: Vector, pull: Vector) -> Vector:
    r"""Joint velocity for a twist: damped least squares, and of `pull` what lies in the null space.

    .. math:: \dot q = J^T (J J^T + \lambda^2 I)^{-1} \nu + N N^T \dot q_0

    N comes from the singular value decomposition and not from the damped inverse, which would let a part of the pull
    move the hand.

    Args:
        jacobian: of the hand, (6, n).
        twist: wanted linear and angular velocity, (6,) [m/s, rad/s].
        pull: joint velocity to take as much of as leaves the twist alone, (n,) [rad/s].

    Returns:
        Joint velocity, (n,) [rad/s].
    """
    left, singular, right = np.linalg.svd(jacobian)
    rank = len(singular)
    null_space = right[rank:]
    components = singular / (singular**2 + DAMPING**2) * (left[:, :rank].T @ twist)
    velocity: Vector = components @ right[:rank] + (null_space @ pull) @ null_space
    return velocity


def resolve_within(jacobian: Vector, twist: Vector, pull: Vector, lowest: Vector, highest: Vector) -> Vector:
    """As `resolve`, with each joint's velocity between `lowest` and `highest`, (n,) [rad/s].

    What a joint at its bound leaves of the twist is taken by the others.
    """
    velocity = resolve(jacobian, twist, pull)
    beyond = (velocity < lowest) | (velocity > highest)
    moves = np.ones(len(pull), dtype=bool)
    while beyond.any():
        velocity[beyond] = np.clip(velocity, lowest, highest)[beyond]
        moves &= ~beyond
        if not moves.any():
            break
        rest = twist - jacobian[:, ~moves] @ velocity[~moves]
        velocity[moves] = resolve(jacobian[:, moves], rest, pull[moves])
        beyond = moves & ((velocity < lowest) | (velocity > highest))
    return velocity


def rotation_of(orientation: Vector) -> Vector:
    """Rotation matrix of a quaternion x, y, z, w, (9,) row by row."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, orientation[[3, 0, 1, 2]])
    return matrix


def turn_between(rotation: Vector, wanted: Vector) -> Vector:
    """Axis times sine of the angle from one rotation matrix, (9,), to another, (3,).

    Half the sum of the axes' cross products: the skew part of `wanted @ rotation.T`, whose rows are written out.
    """
    a, b, c, d, e, f, g, h, i = rotation.tolist()
    r, s, t, u, v, w, x, y, z = wanted.tolist()
    return np.array(
        [
            0.5 * ((x * d + y * e + z * f) - (u * g + v * h + w * i)),
            0.5 * ((r * g + s * h + t * i) - (x * a + y * b + z * c)),
            0.5 * ((u * a + v * b + w * c) - (r * d + s * e + t * f)),
        ]
    )


class ArmController:
    """Velocity control of the hand.

    Reads and writes the arm's part of a MuJoCo model.

    Attributes:
        dof: indices of the arm's joints among the model's velocities, (n,).
        joints: addresses of the arm's joints among the model's positions, (n,).
        fingers, finger_dof: likewise of the two fingers, (2,).
        speeds: top speed of each joint, (n,) [rad/s].
        posture: that the null space is drawn to, (n,) [rad].
        orientation: commanded for the hand, a quaternion x, y, z, w.
    """

    def __init__(self, model: mujoco.MjModel, arm: ArmSpec, period: float) -> None:
        """`period`: control period [s] during which a joint velocity stays constant."""
        self.arm = arm
        self._model = model
        self._period = period
        self._site = model.site(arm.site).id
        ids = np.array([model.joint(name).id for name in arm.joints])
        self.joints = span(model.jnt_qposadr[ids])
        self.dof = span(model.jnt_dofadr[ids])
        self.fingers = span(np.array([model.joint(name).qposadr[0] for name in arm.gripper.fingers]))
        self._left, self._right = (int(model.joint(name).qposadr[0]) for name in arm.gripper.fingers)
        self.finger_dof = np.array([model.joint(name).dofadr[0] for name in arm.gripper.fingers])
        servos = np.array([_servo(model, joint) for joint in ids])
        self._servos = span(servos)
        self._references = span(model.actuator_actadr[servos])
        self._grips = span(np.array([model.actuator(name).id for name in arm.gripper.actuators]))
        self._grip_scale = (arm.gripper.open - arm.gripper.closed) / arm.gripper.stroke
        self._jacobian = np.zeros((6, model.nv))
        self._lower = model.jnt_range[ids, 0] + LIMIT_MARGIN
        self._upper = model.jnt_range[ids, 1] - LIMIT_MARGIN
        self.speeds = np.array([joint.speed for joint in arm.joints.values()])
        self.posture = np.array([joint.posture for joint in arm.joints.values()])
        self._lead = np.array([joint.lead for joint in arm.joints.values()])
        self.face(POINTING_DOWN)

    def face(self, orientation: Vector) -> None:
        """Command an orientation of the hand, a quaternion x, y, z, w, at once."""
        self.orientation = orientation
        self._wanted = rotation_of(orientation)

    def joint_velocity(
        self, data: mujoco.MjData, velocity: Vector, angular_velocity: Vector, reference: Vector
    ) -> Vector:
        """Joint velocity for a wanted hand velocity; zero for zero.

        `resolve_within` the joint ranges, with an angular velocity that turns the hand to its commanded orientation and
        a pull towards the posture; then scaled to the joint velocity limits.

        Args:
            data: with kinematics up to date.
            velocity: wanted linear velocity of the hand in the base frame, (3,) [m/s].
            angular_velocity: wanted about the base frame's axes, (3,) [rad/s].
            reference: servo references, (n,) [rad].

        Returns:
            Joint velocity, (n,) [rad/s].
        """
        if not (velocity.any() or angular_velocity.any()):
            return np.zeros(len(reference))
        mujoco.mj_jacSite(self._model, data, self._jacobian[:3], self._jacobian[3:], self._site)
        twist = np.empty(6)
        twist[:3] = velocity
        twist[3:] = ORIENTATION_GAIN * turn_between(data.site_xmat[self._site], self._wanted) + angular_velocity
        posture = POSTURE_GAIN * (self.posture - reference)
        lowest, highest = (self._lower - reference) / self._period, (self._upper - reference) / self._period
        joint_velocity = resolve_within(self._jacobian[:, self.dof], twist, posture, lowest, highest)
        excess = np.max(np.abs(joint_velocity) / self.speeds)
        if excess > 1.0:
            joint_velocity /= excess
        return joint_velocity

    def apply(self, data: mujoco.MjData, velocity: Vector, angular_velocity: Vector, gripper_opening: float) -> None:
        """Set the servos for the next control period. `gripper_opening`: wanted distance between the pads [m]."""
        if angular_velocity.any():
            self._turn(data, angular_velocity)
        position = data.qpos[self.joints]
        act = data.act[self._references]
        reference = np.minimum(np.maximum(act, position - self._lead), position + self._lead)
        data.act[self._references] = reference
        data.ctrl[self._servos] = self.joint_velocity(data, velocity, angular_velocity, reference)
        self._grip(data, gripper_opening)

    def _turn(self, data: mujoco.MjData, angular_velocity: Vector) -> None:
        """Turn the commanded orientation, unless it is as far ahead of the hand's as it may be."""
        orientation = rotated(self.orientation, angular_velocity * self._period)
        rotation, wanted = data.site_xmat[self._site], rotation_of(orientation)
        ahead = turn_between(rotation, wanted)
        if np.linalg.norm(ahead) <= TURN_LEAD or ahead @ angular_velocity <= 0.0:
            self.orientation = orientation / np.linalg.norm(orientation)
            self._wanted = wanted

    def _grip(self, data: mujoco.MjData, opening: float) -> None:
        data.ctrl[self._grips] = self.arm.gripper.closed + self._grip_scale * opening

    def opening(self, data: mujoco.MjData) -> float:
        """Distance between the pads [m]."""
        return float(data.qpos[self._left] + data.qpos[self._right])

    def place(
        self, data: mujoco.MjData, hand_position: Vector, gripper_opening: float, orientation: Vector = POINTING_DOWN
    ) -> None:
        """Put the arm at rest with the hand at a pose (inverse kinematics, no physics).

        Raises:
            RomanError: if it cannot be reached within 1 mm and 20 mrad.
        """
        self.face(orientation)
        data.qpos[self.joints] = self.posture
        data.qpos[self.fingers] = 0.5 * gripper_opening
        for _ in range(100):
            mujoco.mj_kinematics(self._model, data)
            mujoco.mj_comPos(self._model, data)
            error = hand_position - data.site_xpos[self._site]
            turn = np.linalg.norm(turn_between(data.site_xmat[self._site], self._wanted))
            if np.linalg.norm(error) < 1e-4 and turn < 2e-3:
                break
            joints = data.qpos[self.joints]
            still = np.zeros(3)
            data.qpos[self.joints] = joints + self._period * self.joint_velocity(data, 8.0 * error, still, joints)
        if np.linalg.norm(error) > 1e-3 or turn > 2e-2:
            position = hand_position.round(4).tolist()
            raise RomanError(f"hand position {position} m: out of the reach of the arm {self.arm.name}")
        data.qvel[self.dof] = 0.0
        data.qvel[self.finger_dof] = 0.0
        data.act[self._references] = data.qpos[self.joints]
        data.ctrl[self._servos] = 0.0
        self._grip(data, gripper_opening)


def _servo(model: mujoco.MjModel, joint: int) -> int:
    """Actuator of a joint."""
    of_joint = (model.actuator_trntype == mujoco.mjtTrn.mjTRN_JOINT) & (model.actuator_trnid[:, 0] == joint)
    return int(np.flatnonzero(of_joint)[0])


def span(indices: NDArray[np.int_]) -> slice | NDArray[np.int_]:
    """Indices as a slice where they are consecutive, which is faster."""
    first = int(indices[0])
    consecutive = (indices == np.arange(first, first + len(indices))).all()
    return slice(first, first + len(indices)) if consecutive else indices
