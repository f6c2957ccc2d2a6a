"""Pose source with cameras: an estimator looks at their images, a filter makes poses of what it says.

Estimator and filter are the classes that the graph's node uses. An estimate takes its time: what it says counts as of
the images' moment, and is known `latency` later.
"""

from __future__ import annotations

import atexit
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from roman_moe.core.errors import ConfigError
from roman_moe.core.files import version_of
from roman_moe.core.ranges import Positive, Range, check_ranges
from roman_moe.core.state import SceneState
from roman_moe.perception.estimator import PoseEstimator, find_estimator
from roman_moe.perception.estimators import Estimator
from roman_moe.perception.frame_timing import LATENCY, RATE, DelayedFilter, FrameSetTimes
from roman_moe.perception.markers import IMAGE, MarkerEstimator
from roman_moe.sim.cameras import SceneCameras, camera_of
from roman_moe.sim.pose_tally import PoseTally
from roman_moe.sim.synthetic_estimator import SyntheticEstimator
from roman_moe.sim.visibility import Visibility
from roman_moe.sim.world import World

if TYPE_CHECKING:
    from roman_moe.sim.streams import Streams

ESTIMATORS = ("camera", "markers", "synthetic")


@dataclass(frozen=True)
class CameraPoses:
    """The pose source with cameras.

    Attributes:
        estimator: one of `ESTIMATORS`; "camera" is the learned one, "synthetic" reads the truth of what is visible,
            with white noise.
        rate: of the frame sets [Hz].
        latency: from the images until what they show is known [s].
        noise_bound: three standard deviations of the synthetic estimator's positions along each axis [m].
        file: of the learned estimator; the one that is shipped for the task if "".
    """

    estimator: str
    rate: Positive = RATE
    latency: Annotated[float, Range(0, 1, below=True)] = LATENCY
    noise_bound: Positive = 0.009
    file: str = ""

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise ConfigError(f"unknown estimator {self.estimator!r}: expected one of {', '.join(ESTIMATORS)}")
        check_ranges(self, ConfigError)

    @property
    def description(self) -> dict[str, Any]:
        """Its estimator and times, and the noise that it makes up."""
        noise = {"noise_bound_m": self.noise_bound, "noise_kind": "gaussian"}
        times = {"camera_rate_hz": self.rate, "camera_latency_s": self.latency}
        return {"poses": self.estimator, **times, **(noise if self.estimator == "synthetic" else {})}

    @property
    def shows_markers(self) -> bool:
        """Whether its world has to show the objects' markers."""
        return self.estimator == "markers"

    def open(self, world: World, streams: Streams) -> CameraSensor:
        """Begin an episode.

        Raises:
            BundleError: if the learned estimator's file cannot be used for the task.
            ConfigError: if the task has no cameras, or no estimator or markers where they are needed.
        """
        if not world.task.spec.cameras:
            raise ConfigError(f"task {world.task.spec.name!r} has no cameras: expected cameras in its task.yaml")
        return CameraSensor(self, world, streams)


class CameraSensor:
    """The cameras in one episode."""

    def __init__(self, source: CameraPoses, world: World, streams: Streams) -> None:
        spec = world.task.spec
        cameras = [
            camera_of(world.model, world.data, name, each.width, each.height) for name, each in spec.cameras.items()
        ]
        self._visibility = Visibility(world, cameras)
        self._drawn: SceneCameras | None = None
        self._estimator: Estimator | SyntheticEstimator
        if source.estimator == "synthetic":
            sigma = source.noise_bound / 3.0
            self._estimator = SyntheticEstimator(world, self._visibility, sigma, streams.noise)
        elif source.estimator == "camera":
            file = find_estimator(spec.name, source.file)
            self._drawn, self._estimator = _by_network(world, file.absolute(), version_of(file))
        else:
            self._drawn, self._estimator = _by_markers(world)
        self._times, self._delayed = FrameSetTimes(source.rate), DelayedFilter(spec, source.latency)
        self.tally = PoseTally(spec.object_names)
        self.filter = self._delayed.filter

    def measure(self, state: SceneState) -> SceneState:
        """The state with the objects where the filter has them."""
        if taken := self._times.due(state.stamp_ns):
            self._visibility.count()
            self._delayed.add(self._estimator.detect(state.stamp_ns, self._drawn.images() if self._drawn else {}))
        poses = self._delayed.poses(state)
        if taken:
            hidden = np.asarray(~self._visibility.pixels.any(axis=0))
            self.tally.add(state, poses, hidden, self.filter.held)
        return state.with_poses(poses)


@lru_cache(maxsize=2)
def _by_network(world: World, file: Path, _: tuple[int, ...]) -> tuple[SceneCameras, PoseEstimator]:
    """Likewise, with what the network takes the images for."""
    drawn = SceneCameras(world)
    atexit.register(drawn.close)
    return drawn, PoseEstimator(world.task.spec, drawn.cameras, file)


@lru_cache(maxsize=2)
def _by_markers(world: World) -> tuple[SceneCameras, MarkerEstimator]:
    """This process's images of a world, and what finds its markers in them; the cameras stay where they are."""
    drawn = SceneCameras(world, dict.fromkeys(world.task.spec.cameras, IMAGE))
    atexit.register(drawn.close)
    return drawn, MarkerEstimator(world.task.spec, drawn.cameras)
