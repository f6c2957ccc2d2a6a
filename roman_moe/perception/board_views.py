"""Views of a board for a calibration, taken while images come: each sharp, at rest and in a place of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError
from roman_moe.perception.board import Board
from roman_moe.perception.calibration import BoardView
from roman_moe.perception.images import Image

Array = NDArray[np.float64]

STILL = 0.003  # [image widths] that the corners of a board at rest move from one image to the next
SHARP = 4.0  # [pixels] from dark to light across an edge: 2 in focus, more in motion too
NEW = 0.05  # [image widths] from the board's corners in each other view, root mean square
CORNERS = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])


class BoardViewCollector:
    """Takes views of a board from images.

    Args:
        rest: for how long the board has to be at rest [s].

    Attributes:
        note: what is to be said of the last image.
    """

    def __init__(self, board: Board, rest: float = 0.0) -> None:
        self._board, self._rest = board, rest
        self._places: list[Array] = []
        self._last: dict[tuple[float, ...], Array] = {}
        self._rests_since = 0.0
        self.views: list[BoardView] = []
        self.note = "no image yet"

    def take(self, image: Image, now: float, name: str) -> bool:
        """Take an RGB image as the view of this name, if it is one; `now` is when it came [s]."""
        found = self._board.find(image)
        before, self._last = self._last, {}
        if found is None:
            self.note = "no board"
            return False
        pixels, points = found
        self._last = {tuple(point): pixel for point, pixel in zip(points.tolist(), pixels, strict=True)}
        width = image.shape[1]
        shared = [np.linalg.norm(self._last[key] - before[key]) for key in self._last.keys() & before.keys()]
        if not shared or max(shared) > STILL * width:
            self._rests_since = now
            self.note = "board moves"
            return False
        place = _corners(self._board, pixels, points) / width
        if edge_width(image, pixels) > SHARP:
            self.note = "board is blurred"
        elif any(np.sqrt(((place - other) ** 2).sum(axis=1).mean()) < NEW for other in self._places):
            self.note = "view is there already: move the board"
        elif now - self._rests_since < self._rest:
            self.note = "hold still"
        else:
            self.note = "view taken"
            self._places.append(place)
            self.views.append(BoardView(name, pixels, points))
            return True
        return False


def edge_width(image: Image, pixels: Array) -> float:
    """Pixels from dark to light across the edges of a board whose corners are at these pixels, (n, 2)."""
    (left, top), (right, bottom) = np.floor(pixels.min(axis=0)).astype(int), np.ceil(pixels.max(axis=0)).astype(int)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[max(top, 0) : bottom + 1, max(left, 0) : right + 1]
    slopes = np.hypot(cv2.Sobel(grey, cv2.CV_64F, 1, 0), cv2.Sobel(grey, cv2.CV_64F, 0, 1)) / 8.0
    dark, light = np.percentile(grey, [5, 95])
    return float((light - dark) / max(float(np.percentile(slopes, 98)), 1e-6))


def _corners(board: Board, pixels: Array, points: Array) -> Array:
    """Of the whole board, (4, 2) [pixels], seen or not."""
    plane, _ = cv2.findHomography(points[:, :2], pixels)
    if plane is None:
        return np.repeat(pixels.mean(axis=0)[None], len(CORNERS), axis=0)
    return np.asarray(cv2.perspectiveTransform((CORNERS * board.size)[None], plane)[0], dtype=np.float64)


def images_of_device(device: str) -> Iterator[Image]:
    """RGB images of a camera by its number, or of a video file or stream by its name, until it ends.

    Raises:
        ConfigError: if there is none.
    """
    capture = cv2.VideoCapture(int(device) if device.isdigit() else device)
    try:
        read, image = capture.read()
        if not read:
            raise ConfigError(f"--device {device}: gives no images: expected a camera's number or a video")
        while read:
            yield np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
            read, image = capture.read()
    finally:
        capture.release()


def write_image(path: Path, image: Image) -> None:
    """Write an RGB image, to the last bit for a PNG."""
    if not cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
        raise ConfigError(f"{path}: cannot be written")
