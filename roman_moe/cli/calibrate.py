"""`roman-moe calibrate`: intrinsics and pose of a camera from images of a printed board, and the pages to print."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import tyro
from rich.console import Console
from rich.live import Live

from roman_moe.cli import options as opt
from roman_moe.cli.outputs import check_file
from roman_moe.cli.tasks import Task
from roman_moe.core.errors import ConfigError

if TYPE_CHECKING:
    from roman_moe.perception.board import Board as PrintedBoard
    from roman_moe.perception.calibration import BoardView, Calibration
    from roman_moe.perception.camera import Camera
    from roman_moe.perception.camera_file import Pose
    from roman_moe.perception.images import Image

HANDS = "hands.yaml"  # in a folder of images that were taken: where the hand was at each

Topic = Annotated[str, tyro.conf.arg(metavar="TOPIC", help_behavior_hint=opt.SILENT)]
Device = Annotated[str, tyro.conf.arg(metavar="DEVICE", help_behavior_hint=opt.SILENT)]
Images = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGES")]
Place = Annotated[str, tyro.conf.arg(metavar="X,Y,Z,YAW", help_behavior_hint=opt.SILENT)]
CameraFile = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CAMERA.yaml")]


@dataclass(frozen=True, kw_only=True)
class _BoardOptions:
    """The printed board."""

    columns: opt.Number = 7
    """Squares of the board along its longer side."""

    rows: opt.Number = 5
    """Squares along its shorter side."""

    square: opt.Metres = 0.038
    """Side of a square."""

    marker: opt.Metres = 0.028
    """Side of a marker."""

    dictionary: opt.Text = "5x5_100"
    """Markers of the board."""

    @property
    def board(self) -> PrintedBoard:
        from roman_moe.perception.board import Board

        return Board(self.columns, self.rows, self.square, self.marker, self.dictionary)


@dataclass(frozen=True, kw_only=True)
class _Part(_BoardOptions):
    """A calibration from a folder of images, which --topic or --device fills first."""

    images: Images
    """Folder of images of the board; --topic and --device write their images into it."""

    camera: CameraFile
    """The camera's file, in ROS format; a picture of the calibration is written beside it."""

    topic: Topic = ""
    """Take the images of this topic, raw or compressed, while you move the board."""

    device: Device = ""
    """Take the images of this camera, such as 0, or of a video."""

    @property
    def needs(self) -> tuple[str, ...]:
        return ("cv2", "matplotlib", *(("rclpy",) if self.topic else ()))

    def main(self) -> int:
        """0 when the file is written; 2 if the images cannot be used."""
        from roman_moe.perception.calibration import find_boards, read_images

        check_file(self.camera)
        if self.topic or self.device:
            self.take()
        images = read_images(self.images)
        views, size = find_boards(images, self.board)
        opt.say(Console(), f"{len(views)} of {len(images)} images show the board")
        self.calibrate(views, size)
        return 0

    def calibrate(self, views: list[BoardView], size: tuple[int, int]) -> None:
        raise NotImplementedError

    rest: ClassVar[float] = 0.0
    """Time for which the board has to be at rest for a view [s]."""

    def lacks(self, views: Sequence[BoardView], size: tuple[int, int]) -> list[str]:
        raise NotImplementedError

    def name(self, number: int) -> str:
        """Name of an image that is taken."""
        return f"view_{number:02d}.png"

    def note_hand(self, name: str, hand: Pose | None) -> None:
        """Keep where the hand was at a view."""

    def source(self) -> Generator[tuple[Image, Pose | None], None, None]:
        """Images as they come, and where the hand is."""
        if self.device:
            from roman_moe.perception.board_views import images_of_device

            return ((image, None) for image in images_of_device(self.device))
        from roman_moe.nodes.perception.image_topic import images_of_topic

        return images_of_topic(self.topic, getattr(self, "hand", ""))

    def take(self) -> None:
        """Fill the folder of images with views until they are enough; a line says what is missing.

        Raises:
            ConfigError: if it holds images already, or the images end before.
        """
        from roman_moe.perception.board_views import BoardViewCollector, write_image
        from roman_moe.perception.calibration import SUFFIXES

        if self.topic and self.device:
            raise ConfigError("--topic and --device: expected one of them")
        if self.images.is_dir() and any(path.suffix.lower() in SUFFIXES for path in self.images.iterdir()):
            raise ConfigError(f"{self.images}: holds images already: leave out --topic and --device, or name a new one")
        self.images.mkdir(parents=True, exist_ok=True)
        taker, console, name, line = BoardViewCollector(self.board, self.rest), Console(), self.name(0), ""
        missing = ["all views"]
        with Live(console=console, auto_refresh=False, transient=True) as live, closing(self.source()) as source:
            for image, hand in source:
                taken = taker.take(image, time.monotonic(), name)
                if taken:
                    write_image(self.images / name, image)
                    self.note_hand(name, hand)
                    missing = self.lacks(taker.views, (image.shape[1], image.shape[0]))
                line = f"{len(taker.views)} views, {taker.note}; missing: {', '.join(missing) or 'nothing'}"
                live.update(line, refresh=console.is_terminal)
                if taken and not console.is_terminal:
                    opt.say(console, line)
                if not missing:
                    return
                name = self.name(len(taker.views))
        raise ConfigError(f"--device {self.device}: ended after {line}: {self.images} has what was taken")

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
        opt.say(console, f"reprojection error {found.error:.2f} pixels")
        for lack in found.missing:
            opt.say(console, f"would make it better: {lack}")
        opt.say(console, f"{self.camera}, {picture}: written")


@dataclass(frozen=True, kw_only=True)
class Intrinsics(_Part):
    """Focal lengths, principal point and distortion."""

    def lacks(self, views: Sequence[BoardView], size: tuple[int, int]) -> list[str]:
        from roman_moe.perception.calibration import missing_of_intrinsics

        return missing_of_intrinsics(views, size)

    def calibrate(self, views: list[BoardView], size: tuple[int, int]) -> None:
        from roman_moe.perception.calibration import intrinsics

        found = intrinsics(self.camera.stem, views, size)
        focal, centre = found.camera.focal, found.camera.centre
        opt.say(
            Console(),
            f"focal lengths {focal[0]:.1f}, {focal[1]:.1f}; principal point {centre[0]:.1f}, {centre[1]:.1f} pixels",
        )
        self.write(found, "")


@dataclass(frozen=True, kw_only=True)
class CameraToBase(_Part):
    """Pose of a fixed camera, from boards at known places."""

    place: Place = ""
    """Place of the board's middle in the base frame [m, degrees], for all images."""

    places: opt.OptionalFile = None
    """YAML of the board's pose for each image, poses: {IMAGE: {position: [x, y, z], orientation: [x, y, z, w]}}."""

    rest = 1.0

    @cached_property
    def known_places(self) -> Mapping[str, Pose]:
        """By image; of a single place for every image, by no name."""
        if bool(self.place) == bool(self.places):
            raise ConfigError("no pose of the board: expected --place X,Y,Z,YAW or --places FILE")
        return _read_poses(self.places) if self.places else {"": _pose_of(self.place)}

    def name(self, number: int) -> str:
        """The file of places says in which order."""
        return list(self.known_places)[number] if self.places else super().name(number)

    def take(self) -> None:
        """At the first place, then at the others."""
        from roman_moe.perception.camera_file import read_camera

        first = next(iter(self.known_places.items()))
        read_camera(self.camera, posed=False)  # says now if it has no intrinsics
        print(f"lay the board at {_spoken(*first)}")
        super().take()

    def lacks(self, views: Sequence[BoardView], size: tuple[int, int]) -> list[str]:
        return [f"the board at {_spoken(name, place)}" for name, place in list(self.known_places.items())[len(views) :]]

    def calibrate(self, views: list[BoardView], size: tuple[int, int]) -> None:
        from roman_moe.perception.calibration import camera_to_base

        camera, places = self.known(size), self.known_places
        found = camera_to_base(
            camera, views, places if self.places else dict.fromkeys((v.name for v in views), places[""])
        )
        _show_pose(found, "base")
        self.write(found, "base")


@dataclass(frozen=True, kw_only=True)
class HandEye(_Part):
    """Pose of a camera on the hand, or of one facing the hand."""

    poses: opt.OptionalFile = None
    """YAML of the hand's pose for each image, poses: {IMAGE: {position: [x, y, z], orientation: [x, y, z, w]}};
    IMAGES/hands.yaml, which --hand writes, if not given."""

    hand: Topic = ""
    """With --topic: topic of the hand's pose in the base frame, geometry_msgs/PoseStamped."""

    fixed: opt.Flag = False
    """The camera is fixed, and the hand holds the board."""

    rest = 0.5

    @cached_property
    def hands(self) -> dict[str, Pose]:
        """Poses of the hand so far, by image."""
        return {}

    def take(self) -> None:
        if not (self.topic and self.hand) or self.poses:
            raise ConfigError("no poses of the hand: expected --topic and --hand TOPIC, and no --poses")
        from roman_moe.perception.camera_file import read_camera

        read_camera(self.camera, posed=False)  # says now if it has no intrinsics
        super().take()

    def note_hand(self, name: str, hand: Pose | None) -> None:
        """Written at once, so that the images can be used whenever this ends."""
        from roman_moe.perception.camera_file import write_poses

        assert hand is not None  # the topic of images waits for it
        self.hands[name] = hand
        write_poses(self.images / HANDS, self.hands)

    def lacks(self, views: Sequence[BoardView], size: tuple[int, int]) -> list[str]:
        from roman_moe.perception.calibration import missing_of_hand

        return missing_of_hand(views, self.hands)

    def calibrate(self, views: list[BoardView], size: tuple[int, int]) -> None:
        from roman_moe.perception.calibration import hand_eye

        camera, poses = self.known(size), self.poses or self.images / HANDS
        if self.poses is None and not poses.exists():
            raise ConfigError("no poses of the hand: expected --poses FILE")
        frame = "base" if self.fixed else "hand"
        found = hand_eye(camera, views, _read_poses(poses), on_hand=not self.fixed)
        _show_pose(found, frame)
        self.write(found, frame)


@dataclass(frozen=True, kw_only=True)
class Board(_BoardOptions):
    """Write the board as a page to print."""

    needs: ClassVar = ("cv2",)

    out: opt.Folder = Path("out/sheets")
    """Folder to write board.svg to."""

    def main(self) -> int:
        from roman_moe.perception.printable_pages import board_page, write_pages

        _say(write_pages([board_page(self.board)], self.out, "board"))
        return 0


@dataclass(frozen=True)
class Markers:
    """Write a task's markers as pages to print."""

    needs: ClassVar = ("cv2",)

    task: Task
    """The task, by its name or folder."""

    out: opt.Folder = Path("out/sheets")
    """Folder to write the pages to."""

    def main(self) -> int:
        from roman_moe.core.tasks import load_spec
        from roman_moe.perception.printable_pages import marker_pages, write_pages

        spec = load_spec(self.task)
        _say(write_pages(marker_pages(spec), self.out, f"{spec.name}_markers"))
        return 0


class Calibrate:
    """Calibrate cameras, and write the pages to print."""

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
    opt.say(Console(), f"camera at {x:.4f}, {y:.4f}, {z:.4f} m in the frame of the {frame}")


def _spoken(name: str, place: Pose) -> str:
    """A place of the board for people."""
    x, y, z = place.position
    return f"{x:.3f}, {y:.3f}, {z:.3f} m{f' ({name})' if name else ''}"


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
