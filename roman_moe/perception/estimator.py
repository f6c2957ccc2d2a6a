"""The learned estimator: an ONNX network that says where each camera sees each object, and what follows from that.

The file is self-contained: it takes images as cameras give them. It knows no camera's place. Rays and positions of the
cameras, as they are calibrated now, are part of its input. A camera that was moved therefore needs a new calibration
and no new training. Not safe for use from several threads at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from roman_moe.control.network import REFUSED_OPERATORS, check_file, first_line, runtime, session_options
from roman_moe.core.errors import BundleError, ConfigError
from roman_moe.core.paths import find_shipped
from roman_moe.core.spec import TaskSpec
from roman_moe.perception.camera import Camera
from roman_moe.perception.detections import Detections, Sighting
from roman_moe.perception.fusion import Views, fuse

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

INPUTS = ("images", "rays", "positions")
OUTPUTS = ("pixels", "pixel_sigmas", "heights", "height_sigmas", "confidences", "turns")
ESTIMATOR_FORMAT = 1

CPU = "cpu"
PROVIDERS = {CPU: "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""What may run it: onnxruntime's names by ours."""

SEEN = 0.5  # confidence from which on an object counts as seen by a camera
LEAST_SIGMA = 1.0
"""Of a pixel: no calibration is better than that [pixels]; half a degree shifts all pixels by 2.5."""
YAW_SIGMA = 0.05  # of a yaw that a camera sees [rad]
ALLOWED = frozenset({"Resize", "Range", "Expand", "ConstantOfShape"})
"""Operators that no policy needs, but a network that sees."""


@dataclass(frozen=True)
class EstimatorMetadata:
    """What an estimator's file says about itself.

    Attributes:
        objects: that it finds, in order.
        width: of the images that it takes [pixels].
        height: likewise.
    """

    task: str
    objects: tuple[str, ...]
    width: int
    height: int

    def to_properties(self) -> dict[str, str]:
        return {
            "estimator_format": str(ESTIMATOR_FORMAT),
            "task": self.task,
            "objects": ",".join(self.objects),
            "width": str(self.width),
            "height": str(self.height),
        }

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], where: str) -> EstimatorMetadata:
        """From ONNX metadata properties.

        Raises:
            BundleError: naming what is missing or malformed.
        """
        if properties.get("estimator_format") != str(ESTIMATOR_FORMAT):
            raise BundleError(f"{where}: no estimator of object poses: expected one that `train poses` made")
        try:
            width, height = int(properties["width"]), int(properties["height"])
            return cls(properties["task"], tuple(properties["objects"].split(",")), width, height)
        except (KeyError, ValueError) as error:
            raise BundleError(f"{where}: metadata property {error}: expected what `train poses` writes") from None


class PoseEstimator:
    """Finds a task's objects in its cameras' images.

    Attributes:
        metadata: what its file says about itself.
        cameras: as they are calibrated, by name.
    """

    def __init__(self, spec: TaskSpec, cameras: Mapping[str, Camera], path: Path, provider: str = CPU) -> None:
        """Load it.

        Args:
            cameras: as they are calibrated, by name; their images may have another size than the network takes.
            provider: what runs it, one of `PROVIDERS`.

        Raises:
            BundleError: with the reason, if the file must not run, or is for another task.
            ConfigError: for a provider that this machine's onnxruntime does not have.
        """
        where = str(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{where}: cannot be read: {error.strerror}") from None
        self._session = _session(data, where, provider)
        self.metadata = EstimatorMetadata.from_properties(self._session.get_modelmeta().custom_metadata_map, where)
        if self.metadata.task != spec.name or self.metadata.objects != spec.object_names:
            raise BundleError(
                f"{where}: finds {', '.join(self.metadata.objects)} of the task {self.metadata.task!r}: expected "
                f"{', '.join(spec.object_names)} of {spec.name!r}"
            )
        objects = spec.objects.values()
        self._turned = np.array([each.orientation != "none" for each in objects])
        self._symmetries = np.array([each.symmetry for each in objects])
        self.cameras = dict(cameras)

    def detect(self, stamp_ns: int, images: Mapping[str, Image]) -> Detections:
        """What images of one moment show.

        Args:
            stamp_ns: of the images [ns].
            images: RGB, (height, width, 3), by camera; of some of the cameras.

        Raises:
            ConfigError: if an image does not have its camera's size.
        """
        pictures, cameras = zip(*(self._taken(name, image) for name, image in images.items()), strict=True)
        answers = self.ask(np.stack(pictures), cameras)
        views = Views(
            seen=answers["confidences"] > SEEN,
            pixels=answers["pixels"],
            pixel_sigmas=np.hypot(answers["pixel_sigmas"], LEAST_SIGMA),
            heights=answers["heights"],
            height_sigmas=answers["height_sigmas"],
        )
        positions, covariances, torn = fuse(cameras, views)
        seen = np.asarray(views.seen.any(axis=0), dtype=bool)
        yaws = self._yaws(cameras, views, answers["turns"])
        orientations = np.zeros((len(seen), 4))
        orientations[:, 2], orientations[:, 3] = np.sin(0.5 * yaws), np.cos(0.5 * yaws)
        return Detections(
            *(stamp_ns, seen, positions, covariances, orientations, np.full(len(seen), YAW_SIGMA)),
            sightings=tuple(self._sightings(cameras, views)),
            conflicts=frozenset(np.array(self.metadata.objects)[torn].tolist()),
        )

    def _sightings(self, cameras: tuple[Camera, ...], views: Views) -> Iterator[Sighting]:
        """In pixels of the images as they came."""
        for i, camera in enumerate(cameras):
            given = self.cameras[camera.name]
            rays = camera.rays(views.pixels[i])
            pixels, _ = given.project(given.position + rays)
            for row in np.flatnonzero(views.seen[i]).tolist():
                yield Sighting(camera.name, self.metadata.objects[row], -1, pixels[row])

    def _taken(self, name: str, image: Image) -> tuple[Image, Camera]:
        """An image as the network takes it, and the camera that would have given it."""
        camera = self.cameras[name]
        if image.shape != (camera.height, camera.width, 3):
            raise ConfigError(
                f"camera {name}: image of shape {image.shape}: expected {camera.width} x {camera.height} pixels, RGB"
            )
        if camera.distortion:
            straight = cv2.undistort(image, camera.matrix, np.array(camera.distortion))
            image, camera = np.asarray(straight, dtype=np.uint8), replace(camera, distortion=())
        size = self.metadata.width, self.metadata.height
        if size != (camera.width, camera.height):
            resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            image, camera = np.asarray(resized, dtype=np.uint8), camera.resized(*size)
        return image, camera

    def ask(self, pictures: Image, cameras: tuple[Camera, ...]) -> dict[str, Array]:
        """The network's answers alone, by output, to c RGB pictures of its size, (c, height, width, 3)."""
        given = {
            "images": pictures,
            "rays": np.stack([camera.pixel_rays for camera in cameras]).astype(np.float32),
            "positions": np.stack([camera.position for camera in cameras]).astype(np.float32),
        }
        answers = self._session.run(list(OUTPUTS), given)
        return {name: np.asarray(each, dtype=np.float64) for name, each in zip(OUTPUTS, answers, strict=True)}

    def _yaws(self, cameras: tuple[Camera, ...], views: Views, turns: Array) -> Array:
        """Yaw of each object whose yaw matters, (n,) [rad]; 0 of the others. Views count by how sure they are."""
        total = np.zeros(turns.shape[1:])
        for i, camera in enumerate(cameras):
            towards = camera.rays(views.pixels[i])
            angles = np.arctan2(turns[i, :, 1], turns[i, :, 0]) + self._symmetries * np.arctan2(
                towards[:, 1], towards[:, 0]
            )
            sureness = np.where(views.seen[i], np.linalg.norm(turns[i], axis=1) / views.pixel_sigmas[i] ** 2, 0.0)
            total += sureness[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return np.where(self._turned, np.arctan2(total[:, 1], total[:, 0]) / self._symmetries, 0.0)


def find_estimator(task: str, given: str = "") -> Path:
    """File of a task's estimator: the one given, or the one that is shipped for a task of that name.

    Raises:
        ConfigError: if none is shipped.
    """
    file = find_shipped(given or f"models/poses/{task}.onnx")
    if not given and not file.exists():
        raise ConfigError(
            f"no estimator of the poses of task {task!r} is shipped: make one with `roman-moe data images` and "
            "`roman-moe train poses`, and name it with --estimator FILE"
        )
    return file


def run_session(data: bytes, given: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """All outputs of an estimator's file for some inputs.

    Raises:
        BundleError: if it must not run.
    """
    return dict(zip(OUTPUTS, _session(data, "estimator", CPU).run(list(OUTPUTS), dict(given)), strict=True))


def _session(data: bytes, where: str, provider: str) -> Any:
    check_file(data, where, REFUSED_OPERATORS - ALLOWED)
    ort = runtime()
    if provider not in PROVIDERS:
        raise ConfigError(f"provider {provider!r}: expected {' or '.join(PROVIDERS)}")
    if PROVIDERS[provider] not in ort.get_available_providers():
        raise ConfigError(f"provider {provider!r}: this onnxruntime has none: install roman-moe[gpu], or use {CPU!r}")
    providers = list(dict.fromkeys([PROVIDERS[provider], PROVIDERS[CPU]]))  # the CPU takes what the first has not
    try:
        session = ort.InferenceSession(data, session_options(ort), providers=providers, enable_fallback=0)
        names = tuple(port.name for port in session.get_inputs()), tuple(port.name for port in session.get_outputs())
    except Exception as error:  # noqa: BLE001 (the runtime's exceptions share no base class)
        raise BundleError(f"{where}: onnxruntime refuses it: {first_line(error)}: export it again") from None
    if names != (INPUTS, OUTPUTS):
        raise BundleError(
            f"{where}: takes {', '.join(names[0])} and gives {', '.join(names[1])}: expected an estimator, which takes "
            f"{', '.join(INPUTS)} and gives {', '.join(OUTPUTS)}"
        )
    return session
