"""Whether cameras still are where they were calibrated, by what they show.

A camera that was moved, or that sends another one's images, still gives poses, and wrong ones. It shows in two ways:
cameras contradict each other on what both see, and what cannot move (`moves: false` in task.yaml) leaves its pixels.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.spec import TaskSpec
from roman_moe.perception.camera import Camera
from roman_moe.perception.detections import Detections
from roman_moe.perception.estimators import Estimator
from roman_moe.perception.images import Image

Array = NDArray[np.float64]

LEARNT = 3  # frame sets whose median is where a fixed point is in an image
SHIFT = 0.01
"""By which the fixed points leave their places in the image of a camera that was moved [rad]: 1 cm at a metre."""
FEWEST = 2
"""Fixed points in one image, or objects that contradict, which are no single one's mistake."""


class SceneCheck:
    """Judges the detections of an episode, in which fixed points are at one place."""

    def __init__(self, spec: TaskSpec) -> None:
        self._fixed = frozenset(name for name, each in spec.objects.items() if not each.moves)
        self.reset()

    def reset(self) -> None:
        """An episode begins, or a camera is calibrated anew."""
        self._seen: dict[tuple[str, str, int], list[Array]] = defaultdict(list)

    def wrong(self, found: Detections, cameras: Mapping[str, Camera]) -> str:
        """Why detections are not to be believed; "" if it is."""
        return self._moved(found, cameras) or contradiction(found)

    def _moved(self, found: Detections, cameras: Mapping[str, Camera]) -> str:
        shifts: dict[str, list[float]] = defaultdict(list)
        fresh = []
        for each in found.sightings:
            if each.name not in self._fixed:
                continue
            known = self._seen[each.camera, each.name, each.marker]
            if len(known) < LEARNT:
                fresh.append((known, each.pixel))
            else:
                away = np.linalg.norm(each.pixel - np.median(known, axis=0))
                shifts[each.camera].append(float(away / cameras[each.camera].focal.mean()))
        for camera, angles in shifts.items():
            if len(angles) >= FEWEST and (angle := float(np.median(angles))) > SHIFT:
                return (
                    f"camera {camera} was moved: {len(angles)} points that cannot move are off by {1e3 * angle:.0f} "
                    "mrad (median): calibrate its place again"
                )
        if not contradiction(found):
            for known, pixel in fresh:
                known.append(pixel)
        return ""


def contradiction(found: Detections) -> str:
    """Which objects the cameras disagree on, if it is most of those that several see."""
    shared = found.shared()
    if len(found.conflicts) < FEWEST or 2 * len(found.conflicts) < len(shared):
        return ""
    return f"cameras contradict each other on {', '.join(sorted(found.conflicts))}: one was moved: calibrate again"


def examine(
    estimator: Estimator, check: SceneCheck, stamp_ns: int, images: Mapping[str, Image]
) -> tuple[Detections, str]:
    """What images of one moment show, and why it is not to be believed; "" if it is."""
    found = estimator.detect(stamp_ns, images)
    wrong = check.wrong(found, estimator.cameras)
    if contradiction(found):
        for one, other in itertools.combinations(images, 2):
            swapped = {**images, one: images[other], other: images[one]}
            if images[one].shape == images[other].shape and _agrees(estimator.detect(stamp_ns, swapped)):
                return found, f"images of the cameras {one} and {other} are swapped"
    return found, wrong


def _agrees(found: Detections) -> bool:
    return len(found.shared()) >= FEWEST and not contradiction(found)
