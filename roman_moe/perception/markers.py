"""Object poses from ArUco and AprilTag markers in calibrated images.

All markers of an object are solved together, over all cameras. One small marker in one image has two poses that fit
about equally well: what stands upright decides where the task says so; else the orientation is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError
from roman_moe.core.rotation import from_matrix
from roman_moe.core.spec import TaskSpec
from roman_moe.core.spec_parts import CameraSpec
from roman_moe.perception.camera import Camera
from roman_moe.perception.detections import Detections, Sighting
from roman_moe.perception.marker_fit import Fit, Problem, View
from roman_moe.perception.marker_images import corners, dictionary, picture

Array = NDArray[np.float64]

IMAGE = CameraSpec(960, 720)
"""Size of simulated images in which markers of 25 to 40 mm are found at a metre; see docs/cameras.md."""
ENLARGED = 2
"""An image is enlarged before markers are sought: three modules of a small one are 5 pixels."""
UPRIGHT_LIMIT = 0.35  # [rad] of tilt from which on an object has fallen over
MISFIT_LIMIT = 9.0  # of a fit; 1 where all is as assumed
AIM_LIMIT = 0.015  # [rad] by which a calibrated camera looks beside, at most
SIZE_LIMIT, SIZE_SIGMAS = 0.08, 4.0  # by which markers are larger or smaller than said, at least, to be refused
DISTINCT = 0.17  # [rad] between two poses that are not the same
CERTAIN = 9.2  # difference of the costs of two poses from which on the worse one is ruled out (99 %)
UNKNOWN_TURN = np.pi  # [rad] standard deviation of an orientation that is refused


class MarkerEstimator:
    """Finds a task's objects by their markers.

    Attributes:
        cameras: by name.
        problems: what was wrong with the markers in the last images, one line each.
    """

    def __init__(self, spec: TaskSpec, cameras: Mapping[str, Camera]) -> None:
        """Raises:
        ConfigError: if no object has a marker, or a dictionary lacks one.
        """
        self.spec, self.cameras = spec, dict(cameras)
        self.problems: tuple[str, ...] = ()
        self._of: dict[tuple[str, int], tuple[str, Array]] = {}
        self._detectors: dict[str, Any] = {}
        for name, each in spec.objects.items():
            for marker in each.markers:
                picture(marker)  # which refuses a number that there is not
                self._of[marker.dictionary, marker.id] = name, corners(marker)
                self._detectors[marker.dictionary] = _detector(marker.dictionary)
        if not self._of:
            raise ConfigError(f"task {spec.name!r}: no object has markers: expected objects.NAME.markers in task.yaml")

    def detect(self, stamp_ns: int, images: Mapping[str, NDArray[np.uint8]]) -> Detections:
        """What RGB images of one moment, (height, width, 3) by camera, show.

        Raises:
            ConfigError: if an image is of no camera, or not of its size.
        """
        return self.solve(stamp_ns, [view for name, image in images.items() for view in self.views(name, image)])

    def solve(self, stamp_ns: int, views: Sequence[View]) -> Detections:
        """Where the objects are whose markers are in these views."""
        problems: list[str] = []
        conflicts: set[str] = set()
        count = len(self.spec.objects)
        found = Detections(
            stamp_ns=stamp_ns,
            seen=np.zeros(count, dtype=bool),
            positions=np.zeros((count, 3)),
            covariances=np.tile(np.eye(3), (count, 1, 1)),
            orientations=np.tile([0.0, 0.0, 0.0, 1.0], (count, 1)),
            yaw_sigmas=np.full(count, UNKNOWN_TURN),
        )
        for row, name in enumerate(self.spec.objects):
            own = [view for view in views if view.owner == name]
            places = [(view.marker, view.camera.name) for view in own]
            twice = sorted({place for place in places if places.count(place) > 1})
            problems += [f"marker {number} of {name} appears twice in the image of {where}" for number, where in twice]
            if own and not twice and (wrong := self._locate(found, row, name, own)):
                problems.append(wrong)
                conflicts.add(name)
        self.problems = tuple(problems)
        sightings = [Sighting(view.camera.name, view.owner, view.marker, view.pixels.mean(axis=0)) for view in views]
        found = replace(found, sightings=tuple(sightings), problems=self.problems)
        return replace(found, conflicts=found.shared() & conflicts)

    def _camera(self, name: str, image: NDArray[np.uint8]) -> Camera:
        camera = self.cameras.get(name)
        if camera is None:
            raise ConfigError(f"image of an unknown camera {name!r}: expected one of {', '.join(self.cameras)}")
        if image.shape != (camera.height, camera.width, 3) or image.dtype != np.uint8:
            raise ConfigError(
                f"camera {name}: image {image.dtype} {image.shape}: expected uint8 RGB of {camera.width} x "
                f"{camera.height} pixels, as it is calibrated"
            )
        return camera

    def views(self, camera_name: str, image: NDArray[np.uint8]) -> list[View]:
        """The task's markers in one image. Raises as `detect`."""
        camera = self._camera(camera_name, image)
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        large = cv2.resize(gray, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
        views = []
        for kind, detector in self._detectors.items():
            quads, ids, _ = detector.detectMarkers(large)
            for quad, number in zip(quads, [] if ids is None else ids.reshape(-1).tolist(), strict=True):
                if (kind, number) in self._of:
                    owner, points = self._of[kind, number]
                    pixels = (np.asarray(quad, dtype=np.float64).reshape(4, 2) + 0.5) / ENLARGED - 0.5
                    views.append(View(camera, owner, number, pixels, points))
        return views

    def _locate(self, found: Detections, row: int, name: str, views: list[View]) -> str:
        """Write one object's row of `found`; why it has none, or ""."""
        spec = self.spec.objects[name]
        problem = Problem(views, upright=spec.orientation != "full")
        fits = _fits(problem)
        if problem.upright and fits[0].tilt > UPRIGHT_LIMIT:
            problem = Problem(views, upright=False)
            fits = _fits(problem)
        best = fits[0]
        if wrong := self._wrong(problem, best, name):
            return wrong
        likely = [fit for fit in fits if (fit.cost - best.cost) / max(1.0, best.misfit) < CERTAIN]
        found.seen[row] = True
        found.positions[row], found.covariances[row] = _mixed(likely, best)
        if len(likely) == 1:
            found.yaw_sigmas[row] = np.sqrt(best.covariance[2, 2])
        if spec.orientation != "none":
            found.orientations[row] = from_matrix(best.rotation)
        return ""

    def _wrong(self, problem: Problem, fit: Fit, name: str) -> str:
        """What is wrong with an object's markers; "" if nothing is."""
        numbers = sorted({view.marker for view in problem.views})
        for sized in [tuple(numbers), *((number,) for number in numbers if fit.misfit > MISFIT_LIMIT)]:
            other = problem.with_size(*sized).fit(fit.rotation, fit.position)
            sigma = np.sqrt(other.covariance[6, 6])
            away = abs(other.size - 1.0)
            if other.misfit <= MISFIT_LIMIT and away > max(SIZE_LIMIT, SIZE_SIGMAS * sigma * other.size):
                said = next(marker.size for marker in self.spec.objects[name].markers if marker.id == sized[0])
                which = f"marker {sized[0]}" if len(sized) == 1 else f"markers {', '.join(map(str, sized))}"
                measured = f"{1e3 * said * other.size:.0f} mm"
                return f"{which} of {name}: size {measured}: expected {1e3 * said:.0f} mm, as task.yaml says"
        if fit.misfit > MISFIT_LIMIT:
            return f"markers of {name} do not fit together: one has moved, or is at another place than task.yaml says"
        aim = max(float(np.linalg.norm(aim)) for aim in fit.aims.values())
        if aim > AIM_LIMIT:
            cameras = ", ".join(fit.aims)
            return f"cameras {cameras} disagree by {1e3 * aim:.0f} mrad on {name}: calibrate them again"
        return ""


def _detector(name: str) -> Any:
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    return cv2.aruco.ArucoDetector(dictionary(name), parameters)


def _fits(problem: Problem) -> list[Fit]:
    """Distinct poses that fit locally, the best one first: from both poses of the largest marker."""
    largest = max(problem.views, key=lambda view: view.area)
    fits = sorted((problem.fit(*pose) for pose in largest.poses()), key=lambda fit: fit.cost)
    return [fits[0], *(fit for fit in fits[1:] if fit.angle_to(fits[0]) > DISTINCT)]


def _mixed(fits: list[Fit], best: Fit) -> tuple[Array, Array]:
    """Position, (3,), and its covariance, (3, 3), of poses each of which may be the true one."""
    weights = np.exp(-0.5 * np.array([fit.cost - best.cost for fit in fits]) / max(1.0, best.misfit))
    weights /= weights.sum()
    mean: Array = sum((w * fit.position for w, fit in zip(weights, fits, strict=True)), np.zeros(3))
    spread = np.zeros((3, 3))
    for weight, fit in zip(weights, fits, strict=True):
        away = fit.position - mean
        spread += weight * (fit.covariance[3:6, 3:6] + np.outer(away, away))
    return mean, spread
