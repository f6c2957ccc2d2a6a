"""The video of a run, drawn after it from the recorded physics states. The file is there complete, or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.files import atomic_path
from roman_moe.report.camera_corner import CameraView, draw_corner
from roman_moe.report.overlay import Overlay
from roman_moe.report.trace import Trace

DRAWING_S = 100.0  # [s] that drawing may take; without a GPU a frame takes 0.2 s to 0.4 s on two cores
FEWEST_FRAMES, MOST_FRAMES = 150, 1200
TRIAL_FRAMES = 3
END_S = 2.0  # [s] for which the last frame stands, with the note


class FrameSource(Protocol):
    """Draws one recorded physics state."""

    def frame(self, physics_state: NDArray[np.float64]) -> NDArray[np.uint8]:
        """(h, w, 3), RGB."""


@dataclass(frozen=True, slots=True)
class Playback:
    """Which ticks a video shows, and how fast.

    Attributes:
        fps: frames per second of the file.
        stride: ticks from one frame to the next.
        speed: seconds of the run per second of video.
    """

    fps: int
    stride: int
    speed: float

    @classmethod
    def of(cls, ticks: int, rate: float, max_frames: int, fps: int = 25) -> Playback:
        """Every tick if they are few, else every second, third ...: no tick is drawn twice, so motion stays even.

        Args:
            ticks: of the run.
            rate: ticks per second of the run [Hz].
            max_frames: that may be drawn.
        """
        stride = max(1, -(-ticks // max_frames))
        return cls(fps, stride, fps * stride / rate)


def affordable_frames(
    source: FrameSource,
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


def write_video(
    trace: Trace,
    source: FrameSource,
    path: Path,
    size: tuple[int, int],
    title: str,
    note: str,
    playback: Playback,
    on_frame: Callable[[], object] = lambda: None,
    views: Callable[[int], Sequence[CameraView]] = lambda tick: (),
) -> None:
    """Write an H.264 file that browsers play.

    Args:
        size: width and height of the frames [pixels], multiples of 16.
        title: of the panel.
        note: stands large on the last frame: how it ended.
        on_frame: called when one is drawn, the last one's repetitions left out.
        views: what cameras saw at a tick, for a corner of its frame; what the leading expert observes is named there.
    """
    ticks = list(range(0, len(trace.times), playback.stride))

    def drawn(tick: int, note: str = "") -> NDArray[np.uint8]:
        frame = overlay.draw(source.frame(trace.physics_states[tick]), tick, note)
        return np.ascontiguousarray(draw_corner(frame, seen, named(tick)) if (seen := views(tick)) else frame)

    def named(tick: int) -> list[str]:
        """Of the objects, those that the leading expert observes: all names would hide the image."""
        leading = trace.spec.skills[trace.skills[int(trace.weights[tick].argmax())]]
        return [name if name in leading.observes else "" for name in trace.spec.object_names]

    overlay = Overlay(trace, title, size[0], size[1], playback.speed)
    with atomic_path(path) as temporary:
        encoder = imageio_ffmpeg.write_frames(
            str(temporary),
            size,
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
            for tick in ticks:
                encoder.send(drawn(tick))
                on_frame()
            end = drawn(len(trace.times) - 1, note)
            for _ in range(round(END_S * playback.fps)):
                encoder.send(end)
        finally:
            encoder.close()
