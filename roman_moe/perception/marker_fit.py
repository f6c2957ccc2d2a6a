"""An object's pose from the corners of its markers in all images together: robust nonlinear least squares.

Two things are unknown besides the pose. One is by how much each camera's aim is off, within the bound of its
calibration. The other, on request, is by which factor the markers are larger than `task.yaml` says.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from roman_moe.perception.camera import Camera
from roman_moe.perception.marker_images import CORNERS

Array = NDArray[np.float64]

CORNER_SIGMA = 0.35  # [pixels] along each axis; a rendered marker of 12 to 20 pixels has 0.2 to 0.4
AIM_SIGMA = 0.002  # [rad] by which a calibrated camera looks beside: 2 mm at a metre
TILT_SIGMA = 0.05  # [rad] of what stands upright
SIZE_SIGMA = 1.0  # of the logarithm of the factor; as good as unknown
HUBER = 2.0  # [standard deviations] beyond which a corner counts less
STEPS = 20
CONVERGED = 1e-5  # of the cost


@dataclass(frozen=True, eq=False)
class View:
    """One marker in one image.

    Attributes:
        owner: object that it is on.
        pixels: of its corners in the order of `tags.CORNERS`, (4, 2).
        points: of its corners in the object's frame, (4, 3) [m].
    """

    camera: Camera
    owner: str
    marker: int
    pixels: Array
    points: Array

    @property
    def area(self) -> float:
        """In the image [pixels^2]."""
        return abs(cv2.contourArea(self.pixels.astype(np.float32)))

    @property
    def plane(self) -> Array:
        """Its corners one metre ahead of the camera, less the lens's distortion, (4, 2)."""
        rays = self.camera.rays(self.pixels) @ self.camera.rotation
        return rays[:, :2] / rays[:, 2:]

    def poses(self) -> list[tuple[Array, Array]]:
        """The two poses of the object, rotation (3, 3) and position (3,) [m], that this marker alone may be of."""
        edge, up = self.points[1] - self.points[0], self.points[0] - self.points[3]
        size = float(np.linalg.norm(edge))
        x, y = edge / size, up / size
        marker = np.array([x, y, np.cross(x, y)]).T  # turns from the marker's frame to the object's
        _, rotations, translations, _ = cv2.solvePnPGeneric(
            size * CORNERS, self.plane, np.eye(3), None, flags=cv2.SOLVEPNP_IPPE_SQUARE
        )
        found = []
        for vector, translation in zip(rotations, translations, strict=True):
            in_camera = np.asarray(cv2.Rodrigues(vector)[0], dtype=np.float64)
            rotation = self.camera.rotation @ in_camera @ marker.T
            middle = self.camera.rotation @ np.asarray(translation, dtype=np.float64)[:, 0] + self.camera.position
            found.append((rotation, middle - rotation @ self.points.mean(axis=0)))
        return found


@dataclass(frozen=True, eq=False)
class Fit:
    """A pose that explains views.

    Attributes:
        rotation: from the object's frame to the base frame, (3, 3).
        position: (3,) [m].
        aims: by how much cameras look beside, by name, (2,) [rad].
        size: factor by which the markers are larger than said.
        cost: squares of what it leaves unexplained, in standard deviations, the robust loss applied.
        freedom: degrees of freedom of the cost.
        covariance: of a turn about the base frame's axes, the position, and the size where it was asked for.
    """

    rotation: Array
    position: Array
    aims: dict[str, Array]
    size: float
    cost: float
    freedom: int
    covariance: Array

    @property
    def misfit(self) -> float:
        """Cost of a degree of freedom; about 1 where all is as assumed."""
        return self.cost / self.freedom

    @property
    def tilt(self) -> float:
        """Angle between the object's z axis and the vertical [rad]."""
        return float(np.arccos(np.clip(self.rotation[2, 2], -1.0, 1.0)))

    def angle_to(self, other: Fit) -> float:
        """Between both rotations [rad]."""
        cosine = 0.5 * (np.trace(self.rotation.T @ other.rotation) - 1.0)
        return float(np.arccos(np.clip(cosine, -1.0, 1.0)))


class Problem:
    """Views of one object, and what is known of it besides."""

    def __init__(self, views: list[View], upright: bool, sized: tuple[int, ...] = ()) -> None:
        """Args:
        views: of one object, one at least.
        upright: whether it stands upright.
        sized: markers whose common factor of size is unknown.
        """
        self.views, self.upright, self.sized = views, upright, sized
        self._unknowns = 6 + bool(sized)
        self._cameras = list({view.camera.name: view.camera for view in views}.values())
        names = [camera.name for camera in self._cameras]
        self._camera = np.repeat([names.index(view.camera.name) for view in views], 4)  # of each corner
        self._plane = np.concatenate([view.plane for view in views])
        self._middle = np.repeat([view.points.mean(axis=0) for view in views], 4, axis=0)
        self._around = np.concatenate([view.points for view in views]) - self._middle
        self._sized = np.repeat([view.marker in sized for view in views], 4)[:, None]
        self._into = np.array([camera.rotation.T for camera in self._cameras])[self._camera]
        self._from = np.array([camera.position for camera in self._cameras])[self._camera]
        self._sigma = CORNER_SIGMA / np.array([camera.focal for camera in self._cameras])[self._camera]

    def fit(self, rotation: Array, position: Array, size: float = 1.0) -> Fit:
        """The pose that is best near this one (Levenberg and Marquardt)."""
        aims = np.zeros((len(self._cameras), 2))
        state = (rotation, position, size, aims)
        residuals, jacobian, cost = self._linearised(*state)
        damping = 1e-4
        for _ in range(STEPS):
            normal = jacobian.T @ jacobian
            damped = normal + damping * np.diag(np.diag(normal))
            step = np.asarray(np.linalg.solve(damped, -jacobian.T @ residuals), dtype=np.float64)
            moved = self._moved(state, step)
            trial = self._linearised(*moved)
            if trial[2] < cost:
                done = cost - trial[2] < CONVERGED * (1.0 + cost)
                state, (residuals, jacobian, cost), damping = moved, trial, 0.1 * damping
                if done:
                    break
            else:
                damping *= 10.0
                if damping > 1e6:
                    break
        freedom = 8 * len(self.views) - 6 + 3 * self.upright
        spread = np.linalg.inv(jacobian.T @ jacobian) * max(1.0, cost / freedom)
        covariance = np.asarray(spread, dtype=np.float64)
        keep = list(range(6)) + ([6] if self.sized else [])
        names = {camera.name: aim for camera, aim in zip(self._cameras, state[3], strict=True)}
        return Fit(state[0], state[1], names, state[2], cost, freedom, covariance[np.ix_(keep, keep)])

    def with_size(self, *markers: int) -> Problem:
        """The same with an unknown size of these markers."""
        return Problem(self.views, self.upright, markers)

    def _moved(self, state: tuple[Array, Array, float, Array], step: Array) -> tuple[Array, Array, float, Array]:
        rotation, position, size, aims = state
        turn = np.asarray(cv2.Rodrigues(step[:3])[0], dtype=np.float64)
        grown = size * float(np.exp(np.clip(step[6], -0.5, 0.5))) if self.sized else size
        return turn @ rotation, position + step[3:6], grown, aims + step[self._unknowns :].reshape(-1, 2)

    def _linearised(self, rotation: Array, position: Array, size: float, aims: Array) -> tuple[Array, Array, float]:
        """Weighted residuals, their Jacobian and the cost."""
        residuals, jacobian = self._seen(rotation, position, size, aims)
        away = np.abs(residuals)
        cost = float(np.where(away < HUBER, away**2, 2.0 * HUBER * away - HUBER**2).sum())
        weights = np.sqrt(np.minimum(1.0, HUBER / np.maximum(away, 1e-9)))
        known, slopes = self._known(rotation, size, aims)
        cost += float(known @ known)
        return np.concatenate([weights * residuals, known]), np.vstack([weights[:, None] * jacobian, slopes]), cost

    def _seen(self, rotation: Array, position: Array, size: float, aims: Array) -> tuple[Array, Array]:
        """Of all corners in their images, as residuals, (2 n,), and their Jacobian."""
        factor = np.where(self._sized, size, 1.0)
        arms = (self._middle + factor * self._around) @ rotation.T
        x, y, z = np.einsum("nij,nj->in", self._into, arms + position - self._from)
        z = np.maximum(z, 1e-3)  # what is behind the camera stays there: its cost is high
        seen = np.stack([x / z, y / z], axis=1)
        slope = (self._into[:, :2] - seen[:, :, None] * self._into[:, 2:]) / (z[:, None] * self._sigma)[:, :, None]
        count = len(arms)
        jacobian = np.zeros((count, 2, self._unknowns + aims.size))
        jacobian[:, :, 0] = arms[:, 1, None] * slope[:, :, 2] - arms[:, 2, None] * slope[:, :, 1]
        jacobian[:, :, 1] = arms[:, 2, None] * slope[:, :, 0] - arms[:, 0, None] * slope[:, :, 2]
        jacobian[:, :, 2] = arms[:, 0, None] * slope[:, :, 1] - arms[:, 1, None] * slope[:, :, 0]
        jacobian[:, :, 3:6] = slope
        if self.sized:
            grown = np.where(self._sized, size * self._around, 0.0) @ rotation.T
            jacobian[:, :, 6] = np.einsum("nij,nj->ni", slope, grown)
        for axis in range(2):
            column = self._unknowns + 2 * self._camera + axis
            jacobian[np.arange(count), axis, column] = 1.0 / self._sigma[:, axis]
        residuals = (seen + aims[self._camera] - self._plane) / self._sigma
        return residuals.ravel(), jacobian.reshape(2 * count, -1)

    def _known(self, rotation: Array, size: float, aims: Array) -> tuple[Array, Array]:
        """What is known without images, as residuals, and their Jacobian."""
        count = self._unknowns + aims.size
        rows = [np.eye(aims.size, count, self._unknowns) / AIM_SIGMA]
        values = [aims.ravel() / AIM_SIGMA]
        if self.upright:
            axis = rotation[:, 2]
            values.append((axis - [0.0, 0.0, 1.0]) / TILT_SIGMA)
            a, b, c = axis
            turned = np.array([[0.0, c, -b], [-c, 0.0, a], [b, -a, 0.0]])  # of the axis, by a turn
            rows.append(np.pad(turned / TILT_SIGMA, ((0, 0), (0, count - 3))))
        if self.sized:
            values.append(np.array([np.log(size) / SIZE_SIGMA]))
            rows.append(np.eye(1, count, 6) / SIZE_SIGMA)
        return np.concatenate(values), np.vstack(rows)
