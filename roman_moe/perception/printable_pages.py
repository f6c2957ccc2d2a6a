"""Printable pages, to scale: a task's markers, and a ChArUco board. SVG, whose lengths are millimetres."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError
from roman_moe.core.files import write_file
from roman_moe.core.spec import TaskSpec
from roman_moe.perception.board import Board
from roman_moe.perception.marker_images import modules, picture

A4 = 210.0, 297.0  # [mm]
EDGE = 12.0  # [mm] that printers leave white
TEXT = 3.2  # [mm]
GAP = 4.0  # [mm] between markers
RULER = 100.0  # [mm]


class Page:
    """One page; everything in millimetres from its top left corner."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []
        self.text(EDGE, EDGE + TEXT, title)
        bottom = height - EDGE
        self.rect(EDGE, bottom - 0.3, RULER, 0.3)
        for x in (EDGE, EDGE + RULER - 0.3):
            self.rect(x, bottom - 4.0, 0.3, 4.0)
        self.text(EDGE + RULER + 2.0, bottom, "100 mm: print at 100 %, and measure this line")

    def rect(self, x: float, y: float, width: float, height: float, fill: str = "black") -> None:
        self._parts.append(f'<rect x="{x:.4f}" y="{y:.4f}" width="{width:.4f}" height="{height:.4f}" fill="{fill}"/>')

    def text(self, x: float, y: float, text: str) -> None:
        self._parts.append(f'<text x="{x:.2f}" y="{y:.2f}" font-size="{TEXT}">{escape(text)}</text>')

    def bitmap(self, x: float, y: float, cell: float, image: NDArray[np.uint8]) -> None:
        """Black cells of an image on white."""
        self.rect(x, y, cell * image.shape[1], cell * image.shape[0], "white")
        for row, values in enumerate(image == 0):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], values.astype(int), [0]])))
            for start, end in edges.reshape(-1, 2).tolist():
                self.rect(x + cell * start, y + cell * row, cell * (end - start), cell)

    def write(self, path: Path) -> None:
        content = "\n".join(self._parts)
        write_file(
            path,
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width:g}mm" height="{self.height:g}mm" '
            f'viewBox="0 0 {self.width:g} {self.height:g}" font-family="sans-serif" '
            f'shape-rendering="crispEdges">\n<rect width="100%" height="100%" fill="white"/>\n{content}\n</svg>\n',
        )


def marker_pages(spec: TaskSpec) -> list[Page]:
    """A task's markers on sheets of A4, by object.

    Raises:
        ConfigError: if it has none, or one is larger than a sheet.
    """
    pages: list[Page] = []
    x = y = row = 0.0
    for name, each in spec.objects.items():
        for marker in each.markers:
            count = modules(marker.dictionary)
            cell = 1e3 * marker.size / count
            side = cell * (count + 2)
            if side > A4[0] - 2.0 * EDGE:
                raise ConfigError(
                    f"marker {marker.id} of {name}: {1e3 * marker.size:.0f} mm: larger than a sheet of A4"
                )
            if pages and x + side > A4[0] - EDGE:
                x, y, row = EDGE, y + row, 0.0
            if not pages or y + side + TEXT + GAP > A4[1] - EDGE - 8.0:
                pages.append(Page(*A4, f"{spec.title or spec.name}: markers {len(pages) + 1}"))
                x, y, row = EDGE, EDGE + 3.0 * TEXT, 0.0
            page = pages[-1]
            page.bitmap(x, y, cell, picture(marker))
            page.text(x, y + side + TEXT, f"{name} {marker.id}, {1e3 * marker.size:g} mm")
            x, row = x + max(side, 36.0) + GAP, max(row, side + TEXT + GAP)
    if not pages:
        raise ConfigError(f"task {spec.name!r}: no object has markers: expected objects.NAME.markers in task.yaml")
    return pages


def board_page(board: Board) -> Page:
    """A ChArUco board, on A4 across if it fits."""
    width, height = (1e3 * length for length in board.size)
    page = Page(
        max(A4[1], width + 2.0 * EDGE),
        max(A4[0], height + 2.0 * EDGE + 14.0),
        f"ChArUco board: {board.columns} x {board.rows} squares of {1e3 * board.square:g} mm, "
        f"markers of {1e3 * board.marker:g} mm, {board.dictionary}",
    )
    left, top = 0.5 * (page.width - width), EDGE + 4.0 + 0.5 * (page.height - 2.0 * EDGE - 12.0 - height)
    square = 1e3 * board.square
    for row in range(board.rows):
        for column in range(row % 2, board.columns, 2):
            page.rect(left + square * column, top + square * row, square, square)
    for column, row, image in board.markers():
        cell = 1e3 * board.marker / len(image)
        inset = 0.5 * (square - 1e3 * board.marker)
        page.bitmap(left + square * column + inset, top + square * row + inset, cell, image)
    return page


def write_pages(pages: list[Page], folder: Path, name: str) -> list[Path]:
    """Write NAME-1.svg and so on, or NAME.svg if there is one page alone."""
    names = [f"{name}-{number}.svg" for number in range(1, len(pages) + 1)] if len(pages) > 1 else [f"{name}.svg"]
    paths = [folder / each for each in names]
    for page, path in zip(pages, paths, strict=True):
        page.write(path)
    return paths
