"""Pose sources: where the object poses of an episode's scenes come from.

A `PoseSource` is a plain description, which goes through pickle to other processes. For one episode of one world it
opens a `PoseSensor`. Here is the source "truth": the true poses with noise, white and independent per tick, object and
axis. ROMAN's public code (`GaussianDistribution.cs`) calls the *clip bound* L the noise level and draws with
sigma = L / 3; its shipped scenes have L = 5 mm. Here one draw serves all networks of a tick, because in the graph they
all read the same scene; ROMAN draws anew for each network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import ObjectPoses, SceneState, rotated

if TYPE_CHECKING:
    from roman_moe.sim.episode import Streams
    from roman_moe.sim.world import World

NOISE_ARM = 0.1  # [m] a marker's size: 5 mm on either side of it are 0.05 rad
NOISE_KINDS = ("clipped", "gaussian")


class PoseSensor(Protocol):
    """A pose source at work in one episode."""

    def measure(self, state: SceneState) -> SceneState:
        """A true state with the object poses that the source gives for it.

        It is asked in tick order, at most once a tick, while its world is in that state.
        """


class PoseSource(Protocol):
    """What gives object poses: hashable and picklable."""

    @property
    def description(self) -> dict[str, Any]:
        """What a report says of it."""

    def open(self, world: World, streams: Streams) -> PoseSensor:
        """Begin an episode of a world that has just been reset."""


@dataclass(frozen=True)
class TruthPoses:
    """The pose source "truth": poses as they are, with the errors of an estimator.

    Attributes:
        noise_bound: L of the white noise on object positions [m]; sigma is a third of it.
        noise_kind: "clipped" at +-L as in ROMAN, or plain "gaussian" with the same sigma.
    """

    noise_bound: float = 0.0
    noise_kind: str = "clipped"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.noise_bound) and self.noise_bound >= 0.0):
            raise ConfigError(f"noise bound is {self.noise_bound}: expected metres, 0 or more")
        if self.noise_kind not in NOISE_KINDS:
            raise ConfigError(f"unknown noise kind {self.noise_kind!r}: expected one of {', '.join(NOISE_KINDS)}")

    @property
    def description(self) -> dict[str, Any]:
        """Its noise."""
        return {"noise_bound_m": self.noise_bound, "noise_kind": self.noise_kind}

    def open(self, world: World, streams: Streams) -> TruthSensor:
        """Begin an episode."""
        return TruthSensor(self, world.task.spec, streams)


class TruthSensor:
    """The source "truth" in one episode, in process and in the graph.

    Args:
        source: whose errors it makes.
        spec: of the task.
        streams: of the episode.
    """

    def __init__(self, source: TruthPoses, spec: TaskSpec, streams: Streams) -> None:
        self._source = source
        self._turned = _turned(spec)
        self._rng = streams.noise

    def measure(self, state: SceneState) -> SceneState:
        """The state with errors in its object poses."""
        poses = self.measure_poses(state.poses)
        return state.with_objects(poses.positions, poses.orientations)

    def measure_poses(self, poses: ObjectPoses) -> ObjectPoses:
        """True poses with errors. Draws noise even at bound 0, so that seeds stay comparable.

        Of an orientation that matters, the angle about the vertical is as wrong as a position is at `NOISE_ARM`.
        """
        positions = poses.positions + self._noise(poses.positions.shape)
        if not self._turned:
            return replace(poses, positions=positions)
        angles = self._noise((len(self._turned),)) / NOISE_ARM
        return replace(poses, positions=positions, orientations=self._yawed(poses.orientations, angles))

    def _yawed(self, orientations: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.float64]:
        """Orientations, those that matter turned by angles about the vertical [rad]."""
        orientations = orientations.copy()
        for i, angle in zip(self._turned, angles, strict=True):
            orientations[i] = rotated(orientations[i], np.array([0.0, 0.0, angle]))
        return orientations

    def _noise(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        bound = self._source.noise_bound
        draw = self._rng.standard_normal(shape) * (bound / 3.0)
        return np.minimum(np.maximum(draw, -bound), bound) if self._source.noise_kind == "clipped" else draw


@lru_cache(maxsize=16)
def _turned(spec: TaskSpec) -> tuple[int, ...]:
    """Rows of the objects whose orientations matter."""
    return tuple(i for i, each in enumerate(spec.objects.values()) if each.orientation != "none")


TRUTH = TruthPoses()
"""Poses as they are."""
