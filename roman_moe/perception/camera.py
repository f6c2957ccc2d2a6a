"""A calibrated camera: what projects to which pixel, and where a pixel looks.

The optical frame is that of ROS and OpenCV: x right, y down, z forward. The middle of the first pixel is (0, 0), so an
image's middle is ((width - 1) / 2, (height - 1) / 2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.rotation import matrix

Array = NDArray[np.float64]

_LEAST_DEPTH = 0.01  # [m] at which a derivative is still taken
_CONVERGED = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)


@dataclass(frozen=True, eq=False)
class Camera:
    """One calibrated camera.

    Attributes:
        width: of its images [pixels].
        height: likewise.
        focal: focal lengths along x and y, (2,) [pixels].
        centre: principal point, (2,) [pixels].
        position: of its optical frame in the base frame, (3,) [m].
        orientation: likewise, quaternion x, y, z, w, (4,).
        distortion: OpenCV's coefficients k1, k2, p1, p2, k3, ...; empty for none.
    """

    name: str
    width: int
    height: int
    focal: Array
    centre: Array
    position: Array
    orientation: Array
    distortion: tuple[float, ...] = ()

    @property
    def matrix(self) -> Array:
        """Intrinsic matrix K, (3, 3)."""
        k = np.eye(3)
        k[0, 0], k[1, 1] = self.focal
        k[:2, 2] = self.centre
        return k

    @property
    def pixel_rays(self) -> Array:
        """From a pixel (x, y, 1) to its direction in the base frame, without distortion, (3, 3)."""
        return self.rotation @ np.linalg.inv(self.matrix)

    @property
    def rotation(self) -> Array:
        """From the optical frame to the base frame, (3, 3)."""
        return matrix(self.orientation)

    def project(self, points: Array) -> tuple[Array, Array]:
        """Pixels, (n, 2), and depths along the optical axis, (n,) [m], of points in the base frame, (n, 3) [m].

        What is behind the camera has a depth of 0 or less, and no meaningful pixel.
        """
        seen = (points - self.position) @ self.rotation
        depths = seen[:, 2]
        plane = seen[:, :2] / np.where(depths > 0.0, depths, 1.0)[:, None]
        if not self.distortion:
            return plane * self.focal + self.centre, depths
        ahead = np.concatenate([plane, np.ones((len(plane), 1))], axis=1)
        pixels, _ = cv2.projectPoints(ahead, np.zeros(3), np.zeros(3), self.matrix, np.array(self.distortion))
        return np.asarray(pixels, dtype=np.float64)[:, 0], depths

    def linearized(self, points: Array) -> tuple[Array, Array]:
        """Pixels of points, (n, 2), and their derivatives by the points, (n, 2, 3) [pixels/m], without distortion."""
        seen = (points - self.position) @ self.rotation
        depths = np.maximum(seen[:, 2], _LEAST_DEPTH)
        plane = seen[:, :2] / depths[:, None]
        slopes = np.zeros((len(points), 2, 3))
        slopes[:, 0, 0] = slopes[:, 1, 1] = 1.0
        slopes[:, :, 2] = -plane
        slopes *= (self.focal / depths[:, None])[:, :, None]
        return plane * self.focal + self.centre, slopes @ self.rotation.T

    def rays(self, pixels: Array) -> Array:
        """Directions in the base frame in which pixels, (n, 2), look from `position`, unit vectors (n, 3)."""
        plane = (pixels - self.centre) / self.focal
        if self.distortion:
            points = np.ascontiguousarray(pixels, dtype=np.float64)[:, None]
            bent = np.array(self.distortion)
            straight = cv2.undistortPointsIter(points, self.matrix, bent, np.eye(3), np.eye(3), _CONVERGED)
            plane = np.asarray(straight, dtype=np.float64)[:, 0]
        directions = np.concatenate([plane, np.ones((len(plane), 1))], axis=1) @ self.rotation.T
        return directions / np.linalg.norm(directions, axis=1, keepdims=True)

    def resized(self, width: int, height: int) -> Camera:
        scale = np.array([width / self.width, height / self.height])
        return replace(
            self, width=width, height=height, focal=self.focal * scale, centre=(self.centre + 0.5) * scale - 0.5
        )
