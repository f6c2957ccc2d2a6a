"""ChArUco boards: a chessboard with markers in its white squares, for calibration.

The board's frame: origin in its middle, x right, y up, z out of the picture, as a marker's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError
from roman_moe.core.spec_parts import MarkerSpec
from roman_moe.perception.marker_images import dictionary, picture

Array = NDArray[np.float64]

FEWEST_CORNERS = 8  # of a board that count as seen


@dataclass(frozen=True)
class Board:
    """A printed board. The default fits on a sheet of A4.

    Attributes:
        columns: squares along x.
        rows: squares along y.
        square: side of a square [m].
        marker: side of a marker [m].
        dictionary: of the markers; not that of the objects' markers.
    """

    columns: int = 7
    rows: int = 5
    square: float = 0.038
    marker: float = 0.028
    dictionary: str = "5x5_100"

    def __post_init__(self) -> None:
        if self.columns < 3 or self.rows < 3:
            raise ConfigError(f"board of {self.columns} x {self.rows} squares: expected 3 x 3 at least")
        if not 0.0 < self.marker < self.square:
            raise ConfigError(f"board: marker {self.marker} m, square {self.square} m: expected 0 < marker < square")
        if self.columns * self.rows // 2 > len(dictionary(self.dictionary).bytesList):
            raise ConfigError(f"board of {self.columns} x {self.rows} squares: {self.dictionary} has too few markers")

    @property
    def size(self) -> tuple[float, float]:
        """Width and height [m]."""
        return self.columns * self.square, self.rows * self.square

    @cached_property
    def _board(self) -> Any:
        tags = dictionary(self.dictionary)
        return cv2.aruco.CharucoBoard((self.columns, self.rows), self.square, self.marker, tags)

    @cached_property
    def _detector(self) -> Any:
        parameters = cv2.aruco.DetectorParameters()
        parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        return cv2.aruco.CharucoDetector(self._board, cv2.aruco.CharucoParameters(), parameters)

    def picture(self, pixels: int) -> NDArray[np.uint8]:
        """The board, black 0 and white 255, `pixels` along a square."""
        picture = self._board.generateImage((self.columns * pixels, self.rows * pixels))
        return np.asarray(picture, dtype=np.uint8)

    def markers(self) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
        """Column and row of each white square, from the top left, and its marker, a pixel a module."""
        white = [(column, row) for row in range(self.rows) for column in range((row + 1) % 2, self.columns, 2)]
        for number, (column, row) in enumerate(white):
            yield column, row, picture(MarkerSpec(number, self.marker, dictionary=self.dictionary))[1:-1, 1:-1]

    def find(self, image: NDArray[np.uint8]) -> tuple[Array, Array] | None:
        """Inner corners in an RGB image: pixels, (n, 2), and places on it, (n, 3) [m]; None if it is not seen."""
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        corners, ids, _, _ = self._detector.detectBoard(gray)
        if ids is None or len(ids) < FEWEST_CORNERS:
            return None
        numbers = np.asarray(ids).reshape(-1)
        width, height = self.size
        known = np.asarray(self._board.getChessboardCorners(), dtype=np.float64)[numbers]
        points = np.stack([known[:, 0] - 0.5 * width, 0.5 * height - known[:, 1], np.zeros(len(known))], axis=1)
        if np.linalg.matrix_rank(points[:, :2] - points[0, :2], tol=1e-6) < 2:
            return None  # one line of corners says nothing of the board's tilt
        return np.asarray(corners, dtype=np.float64).reshape(-1, 2), points
