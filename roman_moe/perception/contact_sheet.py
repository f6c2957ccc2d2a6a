"""Many small pictures in one, for people: what an image set holds, or what an estimator makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.files import atomic_path
from roman_moe.perception.image_set import Image, ImageSet, as_jpeg, camera_at, read_scenes

Array = NDArray[np.float64]

COLUMNS, ROWS = 4, 4
RED = (230, 30, 30)
RADIUS = 4  # [pixels]


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
            tiles.append(circled(image, pixels[scenes.visible[scene, number]], RED))
    write_tiles(tiles, path)


def circled(image: Image, pixels: Array, colour: tuple[int, int, int]) -> Image:
    """A copy of an image, (height, width, 3), with a circle about each pixel, (n, 2)."""
    drawn = image.copy()
    for x, y in pixels.round().astype(int).tolist():
        cv2.circle(drawn, (x, y), RADIUS, colour, 1, cv2.LINE_AA)
    return drawn


def write_tiles(tiles: Sequence[Image], path: Path) -> None:
    """Write images of one size, side by side in rows, as one JPEG file."""
    columns = min(COLUMNS, len(tiles))
    blank = np.full_like(tiles[0], 255)
    filled = [*tiles, *[blank] * (-len(tiles) % columns)]
    rows = [np.concatenate(filled[i : i + columns], axis=1) for i in range(0, len(filled), columns)]
    with atomic_path(path) as temporary:
        temporary.write_bytes(as_jpeg(np.concatenate(rows)))
