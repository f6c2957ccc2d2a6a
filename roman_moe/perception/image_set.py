"""Labelled images of a task's scenes: a folder of JPEG files with what can be seen in them, and how from where.

`images.yaml` says of which task, cameras and objects they are and how they were made. Each folder `part_NNNNN` holds
some scenes: a picture a camera, and `labels.npz` with arrays only. A part is there as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from roman_moe.core.config import build, read_yaml
from roman_moe.core.errors import DemonstrationError
from roman_moe.core.files import atomic_folder, write_file
from roman_moe.core.spec import TaskSpec
from roman_moe.perception.camera import Camera

DESCRIPTION = "images.yaml"
LABELS = "labels.npz"
FORMAT = 2
QUALITY = 92  # of the JPEG files: cameras' own are no better
VISIBLE_PIXELS = 12
"""From which on an object counts as visible: fewer are an edge that anything else could be."""

Image = NDArray[np.uint8]
Arrays = TypeVar("Arrays")


@dataclass(frozen=True)
class ImageSetDescription:
    """What an image set says about itself.

    Attributes:
        task_sha256: its digest.
        objects: that are labelled, in order.
        cameras: names, in order.
        width: of the images [pixels].
        height: likewise.
        scenes: in all parts; each with an image a camera.
        ranges: how far the appearance differs from the scene's own.
    """

    task: str
    task_sha256: str
    objects: tuple[str, ...]
    cameras: tuple[str, ...]
    width: int
    height: int
    scenes: int
    seed: int
    ranges: Mapping[str, float]
    git_commit: str = ""
    format_version: int = FORMAT


@dataclass(frozen=True, eq=False)
class Scenes:
    """The truth about s scenes, each seen by c cameras, with n objects.

    Attributes:
        positions: of the objects, (s, n, 3) [m].
        orientations: quaternions x, y, z, w, (s, n, 4).
        pixels: by which each camera sees each object, (s, c, n).
        focal: focal lengths, (s, c, 2) [pixels].
        centres: principal points, (s, c, 2) [pixels].
        camera_positions: in the base frame, (s, c, 3) [m].
        camera_orientations: of the optical frames, (s, c, 4).
    """

    positions: NDArray[np.float64]
    orientations: NDArray[np.float64]
    pixels: NDArray[np.int64]
    focal: NDArray[np.float64]
    centres: NDArray[np.float64]
    camera_positions: NDArray[np.float64]
    camera_orientations: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def visible(self) -> NDArray[np.bool_]:
        """Which camera sees which object, (s, c, n)."""
        return self.pixels >= VISIBLE_PIXELS


def joined(parts: Sequence[Arrays]) -> Arrays:
    """Scenes, or what is said of them, one after another: instances of a dataclass of arrays, as one."""
    names = [each.name for each in fields(parts[0])]  # type: ignore[arg-type]
    return type(parts[0])(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class ImageSet:
    """An image set on disk.

    Raises:
        DemonstrationError: if the folder is no image set, or a part of it is missing.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / DESCRIPTION
        self.folder = folder
        if not path.is_file():
            raise DemonstrationError(f"{folder}: no {DESCRIPTION}: expected a folder that `roman-moe data images` made")
        said = read_yaml(path, DemonstrationError)
        if (version := said.get("format_version")) != FORMAT:
            raise DemonstrationError(
                f"{path}: format_version {version}: this program reads {FORMAT}: "
                "make them anew with `roman-moe data images`"
            )
        self.description = build(ImageSetDescription, said, str(path), DemonstrationError)

    def check(self, spec: TaskSpec) -> None:
        """Refuse the images of another task.

        Raises:
            DemonstrationError: naming what differs.
        """
        said = self.description
        if said.task_sha256 != spec.digest:
            raise DemonstrationError(
                f"{self.folder}: images of the task {said.task} {said.task_sha256[:12]}: expected {spec.name} "
                f"{spec.digest[:12]}: make them anew with `roman-moe data images --task {spec.name}`"
            )

    def parts(self) -> list[Path]:
        """Folders of all parts.

        Raises:
            DemonstrationError: if some are missing.
        """
        found = sorted(self.folder.glob("part_*"))
        scenes = sum(len(read_scenes(part)) for part in found)
        if scenes != self.description.scenes:
            raise DemonstrationError(
                f"{self.folder}: {scenes} of {self.description.scenes} scenes: run the command that made it again, "
                "and it goes on"
            )
        return found

    def scene(self, part: Path, number: int) -> list[Image]:
        """The images of one scene of a part, one a camera, (height, width, 3) RGB.

        Raises:
            DemonstrationError: if one cannot be read.
        """
        return [self.image(part, number, i) for i in range(len(self.description.cameras))]

    def image(self, part: Path, number: int, camera: int) -> Image:
        """One camera's image of a scene of a part, (height, width, 3) RGB.

        Raises:
            DemonstrationError: if it cannot be read.
        """
        path = part / image_name(number, self.description.cameras[camera])
        found = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        size = (self.description.height, self.description.width, 3)
        if found is None or found.shape != size:
            shape = "nothing that can be read" if found is None else f"an image of shape {found.shape}"
            raise DemonstrationError(f"{path}: {shape}: expected a JPEG file of {size[1]} x {size[0]} pixels")
        return np.asarray(found, dtype=np.uint8)


def camera_at(scenes: Scenes, scene: int, camera: int, description: ImageSetDescription) -> Camera:
    """One camera as it was when it saw a scene."""
    return Camera(
        name=description.cameras[camera],
        width=description.width,
        height=description.height,
        focal=scenes.focal[scene, camera],
        centre=scenes.centres[scene, camera],
        position=scenes.camera_positions[scene, camera],
        orientation=scenes.camera_orientations[scene, camera],
    )


def image_name(scene: int, camera: str) -> str:
    return f"{scene:04d}_{camera}.jpg"


def read_scenes(part: Path) -> Scenes:
    """The truth about a part's scenes.

    Raises:
        DemonstrationError: if its labels are damaged.
    """
    path = part / LABELS
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Scenes(**{each.name: arrays[each.name] for each in fields(Scenes)})
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DemonstrationError(f"{path}: cannot be read ({error}): delete its folder and make it again") from None


def write_description(folder: Path, description: ImageSetDescription) -> None:
    """Say what a folder's images are, or check that it says the same already.

    Raises:
        DemonstrationError: if the folder holds other images.
    """
    path = folder / DESCRIPTION
    if path.is_file():
        there = ImageSet(folder).description
        for name, new in asdict(description).items():
            if name != "git_commit" and (old := getattr(there, name)) != new:
                raise DemonstrationError(f"{path}: {name} is {old}, not {new}: choose another --out")
        return
    write_file(path, yaml.safe_dump(asdict(description), sort_keys=False))


def write_part(part: Path, cameras: Sequence[str], images: Sequence[Sequence[Image]], scenes: Scenes) -> None:
    """Write a part: for each scene an image a camera, (height, width, 3) RGB."""
    with atomic_folder(part) as folder:
        for number, views in enumerate(images):
            for camera, image in zip(cameras, views, strict=True):
                (folder / image_name(number, camera)).write_bytes(as_jpeg(image))
        np.savez(folder / LABELS, **{each.name: getattr(scenes, each.name) for each in fields(Scenes)})


def as_jpeg(image: Image) -> bytes:
    """A JPEG file of an image, (height, width, 3) RGB."""
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes()
