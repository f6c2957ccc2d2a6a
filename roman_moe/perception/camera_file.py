"""A camera's calibration as a file: ROS' camera_calibration_parsers read it, and it says where the camera is.

ROS reads the keys of the intrinsics and leaves the key `pose`, which is ours: the optical frame in the base frame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from roman_moe.core.config import build, read_yaml
from roman_moe.core.errors import ConfigError
from roman_moe.core.files import write_file
from roman_moe.perception.camera import Camera

MODELS = {"plumb_bob": 5, "rational_polynomial": 8}
"""ROS' distortion models that are OpenCV's, with the number of their coefficients."""


@dataclass(frozen=True)
class _Matrix:
    rows: int
    cols: int
    data: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.data) != self.rows * self.cols or not all(map(math.isfinite, self.data)):
            raise ValueError(f"data: {len(self.data)} numbers: expected {self.rows * self.cols} finite ones")


@dataclass(frozen=True)
class Pose:
    """Where a camera's optical frame is: `position` [m] and `orientation` (x, y, z, w) in `frame`, base or hand."""

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    frame: str = "base"

    def __post_init__(self) -> None:
        if len(self.position) != 3 or not all(map(math.isfinite, self.position)):
            raise ValueError(f"position {list(self.position)}: expected three finite numbers [m]")
        if len(self.orientation) != 4 or not abs(math.hypot(*self.orientation) - 1.0) <= 1e-3:
            raise ValueError(f"orientation {list(self.orientation)}: expected a quaternion x, y, z, w of length 1")


@dataclass(frozen=True)
class Poses:
    """A file of poses by image: of the board in the base frame, or of the hand."""

    poses: Mapping[str, Pose]


def write_poses(path: Path, poses: Mapping[str, Pose]) -> None:
    content = {name: {"position": list(p.position), "orientation": list(p.orientation)} for name, p in poses.items()}
    write_file(path, yaml.safe_dump({"poses": content}))


@dataclass(frozen=True)
class _File:
    image_width: int
    image_height: int
    camera_matrix: _Matrix
    distortion_coefficients: _Matrix
    camera_name: str = "camera"
    distortion_model: str = "plumb_bob"
    rectification_matrix: _Matrix | None = None
    projection_matrix: _Matrix | None = None
    pose: Pose | None = None

    def __post_init__(self) -> None:
        if (self.camera_matrix.rows, self.camera_matrix.cols) != (3, 3) or not self.camera_matrix.data[0] > 0.0:
            raise ValueError(
                "camera_matrix: expected 3 rows and cols, and a focal length above 0: calibrate the camera"
            )
        if len(self.distortion_coefficients.data) != MODELS.get(self.distortion_model):
            known = ", ".join(f"{name} with {count}" for name, count in MODELS.items())
            raise ValueError(
                f"distortion_model {self.distortion_model!r} with {len(self.distortion_coefficients.data)} "
                f"coefficients: expected {known}"
            )


def write_camera(path: Path, camera: Camera, frame: str = "base") -> None:
    """Write a camera. `frame`: that its pose is in; "" if its pose is not known."""
    model = "plumb_bob" if len(camera.distortion) <= 5 else "rational_polynomial"
    bent = [*camera.distortion, *[0.0] * (MODELS[model] - len(camera.distortion))]
    straight = np.hstack([camera.matrix, np.zeros((3, 1))])
    content = {
        "image_width": camera.width,
        "image_height": camera.height,
        "camera_name": camera.name,
        "camera_matrix": _matrix(camera.matrix),
        "distortion_model": model,
        "distortion_coefficients": _matrix(np.array([bent])),
        "rectification_matrix": _matrix(np.eye(3)),
        "projection_matrix": _matrix(straight),
    }
    if frame:
        place = {"position": camera.position.tolist(), "orientation": camera.orientation.tolist()}
        content["pose"] = {"frame": frame, **place}
    write_file(path, yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120))


def read_camera(path: Path, posed: bool = True) -> Camera:
    """A camera from its file.

    Args:
        posed: whether it has to say where the camera is in the base frame; at the base's origin if it need not.

    Raises:
        ConfigError: naming file, line and key.
    """
    content = build(_File, read_yaml(path, ConfigError), str(path), ConfigError)
    if posed and (content.pose is None or content.pose.frame != "base"):
        raise ConfigError(f"{path}: no pose in the base frame: run roman-moe calibrate camera-to-base")
    pose = content.pose or Pose((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    k = np.array(content.camera_matrix.data).reshape(3, 3)
    bent = content.distortion_coefficients.data
    return Camera(
        name=content.camera_name,
        width=content.image_width,
        height=content.image_height,
        focal=k[[0, 1], [0, 1]],
        centre=k[:2, 2],
        position=np.array(pose.position),
        orientation=np.array(pose.orientation),
        distortion=bent if any(bent) else (),
    )


def _matrix(values: np.ndarray) -> dict[str, object]:
    return {"rows": values.shape[0], "cols": values.shape[1], "data": values.ravel().tolist()}
