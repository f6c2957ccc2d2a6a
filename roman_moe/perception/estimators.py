"""Estimators by name: what a graph is told with `--poses camera` or `--poses markers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TaskSpec
from roman_moe.perception.camera import Camera
from roman_moe.perception.detections import Detections
from roman_moe.perception.estimator import CPU, PoseEstimator, find_estimator
from roman_moe.perception.images import Image
from roman_moe.perception.markers import MarkerEstimator

ESTIMATORS = ("camera", "markers")
"""The learned one, and markers."""


class Estimator(Protocol):
    """What finds objects in images.

    Attributes:
        cameras: as they are calibrated, by name.
    """

    cameras: dict[str, Camera]

    def detect(self, stamp_ns: int, images: Mapping[str, Image]) -> Detections:
        """What RGB images of one moment, (height, width, 3) by camera, show."""


def open_estimator(kind: str, spec: TaskSpec, file: str = "", provider: str = CPU) -> Estimator:
    """An estimator that gets its cameras once they are calibrated.

    Args:
        kind: one of `ESTIMATORS`.
        spec: of the task.
        file: of the learned one; the one that is shipped for the task if empty.
        provider: what runs the learned one, one of `PROVIDERS`.

    Raises:
        BundleError: if the learned estimator's file cannot be used for the task.
        ConfigError: for an unknown kind or provider, or if the task lacks what it needs: cameras, a file, markers.
    """
    if kind not in ESTIMATORS:
        raise ConfigError(f"poses {kind!r}: expected {' or '.join(ESTIMATORS)}")
    if not spec.cameras:
        raise ConfigError(f"task {spec.name!r} has no cameras: expected cameras in its task.yaml")
    if kind == "markers":
        return MarkerEstimator(spec, {})
    return PoseEstimator(spec, {}, find_estimator(spec.name, file), provider)
