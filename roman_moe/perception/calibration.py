"""Calibration from images of a ChArUco board: a camera's intrinsics, its place in the base frame, or on the hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError
from roman_moe.core.rotation import from_matrix, matrix, rotation_vector
from roman_moe.perception.board import Board
from roman_moe.perception.camera import Camera
from roman_moe.perception.camera_file import Pose

Array = NDArray[np.float64]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
FEWEST_VIEWS = 8  # for intrinsics
FEWEST_POSES, ENOUGH_POSES = 6, 12  # of a hand
LEAST_TURN = 0.17  # [rad] between two poses of a hand that says something
LEAST_SPREAD = 0.2  # sine of the angle between the axes of such turns
GRID = 3  # regions of an image along each side
ENOUGH_VIEWS, ENOUGH_TILT, ENOUGH_ZOOM = 15, 0.5, 1.5
"""Views, tilts of the board about each axis from lowest to highest [rad], and farthest over nearest."""


@dataclass(frozen=True, eq=False)
class BoardView:
    """A board in one image: its inner corners, `pixels` (n, 2) and `points` on the board (n, 3) [m]."""

    name: str
    pixels: Array
    points: Array


@dataclass(frozen=True, eq=False)
class Calibration:
    """A calibrated camera.

    Attributes:
        residuals: of each view's corners, (n, 2) [pixels].
        missing: what would make it better, one line each.
    """

    camera: Camera
    views: tuple[BoardView, ...]
    residuals: tuple[Array, ...]
    missing: tuple[str, ...] = ()

    @property
    def error(self) -> float:
        """Root mean square of the corners' distances from where they project to [pixels]."""
        return float(np.sqrt((np.concatenate(self.residuals) ** 2).sum(axis=1).mean()))


def read_images(folder: Path) -> dict[str, NDArray[np.uint8]]:
    """RGB images of a folder by file name, in order.

    Raises:
        ConfigError: if there is none, or one cannot be read.
    """
    paths = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in SUFFIXES]
    if not paths:
        raise ConfigError(f"{folder}: no images: expected files ending in {', '.join(SUFFIXES)}")
    images = {}
    for path in paths:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise ConfigError(f"{path}: cannot be read as an image")
        images[path.name] = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    return images


def find_boards(images: Mapping[str, NDArray[np.uint8]], board: Board) -> tuple[list[BoardView], tuple[int, int]]:
    """Boards in RGB images by name, and the images' width and height.

    Raises:
        ConfigError: if the images differ in size, or none shows the board.
    """
    sizes = {name: (image.shape[1], image.shape[0]) for name, image in images.items()}
    first = next(iter(sizes), "")
    for name, size in sizes.items():
        if size != sizes[first]:
            raise ConfigError(f"{name}: {size[0]} x {size[1]} pixels: expected {sizes[first]} as {first} has")
    found = [BoardView(name, *corners) for name, image in images.items() if (corners := board.find(image)) is not None]
    if not found:
        raise ConfigError(
            f"board not found in any of {len(images)} images: expected {board.columns} x {board.rows} squares with "
            f"markers of {board.dictionary}: print it with roman-moe calibrate board"
        )
    return found, sizes[first]


def intrinsics(name: str, views: Sequence[BoardView], size: tuple[int, int]) -> Calibration:
    """Focal lengths, principal point and distortion of a camera with images of this size.

    Raises:
        ConfigError: if there are too few views, or all of them are alike.
    """
    if len(views) < FEWEST_VIEWS:
        raise ConfigError(f"{len(views)} images show the board: expected {FEWEST_VIEWS} at least, better 20")
    points = [view.points.astype(np.float32) for view in views]
    pixels = [view.pixels.astype(np.float32) for view in views]
    flags = cv2.CALIB_FIX_K3
    _, k, bent, turns, places = cv2.calibrateCamera(points, pixels, size, None, None, flags=flags)
    k, bent = _floats(k), _floats(bent).ravel()
    focal, centre, upright = _floats(k[[0, 1], [0, 1]]), _floats(k[:2, 2]), np.array([0.0, 0.0, 0.0, 1.0])
    camera = Camera(name, *size, focal, centre, np.zeros(3), upright, tuple(bent.tolist()))
    poses = [
        (_floats(cv2.Rodrigues(turn)[0]), _floats(place).ravel()) for turn, place in zip(turns, places, strict=True)
    ]
    residuals = [
        camera.project(view.points @ rotation.T + place)[0] - view.pixels
        for view, (rotation, place) in zip(views, poses, strict=True)
    ]
    found = Calibration(camera, tuple(views), tuple(residuals), tuple(missing(views, size, poses)))
    if not 0.2 < camera.focal[0] / size[0] < 20.0 or not abs(camera.focal[0] / camera.focal[1] - 1.0) < 0.2:
        raise ConfigError(
            f"focal lengths of {camera.focal.round()} pixels: the views are too much alike: tilt the board"
        )
    return found


def missing(views: Sequence[BoardView], size: tuple[int, int], poses: Sequence[tuple[Array, Array]]) -> list[str]:
    """What views lack: regions of the image, tilts, distances, or simply more of them.

    Args:
        size: of the images, width and height [pixels].
        poses: of the board in the camera's frame, rotation (3, 3) and position (3,) [m].
    """
    lacks = [f"{ENOUGH_VIEWS - len(views)} more views"] if len(views) < ENOUGH_VIEWS else []
    cells = np.concatenate([view.pixels for view in views]) // (np.array(size) / GRID)
    there = {(int(column), int(row)) for column, row in cells}
    across, down = ("left", "middle", "right"), ("upper", "middle", "lower")
    for row in range(GRID):
        for column in range(GRID):
            if (column, row) not in there:
                lacks.append(f"the board in the {down[row]} {across[column]} of the image")
    normals = np.array([rotation[:, 2] for rotation, _ in poses])
    for axis, word in ((0, "left and right"), (1, "up and down")):
        if np.ptp(np.arcsin(np.clip(normals[:, axis], -1.0, 1.0))) < ENOUGH_TILT:
            lacks.append(f"the board tilted {word}, by 15 degrees and more")
    depths = np.array([place[2] for _, place in poses])
    if depths.max() < ENOUGH_ZOOM * depths.min():
        lacks.append("the board nearer and farther away")
    return lacks


def missing_of_intrinsics(views: Sequence[BoardView], size: tuple[int, int]) -> list[str]:
    """What views lack for intrinsics; until all seems to be there, of a camera with a usual focal length."""
    focal, centre = np.full(2, float(size[0])), (np.array(size) - 1.0) / 2.0
    usual = Camera("", *size, focal, centre, np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    if lacks := missing(views, size, [_solved(usual, view.points, view.pixels) for view in views]):
        return lacks
    try:
        return list(intrinsics("", views, size).missing)
    except ConfigError as error:
        return [str(error)]


def missing_of_hand(views: Sequence[BoardView], hands: Mapping[str, Pose]) -> list[str]:
    """What views lack for `hand_eye`."""
    lacks = [f"{ENOUGH_POSES - len(views)} more poses of the hand"] if len(views) < ENOUGH_POSES else []
    try:
        _check_turns([matrix(np.array(pose.orientation)) for pose in _all(hands, views)])
    except ConfigError:
        lacks.append("turns of the hand by 30 degrees about two axes")
    return lacks


def camera_to_base(camera: Camera, views: Sequence[BoardView], places: Mapping[str, Pose]) -> Calibration:
    """Where a fixed camera is, from boards at known places in the base frame, by image.

    Raises:
        ConfigError: if an image has no place.
    """
    points = np.concatenate([_placed(view, _of(places, view.name)) for view in views])
    rotation, position = _solved(camera, points, np.concatenate([view.pixels for view in views]))
    found = replace(camera, position=-rotation.T @ position, orientation=from_matrix(rotation.T))
    residuals = [found.project(_placed(view, places[view.name]))[0] - view.pixels for view in views]
    few = len({places[view.name].position for view in views}) < 2
    lacks = ("a second place of the board: a wrong place shows only against another one",) if few else ()
    return Calibration(found, tuple(views), tuple(residuals), lacks)


def hand_eye(camera: Camera, views: Sequence[BoardView], hands: Mapping[str, Pose], on_hand: bool) -> Calibration:
    """Where a camera is on the hand, or in the base frame while the hand holds the board; hands in the base frame.

    Raises:
        ConfigError: if an image has no pose, there are too few, or they turn about one axis alone.
    """
    if len(views) < FEWEST_POSES:
        raise ConfigError(f"{len(views)} images show the board: expected {FEWEST_POSES} poses of the hand at least")
    boards = [_solved(camera, view.points, view.pixels) for view in views]
    hand_poses = [(matrix(np.array(pose.orientation)), np.array(pose.position)) for pose in _all(hands, views)]
    _check_turns([rotation for rotation, _ in hand_poses])
    moving = hand_poses if on_hand else [(turn.T, -turn.T @ place) for turn, place in hand_poses]
    rotation, position = cv2.calibrateHandEye(
        *([turn for turn, _ in moving], [place for _, place in moving]),
        *([turn for turn, _ in boards], [place for _, place in boards]),
        method=cv2.CALIB_HAND_EYE_PARK,  # by its keyword: OpenCV takes a fifth argument for an output
    )
    rotation, position = _floats(rotation), _floats(position).ravel()
    found = replace(camera, position=position, orientation=from_matrix(rotation))
    residuals = _hand_eye_residuals(found, views, moving, boards)
    return Calibration(found, tuple(views), residuals, ())


def _hand_eye_residuals(
    camera: Camera,
    views: Sequence[BoardView],
    moving: Sequence[tuple[Array, Array]],
    boards: Sequence[tuple[Array, Array]],
) -> tuple[Array, ...]:
    """Of corners of a board that stands still where it is on average."""
    still = [
        (turn @ (camera.rotation @ rotation), turn @ (camera.rotation @ place + camera.position) + moved)
        for (turn, moved), (rotation, place) in zip(moving, boards, strict=True)
    ]
    u, _, v = np.linalg.svd(sum(rotation for rotation, _ in still))
    mean, middle = u @ np.diag([1.0, 1.0, np.linalg.det(u @ v)]) @ v, np.mean([place for _, place in still], axis=0)
    residuals = []
    for view, (turn, moved) in zip(views, moving, strict=True):
        points = (view.points @ mean.T + middle - moved) @ turn  # in the frame that the camera is given in
        residuals.append(camera.project(points)[0] - view.pixels)
    return tuple(residuals)


def _check_turns(rotations: Sequence[Array]) -> None:
    axes = []
    for i, one in enumerate(rotations):
        for other in rotations[i + 1 :]:
            vector = rotation_vector(from_matrix(one.T @ other))
            if np.linalg.norm(vector) > LEAST_TURN:
                axes.append(vector / np.linalg.norm(vector))
    spread = np.linalg.svd(np.array(axes), compute_uv=False)[1] / np.sqrt(len(axes)) if len(axes) > 1 else 0.0
    if spread < LEAST_SPREAD:
        raise ConfigError(
            "the hand's poses turn about one axis alone, or not at all: expected turns of 30 degrees about two axes"
        )


def _solved(camera: Camera, points: Array, pixels: Array) -> tuple[Array, Array]:
    """Rotation and position of points in the camera's frame."""
    bent = np.array(camera.distortion) if camera.distortion else None
    _, turn, place = cv2.solvePnP(points, pixels, camera.matrix, bent, flags=cv2.SOLVEPNP_SQPNP)
    turn, place = cv2.solvePnPRefineLM(points, pixels, camera.matrix, bent, turn, place)
    return _floats(cv2.Rodrigues(turn)[0]), _floats(place).ravel()


def _placed(view: BoardView, place: Pose) -> Array:
    return view.points @ matrix(np.array(place.orientation)).T + np.array(place.position)


def _of(poses: Mapping[str, Pose], name: str) -> Pose:
    if name not in poses:
        raise ConfigError(f"no pose for image {name}: expected one of it under poses")
    return poses[name]


def _all(poses: Mapping[str, Pose], views: Sequence[BoardView]) -> list[Pose]:
    return [_of(poses, view.name) for view in views]


def _floats(values: Any) -> Array:
    """OpenCV's answers have no type that says what they hold."""
    return np.asarray(values, dtype=np.float64)
