"""Low-level control of the lab's arm: hand velocity to joint velocity by damped least squares.

A zero hand velocity halts every joint. Any other one moves the hand as commanded: the posture acts in the null space
alone, and a joint at the end of its range leaves the motion to the others.

The joint servos themselves live in the model (`assets/arm.xml`): each integrates its commanded joint velocity into a
position reference and follows it with limited torque, at every physics step. This module sets those joint velocities
once a control period, so that a whole period is one call into MuJoCo.
"""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

ARM_JOINTS = 7
VELOCITY_LIMITS = np.array([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61])
"""[rad/s] Franka Control Interface documentation, joint space limits."""
LIMIT_MARGIN = 0.02  # [rad] kept free at both ends of each joint's range

POSTURE = np.array([0.0, -0.25, 0.0, -2.30, 0.0, 2.05, np.pi / 4])
"""Joint positions that the null space is drawn to [rad]."""
POSTURE_GAIN = 1.0  # [1/s]
ORIENTATION_GAIN = 4.0  # [1/s] pulls the gripper back to pointing straight down
DAMPING = 0.01  # of the least squares: small against the arm's manipulability in the workspace
WINDUP_LIMIT = np.array([0.035, 0.035, 0.035, 0.035, 0.05, 0.05, 0.05])
"""[rad] the servo reference may lead the joint by this much, which bounds the push against something immovable."""


def resolve(
    jacobian: NDArray[np.float64], twist: NDArray[np.float64], pull: NDArray[np.float64]
) -> NDArray[np.float64]:
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
    velocity: NDArray[np.float64] = components @ right[:rank] + (null_space @ pull) @ null_space
    return velocity


def resolve_within(
    jacobian: NDArray[np.float64],
    twist: NDArray[np.float64],
    pull: NDArray[np.float64],
    lowest: NDArray[np.float64],
    highest: NDArray[np.float64],
) -> NDArray[np.float64]:
    """As `resolve`, with each joint's velocity between `lowest` and `highest`, (n,) [rad/s].

    What a joint at its bound leaves of the twist is taken by the others.
    """
    velocity = np.zeros(len(pull))
    moves = np.ones(len(pull), dtype=bool)
    while moves.any():
        rest = twist - jacobian[:, ~moves] @ velocity[~moves]
        velocity[moves] = resolve(jacobian[:, moves], rest, pull[moves])
        beyond = moves & ((velocity < lowest) | (velocity > highest))
        if not beyond.any():
            break
        velocity[beyond] = np.clip(velocity, lowest, highest)[beyond]
        moves &= ~beyond
    return velocity


class ArmController:
    """Velocity control of the hand, gripper pointing down (fingers along the base frame's y axis).

    Reads and writes the arm's part of a MuJoCo model: the first seven joints and actuators.
    """

    def __init__(self, model: mujoco.MjModel, period: float) -> None:
        """`period`: control period [s] during which a joint velocity stays constant."""
        self._model = model
        self._period = period
        self._site = model.site("hand").id
        self._jacobian = np.zeros((6, model.nv))
        self._lower = model.jnt_range[:ARM_JOINTS, 0] + LIMIT_MARGIN
        self._upper = model.jnt_range[:ARM_JOINTS, 1] - LIMIT_MARGIN

    def joint_velocity(
        self, data: mujoco.MjData, velocity: NDArray[np.float64], reference: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Joint velocity for a wanted hand velocity; zero for zero.

        `resolve_within` the joint ranges, with an angular velocity that turns the gripper down and a pull towards
        `POSTURE`; then scaled to the joint velocity limits.

        Args:
            data: with kinematics up to date.
            velocity: wanted linear velocity of the hand in the base frame, (3,) [m/s].
            reference: servo references, (7,) [rad].

        Returns:
            Joint velocity, (7,) [rad/s].
        """
        if not velocity.any():
            return np.zeros(ARM_JOINTS)
        mujoco.mj_jacSite(self._model, data, self._jacobian[:3], self._jacobian[3:], self._site)
        jacobian = self._jacobian[:, :ARM_JOINTS]
        rotation = data.site_xmat[self._site]
        twist = np.empty(6)
        twist[:3] = velocity
        # Half the sum of cross products of the hand's axes with their wanted directions (x, -y, -z).
        twist[3] = 0.5 * ORIENTATION_GAIN * (rotation[7] - rotation[5])
        twist[4] = 0.5 * ORIENTATION_GAIN * (rotation[6] + rotation[2])
        twist[5] = -0.5 * ORIENTATION_GAIN * (rotation[3] + rotation[1])
        posture = POSTURE_GAIN * (POSTURE - reference)
        lowest, highest = (self._lower - reference) / self._period, (self._upper - reference) / self._period
        joint_velocity = resolve_within(jacobian, twist, posture, lowest, highest)
        excess = np.max(np.abs(joint_velocity) / VELOCITY_LIMITS)
        if excess > 1.0:
            joint_velocity /= excess
        return joint_velocity

    def apply(self, data: mujoco.MjData, velocity: NDArray[np.float64], gripper_opening: float) -> None:
        """Set the servos for the next control period. `gripper_opening`: wanted distance between the pads [m]."""
        position = data.qpos[:ARM_JOINTS]
        reference = np.clip(data.act[:ARM_JOINTS], position - WINDUP_LIMIT, position + WINDUP_LIMIT)
        data.act[:ARM_JOINTS] = reference
        data.ctrl[:ARM_JOINTS] = self.joint_velocity(data, velocity, reference)
        data.ctrl[ARM_JOINTS : ARM_JOINTS + 2] = 0.5 * gripper_opening

    def place(self, data: mujoco.MjData, hand_position: NDArray[np.float64], gripper_opening: float) -> None:
        """Put the arm at rest with the hand at a position (inverse kinematics, no physics).

        Raises:
            ValueError: if the position cannot be reached within 1 mm.
        """
        data.qpos[:ARM_JOINTS] = POSTURE
        data.qpos[ARM_JOINTS : ARM_JOINTS + 2] = 0.5 * gripper_opening
        for _ in range(100):
            mujoco.mj_kinematics(self._model, data)
            mujoco.mj_comPos(self._model, data)
            error = hand_position - data.site_xpos[self._site]
            if np.linalg.norm(error) < 1e-4:
                break
            joints = data.qpos[:ARM_JOINTS]
            joints += self._period * self.joint_velocity(data, 8.0 * error, joints)
        if np.linalg.norm(error) > 1e-3:
            raise ValueError(f"hand position {hand_position.tolist()} is out of the arm's reach")
        data.qvel[: ARM_JOINTS + 2] = 0.0
        data.act[:ARM_JOINTS] = data.qpos[:ARM_JOINTS]
        data.ctrl[:ARM_JOINTS] = 0.0
        data.ctrl[ARM_JOINTS : ARM_JOINTS + 2] = 0.5 * gripper_opening
