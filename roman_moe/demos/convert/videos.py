"""Cameras' images as the videos of a LeRobotDataset v3.0: a frame a tick, many episodes a file.

A tick's frame is the newest image that is not later than the tick; before the first image it is the first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np

from roman_moe.core.errors import DemonstrationError
from roman_moe.demos.convert.statistics import Statistics, of_images
from roman_moe.demos.extras import images
from roman_moe.demos.reader import Episode
from roman_moe.perception.images import Image, read_compressed
from roman_moe.wire.bag_types import typestore
from roman_moe.wire.bodies import MessageError
from roman_moe.wire.topics import CAMERA_TYPES, COMPRESSED

CHUNK = 1000  # files a folder
VIDEO_MB = 200
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
# no difference to be seen; every second frame stands alone, as LeRobot has it, so that any is read quickly
ENCODING = ("-crf", "18", "-g", "2", "-bf", "0", "-movflags", "+faststart")
SAMPLES, SIDE = 20, 32  # frames of an episode, and rows and columns of each, from which statistics are made

Size = tuple[int, int]


def camera_sizes(episodes: Sequence[Episode]) -> tuple[dict[str, Size], list[str]]:
    """Height and width of the images of each camera that all episodes have; what is left out, in words.

    Raises:
        DemonstrationError: if an image cannot be read.
    """
    found: dict[str, list[Size]] = defaultdict(list)
    for episode in episodes:
        for name, data in {name: data for name, _, data in images(episode)}.items():
            height, width, _ = _read(episode, name, data).shape
            found[name].append((height, width))
    everywhere = {name: sizes[0] for name, sizes in found.items() if len(sizes) == len(episodes)}
    notes = [
        f"images of camera {name}: only {len(sizes)} of {len(episodes)} episodes have them"
        for name, sizes in found.items()
        if name not in everywhere
    ]
    return everywhere, notes


def _read(episode: Episode, name: str, data: bytes) -> Image:
    try:
        return read_compressed(typestore().deserialize_cdr(data, CAMERA_TYPES[COMPRESSED]))
    except MessageError as error:
        raise DemonstrationError(f"{episode.path}: camera {name}: {error}") from error


def _frames(episode: Episode, name: str, size: Size) -> Iterator[Image]:
    """An image of a camera for each tick."""
    found = sorted((stamp, data) for camera, stamp, data in images(episode) if camera == name)
    newest = np.searchsorted([stamp for stamp, _ in found], [s.stamp_ns for s in episode.states], side="right") - 1
    for row in np.maximum(newest, 0):
        image = _read(episode, name, found[row][1])
        if image.shape[:2] != size:
            sizes = " and ".join(f"{width} x {height}" for height, width in (size, image.shape[:2]))
            raise DemonstrationError(f"{episode.path}: camera {name}: images of {sizes} pixels: expected one size")
        yield image


class Videos:
    """Writes the videos of a set, episode by episode.

    Args:
        sizes: height and width of each camera's images.
        rate: frames per second.
    """

    def __init__(self, root: Path, sizes: Mapping[str, Size], rate: int) -> None:
        self._cameras = [_Camera(root, name, size, rate) for name, size in sizes.items()]

    def close(self) -> None:
        for camera in self._cameras:
            camera.close()

    @property
    def features(self) -> dict[str, dict[str, Any]]:
        return {camera.key: camera.feature for camera in self._cameras}

    @property
    def statistics(self) -> dict[str, Statistics]:
        return {camera.key: of_images(camera.samples) for camera in self._cameras}

    def add(self, episode: Episode) -> dict[str, Any]:
        """Write an episode; what its row says of its videos.

        Raises:
            DemonstrationError: if an image cannot be read or has another size.
        """
        return {key: value for camera in self._cameras for key, value in camera.add(episode).items()}


class _Camera:
    """The videos of one camera: a new file when the last has `VIDEO_MB`.

    Attributes:
        key: of its feature.
        samples: some frames of each episode, of few pixels.
    """

    def __init__(self, root: Path, name: str, size: Size, rate: int) -> None:
        self.key = f"observation.images.{name}"
        self.samples: list[Image] = []
        self._root, self._name, self._size, self._rate = root, name, size, rate
        self._height, self._width = (side // 2 * 2 for side in size)  # yuv420p has no odd sides
        self._path = root
        self._number, self._frames = -1, 0
        self._encoder: Any = None

    @property
    def feature(self) -> dict[str, Any]:
        info: dict[str, Any] = {"height": self._height, "width": self._width, "channels": 3, "fps": self._rate}
        info |= {"codec": "h264", "pix_fmt": "yuv420p", "is_depth_map": False}
        return {
            "dtype": "video",
            "shape": [self._height, self._width, 3],
            "names": ["height", "width", "channels"],
            "info": {**{f"video.{key}": value for key, value in info.items()}, "has_audio": False},
        }

    def add(self, episode: Episode) -> dict[str, Any]:
        written = self._path.stat().st_size if self._path.is_file() else 0  # ffmpeg may not have begun yet
        if self._encoder is None or written > VIDEO_MB * 1_000_000:
            self._open()
        begin, samples, every = self._frames, [], -(-len(episode.states) // SAMPLES)
        for row, image in enumerate(_frames(episode, self._name, self._size)):
            frame = image[: self._height, : self._width]
            self._encoder.send(np.ascontiguousarray(frame))
            self._frames += 1
            if row % every == 0:
                samples.append(frame[:: -(-self._height // SIDE), :: -(-self._width // SIDE)])
        self.samples += samples
        chunk, file = divmod(self._number, CHUNK)
        place: dict[str, Any] = {"chunk_index": chunk, "file_index": file}
        place |= {"from_timestamp": begin / self._rate, "to_timestamp": self._frames / self._rate}
        return {
            **{f"videos/{self.key}/{key}": value for key, value in place.items()},
            **{f"stats/{self.key}/{key}": value for key, value in of_images(samples).items()},
        }

    def _open(self) -> None:
        self.close()
        self._number, self._frames = self._number + 1, 0
        chunk, file = divmod(self._number, CHUNK)
        self._path = self._root / VIDEO.format(video_key=self.key, chunk_index=chunk, file_index=file)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._encoder = imageio_ffmpeg.write_frames(
            str(self._path),
            (self._width, self._height),
            fps=self._rate,
            codec="libx264",
            quality=None,
            macro_block_size=2,
            ffmpeg_log_level="error",
            output_params=list(ENCODING),
        )
        self._encoder.send(None)

    def close(self) -> None:
        if self._encoder is not None:
            self._encoder.close()
