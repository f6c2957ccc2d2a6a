"""The lab's cameras: images and calibrations of the simulated scene as topics, at a rate of simulated time.

In lockstep an image is drawn at once. In real time a thread of its own draws, and what comes while it is at work is not
drawn at all: the arm does not wait for images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from roman_moe.core.spec_parts import CameraSpec
from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.base.topics import CODEC, camera
from roman_moe.perception.camera import Camera
from roman_moe.perception.frame_timing import RATE, FrameSetTimes
from roman_moe.perception.images import fill_compressed, fill_image, fill_info
from roman_moe.sim.cameras import SceneCameras
from roman_moe.sim.world import World
from roman_moe.wire import topics as names
from roman_moe.wire.codec import BASE_FRAME

T = TypeVar("T")

Images = Mapping[str, NDArray[np.uint8]]


class LabCameras:
    """Made while its node is activated, in the thread that draws in lockstep."""

    def __init__(
        self, node: RomanNode, world: World, sizes: Mapping[str, CameraSpec], rate: float = RATE, waits: bool = True
    ) -> None:
        """Args:
        node: that publishes.
        world: whose cameras they are.
        sizes: of their images, by name.
        rate: of the images, in simulated time [Hz].
        waits: whether an image is drawn before anything goes on.
        """
        self._pool = None if waits else ThreadPoolExecutor(1)
        self._under_way: Future[tuple[int, Images]] | None = None
        self._drawn: SceneCameras = self._call(lambda: SceneCameras(world, sizes))
        self._times = FrameSetTimes(rate)
        self._cameras = self._drawn.cameras
        self._last: tuple[int, Images] | None = None
        self._publishers = {
            (name, part): node.advertise(camera(name, part))
            for name in sizes
            for part in (names.IMAGE, names.COMPRESSED, names.CAMERA_INFO, names.CAMERA_POSE)
        }
        for each in self._cameras.values():
            self._publish_pose(each)

    def begin(self) -> None:
        self._times.begin()

    def show(self, stamp_ns: int, physics_state: NDArray[np.float64]) -> None:
        """Show a state of `World.physics_state`, if images of it are due; one that was shown is shown again."""
        if self._last is not None and self._last[0] == stamp_ns:
            self._publish(*self._last)
        elif self._times.due(stamp_ns):
            if self._pool is None:
                self._publish(*self._draw(stamp_ns, physics_state))
            elif self._under_way is None:
                self._under_way = self._pool.submit(self._draw, stamp_ns, physics_state)

    def publish_drawn(self) -> None:
        """Publish what has been drawn meanwhile."""
        if self._under_way is not None and self._under_way.done():
            drawn, self._under_way = self._under_way.result(), None
            self._publish(*drawn)

    def close(self) -> None:
        self._call(self._drawn.close)
        if self._pool is not None:
            self._pool.shutdown()

    def _call(self, act: Callable[[], T]) -> T:
        """In the thread that draws."""
        return act() if self._pool is None else self._pool.submit(act).result()

    def _draw(self, stamp_ns: int, physics_state: NDArray[np.float64]) -> tuple[int, Images]:
        return stamp_ns, self._drawn.images(physics_state)

    def _publish(self, stamp_ns: int, images: Images) -> None:
        self._last = stamp_ns, images
        for name, image in images.items():
            info, message, each = CameraInfo(), Image(), self._cameras[name]
            fill_info(info, (each.width, each.height), each.matrix)
            fill_image(message, image)
            contents = {names.CAMERA_INFO: info, names.IMAGE: message}
            if self._publishers[name, names.COMPRESSED].get_subscription_count():
                contents[names.COMPRESSED] = CompressedImage()
                fill_compressed(contents[names.COMPRESSED], image)
            for part, content in contents.items():
                # as REP 103 has it: z forward, x right, y down
                content.header.stamp, content.header.frame_id = CODEC.time(stamp_ns), f"{name}_optical_frame"
                self._publishers[name, part].publish(content)

    def _publish_pose(self, each: Camera) -> None:
        message = PoseStamped()
        message.header.frame_id = BASE_FRAME
        at, turned = message.pose.position, message.pose.orientation
        at.x, at.y, at.z = each.position.tolist()
        turned.x, turned.y, turned.z, turned.w = each.orientation.tolist()
        self._publishers[each.name, names.CAMERA_POSE].publish(message)
