"""A cell with two cameras and an object pose estimator that runs, fed with real messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from drawn_markers import Body, drawn_bodies, looking, noisy
from geometry_msgs.msg import PoseStamped
from messages import hand_message
from ros_rig import Rig
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from roman_moe.core.spec import TaskSpec, read_spec
from roman_moe.core.state import HandState, ObjectPoses
from roman_moe.nodes.base.topics import CODEC, OBJECT_POSES, Topic, camera
from roman_moe.nodes.perception.object_pose_estimator import ObjectPoseEstimator
from roman_moe.perception.camera import Camera
from roman_moe.perception.images import fill_image, fill_info
from roman_moe.wire import topics as names
from roman_moe.wire.bodies import scene_layout
from roman_moe.wire.codec import read_bodies

NAME = "object_pose_estimator"
LOOK_NS = 100_000_000
CAMERAS = {"left": looking("left", (1.1, 0.6, 0.7)), "right": looking("right", (1.0, -0.7, 0.7))}
TASK = """\
name: cell
home: {position: [0.4, 0.0, 0.3]}
gripper: {open: 0.08}
action: {top_speed: 0.2}
objects:
  peg: {markers: [{id: 0, size: 0.05, position: [-0.04, 0.0, 0.0]}, {id: 1, size: 0.05, position: [0.04, 0.0, 0.0]}]}
  tray: {moves: false, markers: [{id: 2, size: 0.05}]}
  stand: {moves: false, markers: [{id: 3, size: 0.05}]}
cameras: {left: {width: 640, height: 480}, right: {width: 640, height: 480}}
skills: {reach: {observes: [peg]}, fit: {observes: [peg]}}
gate: {observes: [peg]}
scenarios: [{first: reach}]
"""
PLACES = {"peg": np.array([0.5, 0.0, 0.0]), "tray": np.array([0.4, 0.2, 0.0]), "stand": np.array([0.6, -0.2, 0.0])}


def drawn_cell(spec: TaskSpec, seen_from: dict[str, Camera] = CAMERAS, *besides: Body) -> dict[str, np.ndarray]:
    bodies = [(each.markers, np.eye(3), PLACES[name]) for name, each in spec.objects.items()]
    return {name: drawn_bodies(each, [*bodies, *besides]) for name, each in seen_from.items()}


class Cell:
    """The node, its cameras and its hand: one frame set a tick, and poses that answer it."""

    def __init__(self, rig: Rig, task: Path, clean: dict[str, np.ndarray], **parameters: Any) -> None:
        self.rig, self.clean, self.spec = rig, clean, read_spec(task / "task.yaml")
        self.compressed = bool(parameters.get("compressed"))
        self.node = rig.add(ObjectPoseEstimator, task=str(task), **{"poses": "markers", "reliable": True, **parameters})
        self.rng, self.stamp = np.random.default_rng(0), 1_000_000_000
        self.hand_position = np.array([0.4, 0.0, 0.3])
        self.poses: ObjectPoses | None = None
        rig.listen(OBJECT_POSES)

    def place(self, cameras: dict[str, Camera] = CAMERAS) -> None:
        for name, each in cameras.items():
            message = PoseStamped()
            at, turned = message.pose.position, message.pose.orientation
            at.x, at.y, at.z = each.position.tolist()
            turned.x, turned.y, turned.z, turned.w = each.orientation.tolist()
            self.rig.send(camera(name, names.CAMERA_POSE), message)

    def calibrate(self, spoil: Callable[[Any], None] = lambda _: None) -> None:
        for name, each in CAMERAS.items():
            info = CameraInfo()
            fill_info(info, (each.width, each.height), each.matrix)
            info.header.frame_id = f"{name}_optical_frame"
            spoil(info)
            self.rig.send(camera(name, names.CAMERA_INFO, True), info)
        self.rig.spin_until(lambda: all(feed._info or "camera_info: " in feed.fault for feed in self.feeds))

    @property
    def feeds(self) -> Any:
        return list(self.node._feeds.values())

    def messages(self) -> dict[str, Any]:
        made = {}
        for name, image in self.clean.items():
            message = self._message(noisy(image, self.rng))
            message.header.stamp, message.header.frame_id = CODEC.time(self.stamp), f"{name}_optical_frame"
            made[name] = message
        return made

    def _message(self, image: np.ndarray) -> Any:
        if self.compressed:
            _, data = cv2.imencode(".png", image[..., ::-1])
            return CompressedImage(format="png", data=data.tobytes())
        message = Image()
        fill_image(message, image)
        return message

    def tick(self, spoil: Callable[[dict[str, Any]], None] = lambda _: None) -> ObjectPoses:
        """A frame set, and the poses at the hand's state of that moment: of this one, too, from the second tick on."""
        self.stamp += LOOK_NS
        messages = self.messages()
        spoil(messages)
        part = names.COMPRESSED if self.compressed else names.IMAGE
        for name, message in messages.items():
            before = self.node._feeds[name].stamp_ns
            self.rig.send(camera(name, part, True), message)
            stamp = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
            self.rig.spin_until(lambda stamp=stamp, name=name: self.node._feeds[name].stamp_ns == stamp)
            assert stamp != before
        self.rig.spin_until(lambda: self.node._under_way is None or self.node._under_way.done())
        return self.answer()

    def answer(self) -> ObjectPoses:
        hand = HandState(
            spec=self.spec,
            stamp_ns=self.stamp,
            hand_position=self.hand_position,
            hand_velocity=np.zeros(3),
            finger_opening=0.08,
            finger_forces=np.zeros(2),
            flags=np.zeros(0, dtype=bool),
        )
        count = len(self.rig.heard[OBJECT_POSES.name])
        self.rig.send(Topic("hand_state", CODEC._multi_dof), hand_message(CODEC, hand))
        message = self.rig.last(OBJECT_POSES, count + 1)
        layout = scene_layout(self.spec)
        self.poses = layout.poses(read_bodies("object_poses", message, self.spec.object_names))
        assert self.poses.stamp_ns == self.stamp
        return self.poses

    def good(self, ticks: int = 5) -> None:
        """After some good frame sets all is seen where it is."""
        for _ in range(ticks):
            poses = self.tick()
        assert poses.valid.all()
        self.check_right(poses)
        assert np.all(poses.ages <= 0.11)

    def check_right(self, poses: ObjectPoses) -> None:
        """What is valid is where it is."""
        for row, name in enumerate(self.spec.objects):
            if poses.valid[row]:
                assert np.linalg.norm(poses.positions[row] - PLACES[name]) < 0.005, name

    def bad(self, spoil: Callable[[dict[str, Any]], None], ticks: int = 6) -> None:
        """Of bad frame sets no wrong pose comes, and in the end none at all."""
        for _ in range(ticks):
            self.check_right(self.tick(spoil))
        self.check_unusable()

    def check_unusable(self) -> None:
        assert self.poses is not None
        assert not self.poses.valid.any()
        assert np.isinf(self.poses.ages).all()  # no network that observes an object runs, and the guard holds the arm

    def named(self, kind: str, text: str) -> None:
        """Diagnostics count this kind of trouble, and name it."""
        self.rig.spin_until(lambda: self.rig.reported(NAME, kind) > 0)
        self.rig.spin_until(lambda: self.rig.said(NAME, text))


def on_left(change: Callable[[Any], None]) -> Callable[[dict[str, Any]], None]:
    return lambda messages: change(messages["left"])
