"""From what single frame sets show to the poses that a controller goes by.

What recent frame sets have shown is valid. What the fingers hold follows the hand, and is valid. All else is hidden: it
is reported invalid, at its last pose and with a growing age. What was never seen counts as hidden since the episode
began, at the position in the task's description. What is hidden in a drawer moves with it. While none comes at all, no
age is finite: then nothing is known to be where it was.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.guarded_blend import GRASP_FORCE
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import NANOSECONDS, HandState, ObjectPoses, begins_anew
from roman_moe.perception.detections import Detections
from roman_moe.perception.object_track import BASE, LEAST_VARIANCE, Detection, Pose, Track

Array = NDArray[np.float64]

SEEN_FOR = 0.3
"""Age up to which what was seen counts as seen [s]: at 10 Hz, an image's way of 0.1 s and one frame set that missed
it."""
SILENCE = 0.4
"""Age of the last frame set from which on the cameras are silent [s]: at 10 Hz, two that never came."""
REACH = 0.06  # [m] between the hand and what it has grasped
MARGIN = 0.002  # [m] between the pads that hold something and those that are closed or open
SLIP = 0.1  # [s] without force after which nothing is held
HISTORY = 1.0  # [s] for which the hand's poses are kept, and after which detections are too old
AHEAD = 0.1  # [s] by which the stamp of detections may be ahead of the hand's


class PoseFilter:
    """The objects of one task; told of every hand state and of all detections."""

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        self.reset()

    def reset(self) -> None:
        self._tracks = [Track.of(each) for each in self.spec.objects.values()]
        self._hands: deque[tuple[int, Pose]] = deque()
        self._began_ns = self._stamp_ns = -1
        self._found_ns = -1  # stamp of the last detections
        self._grip_ns = -1  # when the fingers last held something; -1 while they hold nothing
        self._held: Track | None = None
        self._carriers = [
            (track, self._tracks[self.spec.object_index[track.spec.carried_by]])
            for track in self._tracks
            if track.spec.carried_by
        ]
        self._carried_to = [carrier.pose.position for _, carrier in self._carriers]

    @property
    def covariances(self) -> Array:
        """Of the positions, along the base frame's axes, (n, 3, 3) [m^2]; infinite for what was never seen."""
        return np.array([track.covariance for track in self._tracks])

    @property
    def held(self) -> str:
        """The object that follows the hand; "" for none."""
        named = zip(self.spec.objects, self._tracks, strict=True)
        return next((name for name, track in named if track is self._held), "")

    def update(self, found: Detections) -> bool:
        """Take in what one frame set shows; whether its stamp is one that it can have."""
        if not self._hands or found.stamp_ns <= self._found_ns:
            return False
        if not -AHEAD <= (self._stamp_ns - found.stamp_ns) / NANOSECONDS <= HISTORY:
            return False
        self._found_ns = found.stamp_ns
        hand = self._hand_at(found.stamp_ns)
        for i in np.flatnonzero(found.seen).tolist():
            track = self._tracks[i]
            pose = Pose(found.positions[i], found.orientations[i])
            covariance = found.covariances[i] + LEAST_VARIANCE * np.eye(3)
            detection = Detection(found.stamp_ns, pose, covariance, float(found.yaw_sigmas[i]) ** 2)
            track.take(detection, hand if track is self._held else BASE)
        return True

    def poses(self, hand: HandState) -> ObjectPoses:
        """The objects at a hand's stamp, which is later than all before; else an episode begins."""
        if self._stamp_ns < 0 or begins_anew(hand.stamp_ns, self._stamp_ns):
            self.reset()
            self._began_ns = hand.stamp_ns
        self._stamp_ns = hand.stamp_ns
        self._hands.append((hand.stamp_ns, Pose(hand.hand_position, hand.hand_orientation)))
        while self._hands[0][0] < hand.stamp_ns - HISTORY * NANOSECONDS:
            self._hands.popleft()
        self._hold(hand)
        self._carry()
        poses = [self._in_base(track) for track in self._tracks]
        return ObjectPoses(
            stamp_ns=hand.stamp_ns,
            positions=np.array([pose.position for pose in poses]),
            valid=np.array([self._is_seen(track) and not self._silent for track in self._tracks]),
            ages=np.array([math.inf if self._silent else self._age(track) for track in self._tracks]),
            orientations=np.array([pose.orientation for pose in poses]),
        )

    @property
    def _silent(self) -> bool:
        return self._found_ns < 0 or self._stamp_ns - self._found_ns > SILENCE * NANOSECONDS

    def _in_base(self, track: Track) -> Pose:
        return self._hands[-1][1] @ track.pose if track is self._held else track.pose

    def _is_seen(self, track: Track) -> bool:
        return track is self._held or (track.stamp_ns >= 0 and self._age(track) <= SEEN_FOR)

    def _age(self, track: Track) -> float:
        """Of the object's pose [s]; infinite if nothing has ever told one."""
        if track is self._held or math.isnan(track.pose.position[0]):
            return 0.0 if track is self._held else math.inf
        since = self._began_ns if track.stamp_ns < 0 else track.stamp_ns
        return max(self._stamp_ns - since, 0) / NANOSECONDS

    def _carry(self) -> None:
        """What is hidden moves with what carries it, until the hand has held it."""
        for i, (track, carrier) in enumerate(self._carriers):
            before, now = self._carried_to[i], self._in_base(carrier).position
            self._carried_to[i] = now
            if not (track.grasped or self._is_seen(track) or np.isnan(before[0])):
                track.pose = Pose(track.pose.position + now - before, track.pose.orientation)

    def _hold(self, hand: HandState) -> None:
        """Find out what the fingers hold, if anything."""
        gripper, stamp_ns = self.spec.gripper, hand.stamp_ns
        pressed = bool((hand.finger_forces >= GRASP_FORCE).all())
        if pressed and gripper.closed + MARGIN < hand.finger_opening < gripper.open - MARGIN:
            if self._grip_ns < 0:
                self._grasp(self._hands[-1][1])
            self._grip_ns = stamp_ns
        elif self._grip_ns >= 0 and stamp_ns - self._grip_ns > SLIP * NANOSECONDS:
            self._let_go(self._hand_at(self._grip_ns))

    def _grasp(self, hand: Pose) -> None:
        """What is nearest to the fingers that have closed on something follows them, if it has ever been seen."""
        movable = [track for track in self._tracks if track.spec.moves and track.stamp_ns >= 0]
        near = [(math.dist(track.pose.position, hand.position), i) for i, track in enumerate(movable)]
        if near and min(near)[0] <= REACH:
            self._held = movable[min(near)[1]]
            self._held.attach(hand.inverse(), self._stamp_ns)
            self._held.grasped = True

    def _let_go(self, hand: Pose) -> None:
        """What was held is where the hand last held it."""
        if self._held is not None:
            self._held.attach(hand, self._stamp_ns)
            self._held.stamp_ns = max(self._held.stamp_ns, self._grip_ns)
        self._held, self._grip_ns = None, -1

    def _hand_at(self, stamp_ns: int) -> Pose:
        """The hand at a time, or as near to it as it is known."""
        before = after = self._hands[0]
        for after in self._hands:
            if after[0] >= stamp_ns:
                break
            before = after
        (first, start), (last, end) = before, after
        share = min(max((stamp_ns - first) / (last - first), 0.0), 1.0) if last > first else 1.0
        position = start.position + share * (end.position - start.position)
        return Pose(position, end.orientation if share > 0.5 else start.orientation)
