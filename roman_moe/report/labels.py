"""Names of objects beside the circles that mark them in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import ImageDraw, ImageFont

Color = tuple[int, ...]
Box = tuple[float, float, float, float]

DASHES = 8  # of a circle
INK = (17, 20, 26)


@dataclass(frozen=True, slots=True)
class Label:
    """One object in a picture.

    Attributes:
        name: that stands beside its circle; empty for the circle alone.
        place: of the object, across and down [pixels].
        dashed: whether the circle is.
        color: of both, RGB.
    """

    name: str
    place: tuple[float, float]
    dashed: bool
    color: Color


def draw_labels(
    pen: ImageDraw.ImageDraw,
    labels: Sequence[Label],
    size: tuple[int, int],
    radius: float,
    line: int,
    font: ImageFont.FreeTypeFont,
) -> None:
    """Draw circles and names; a name for which there is no room beside its circle is left out.

    Args:
        labels: what there is to name; the first ones choose their places first.
        size: width and height of the picture [pixels].
        radius: of the circles [pixels].
        line: width of lines and of the names' outlines [pixels].
    """
    drawn: list[Box] = []
    for label in labels:
        (x, y), gap = label.place, radius + line
        for place, anchor in (((x + gap, y), "lm"), ((x - gap, y), "rm"), ((x, y - gap), "mb"), ((x, y + gap), "mt")):
            box = pen.textbbox(place, label.name, font, anchor, stroke_width=line)
            if label.name and box[0] >= 0 and box[2] <= size[0] and not any(_overlap(box, other) for other in drawn):
                pen.text(place, label.name, label.color, font, anchor, stroke_width=line, stroke_fill=INK)
                drawn.append(box)
                break
    for label in labels:  # over the names
        (x, y), share = label.place, 0.5 if label.dashed else 1.0
        box = x - radius, y - radius, x + radius, y + radius
        for start in np.linspace(0.0, 360.0, DASHES, endpoint=False).tolist():
            pen.arc(box, start, start + share * 360.0 / DASHES, label.color, line)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
