"""Many small pictures in one, for people: what an image set holds, or what an estimator makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.files import write_file
from roman_moe.perception.image_set import Image, ImageSet, as_jpeg, camera_at, read_scenes

Array = NDArray[np.float64]

COLUMNS, ROWS = 4, 4
RED = (230, 30, 30)
GREEN = (40, 220, 40)
WHITE = (255, 255, 255)
RADIUS = 4  # [pixels]
STRIP = 18  # of a caption [pixels]


@dataclass(frozen=True, eq=False)
class Case:
    """An object in an image, and where an estimator has it.

    Attributes:
        condition: under which the image was drawn.
        error: distance of the estimate from the truth [m].
        image: (height, width, 3) RGB.
        pixels: that show the true position and the estimated one, (2, 2) [pixels].
    """

    name: str
    condition: str
    error: float
    image: Image
    pixels: Array


def write_cases(cases: Sequence[Case], path: Path) -> None:
    """Write a sheet of cases: the truth in green, the estimate in red, and above what is seen and how far it is off."""
    write_tiles([_captioned(case) for case in cases], path)


def _captioned(case: Case) -> Image:
    true, estimated = np.clip(case.pixels, -1e4, 1e4).round().astype(int).tolist()
    image = case.image.copy()
    cv2.line(image, true, estimated, RED, 1, cv2.LINE_AA)
    for pixel, colour in ((estimated, RED), (true, GREEN)):
        cv2.circle(image, pixel, RADIUS, colour, 1, cv2.LINE_AA)
    strip = np.zeros((STRIP, image.shape[1], 3), dtype=np.uint8)
    text = f"{case.name}, {case.condition}: {1e3 * case.error:.0f} mm".replace("_", " ")
    cv2.putText(strip, text, (4, STRIP - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, WHITE, 1, cv2.LINE_AA)
    return np.concatenate([strip, image])


def write_sheet(images: ImageSet, path: Path) -> None:
    """Write a sheet of scenes spread over an image set; a circle is about each visible object."""
    parts = images.parts()
    wanted = COLUMNS * ROWS // len(images.description.cameras)
    chosen = [parts[i] for i in np.linspace(0, len(parts) - 1, wanted).astype(int)]
    tiles: list[Image] = []
    for turn, part in enumerate(chosen):
        scenes = read_scenes(part)
        scene = turn * len(scenes) // wanted
        for number, image in enumerate(images.scene(part, scene)):
            pixels, _ = camera_at(scenes, scene, number, images.description).project(scenes.positions[scene])
            tiles.append(image.copy())
            for x, y in pixels[scenes.visible[scene, number]].round().astype(int).tolist():
                cv2.circle(tiles[-1], (x, y), RADIUS, RED, 1, cv2.LINE_AA)
    write_tiles(tiles, path)


def write_tiles(tiles: Sequence[Image], path: Path) -> None:
    """Write images of one size, side by side in rows, as one JPEG file."""
    columns = min(COLUMNS, len(tiles))
    blank = np.full_like(tiles[0], 255)
    filled = [*tiles, *[blank] * (-len(tiles) % columns)]
    rows = [np.concatenate(filled[i : i + columns], axis=1) for i in range(0, len(filled), columns)]
    write_file(path, as_jpeg(np.concatenate(rows)))
