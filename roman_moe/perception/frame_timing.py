"""When cameras take their images, and when what these show is known: between an estimator and the filter."""

from __future__ import annotations

from collections import deque

from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import NANOSECONDS, HandState, ObjectPoses
from roman_moe.perception.detections import Detections
from roman_moe.perception.filter import PoseFilter

RATE = 10.0  # of frame sets [Hz]
LATENCY = 0.1  # from the images until what they show is known [s]


class FrameSetTimes:
    """At which ticks all cameras take an image: at an episode's first one, and then at a rate."""

    def __init__(self, rate: float = RATE) -> None:
        self._period_ns = round(NANOSECONDS / rate)
        self.begin()

    def begin(self) -> None:
        self._due_ns: int | None = None

    def due(self, now_ns: int) -> bool:
        """Whether a frame set is due at this tick; asked once a tick, in order."""
        if self._due_ns is not None and now_ns < self._due_ns:
            return False
        self._due_ns = (now_ns if self._due_ns is None else self._due_ns) + self._period_ns
        return True


class DelayedFilter:
    """The filter of an episode's detections, each taken in when it counts as known."""

    def __init__(self, spec: TaskSpec, latency: float = LATENCY) -> None:
        """Args:
        latency: after which a frame set's detections count as known [s].
        """
        self._latency_ns = round(latency * NANOSECONDS)
        self.filter = PoseFilter(spec)
        self.begin()

    def begin(self) -> None:
        self.filter.reset()
        self._under_way: deque[Detections] = deque()

    def add(self, found: Detections) -> None:
        """What a frame set shows, later than all before."""
        self._under_way.append(found)

    def poses(self, hand: HandState) -> ObjectPoses:
        """The objects at a hand's stamp, which is later than all before; else an episode begins."""
        while self._under_way and self._under_way[0].stamp_ns + self._latency_ns <= hand.stamp_ns:
            self.filter.update(self._under_way.popleft())
        return self.filter.poses(hand)
