"""Pose source "truth": the lab's true object poses, made with the errors of an estimator.

Noise and bias are those of an in-process episode of the seed `seed + episode`: noise is drawn once a scene.
A gap of a second in the poses counts as a new episode: seeds are those of the episodes only without such gaps.
A stamp seen again (the lab asks twice when an answer is late) gets the same poses again, without a new draw.
"""

from __future__ import annotations

from dataclasses import dataclass

from roman_moe.core.state import POSITION_BOUND, ObjectPoses, begins_anew
from roman_moe.nodes.base.diagnostics import OK
from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.base.parameters import TaskParameters, parameter
from roman_moe.nodes.base.topics import OBJECT_POSES, TRUTH_POSES
from roman_moe.sim.pose_source import TRUTH, TruthPoses, TruthSensor
from roman_moe.sim.streams import Streams

OUT_OF_WORLD = "objects_out_of_the_world"
"""Kind of trouble: true poses that are not finite, or beyond `POSITION_BOUND`: nothing has stopped the fall."""
LET_IT_LAND = (
    f"farther than {POSITION_BOUND:g} m from the base, or not finite: it has fallen, and the arm halts: give it a "
    "floor in scene.xml, or name its body in `loose` of simulation.py, so that the episode ends"
)


@dataclass(frozen=True)
class PoseSourceParameters(TaskParameters):
    """Parameters of the pose source."""

    noisy: bool = parameter("whether to add errors to poses; not to a real estimator's", True)
    noise_bound: float = parameter("clip bound of the noise on each coordinate, three sigma [m]", 0.005, (0.0, 1.0))
    bias_bound: float = parameter("bound of an object's constant offset, new in each episode [m]", 0.0, (0.0, 1.0))
    seed: int = parameter("seed of the first episode's errors; later episodes count up", 0, (0, 2**31 - 1))


class PoseSource(RomanNode):
    """Turns `truth/object_poses` into `object_poses`."""

    NAME = "pose_source"
    PARAMETERS = PoseSourceParameters
    _settings: PoseSourceParameters

    def configure(self) -> None:
        settings = self._settings
        self._spec = settings.spec()
        self._source = TruthPoses(settings.noise_bound, bias_bound=settings.bias_bound) if settings.noisy else TRUTH

    def activate(self) -> None:
        self._episode = 0
        self._begin_episode()
        self._publish = self.advertise_poses(OBJECT_POSES, self._spec)
        self.listen_poses(TRUTH_POSES, self._spec, self._on_truth)

    def _begin_episode(self) -> None:
        streams = Streams.of_seed(self._settings.seed + self._episode)
        self._sensor = TruthSensor(self._source, self._spec, streams)
        self._stamp = -1

    def _on_truth(self, truth: ObjectPoses) -> None:
        if not truth.is_finite():
            where = truth.misplaced(self._spec.object_names)
            self.diagnostics.count(OUT_OF_WORLD, f"{where} at {truth.stamp_ns} ns: {LET_IT_LAND}")
            return
        if self._stamp >= 0 and begins_anew(truth.stamp_ns, self._stamp):
            self._episode += 1
            self._begin_episode()
        if truth.stamp_ns != self._stamp:
            self._poses = self._sensor.measure_poses(truth)
            self._stamp = truth.stamp_ns
            self.diagnostics.state(OK, "giving poses")
        self._publish(self._poses)
