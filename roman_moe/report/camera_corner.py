"""What cameras saw, with the estimates of object poses drawn in, for a corner of a video's frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from roman_moe.core.state import ObjectPoses
from roman_moe.report.labels import INK, Label, draw_labels
from roman_moe.report.overlay import SMOOTH, load_font

if TYPE_CHECKING:  # a video of a run without cameras is drawn without OpenCV
    from roman_moe.perception.camera import Camera

WIDTH = 0.2  # of the frame, an image in its corner
RADIUS, LINE, TEXT, EDGE = 6, 2, 10, 2  # [pixels] in a frame of 720 lines
TIME_LINE = 0.92  # of the frame's height, above which the images stand
VALID, HIDDEN, FRAME = (90, 230, 120), (214, 218, 224), (235, 238, 242)


@dataclass(frozen=True, eq=False)
class CameraView:
    """One image and what was known at its time.

    Attributes:
        image: (height, width, 3) RGB.
        poses: estimates of the task's objects.
    """

    image: NDArray[np.uint8]
    camera: Camera
    poses: ObjectPoses


def draw_view(view: CameraView, names: Sequence[str], width: int, unit: float = 1.0) -> Image.Image:
    """The image, `width` pixels wide, with a circle where each object is estimated, dashed if not valid, and its name.

    A name for which there is no room beside its circle is left out.

    Args:
        names: of the objects, as the poses have them; empty for one that is not to be named.
        unit: pixels for one of a frame of 720 lines.
    """
    scale = SMOOTH * width / view.camera.width
    size = (SMOOTH * width, round(scale * view.camera.height))
    picture = Image.fromarray(view.image).resize(size, Image.Resampling.BICUBIC)
    pen, radius, line = ImageDraw.Draw(picture), SMOOTH * RADIUS * unit, max(1, round(SMOOTH * LINE * unit))
    letters = load_font(max(1, round(SMOOTH * TEXT * unit)), True)
    known = np.isfinite(view.poses.positions).all(axis=1)
    pixels, depths = view.camera.project(np.nan_to_num(view.poses.positions))
    inside = ((pixels > -0.5) & (pixels < np.array([view.camera.width, view.camera.height]) - 0.5)).all(axis=1)
    valid, places = view.poses.valid, (scale * (pixels + 0.5)).tolist()
    labels = [
        Label(names[row].replace("_", " "), tuple(places[row]), not valid[row], VALID if valid[row] else HIDDEN)
        for row in np.flatnonzero(known & inside & (depths > 0.0)).tolist()
    ]
    draw_labels(pen, labels, size, radius, line, letters)
    pen.text((2 * line, line), view.camera.name, FRAME, letters, "la", stroke_width=line, stroke_fill=INK)
    return picture.resize((width, size[1] // SMOOTH), Image.Resampling.BOX)


def draw_corner(frame: NDArray[np.uint8], views: Sequence[CameraView], names: Sequence[str]) -> NDArray[np.uint8]:
    """A frame, (height, width, 3) RGB, with the views one above the other in its lower right corner."""
    picture = Image.fromarray(frame)
    unit = picture.height / 720.0
    edge, width, bottom = max(1, round(EDGE * unit)), round(WIDTH * picture.width), round(TIME_LINE * picture.height)
    left = picture.width - round(22 * unit) - width
    for view in reversed(views):
        drawn = draw_view(view, names, width, unit)
        top = bottom - drawn.height
        picture.paste(FRAME, (left - edge, top - edge, left + width + edge, bottom + edge))
        picture.paste(drawn, (left, top))
        bottom = top - round(10 * unit)
    return np.asarray(picture)
