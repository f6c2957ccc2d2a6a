"""Images and calibrations as ROS messages give them, checked before anything believes them.

The messages' classes do not matter, only their fields: nothing here imports ROS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from roman_moe.perception.camera_file import MODELS
from roman_moe.wire.bodies import MessageError

Image = NDArray[np.uint8]
Array = NDArray[np.float64]

CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
"""Encodings of sensor_msgs/Image that are read, with the bytes of a pixel."""


@dataclass(frozen=True, eq=False)
class Intrinsics:
    """What a sensor_msgs/CameraInfo says.

    Attributes:
        width, height: of the images [pixels].
        focal: (2,) [pixels].
        centre: principal point, (2,) [pixels].
        distortion: OpenCV's coefficients; empty for none.
        frame: name of the optical frame.
    """

    width: int
    height: int
    focal: Array
    centre: Array
    distortion: tuple[float, ...]
    frame: str


def read_image(message: Any, grey: bool) -> Image:
    """RGB, (height, width, 3), of a sensor_msgs/Image. `grey`: whether an image without colours will do.

    Raises:
        MessageError: saying what is wrong with it.
    """
    known = [name for name in CHANNELS if grey or name != "mono8"]
    if message.encoding not in known:
        raise MessageError(f"encoding {message.encoding!r}: expected one of {', '.join(known)}")
    if message.is_bigendian:
        raise MessageError("big-endian: expected little-endian, is_bigendian 0")
    if not (message.width and message.height):
        raise MessageError(f"{message.width} x {message.height} pixels: expected an image")
    row = message.width * CHANNELS[message.encoding]
    if message.step < row:
        raise MessageError(f"step of {message.step} bytes: expected {row} at least for {message.width} pixels")
    data = np.frombuffer(message.data, dtype=np.uint8)
    if len(data) < message.step * message.height:
        raise MessageError(f"{len(data)} bytes of data: expected {message.step * message.height}, step times height")
    rows = data[: message.step * message.height].reshape(message.height, message.step)[:, :row]
    pixels = rows.reshape(message.height, message.width, -1)
    if message.encoding == "mono8":
        return np.repeat(pixels, 3, axis=2)
    colours = pixels[:, :, 2::-1] if message.encoding.startswith("bgr") else pixels[:, :, :3]
    return np.ascontiguousarray(colours)


def read_compressed(message: Any) -> Image:
    """RGB, (height, width, 3), of a sensor_msgs/CompressedImage: JPEG, PNG and whatever else OpenCV reads.

    Raises:
        MessageError: if it cannot be read.
    """
    data = np.frombuffer(message.data, dtype=np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION) if len(data) else None
    if image is None:
        raise MessageError(f"{len(data)} bytes of format {message.format!r} are no image: expected JPEG or PNG")
    return np.asarray(image, dtype=np.uint8)


def read_info(message: Any) -> Intrinsics:
    """The calibration of a sensor_msgs/CameraInfo: of raw images, K and D.

    Raises:
        MessageError: saying what is wrong with it.
    """
    k, bent = np.array(message.k, dtype=np.float64).reshape(3, 3), tuple(float(value) for value in message.d)
    if not (np.isfinite(k).all() and np.isfinite(bent).all()):
        raise MessageError("numbers that are not finite: calibrate the camera")
    if not (k[0, 0] > 0.0 and k[1, 1] > 0.0 and message.width and message.height):
        raise MessageError(
            f"focal lengths {k[0, 0]:g}, {k[1, 1]:g} of {message.width} x {message.height} pixels: calibrate the camera"
        )
    if any(bent) and len(bent) != MODELS.get(message.distortion_model):
        known = ", ".join(f"{name} with {count}" for name, count in MODELS.items())
        raise MessageError(f"{message.distortion_model!r} with {len(bent)} coefficients: expected {known}")
    if max(message.binning_x, message.binning_y) > 1 or message.roi.width not in (0, message.width):
        raise MessageError("images are binned, or a part of the sensor's: expected whole ones")
    focal, centre = k[[0, 1], [0, 1]], k[:2, 2]
    distortion = bent if any(bent) else ()
    return Intrinsics(message.width, message.height, focal, centre, distortion, message.header.frame_id)


def fill_image(message: Any, image: Image) -> None:
    """Make a sensor_msgs/Image of an RGB image, (height, width, 3)."""
    message.height, message.width = image.shape[:2]
    message.encoding, message.step = "rgb8", 3 * image.shape[1]
    message.data.frombytes(image.tobytes())  # a message's data is an array.array, empty in a new one


def fill_compressed(message: Any, image: Image) -> None:
    """Make a sensor_msgs/CompressedImage, a JPEG, of an RGB image, (height, width, 3)."""
    message.format = "jpeg"
    message.data.frombytes(cv2.imencode(".jpg", image[..., ::-1])[1].tobytes())


def fill_info(message: Any, size: tuple[int, int], k: Array, distortion: Sequence[float] = ()) -> None:
    """Make a sensor_msgs/CameraInfo of a camera's intrinsic matrix, (3, 3)."""
    message.width, message.height = size
    message.distortion_model = "plumb_bob" if len(distortion) <= 5 else "rational_polynomial"
    message.d = [*distortion, *[0.0] * (MODELS[message.distortion_model] - len(distortion))]
    message.k = k.ravel().tolist()
    message.r = np.eye(3).ravel().tolist()
    message.p = np.hstack([k, np.zeros((3, 1))]).ravel().tolist()
