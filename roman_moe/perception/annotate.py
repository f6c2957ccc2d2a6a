"""What was found, drawn into an image."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from roman_moe.core.state import ObjectPoses
from roman_moe.perception.camera import Camera
from roman_moe.perception.detections import Detections
from roman_moe.perception.images import Image

SEEN, HIDDEN, SIGHTING = (60, 220, 90), (150, 150, 150), (255, 210, 40)


def annotated(
    image: Image, camera: Camera, names: Sequence[str], poses: ObjectPoses, found: Detections | None
) -> Image:
    """A copy of an image with the filter's poses as circles, grey where hidden, and what was detected as crosses."""
    drawn, scale = image.copy(), max(1, image.shape[1] // 320)
    pixels, depths = camera.project(np.nan_to_num(poses.positions))
    known = np.isfinite(poses.positions).all(axis=1) & (depths > 0.0)
    for row in np.flatnonzero(known).tolist():
        colour = SEEN if poses.valid[row] else HIDDEN
        x, y = np.clip(pixels[row], -1e4, 1e4).round().astype(int).tolist()
        cv2.circle(drawn, (x, y), 4 * scale, colour, scale)
        cv2.putText(drawn, names[row], (x + 5 * scale, y), cv2.FONT_HERSHEY_SIMPLEX, 0.3 * scale, colour, scale)
    for each in found.sightings if found else ():
        if each.camera == camera.name:
            x, y = np.clip(each.pixel, -1e4, 1e4).round().astype(int).tolist()
            cv2.drawMarker(drawn, (x, y), SIGHTING, cv2.MARKER_CROSS, 4 * scale, scale)
    return drawn
