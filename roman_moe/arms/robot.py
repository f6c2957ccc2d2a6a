"""A robot as it describes itself, message by message, and the hand's state made of that at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from roman_moe.arms.clock import Freshness
from roman_moe.arms.config import ArmConfig
from roman_moe.arms.convert import finger_opening, hand_pose
from roman_moe.arms.estimates import StallEstimate, VelocityEstimate
from roman_moe.arms.kept_orientation import HandPose
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import POINTING_DOWN, HandState
from roman_moe.wire.bodies import MessageError


class RobotState:
    """What a robot has said. Times: `now_ns` of the clock that stamps messages [ns], `now` of a steady one [s]."""

    def __init__(self, spec: TaskSpec, config: ArmConfig) -> None:
        self._spec = spec
        self._config = config
        self._flags = np.zeros(len(spec.flags), dtype=bool)
        self._pose_age = Freshness(config.pose.max_age, config.pose.clock_tolerance)
        self._velocity = VelocityEstimate(config.pose.velocity_window)
        self._stall = StallEstimate(config.fingers.stall_time, config.gripper.largest_opening, spec.gripper.force_scale)
        self._pose: HandPose | None = None
        self._opening: float | None = None
        self._forces = np.zeros(2)
        self._fingers_came = 0.0

    def see_pose(
        self,
        stamp_ns: int,
        frame: str,
        position: Sequence[float],
        quaternion: Sequence[float],
        now_ns: int,
        now: float,
    ) -> None:
        """The hand's pose: position [m], quaternion x, y, z, w.

        Raises:
            MessageError: why it is not taken.
        """
        topic, expected = self._config.pose.topic, self._config.twist.frame
        if frame != expected:
            raise MessageError(f"{topic}: frame {frame!r}: expected {expected!r}, the frame of the twists")
        if not (np.isfinite(position).all() and np.isfinite(quaternion).all()):
            raise MessageError(f"{topic}: pose at {stamp_ns} ns is not finite")
        fault = self._pose_age.fault(stamp_ns, now_ns)
        if fault:
            raise MessageError(f"{topic}: pose {fault}")
        try:
            pose = hand_pose(position, quaternion, self._config.pose)
        except ValueError as error:
            raise MessageError(f"{topic}: {error}") from None
        if self._velocity.add(stamp_ns, pose):
            self._pose = pose
            self._pose_age.note(stamp_ns, now)

    def see_joints(
        self, names: Sequence[str], positions: Sequence[float], efforts: Sequence[float], now: float
    ) -> None:
        """Positions and efforts of joints; of other joints than the fingers', it does not matter.

        Raises:
            MessageError: why they are not taken.
        """
        config = self._config.fingers
        if not all(name in names for name in config.joints):
            return
        if len(positions) != len(names):
            raise MessageError(f"{config.topic}: {len(positions)} positions: expected {len(names)}, as many as names")
        opening = finger_opening(_chosen(config.joints, names, positions), config)
        if not np.isfinite(opening):
            raise MessageError(f"{config.topic}: positions of the fingers are not finite")
        if config.forces == "effort":
            if len(efforts) != len(names):
                raise MessageError(
                    f"{config.topic}: {len(efforts)} efforts: expected {len(names)}: or set forces: stall"
                )
            forces = np.abs(list(_chosen(config.joints, names, efforts).values()))
            if not np.isfinite(forces).all():
                raise MessageError(f"{config.topic}: efforts of the fingers are not finite")
            self._forces = np.array([forces[0], forces[-1]])
        self._opening, self._fingers_came = opening, now
        self._stall.see(opening, now)

    def see_flag(self, name: str, value: bool) -> None:
        self._flags = self._flags.copy()
        self._flags[self._spec.flag_index[name]] = value

    def told(self, opening: float | None, now: float) -> None:
        """The gripper was commanded to open so far [m]; None if it was stopped on its way."""
        self._stall.tell(opening, now)

    def standing(self, now: float) -> float | None:
        """Where the fingers have come to stand since they were told [m]; None if they move, or are not known."""
        fresh = now - self._fingers_came <= self._config.fingers.max_age
        return self._stall.standing() if fresh else None

    def missing(self, now_ns: int, now: float) -> str:
        """What is not there, or too old to be used; empty if the robot is known."""
        if not self._pose_age.fresh(now_ns, now):
            return f"no pose on {self._config.pose.topic} for {self._config.pose.max_age} s"
        if self._opening is None or now - self._fingers_came > self._config.fingers.max_age:
            joints = ", ".join(self._config.fingers.joints)
            return f"no {joints} on {self._config.fingers.topic} for {self._config.fingers.max_age} s"
        return ""

    def pose(self, now_ns: int, now: float) -> HandPose | None:
        """Of the hand; None if it is not known well enough."""
        return self._pose if self._pose_age.fresh(now_ns, now) else None

    @property
    def orientation(self) -> NDArray[np.float64]:
        """Of the hand when it was last known, (4,); pointing down before that."""
        return POINTING_DOWN if self._pose is None else self._pose.orientation

    def hand_state(self, stamp_ns: int, now_ns: int, now: float) -> HandState | None:
        """The hand's state, to be stamped `stamp_ns` [ns]; None if something is missing."""
        if self.missing(now_ns, now):
            return None
        assert self._pose is not None
        assert self._opening is not None
        forces = self._stall.forces() if self._config.fingers.forces == "stall" else self._forces
        return HandState(
            spec=self._spec,
            stamp_ns=stamp_ns,
            hand_position=self._pose.position,
            hand_velocity=self._velocity.velocity(),
            hand_orientation=self._pose.orientation,
            hand_angular_velocity=self._velocity.angular_velocity(),
            finger_opening=self._opening,
            finger_forces=forces,
            flags=self._flags,
        )


def _chosen(joints: Mapping[str, float], names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    by_name = dict(zip(names, values, strict=True))
    return {name: float(by_name[name]) for name in joints}
