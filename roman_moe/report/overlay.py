"""The panel drawn into video frames: current weights as bars, time, and the skills that led so far."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from roman_moe.report.labels import Box, Label, draw_labels
from roman_moe.report.palette import label, rgb, text_color
from roman_moe.report.trace import Trace, leading_segments

Color = tuple[int, int, int, int]
SMOOTH = 2  # shapes are drawn this much larger and scaled down, for soft edges

WHITE = (255, 255, 255, 255)
SOFT = (208, 213, 221, 255)
TRACK = (255, 255, 255, 34)
PANEL = (17, 20, 26, 178)
CAPTION_S = 2.5  # [s] of the run for which a caption says what happened


class Overlay:
    """Draws the panel for the frames of one run; sizes follow the frame's height.

    Args:
        title: first line, e.g. "scenario 6".
        height: of the frames [pixels].
        width: of the frames [pixels].
    """

    def __init__(self, trace: Trace, title: str, width: int, height: int) -> None:
        self._trace = trace
        self._segments = leading_segments(trace)
        self._title = title
        self._unit = height / 720.0
        self._size = (width, height)
        self._row = self._px(27)
        self._panel = (self._px(292), self._px(64) + self._row * len(trace.skills))
        self._corner = (self._px(22), self._px(22))
        self._strip = self._px(26)

    def draw(
        self, frame: NDArray[np.uint8], tick: int, speed: float, note: str = "", labels: Sequence[Label] = ()
    ) -> NDArray[np.uint8]:
        """The frame with the panel for one tick, (h, w, 3).

        Args:
            tick: row of the trace.
            speed: how many times faster than real time the video plays there.
            note: how the run ended, on the last frame: stands large at the top.
        """
        image, px = Image.fromarray(frame), self._px
        draw_labels(ImageDraw.Draw(image), labels, self._size, px(8), px(2), load_font(px(15), True))
        panel = self._draw_panel(tick, speed)
        image.paste(panel, self._corner, panel)
        time = self._trace.end_s if note else float(self._trace.times[tick])
        width, height = self._size
        margin = self._corner[0]
        strip = self._draw_strip(width - 2 * margin, time)
        image.paste(strip, (margin, height - self._px(20) - self._strip), strip)
        happening = [name for moment, name in self._trace.events if moment <= time < moment + CAPTION_S]
        if said := note or ", ".join(happening):
            badge = self._draw_badge(said)
            image.paste(badge, ((width - badge.width) // 2, self._corner[1]), badge)
        return np.asarray(image)

    def _draw_panel(self, tick: int, speed: float) -> Image.Image:
        weights = self._trace.weights[tick]
        lead = int(weights.argmax()) if weights.any() else -1
        px, (width, height) = self._px, self._panel
        label_end, bar_end = px(130), width - px(56)
        panel = self._shapes(width, height, [((0, 0, width, height), PANEL, px(12))])
        bars: list[tuple[Box, Color, float]] = []
        for index, skill in enumerate(self._trace.skills):
            top = px(56) + index * self._row + px(7)
            box = (label_end, top, bar_end, top + px(13))
            bars.append((box, TRACK, px(6.5)))
            length = (bar_end - label_end) * float(np.clip(weights[index], 0.0, 1.0))
            if length >= px(2):
                bars.append(
                    (
                        (box[0], box[1], box[0] + length, box[3]),
                        (*rgb(self._trace.spec, skill), 255),
                        min(px(6.5), length / 2),
                    )
                )
        panel.alpha_composite(self._shapes(width, height, bars))
        pen = ImageDraw.Draw(panel)
        clock, large = f"{self._trace.times[tick]:.1f} s", load_font(px(17), True)
        pen.text((width - px(16), px(13)), clock, font=large, fill=WHITE, anchor="ra")
        room = width - px(16) - px(16) - px(12) - large.getlength(f"{self._trace.end_s:.1f} s")
        pen.text((px(16), px(13)), fitting(self._title, large, room), font=large, fill=WHITE)
        pen.text((px(16), px(36)), "gate weights", font=load_font(px(12), False), fill=SOFT)
        pen.text((width - px(16), px(36)), f"{speed:.3g}x speed", font=load_font(px(12), False), fill=SOFT, anchor="ra")
        for index, skill in enumerate(self._trace.skills):
            middle = px(56) + index * self._row + px(13.5)
            ink = WHITE if index == lead else SOFT
            font = load_font(px(13.5), index == lead)
            pen.text((px(16), middle), label(self._trace.spec, skill), font=font, fill=ink, anchor="lm")
            pen.text((width - px(16), middle), f"{weights[index]:.2f}", font=font, fill=ink, anchor="rm")
        return panel

    def _draw_strip(self, width: int, time: float) -> Image.Image:
        """Time line of the whole run: what led until `time`, in colour."""
        px, height = self._px, self._strip
        strip = self._shapes(width, height, [((0, 0, width, height), PANEL, px(8))])
        inset, scale = px(4), (width - 2 * px(4)) / self._trace.end_s
        boxes = []
        for segment in self._segments:
            if segment.start_s < time:
                end = min(segment.end_s, time)
                box = (inset + segment.start_s * scale, inset, inset + end * scale - 1, height - inset)
                boxes.append((box, (*rgb(self._trace.spec, segment.name), 255), px(3)))
        strip.alpha_composite(self._shapes(width, height, boxes))
        pen = ImageDraw.Draw(strip)
        font = load_font(px(11.5), True)
        for segment in self._segments:
            name = label(self._trace.spec, segment.name)
            drawn = (min(segment.end_s, time) - segment.start_s) * scale
            if drawn > font.getlength(name) + px(10):
                middle = inset + (segment.start_s + segment.end_s) / 2 * scale
                reached = inset + segment.start_s * scale + drawn - font.getlength(name) / 2 - px(5)
                ink = text_color(self._trace.spec, segment.name)
                pen.text((min(middle, reached), height / 2), name, font=font, fill=ink, anchor="mm")
        for moment, _ in self._trace.events:
            if moment <= time:
                middle = inset + moment * scale
                pen.rectangle((middle - px(3), 0, middle + px(3), height), PANEL[:3])
                pen.rectangle((middle - px(1), 0, middle + px(1), height), WHITE)
        return strip

    def _draw_badge(self, note: str) -> Image.Image:
        px, font = self._px, load_font(self._px(20), True)
        width, height = int(font.getlength(note)) + px(36), px(46)
        badge = self._shapes(width, height, [((0, 0, width, height), PANEL, px(12))])
        ImageDraw.Draw(badge).text((width / 2, height / 2), note, font=font, fill=WHITE, anchor="mm")
        return badge

    def _px(self, size: float) -> int:
        """A length given for frames of 720 lines, in pixels of these frames."""
        return max(1, round(size * self._unit))

    @staticmethod
    def _shapes(
        width: int,
        height: int,
        boxes: Sequence[tuple[Box, Color, float]],
    ) -> Image.Image:
        """Rounded boxes (corners, colour, radius) on nothing, edges smoothed."""
        large = Image.new("RGBA", (width * SMOOTH, height * SMOOTH), (0, 0, 0, 0))
        pen = ImageDraw.Draw(large)
        for (x0, y0, x1, y1), color, radius in boxes:
            if x1 - x0 >= 1 and y1 - y0 >= 1:
                corners = (x0 * SMOOTH, y0 * SMOOTH, x1 * SMOOTH - 1, y1 * SMOOTH - 1)
                pen.rounded_rectangle(corners, radius=radius * SMOOTH, fill=color)
        return large.resize((width, height), Image.Resampling.BOX)


def fitting(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """The end of a text that has room [pixels], after an ellipsis if it is not the whole: what it is stands there."""
    if font.getlength(text) <= room:
        return text
    kept = (text[start:] for start in range(1, len(text) + 1))
    return next("…" + end for end in kept if font.getlength("…" + end) <= room or not end)


@lru_cache(maxsize=16)
def load_font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    """The font that matplotlib ships: the same everywhere, no system font needed."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)
