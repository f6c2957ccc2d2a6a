"""Observer, the pacemaker: joins the hand's state and the objects' poses into one stamped scene per control tick.

A tick waits for poses of its own stamp, in lockstep without a timeout and otherwise for `pose_wait`. After that the
newest poses are used, with an age that includes their delay. If a source is silent for longer than `max_command_age`,
no object is usable. A tick does not wait for poses from cameras, which have their own timing: the newest that are not
newer than the hand's state are used at once. States and poses that are not finite, or stamped in the future, are
dropped.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from roman_moe.control.limits import load_limits
from roman_moe.core.state import HandState, ObjectPoses
from roman_moe.nodes.base.diagnostics import OK, WAITING, WARN
from roman_moe.nodes.base.node import NOT_FINITE, RomanNode
from roman_moe.nodes.base.parameters import TaskParameters, parameter
from roman_moe.nodes.base.topics import HAND_STATE, OBJECT_POSES, SCENE
from roman_moe.wire.bodies import scene_layout

LATE_POSES = "late_poses"
RECENT = 16  # poses that are kept: a hand's state may come after poses of a later moment, but not much later


@dataclass(frozen=True)
class ObserverParameters(TaskParameters):
    """Parameters of the observer."""

    lockstep: bool = parameter("whether a tick waits for poses of its own stamp without a timeout", False)
    pose_wait: float = parameter(
        "without lockstep: time to wait for poses of a tick's own stamp [s]", 0.02, (0.001, 1.0)
    )
    speed: float = parameter("simulated seconds per second", 1.0, (0.001, 100.0))
    limits: str = parameter("file of the guard's limits; config/limits.yaml if empty", "", shipped=True)
    await_poses: bool = parameter("whether to wait for poses of each tick's own stamp", True)


class Observer(RomanNode):
    """Turns `hand_state` and `object_poses` into `scene`."""

    NAME = "observer"
    PARAMETERS = ObserverParameters
    _settings: ObserverParameters

    def configure(self) -> None:
        """Learn the task, and for how long the pose source may be silent."""
        settings = self._settings
        self.real_time = not settings.lockstep and settings.speed == 1.0
        self._awaits = settings.await_poses or settings.lockstep
        self._spec, limits = settings.spec(), load_limits(settings.limits)
        self._max_lag = limits.max_command_age if self._awaits else limits.max_pose_age

    def activate(self) -> None:
        self._hand: HandState | None = None  # of the tick that still waits for poses
        self._poses: ObjectPoses | None = None  # newest
        self._recent: deque[ObjectPoses] = deque(maxlen=RECENT)
        self._scene_stamp = -1  # of the last scene sent
        self._layout = layout = scene_layout(self._spec)
        self._publish_scene = self.advertise_bodies(SCENE, layout.scene_names)
        self._deadline = self.timer(self._settings.pose_wait, self._on_deadline)
        self._deadline.cancel()
        self.listen_bodies(HAND_STATE, layout.hand_names, layout.hand, self._on_hand)
        self.listen_poses(OBJECT_POSES, self._spec, self._on_poses)
        self.diagnostics.state(WARN, f"{WAITING}{HAND_STATE.name}")

    def _on_hand(self, hand: HandState) -> None:
        if self.from_the_future(HAND_STATE.name, hand.stamp_ns):
            return
        if hand.stamp_ns == self._scene_stamp:  # the arm asks again: someone missed this scene
            self._publish_scene(self._scene)
            return
        self._hand = hand
        if not self._awaits:
            self._publish_with_recent(hand)
        elif self._poses is not None and self._poses.stamp_ns == hand.stamp_ns:
            self._publish(hand, self._poses)
        elif not self._settings.lockstep:
            self._deadline.reset()

    def _on_poses(self, poses: ObjectPoses) -> None:
        if self.from_the_future(OBJECT_POSES.name, poses.stamp_ns):
            return
        if not poses.is_finite():
            self.diagnostics.count(NOT_FINITE, f"{OBJECT_POSES.name} at {poses.stamp_ns} ns")
            return
        self._poses = poses
        self._recent.append(poses)
        if self._hand is not None and self._hand.stamp_ns == poses.stamp_ns:
            self._publish(self._hand, poses)

    def _publish_with_recent(self, hand: HandState) -> None:
        seen = [poses for poses in self._recent if poses.stamp_ns <= hand.stamp_ns]
        if seen:
            self._publish(hand, max(seen, key=lambda poses: poses.stamp_ns))
        else:
            self.diagnostics.state(WARN, f"{WAITING}object_poses")

    def _on_deadline(self) -> None:
        self._deadline.cancel()
        if self._hand is None:
            return
        if self._poses is None or self._poses.stamp_ns > self._hand.stamp_ns:  # none, or of an earlier episode
            self.diagnostics.state(WARN, f"{WAITING}object_poses")
            return
        self.diagnostics.count(LATE_POSES, f"none for {self._hand.stamp_ns} ns within {self._settings.pose_wait} s")
        self._publish(self._hand, self._poses)

    def _publish(self, hand: HandState, poses: ObjectPoses) -> None:
        self._hand = None
        self._deadline.cancel()
        state = hand.with_poses(poses, self._max_lag)
        if not state.is_finite():
            self.diagnostics.count(NOT_FINITE, f"scene at {state.stamp_ns} ns")
            return
        self._scene, self._scene_stamp = self._layout.of_scene(state), state.stamp_ns
        self._publish_scene(self._scene)
        self.diagnostics.state(OK, "giving scenes")
