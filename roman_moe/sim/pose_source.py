"""Pose sources: origins of the object poses in an episode's scenes.

A `PoseSource` is a plain description, which goes through pickle to other processes. For one episode of one world it
opens a `PoseSensor`. Here is the source "truth": the true poses with an estimator's errors.

- Noise is white and independent per tick, object and axis. ROMAN's public code (`GaussianDistribution.cs`) calls the
  *clip bound* L the noise level and draws with sigma = L / 3; its shipped scenes have L = 5 mm. Here one draw serves
  all networks of a tick, because in the graph they all read the same scene; ROMAN draws anew for each network.
- Bias is an offset of each object, constant over an episode and uniform in a ball: an estimator's error is a distance.
- A calibration error is a rigid error of one camera's pose, constant over an episode: all objects move together.

If an orientation matters, the error of its angle about the vertical is the position error divided by `NOISE_ARM`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError
from roman_moe.core.ranges import AT_LEAST_0, check_ranges
from roman_moe.core.rotation import matrix
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import ObjectPoses, SceneState, rotated, upright

if TYPE_CHECKING:
    from roman_moe.sim.pose_tally import PoseTally
    from roman_moe.sim.streams import Streams
    from roman_moe.sim.world import World

NOISE_ARM = 0.1  # [m] a marker's size: 5 mm on either side of it are 0.05 rad
NOISE_KINDS = ("clipped", "gaussian")

Array = NDArray[np.float64]


class PoseSensor(Protocol):
    """A pose source at work in one episode."""

    @property
    def tally(self) -> PoseTally | None:
        """How right its poses were; None if nobody asks that of it."""

    def measure(self, state: SceneState) -> SceneState:
        """A true state with the object poses that the source gives for it.

        It is asked in tick order, at most once a tick, while its world is in that state.
        """


class PoseSource(Protocol):
    """What gives object poses: hashable and picklable."""

    @property
    def description(self) -> dict[str, Any]:
        """What a report says of it."""

    @property
    def shows_markers(self) -> bool:
        """Whether its world has to show the objects' markers."""

    def open(self, world: World, streams: Streams) -> PoseSensor:
        """Begin an episode of a world that has just been reset."""


@dataclass(frozen=True)
class TruthPoses:
    """The pose source "truth": poses as they are, with the errors of an estimator.

    Attributes:
        noise_bound: L of the noise on positions [m]; sigma is a third of it.
        noise_kind: "clipped" at +-L as in ROMAN, or plain "gaussian" with the same sigma.
        bias_bound: radius of the ball in which an object's offset is drawn [m].
        rotation_error: of a camera's calibration, about a random axis through the camera [degrees].
        translation_error: of a camera's calibration, in a random direction [m].
    """

    shows_markers: ClassVar[bool] = False

    noise_bound: Annotated[float, AT_LEAST_0] = 0.0
    noise_kind: str = "clipped"
    bias_bound: Annotated[float, AT_LEAST_0] = 0.0
    rotation_error: Annotated[float, AT_LEAST_0] = 0.0
    translation_error: Annotated[float, AT_LEAST_0] = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, ConfigError)
        if self.noise_kind not in NOISE_KINDS:
            raise ConfigError(f"unknown noise kind {self.noise_kind!r}: expected one of {', '.join(NOISE_KINDS)}")

    @property
    def description(self) -> dict[str, Any]:
        """Its noise, and the other errors if it has them."""
        constant = {
            "bias_bound_m": self.bias_bound,
            "rotation_error_deg": self.rotation_error,
            "translation_error_m": self.translation_error,
        }
        return {
            "noise_bound_m": self.noise_bound,
            "noise_kind": self.noise_kind,
            **{key: value for key, value in constant.items() if value},
        }

    @property
    def is_calibrated(self) -> bool:
        """Whether the cameras are where they are taken to be."""
        return not (self.rotation_error or self.translation_error)

    def open(self, world: World, streams: Streams) -> TruthSensor:
        """Begin an episode.

        Raises:
            ConfigError: if a calibration error finds no camera.
        """
        return TruthSensor(self, world.task.spec, streams, () if self.is_calibrated else _camera_positions(world))


class TruthSensor:
    """The source "truth" in one episode, in process and in the graph.

    Args:
        cameras: positions of the task's cameras, (3,) each [m]; one of them has the calibration error.
    """

    tally = None

    def __init__(self, source: TruthPoses, spec: TaskSpec, streams: Streams, cameras: Sequence[Array] = ()) -> None:
        self._source = source
        self._turned = _turned(spec)
        self._rng = streams.noise
        if source.bias_bound or not source.is_calibrated:  # in an environment all streams are one: drawn only if needed
            rng, count = streams.bias, len(spec.objects)
            lengths = source.bias_bound * np.cbrt(rng.random((count, 1)))  # uniform in a ball
            self._bias = lengths * directions(count, rng)
            self._yaw_bias = source.bias_bound * rng.uniform(-1.0, 1.0, len(self._turned)) / NOISE_ARM
            axis, direction = directions(2, rng)
            self._rotation = np.radians(source.rotation_error) * axis
            self._translation = source.translation_error * direction
            self._camera = cameras[int(rng.integers(len(cameras)))] if cameras else np.zeros(3)

    def measure(self, state: SceneState) -> SceneState:
        """The state with errors in its object poses."""
        poses = self.measure_poses(state.poses)
        return state.with_objects(poses.positions, poses.orientations)

    def measure_poses(self, poses: ObjectPoses) -> ObjectPoses:
        """True poses with errors. Draws noise even at bound 0, so that seeds stay comparable."""
        if not self._source.is_calibrated:
            poses = self._from_wrong_camera(poses)
        positions = poses.positions + self._noise(poses.positions.shape)
        angles = self._noise((len(self._turned),)) / NOISE_ARM if self._turned else np.zeros(0)
        if self._source.bias_bound:
            positions += self._bias
            angles += self._yaw_bias
        orientations = self._rotated(poses.orientations, [np.array([0.0, 0.0, angle]) for angle in angles])
        return replace(poses, positions=positions, orientations=orientations)

    def _from_wrong_camera(self, poses: ObjectPoses) -> ObjectPoses:
        """Poses as they follow from the images of a camera whose calibration is wrong."""
        rotation = matrix(rotated(upright(1)[0], self._rotation))
        positions = (poses.positions - self._camera) @ rotation.T + self._camera + self._translation
        orientations = self._rotated(poses.orientations, [self._rotation] * len(self._turned))
        return replace(poses, positions=positions, orientations=orientations)

    def _rotated(self, orientations: Array, rotations: Sequence[Array]) -> Array:
        """Orientations, (n, 4), those that matter after a rotation each, (3,) [rad]."""
        orientations = orientations.copy()
        for i, rotation in zip(self._turned, rotations, strict=True):
            orientations[i] = rotated(orientations[i], rotation)
        return orientations

    def _noise(self, shape: tuple[int, ...]) -> Array:
        bound = self._source.noise_bound
        draw = self._rng.standard_normal(shape) * (bound / 3.0)
        return np.minimum(np.maximum(draw, -bound), bound) if self._source.noise_kind == "clipped" else draw


def directions(count: int, rng: np.random.Generator) -> Array:
    """Unit vectors, uniform on the sphere, (count, 3)."""
    vectors = rng.standard_normal((count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _camera_positions(world: World) -> list[Array]:
    """Of the task's cameras, (3,) each [m].

    Raises:
        ConfigError: if it has none, or the scene lacks one of them.
    """
    spec, scene = world.task.spec, world.task.folder / world.task.scene
    if not spec.cameras:
        raise ConfigError(f"task {spec.name} has no cameras: a calibration error needs one in its task.yaml")
    known = {world.model.camera(i).name for i in range(world.model.ncam)}
    if missing := [name for name in spec.cameras if name not in known]:
        raise ConfigError(f"{scene}: no camera {missing[0]!r}: expected one for each camera of the task")
    return [world.data.camera(name).xpos.copy() for name in spec.cameras]


@lru_cache(maxsize=16)
def _turned(spec: TaskSpec) -> tuple[int, ...]:
    """Rows of the objects whose orientations matter."""
    return tuple(i for i, each in enumerate(spec.objects.values()) if each.orientation != "none")


TRUTH = TruthPoses()
"""Poses as they are."""
