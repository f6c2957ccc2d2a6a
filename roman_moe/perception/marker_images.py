"""The pictures and corners of square markers: ArUco and AprilTag dictionaries by the names that OpenCV gives them."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError
from roman_moe.core.rotation import matrix
from roman_moe.core.spec_parts import MarkerSpec

Array = NDArray[np.float64]

CORNERS = 0.5 * np.array([[-1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [-1.0, -1.0, 0.0]])
"""Of a marker of size 1 in its own frame, as OpenCV orders them: top left, top right, bottom right, bottom left."""


@cache
def dictionary(name: str) -> Any:
    """OpenCV's dictionary of a name such as 4x4_50 or april_36h11.

    Raises:
        ConfigError: if there is none.
    """
    wanted = f"DICT_{name.upper().replace('APRIL_', 'APRILTAG_')}"
    known = {each.upper(): each for each in dir(cv2.aruco) if each.startswith("DICT_")}
    if wanted not in known:
        names = sorted({each[5:].lower().replace("apriltag_", "april_") for each in known})
        raise ConfigError(f"unknown dictionary {name!r} of markers: expected one of {', '.join(names)}")
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, known[wanted]))


def modules(name: str) -> int:
    """Squares along a marker's side, its black border included."""
    return int(dictionary(name).markerSize) + 2


def picture(marker: MarkerSpec, pixels: int = 1) -> NDArray[np.uint8]:
    """A marker with a white margin of one module, black 0 and white 255; `pixels` along a module.

    Raises:
        ConfigError: if its dictionary has no marker of this number.
    """
    tags, count = dictionary(marker.dictionary), modules(marker.dictionary)
    if marker.id >= len(tags.bytesList):
        raise ConfigError(f"marker {marker.id}: {marker.dictionary} has 0 to {len(tags.bytesList) - 1}")
    black = cv2.aruco.generateImageMarker(tags, marker.id, count * pixels)
    return np.pad(np.asarray(black, dtype=np.uint8), pixels, constant_values=255)


def corners(marker: MarkerSpec) -> Array:
    """Of its black square in the object's frame, (4, 3) [m], in the order of `CORNERS`."""
    turned: Array = marker.size * CORNERS @ matrix(np.array(marker.orientation)).T
    return turned + np.array(marker.position)
