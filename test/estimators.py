"""The smallest estimator's file: a network with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from roman_moe.core.spec import TaskSpec
from roman_moe.learning.poses.export import export_estimator
from roman_moe.learning.poses.network import PoseNetwork
from roman_moe.learning.poses.validation import Errors
from roman_moe.perception.camera import Camera

SIZE = (320, 240)


class _Noise:
    """Stands in for samples: noise, seen by a camera that looks straight down."""

    size, cameras = SIZE, 1

    def pictures(self, indices: Any) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [rng.integers(0, 256, (SIZE[1], SIZE[0], 3)).astype(np.uint8) for _ in indices]

    def cameras_of(self, scene: int) -> list[Camera]:
        down, middle = np.array([1.0, 0.0, 0.0, 0.0]), np.array([159.5, 119.5])
        return [Camera("down", *SIZE, np.array([300.0, 300.0]), middle, np.array([0.4, 0.0, 1.0]), down)]


def write_tiny_estimator(spec: TaskSpec, path: Path) -> Path:
    """Write a file that `PoseEstimator` takes; what it says means nothing, but is the same each time."""
    torch.manual_seed(0)
    network = PoseNetwork(len(spec.objects), (4, 4, 8, 8))
    errors = Errors({}, pixel_factor=1.0, height_factor=1.0, threshold=-10.0, missed=0.0)
    path.write_bytes(export_estimator(network, errors, _Noise(), spec, {}))  # type: ignore[arg-type]
    return path
