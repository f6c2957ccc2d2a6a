"""`roman-moe calibrate`: what a camera's images measure and where it is, from a printed board; and what to print."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import tyro
from rich.console import Console

from roman_moe.cli.options import SILENT, Flag, Folder, Metres, Number, OptionalFile, Text
from roman_moe.cli.outputs import check_file
from roman_moe.cli.tasks import Task
from roman_moe.core.errors import ConfigError

if TYPE_CHECKING:
    from roman_moe.perception.board import Board as PrintedBoard
    from roman_moe.perception.calibration import BoardView, Calibration
    from roman_moe.perception.camera import Camera
    from roman_moe.perception.camera_file import Pose

Images = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGES")]
Place = Annotated[str, tyro.conf.arg(metavar="X,Y,Z,YAW", help_behavior_hint=SILENT)]
CameraFile = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CAMERA.yaml")]


@dataclass(frozen=True, kw_only=True)
class _BoardOptions:
    """The printed board."""

    columns: Number = 7
    """Squares of the board along its longer side."""

    rows: Number = 5
    """Squares along its shorter side."""

    square: Metres = 0.038
    """Side of a square."""

    marker: Metres = 0.028
    """Side of a marker."""

    dictionary: Text = "5x5_100"
    """Markers of the board."""

    @property
    def board(self) -> PrintedBoard:
        """The board that they describe."""
        from roman_moe.perception.board import Board

        return Board(self.columns, self.rows, self.square, self.marker, self.dictionary)


@dataclass(frozen=True, kw_only=True)
class _Part(_BoardOptions):
    """A calibration from a folder of images."""

    needs: ClassVar = ("cv2", "matplotlib")

    images: Images
    """Folder of images that show the board."""

    camera: CameraFile
    """The camera's file, as ROS reads it; a picture of the calibration is written beside it."""

    def main(self) -> int:
        """0 when the file is written; 2 if the images cannot be used."""
        from roman_moe.perception.calibration import find_boards, read_images

        check_file(self.camera)
        images = read_images(self.images)
        views, size = find_boards(images, self.board)
        Console().print(f"{len(views)} of {len(images)} images show the board", highlight=False)
        self.calibrate(views, size)
        return 0

    def calibrate(self, views: list[BoardView], size: tuple[int, int]) -> None:
        """Calibrate, and write what is found."""
        raise NotImplementedError

    def known(self, size: tuple[int, int]) -> Camera:
        """The camera with its intrinsics.

        Raises:
            ConfigError: if it is not calibrated, or for images of another size.
        """
        from roman_moe.perception.camera_file import read_camera

        camera = read_camera(self.camera, posed=False)
        if (camera.width, camera.height) != size:
            raise ConfigError(
                f"{self.images}: images of {size[0]} x {size[1]} pixels: {self.camera} is for {camera.width} x "
                f"{camera.height}: take images of that size, or calibrate the intrinsics anew"
            )
        return camera

    def write(self, found: Calibration, frame: str) -> None:
        """Write the camera's file and the picture, and say how good it is."""
        from roman_moe.perception.camera_file import write_camera
        from roman_moe.report.calibration import plot_calibration

        camera, console = found.camera, Console()
        write_camera(self.camera, camera, frame)
        picture = self.camera.with_suffix(".png")
        pixels = [view.pixels for view in found.views]
        plot_calibration(pixels, found.residuals, (camera.width, camera.height), picture, camera.name)
        console.print(f"reprojection error {found.error:.2f} pixels", highlight=False)
        for lack in found.missing:
            console.print(f"would make it better: {lack}", highlight=False)
        console.print(f"{self.camera}, {picture}: written", highlight=False, soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Intrinsics(_Part):
    """Focal lengths, principal point and distortion."""

    def calibrate(self, views: list[BoardView], size: tuple[int, int]) -> None:
        """Of the views."""
        from roman_moe.perception.calibration import intrinsics

        found = intrinsics(self.camera.stem, views, size)
        focal, centre = found.camera.focal, found.camera.centre
        Console().print(
            f"focal lengths {focal[0]:.1f}, {focal[1]:.1f}; principal point {centre[0]:.1f}, {centre[1]:.1f} pixels",
            highlight=False,
        )
        self.write(found, "")


@dataclass(frozen=True, kw_only=True)
class CameraToBase(_Part):
    """Where a fixed camera is, from boards at known places."""

    place: Place = ""
    """Place of the board's middle in the base frame [m, degrees], for all images."""

    places: OptionalFile = None
    """YAML of the board's pose for each image, poses: {IMAGE: {position: [x, y, z], orientation: [x, y, z, w]}}."""

    def calibrate(self, views: list[BoardView], size: tuple[int, int]) -> None:
        """Of the views."""
        from roman_moe.perception.calibration import camera_to_base

        camera = self.known(size)
        if bool(self.place) == bool(self.places):
            raise ConfigError("where is the board: expected --place X,Y,Z,YAW or --places FILE")
        poses = _read_poses(self.places) if self.places else {view.name: _pose_of(self.place) for view in views}
        found = camera_to_base(camera, views, poses)
        _show_pose(found, "base")
        self.write(found, "base")


@dataclass(frozen=True, kw_only=True)
class HandEye(_Part):
    """Where a camera on the hand is, or the hand holds the board."""

    poses: OptionalFile = None
    """YAML of the hand's pose for each image, poses: {IMAGE: {position: [x, y, z], orientation: [x, y, z, w]}}."""

    fixed: Flag = False
    """The camera is fixed, and the hand holds the board."""

    def calibrate(self, views: list[BoardView], size: tuple[int, int]) -> None:
        """Of the views."""
        from roman_moe.perception.calibration import hand_eye

        camera = self.known(size)
        if self.poses is None:
            raise ConfigError("where is the hand: expected --poses FILE")
        frame = "base" if self.fixed else "hand"
        found = hand_eye(camera, views, _read_poses(self.poses), on_hand=not self.fixed)
        _show_pose(found, frame)
        self.write(found, frame)


@dataclass(frozen=True, kw_only=True)
class Board(_BoardOptions):
    """Write the board as a page to print."""

    needs: ClassVar = ("cv2",)

    out: Folder = Path("out/sheets")
    """Folder to write board.svg to."""

    def main(self) -> int:
        """0 when it is written."""
        from roman_moe.perception.sheet import board_page, write_pages

        _say(write_pages([board_page(self.board)], self.out, "board"))
        return 0


@dataclass(frozen=True)
class Markers:
    """Write a task's markers as pages to print."""

    needs: ClassVar = ("cv2",)

    task: Task
    """The task, by its name or folder."""

    out: Folder = Path("out/sheets")
    """Folder to write the pages to."""

    def main(self) -> int:
        """0 when they are written."""
        from roman_moe.core.tasks import load_spec
        from roman_moe.perception.sheet import marker_pages, write_pages

        spec = load_spec(self.task)
        _say(write_pages(marker_pages(spec), self.out, f"{spec.name}_markers"))
        return 0


class Calibrate:
    """Calibrate cameras, and write the pages to print for it."""

    PARTS: ClassVar[Mapping[str, type]] = {
        "intrinsics": Intrinsics,
        "camera-to-base": CameraToBase,
        "hand-eye": HandEye,
        "board": Board,
        "markers": Markers,
    }


def _say(paths: list[Path]) -> None:
    for path in paths:
        print(f"{path}: written: print it at 100 %, and measure its line of 100 mm")


def _show_pose(found: Calibration, frame: str) -> None:
    x, y, z = found.camera.position
    Console().print(f"camera at {x:.4f}, {y:.4f}, {z:.4f} m in the frame of the {frame}", highlight=False)


def _pose_of(text: str) -> Pose:
    from roman_moe.perception.camera_file import Pose

    try:
        x, y, z, degrees = map(float, text.split(","))
        half = math.radians(0.5 * degrees)
        return Pose((x, y, z), (0.0, 0.0, math.sin(half), math.cos(half)))
    except ValueError:
        raise ConfigError(f"--place {text!r}: expected X,Y,Z,YAW such as 0.5,0,-0.12,90") from None


def _read_poses(path: Path) -> Mapping[str, Pose]:
    from roman_moe.core.config import build, read_yaml
    from roman_moe.perception.camera_file import Poses

    return build(Poses, read_yaml(path, ConfigError), str(path), ConfigError).poses
