"""The video of a run, drawn after it from the recorded physics states. The file is there complete, or not at all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roman_moe.core.files import atomic_path
from roman_moe.report.camera_corner import CameraView, draw_corner
from roman_moe.report.labels import Label
from roman_moe.report.overlay import CAPTION_S, Overlay
from roman_moe.report.trace import Trace

if TYPE_CHECKING:
    from roman_moe.sim.film import Film

DRAWING_S = 100.0  # [s] that drawing may take; without a GPU a frame takes 0.2 s to 0.4 s on two cores
FEWEST_FRAMES, MOST_FRAMES = 150, 1200
TRIAL_FRAMES = 3
LABELS_S, END_S = 3.0, 2.0  # [s] for which the first frame stands, with names, and the last one, with the note
SPEED, BETWEEN = 1.5, 4  # seconds of the run per second of video near objects; how many times faster elsewhere
LOWEST_FPS, HIGHEST_FPS = 8.0, 30.0
ANIMATION_S, ANIMATION_FPS, ANIMATION_WIDTH = 5.0, 12.0, 800  # [s], [1/s], [pixels]
NEAR = 0.06  # [m] from the hand to an object that it works on
ASIDE_S = 0.25  # [s] before and after that


@dataclass(frozen=True, slots=True, eq=False)
class Playback:
    """Which ticks a video shows, and how fast.

    Attributes:
        fps: frames per second of the file.
        ticks: that are drawn, in order, (F,).
        speeds: seconds of the run per second of video at each of them, (F,).
    """

    fps: float
    ticks: NDArray[np.int64]
    speeds: NDArray[np.float64]

    @classmethod
    def of(cls, close: NDArray[np.bool_], rate: float, max_frames: int, speed: float = SPEED) -> Playback:
        """Slow where there is something to see, and `BETWEEN` times as fast elsewhere.

        Where not every tick may be drawn, it is every second, third ... one, and the file has fewer frames a second.
        If these were fewer than `LOWEST_FPS`, it plays faster. No tick is drawn twice, so motion stays even.

        Args:
            close: where there is something to see, for each tick of the run, (T,).
            rate: ticks per second of the run [Hz].
            max_frames: that may be drawn.
            speed: seconds of the run per second of video where there is something to see.
        """
        stride = math.ceil(rate * speed / HIGHEST_FPS)
        while len(ticks := _strided(close, stride)) > max_frames:
            stride += 1
        fps = max(rate * speed / stride, LOWEST_FPS)
        return cls(fps, ticks, fps * stride / rate * np.where(close[ticks], 1.0, BETWEEN))


def _strided(close: NDArray[np.bool_], stride: int) -> NDArray[np.int64]:
    """Every tick at strides, `BETWEEN` times as long where nothing is close; they end where something begins to be."""
    ticks, tick, count = [], 0, len(close)
    starts = np.append(np.flatnonzero(np.diff(close.astype(int)) == 1) + 1, count)
    while tick < count:
        ticks.append(tick)
        start = int(starts[np.searchsorted(starts, tick, side="right")])
        tick = tick + stride if close[tick] else min(tick + BETWEEN * stride, start)
    return np.array(ticks)


def close_ticks(
    times: NDArray[np.float64], distances: NDArray[np.float64], events: Sequence[tuple[float, str]] = ()
) -> NDArray[np.bool_]:
    """Where a run is worth seeing slowly, (T,): the hand is near an object, or something happens from outside.

    Args:
        times: of the ticks, (T,) [s].
        distances: from the hand to the nearest object, (T,) [m].
        events: time [s] and name of what happened from outside.
    """
    worth = times[distances < NEAR]
    moments = [*zip(worth - ASIDE_S, worth + ASIDE_S, strict=True)]
    moments += [(moment - ASIDE_S, moment + CAPTION_S) for moment, _ in events]
    close = np.zeros(len(times), dtype=bool)
    for first, last in moments:
        close[np.searchsorted(times, first) : np.searchsorted(times, last, side="right")] = True
    return close


def affordable_frames(
    source: Film,
    physics_state: NDArray[np.float64],
    seconds: float = DRAWING_S,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """How many frames this machine draws in about `seconds`, from a trial; never too few for a video."""
    source.frame(physics_state)  # the first one also uploads the model
    began = clock()
    for _ in range(TRIAL_FRAMES):
        source.frame(physics_state)
    cost = max(clock() - began, 1e-6) / TRIAL_FRAMES
    return int(np.clip(seconds / cost, FEWEST_FRAMES, MOST_FRAMES))


@dataclass(frozen=True, slots=True, eq=False)
class RunFrames:
    """What the frames of a run are drawn from.

    Attributes:
        size: width and height of the frames [pixels], multiples of 16.
        note: stands large on the last frame: how it ended.
        views: what cameras saw at a tick, for a corner of its frame; what the leading expert observes is named there.
        labels: names of what is in the first frame, asked for once it is drawn.
    """

    trace: Trace
    source: Film
    size: tuple[int, int]
    title: str
    note: str
    views: Callable[[int], Sequence[CameraView]] = lambda tick: ()
    labels: Callable[[], Sequence[Label]] | None = None

    def of(self, playback: Playback) -> Iterator[NDArray[np.uint8]]:
        """Each tick's frame, and at the end once more that of the last tick, with the note."""
        trace, overlay = self.trace, Overlay(self.trace, self.title, *self.size)
        rows = [*zip(playback.ticks.tolist(), playback.speeds.tolist(), [""] * len(playback.ticks), strict=True)]
        for number, (tick, speed, said) in enumerate([*rows, (len(trace.times) - 1, rows[-1][1], self.note)]):
            picture = self.source.frame(trace.physics_states[tick])
            labels = self.labels() if number == 0 and self.labels else ()
            frame, seen = overlay.draw(picture, tick, speed, said, labels), self.views(tick)
            yield np.ascontiguousarray(draw_corner(frame, seen, self._named(tick)) if seen else frame)

    def _named(self, tick: int) -> list[str]:
        """Of the objects, those that the leading expert observes: all names would hide the image."""
        trace = self.trace
        leading = trace.spec.skills[trace.skills[int(trace.weights[tick].argmax())]]
        return [name if name in leading.observes else "" for name in trace.spec.object_names]


def write_video(
    frames: RunFrames, path: Path, playback: Playback, on_frame: Callable[[], object] = lambda: None
) -> None:
    """Write an H.264 file that browsers play.

    Args:
        frames: of the run; with labels, the first one stands for `LABELS_S`.
        on_frame: called when one is drawn, the repetitions of the first and last one left out.
    """
    with atomic_path(path) as temporary:
        encoder = imageio_ffmpeg.write_frames(
            str(temporary),
            frames.size,
            fps=playback.fps,
            codec="libx264",
            pix_fmt_out="yuv420p",
            quality=None,
            ffmpeg_log_level="error",
            # faststart: a browser may play before it has all; one thread draws, so encoding must stay cheap
            output_params=["-crf", "21", "-preset", "veryfast", "-movflags", "+faststart"],
        )
        encoder.send(None)
        try:
            for number, frame in enumerate(frames.of(playback)):
                last = number == len(playback.ticks)
                seconds = END_S if last else LABELS_S if number == 0 and frames.labels else 0.0
                for _ in range(max(1, round(seconds * playback.fps))):
                    encoder.send(frame)
                if not last:
                    on_frame()
        finally:
            encoder.close()


def write_animation(frames: RunFrames, path: Path) -> None:
    """Write a WebP file that shows the run in `ANIMATION_S`, `ANIMATION_WIDTH` wide, without labels."""
    trace, (width, height) = frames.trace, frames.size
    ticks = np.unique(np.linspace(0, len(trace.times) - 1, round(ANIMATION_S * ANIMATION_FPS)).astype(np.int64))
    playback = Playback(ANIMATION_FPS, ticks, np.full(len(ticks), trace.end_s / ANIMATION_S))
    small = ANIMATION_WIDTH, round(ANIMATION_WIDTH * height / width)
    first, *others = [
        Image.fromarray(frame).resize(small, Image.Resampling.LANCZOS)
        for frame in replace(frames, labels=None).of(playback)
    ]
    stands = [round(1000 / ANIMATION_FPS)] * len(ticks) + [round(1000 * END_S)]  # [ms]
    with atomic_path(path) as temporary:
        first.save(temporary, format="WEBP", save_all=True, append_images=others, duration=stands, loop=0, quality=70)
