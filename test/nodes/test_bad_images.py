"""The object pose estimator with bad messages: no bad image becomes a plausible pose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from camera_cell import CAMERAS, LOOK_NS, NAME, Cell, drawn_cell, on_left
from drawn_markers import about
from ros_rig import Rig

from roman_moe.core.rotation import from_matrix
from roman_moe.nodes.base.topics import CODEC
from roman_moe.nodes.perception.object_pose_estimator import BAD_FRAME_SETS, BAD_IMAGES, BAD_MARKERS


def shrink(message: Any) -> None:
    message.height, message.data = 240, message.data[: 240 * message.step]


def blacken(message: Any) -> None:
    message.data = bytes(len(message.data))


BAD = {
    "size": (shrink, "camera left: image of 640 x 240 pixels: expected 640 x 480"),
    "encoding": (lambda m: setattr(m, "encoding", "bayer_rggb8"), "camera left: encoding 'bayer_rggb8': expected one"),
    "endian": (lambda m: setattr(m, "is_bigendian", 1), "camera left: big-endian"),
    "step": (lambda m: setattr(m, "step", 640), "camera left: step of 640 bytes: expected 1920 at least"),
    "short": (lambda m: setattr(m, "data", m.data[:1000]), "camera left: 1000 bytes of data: expected 921600"),
    "black": (blacken, "camera left: image is black, or of one colour"),
    "frame": (lambda m: setattr(m.header, "frame_id", "right_optical_frame"), "of frame 'right_optical_frame': exp"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_image_is_named_and_gives_no_pose(cell: Cell, case: str) -> None:
    change, text = BAD[case]
    cell.good()
    cell.bad(on_left(change))
    cell.named(BAD_IMAGES, text)
    cell.good(3)


def test_a_compressed_image_that_is_none_is_named(
    rig: Rig, cell_task: Path, cell_images: dict[str, np.ndarray]
) -> None:
    cell = Cell(rig, cell_task, cell_images, compressed=True)
    cell.place()
    cell.calibrate()
    cell.good()
    cell.bad(on_left(lambda message: setattr(message, "data", message.data[:100])))
    cell.named(BAD_IMAGES, "camera left: 100 bytes of format 'png' are no image")


def test_a_frozen_image_is_named_and_gives_no_pose(cell: Cell) -> None:
    cell.good()
    kept = cell.messages()["left"].data
    cell.bad(on_left(lambda message: setattr(message, "data", kept)), ticks=9)
    cell.named(BAD_IMAGES, "camera left: image is frozen")
    cell.good(3)


def test_images_of_a_simulation_are_frozen_only_if_the_hand_moves(
    rig: Rig, cell_task: Path, cell_images: dict[str, np.ndarray]
) -> None:
    cell = Cell(rig, cell_task, cell_images, sensor_noise=False)
    cell.place()
    cell.calibrate()
    cell.rng = np.random.default_rng(0)
    kept = {name: message.data for name, message in cell.messages().items()}

    def same(messages: dict[str, Any]) -> None:
        for name, message in messages.items():
            message.data = kept[name]

    for _ in range(8):
        poses = cell.tick(same)
    assert poses.valid.all()
    cell.hand_position = cell.hand_position + [0.02, 0.0, 0.0]
    for _ in range(7):
        cell.tick(same)
    cell.check_unusable()
    cell.named(BAD_IMAGES, "image is frozen")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (None, "camera left: no camera_info"),
        (lambda info: setattr(info, "k", [0.0] * 9), "camera left: camera_info: focal lengths 0, 0"),
        (lambda info: setattr(info, "d", [0.1, 0.2]), "camera left: camera_info: 'plumb_bob' with 2 coefficients"),
    ],
)
def test_a_camera_that_is_not_calibrated_is_named_and_gives_no_pose(
    rig: Rig, cell_task: Path, cell_images: dict[str, np.ndarray], spoil: Any, text: str
) -> None:
    cell = Cell(rig, cell_task, cell_images)
    cell.place()
    if spoil:
        cell.calibrate(spoil)
    cell.bad(lambda _: None, ticks=2)
    rig.spin_until(lambda: rig.said(NAME, text))
    cell.calibrate()
    cell.good(3)


@pytest.mark.parametrize("since", ["the start", "later"])
def test_cameras_that_are_swapped_are_named_and_give_no_pose(cell: Cell, since: str) -> None:
    """Each sends the other's image as its own; the frames' names are right."""

    def swap(messages: dict[str, Any]) -> None:
        left, right = messages["left"], messages["right"]
        left.data, right.data = right.data, left.data

    if since == "later":
        cell.good()
    cell.bad(swap)
    cell.named(BAD_FRAME_SETS, "images of the cameras left and right are swapped")
    cell.good()


def test_a_camera_that_was_knocked_is_named_and_gives_no_pose_until_it_is_calibrated(cell: Cell) -> None:
    left = CAMERAS["left"]
    for way in (left.rotation[:, 0], left.rotation[:, 1]):  # to its right, and down
        knocked = {**CAMERAS, "left": replace(left, position=left.position + 0.03 * way)}
        cell.clean = drawn_cell(cell.spec)
        cell.place()
        cell.good()
        cell.clean = drawn_cell(cell.spec, knocked)
        cell.bad(lambda _: None)
        cell.named(BAD_FRAME_SETS, "camera left was moved: 2 points that cannot move are off by")
    cell.place(knocked)
    cell.good(4)


def test_a_camera_that_is_off_from_the_start_is_named_and_gives_no_pose(cell: Cell) -> None:
    """Looks down by 3 degrees: the cameras contradict each other."""
    left = CAMERAS["left"]
    turned = replace(left, orientation=from_matrix(about(left.rotation[:, 0], 0.052) @ left.rotation))
    cell.clean = drawn_cell(cell.spec, {**CAMERAS, "left": turned})
    cell.bad(lambda _: None)
    cell.named(BAD_FRAME_SETS, "cameras contradict each other on ")


def test_a_marker_that_is_there_twice_is_named_and_gives_no_pose(cell: Cell) -> None:
    cell.good()
    copy = [cell.spec.objects["peg"].markers[0]], np.eye(3), np.array([0.45, -0.15, 0.0])
    cell.clean = drawn_cell(cell.spec, CAMERAS, copy)
    for _ in range(5):
        poses = cell.tick()
        cell.check_right(poses)
    assert poses.valid.tolist() == [False, True, True]
    cell.named(BAD_MARKERS, "marker 0 of peg appears twice in the image of left")


def test_a_marker_of_a_wrong_size_is_named_and_gives_no_pose(cell: Cell) -> None:
    peg = cell.spec.objects["peg"]
    large = tuple(replace(marker, size=1.25 * marker.size) for marker in peg.markers)
    cell.clean = drawn_cell(replace(cell.spec, objects={**cell.spec.objects, "peg": replace(peg, markers=large)}))
    for _ in range(5):
        poses = cell.tick()
        cell.check_right(poses)
    assert poses.valid.tolist() == [False, True, True]
    cell.named(BAD_MARKERS, "of peg")


def at(stamp_ns: int) -> Callable[[dict[str, Any]], None]:
    def spoil(messages: dict[str, Any]) -> None:
        for message in messages.values():
            message.header.stamp = CODEC.time(stamp_ns)

    return spoil


def test_stamps_that_jump_are_named_and_give_no_pose(cell: Cell) -> None:
    cell.good()
    for _ in range(6):  # back by 0.9 s and on from there: the clock of the cameras was set
        cell.check_right(cell.tick(at(cell.stamp - 900_000_000)))
    cell.check_unusable()
    cell.named(BAD_IMAGES, "camera left: stamp jumped back by 0.")
    cell.good(3)
    for _ in range(6):
        cell.check_right(cell.tick(at(cell.stamp + 3_000_000_000)))
    cell.check_unusable()
    cell.named(BAD_IMAGES, "camera left: stamp is 3.")
    cell.good(3)


def test_images_that_are_not_of_one_moment_are_named_and_give_no_pose(cell: Cell) -> None:
    cell.good()

    def late(messages: dict[str, Any]) -> None:
        messages["right"].header.stamp = CODEC.time(cell.stamp - LOOK_NS // 2)

    cell.bad(late)
    cell.rig.spin_until(lambda: cell.rig.said(NAME, "images of the cameras are not of one moment"))
    cell.good(3)


def test_a_silent_camera_is_named_and_no_pose_is_given(cell: Cell) -> None:
    cell.good()
    for _ in range(6):
        poses = cell.tick(lambda messages: messages.pop("right"))
        cell.check_right(poses)
    cell.check_unusable()
    cell.rig.spin_until(lambda: cell.rig.said(NAME, "camera right: no image for more than 0.4 s"))
