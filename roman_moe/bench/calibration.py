"""How good calibration is: a board in front of simulated cameras whose truth is known, with noise and blur."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.rotation import from_matrix, inverse, product, rotation_vector
from roman_moe.perception.board import Board
from roman_moe.perception.calibration import camera_to_base, find_boards, hand_eye, intrinsics
from roman_moe.perception.camera import Camera
from roman_moe.perception.camera_file import Pose
from roman_moe.perception.marker_images import CORNERS
from roman_moe.sim.cameras import OPTICAL, camera_of
from roman_moe.sim.markers import add_plate
from roman_moe.sim.render import open_renderer

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

SIZE = 960, 720  # [pixels] of the images
NOISE = 4.0  # [grey levels] of an image's noise
BLUR = np.array([0.25, 0.5, 0.25])  # along each axis [pixels]
SQUARE = 120  # pixels of the board's texture along a square
MARGIN = 0.01  # [m] of white around the board
TABLE = ((0.5, -0.1, 0.3), (0.6, 0.15, -0.4), (0.7, -0.05, 1.2))
"""Places of the board on the table: x, y [m] and the angle about the vertical [rad]."""
SCENE = """
<mujoco>
  <visual>
    <headlight ambient="0.5 0.5 0.5" diffuse="0.4 0.4 0.4" specular="0 0 0"/><map znear="0.02"/>
    <global offwidth="960" offheight="720"/><quality shadowsize="0"/>
  </visual>
  <statistic extent="1" center="0 0 0"/>
  <asset><texture name="sky" type="skybox" builtin="flat" rgb1="0.5 0.5 0.5" width="16" height="96"/></asset>
  <worldbody>
    <body name="board" mocap="true"/>
    <body name="eye" mocap="true"><camera name="eye" fovy="45"/></body>
  </worldbody>
</mujoco>
"""


def measure(seed: int = 0, views: int = 20) -> dict[str, Any]:
    """Calibrate a camera whose truth is known in all three ways.

    Returns:
        Errors: `focal_percent`, `centre_px`; of a fixed camera `position_mm` and `rotation_deg`, calibrated with the
        intrinsics found before; and those of one on a hand, `hand_position_mm` and `hand_rotation_deg`.
    """
    board = Board()
    with BoardScene(board, seed) as lab:
        images, truth = lab.in_front(views)
        found = intrinsics("eye", *find_boards(images, board))
        images, places, fixed_truth = lab.on_table()
        fixed = camera_to_base(found.camera, find_boards(images, board)[0], places)
        images, hands, hand_truth = lab.on_hand()
        hand = hand_eye(found.camera, find_boards(images, board)[0], hands, on_hand=True)
    position, rotation = errors(fixed.camera, fixed_truth)
    hand_position, hand_rotation = errors(hand.camera, hand_truth)
    return {
        "views": len(found.views),
        "reprojection_px": round(found.error, 3),
        "focal_percent": round(100.0 * float(np.abs(found.camera.focal / truth.focal - 1.0).max()), 3),
        "centre_px": round(float(np.abs(found.camera.centre - truth.centre).max()), 2),
        "position_mm": round(position, 2),
        "rotation_deg": round(rotation, 3),
        "hand_position_mm": round(hand_position, 2),
        "hand_rotation_deg": round(hand_rotation, 3),
    }


class BoardScene:
    """A board and a camera, each anywhere, and what the camera sees. Poses are rotation, (3, 3), and position [m]."""

    def __init__(self, board: Board, seed: int) -> None:
        scene = mujoco.MjSpec.from_string(SCENE)
        width, height = board.size
        picture = np.pad(board.picture(SQUARE), round(MARGIN / board.square * SQUARE), constant_values=255)
        front = 2.0 * CORNERS * [0.5 * width + MARGIN, 0.5 * height + MARGIN, 0.0]
        add_plate(scene, scene.body("board"), "board", picture, front, (np.eye(3), np.zeros(3)))
        self._model = scene.compile()
        self._data, self._rng = mujoco.MjData(self._model), np.random.default_rng(seed)
        self._renderer = open_renderer(self._model, *SIZE)

    def __enter__(self) -> BoardScene:
        return self

    def __exit__(self, *exception: object) -> None:
        self._renderer.close()

    def shot(self, board: tuple[Array, Array], eye: tuple[Array, Array]) -> tuple[Image, Camera]:
        """Image, and truth of the camera, whose optical frame's pose is given."""
        for number, (rotation, position) in enumerate((board, (eye[0] @ OPTICAL, eye[1]))):
            self._data.mocap_pos[number] = position
            self._data.mocap_quat[number] = np.roll(from_matrix(rotation), 1)
        mujoco.mj_forward(self._model, self._data)
        self._renderer.update_scene(self._data, "eye")
        return _sensed(self._renderer.render(), self._rng), camera_of(self._model, self._data, "eye", *SIZE)

    def in_front(self, views: int = 20) -> tuple[dict[str, Image], Camera]:
        """Boards held in front of the camera, in all parts of its image; and its truth."""
        rng, images = self._rng, {}
        for number in range(views):
            away = rng.uniform(0.35, 0.75)
            aside = np.array([number % 3 - 1, number // 3 % 3 - 1]) * [0.32, 0.22] * away
            tilt = _turn([1.0, 0.0, 0.0], rng.uniform(-0.6, 0.6)) @ _turn([0.0, 1.0, 0.0], rng.uniform(-0.6, 0.6))
            pose = OPTICAL @ tilt @ _turn([0.0, 0.0, 1.0], rng.uniform(-0.5, 0.5)), np.array([*aside, away])
            images[f"view_{number:02d}.png"], truth = self.shot(pose, (np.eye(3), np.zeros(3)))
        return images, truth

    def on_table(self) -> tuple[dict[str, Image], dict[str, Pose], Camera]:
        """Boards on the table and their places, before a fixed camera; and its truth."""
        eye = _looking(np.array([1.05, 0.45, 0.7]), np.array([0.5, 0.0, 0.0]))
        images, places = {}, {}
        for number, (x, y, angle) in enumerate(TABLE):
            rotation, position = _turn([0.0, 0.0, 1.0], angle), np.array([x, y, 0.0])
            name = f"place_{number}.png"
            images[name], truth = self.shot((rotation, position), eye)
            places[name] = _pose(rotation, position)
        return images, places, truth

    def on_hand(self, poses: int = 15) -> tuple[dict[str, Image], dict[str, Pose], Camera]:
        """What a camera on a hand sees of a board that stays, and the hand's poses; and where it is on the hand."""
        rng, images, hands = self._rng, {}, {}
        mount = _turn([0.0, 0.0, 1.0], 0.4) @ _turn([1.0, 0.0, 0.0], 0.2), np.array([0.05, -0.03, 0.04])
        for number in range(poses):
            around = rng.uniform(-np.pi, np.pi)
            tilt = _turn([np.cos(around), np.sin(around), 0.0], rng.uniform(0.3, 0.7))
            rotation = tilt @ _turn([0.0, 0.0, 1.0], rng.uniform(-0.8, 0.8)) @ OPTICAL  # from looking straight down
            position = np.append(rng.uniform(-0.04, 0.04, 2), 0.0) - rng.uniform(0.45, 0.65) * rotation[:, 2]
            hand = rotation @ mount[0].T
            name = f"pose_{number:02d}.png"
            images[name], truth = self.shot((np.eye(3), np.zeros(3)), (rotation, position))
            hands[name] = _pose(hand, position - hand @ mount[1])
        return images, hands, replace(truth, position=mount[1], orientation=from_matrix(mount[0]))


def _sensed(image: Image, rng: np.random.Generator) -> Image:
    """An image as a sensor has it: blurred, with noise."""
    blurred = image.astype(float)
    for axis in (0, 1):
        around = [np.roll(blurred, shift, axis) for shift in (-1, 0, 1)]
        blurred = sum(weight * each for weight, each in zip(BLUR, around, strict=True))
    noisy = blurred + NOISE * rng.standard_normal(image.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def _turn(axis: Sequence[float], angle: float) -> Array:
    """About an axis, (3, 3)."""
    quaternion, rotation = np.empty(4), np.empty(9)
    mujoco.mju_axisAngle2Quat(quaternion, np.array(axis, dtype=float), angle)
    mujoco.mju_quat2Mat(rotation, quaternion)
    return rotation.reshape(3, 3)


def _looking(position: Array, at: Array) -> tuple[Array, Array]:
    """Optical frame of a camera that looks at a point, upright."""
    ahead = (at - position) / np.linalg.norm(at - position)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return np.array([right, np.cross(ahead, right), ahead]).T, position


def _pose(rotation: Array, position: Array) -> Pose:
    return Pose(tuple(position.tolist()), tuple(from_matrix(rotation).tolist()))


def errors(found: Camera, truth: Camera) -> tuple[float, float]:
    """Of a camera's position [mm] and rotation [degrees]."""
    turn = rotation_vector(product(found.orientation, inverse(truth.orientation)))
    return 1e3 * float(np.linalg.norm(found.position - truth.position)), float(np.degrees(np.linalg.norm(turn)))
