"""One camera's images on their way to an estimator: what is wrong with one is named, and it goes no further."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.state import NANOSECONDS, HandState
from roman_moe.perception.camera import Camera
from roman_moe.perception.filter import HISTORY, SILENCE
from roman_moe.perception.images import Image, Intrinsics, read_info
from roman_moe.wire.bodies import MessageError
from roman_moe.wire.codec import message_stamp

Array = NDArray[np.float64]

SAME = 4  # images without any difference between them from which on they are frozen
MOVED = 0.01  # [m] by which the hand has moved between two images that cannot be the same
UNIFORM = 4.0  # standard deviation of the pixels, of 255, below which there is nothing to see
SAMPLED = 4  # every so many rows and columns of an image are looked at for that
AHEAD = 0.5  # [s] by which an image may be newer than the arm's last state, where both go by a clock
FOCAL_SHARE = 0.01  # by which focal lengths may differ from those that a camera's place was found with


class CameraFeed:
    """What is known of one camera, and its newest image.

    Attributes:
        camera: as it is calibrated; None while that is not known.
        stamp_ns: of the newest image, good or not; -1 before the first one.
        image: the newest one; None if something is wrong with it.
        fault: what is wrong; "" if nothing is.
    """

    def __init__(
        self,
        name: str,
        others: Sequence[str] = (),
        noisy: bool = True,
        placed: Camera | None = None,
        ahead: float = AHEAD,
    ) -> None:
        """Args:
        others: names of the task's other cameras.
        noisy: whether images of a scene at rest differ, as those of every real sensor do.
        placed: the camera of its calibration file, which says where it is; else `on_pose` does.
        ahead: by which an image may be newer than the arm's last state [s].
        """
        self._ahead = ahead
        self.name, self._others, self._noisy, self._placed = name, tuple(others), noisy, placed
        self.camera: Camera | None = None
        self.stamp_ns, self.image, self._image_fault = -1, None, ""
        self._info: Intrinsics | None = None
        self._info_fault = "no camera_info"
        self._pose: tuple[Array, Array] | None = (placed.position, placed.orientation) if placed else None
        self._last: tuple[Image, HandState | None] | None = None  # first of those that are the same, the hand then
        self.reset()

    image: Image | None

    def reset(self) -> None:
        """An episode begins: stamps may begin anew."""
        self._newest_ns, self._same = -1, 1

    @property
    def fault(self) -> str:
        wrong = self._info_fault or ("" if self._pose else "where it is, is not known") or self._image_fault
        return f"camera {self.name}: {wrong}" if wrong else ""

    def silent(self, now_ns: int) -> str:
        """What to say of a camera whose newest image is too old at the hand's stamp; "" if it is not."""
        if self.stamp_ns >= 0 and now_ns - self.stamp_ns <= SILENCE * NANOSECONDS:
            return ""
        return f"camera {self.name}: no image for more than {SILENCE} s"

    def on_info(self, message: Any) -> bool:
        """Learn from a sensor_msgs/CameraInfo; whether the calibration is another one than before."""
        try:
            info = read_info(message)
            self._compare(info)
        except MessageError as error:
            self._info, self._info_fault = None, f"camera_info: {error}"
        else:
            self._info, self._info_fault = info, ""
        return self._calibrate()

    def on_pose(self, message: Any) -> bool:
        """Learn from a geometry_msgs/PoseStamped where its optical frame is; as `on_info`."""
        at, turned = message.pose.position, message.pose.orientation
        position, orientation = np.array([at.x, at.y, at.z]), np.array([turned.x, turned.y, turned.z, turned.w])
        good = np.isfinite(position).all() and abs(float(np.linalg.norm(orientation)) - 1.0) < 1e-3
        self._pose = (position, orientation) if good else None
        return self._calibrate()

    def _compare(self, info: Intrinsics) -> None:
        """With the calibration file: a place that was found with other focal lengths is another place."""
        if self._placed is None:
            return
        size, scale = (info.width, info.height), info.width / self._placed.width
        if not np.allclose(info.focal, scale * self._placed.focal, rtol=FOCAL_SHARE):
            found, said = info.focal.round(1).tolist(), (scale * self._placed.focal).round(1).tolist()
            raise MessageError(f"focal lengths {found} at {size}: its calibration file has {said}: calibrate its place")

    def _calibrate(self) -> bool:
        before, info = self.camera, self._info
        if info is None or self._pose is None:
            self.camera = None
            return before is not None
        camera = Camera(self.name, info.width, info.height, info.focal, info.centre, *self._pose, info.distortion)
        if before is not None and _key(before) == _key(camera):
            return False
        self.camera = camera
        return True

    def take(self, message: Any, read: Callable[[Any], Image], hand: HandState | None) -> bool:
        """Take an image message in; whether it is a new one.

        Args:
            message: of images or compressed ones.
            read: makes an RGB image of it, or raises a MessageError.
            hand: the arm's last state.
        """
        try:
            stamp_ns = message_stamp(message)
        except MessageError as error:
            self._refuse(str(error))
            return True
        if stamp_ns == self.stamp_ns:
            return False
        self.stamp_ns = stamp_ns
        try:
            self._check_stamp(stamp_ns, hand)
            self._check_frame(message.header.frame_id)
            image = read(message)
            self._check_image(image, hand)
        except MessageError as error:
            self._refuse(str(error))
        else:
            self.image, self._image_fault = image, ""
        return True

    def _refuse(self, why: str) -> None:
        self.image, self._image_fault = None, why

    def _check_stamp(self, stamp_ns: int, hand: HandState | None) -> None:
        """Of what jumps ahead nothing is kept: the images that follow are right."""
        ahead = (stamp_ns - hand.stamp_ns) / NANOSECONDS if hand else 0.0
        if ahead > self._ahead:
            raise MessageError(f"stamp is {ahead:.2f} s ahead of the arm's: are the clocks synchronised?")
        back = (self._newest_ns - stamp_ns) / NANOSECONDS
        if self._newest_ns >= 0 and back > 0.0:
            raise MessageError(f"stamp jumped back by {back:.2f} s")
        self._newest_ns = stamp_ns
        if ahead < -HISTORY:
            raise MessageError(f"stamp is {-ahead:.2f} s older than the arm's: are the clocks synchronised?")

    def _check_frame(self, frame: str) -> None:
        expected = self._info.frame if self._info else ""
        if frame and expected and frame != expected:
            raise MessageError(f"image is of frame {frame!r}: expected {expected!r}, as camera_info says")
        other = next((name for name in self._others if name in frame and self.name not in frame), "")
        if other:
            raise MessageError(f"image is of frame {frame!r}, which is camera {other}: are the cameras swapped?")

    def _check_image(self, image: Image, hand: HandState | None) -> None:
        height, width = image.shape[:2]
        if self._info and (width, height) != (self._info.width, self._info.height):
            raise MessageError(
                f"image of {width} x {height} pixels: expected {self._info.width} x {self._info.height}, "
                "as camera_info says"
            )
        if image[::SAMPLED, ::SAMPLED].std() < UNIFORM:
            raise MessageError("image is black, or of one colour: is the lens covered, or the light off?")
        if self._last is None or not np.array_equal(image, self._last[0]):
            self._last, self._same = (image, hand), 1
            return
        self._same += 1
        before = self._last[1] or hand
        self._last = self._last[0], before
        moved = math.dist(hand.hand_position, before.hand_position) if hand and before else 0.0
        if self._same >= SAME and (self._noisy or moved > MOVED):
            raise MessageError(f"image is frozen: {self._same} images without a difference")


def _key(camera: Camera) -> tuple[Any, ...]:
    numbers = [camera.focal, camera.centre, camera.position, camera.orientation]
    return camera.width, camera.height, camera.distortion, np.concatenate(numbers).tolist()
