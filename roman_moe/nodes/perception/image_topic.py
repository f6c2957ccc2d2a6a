"""Images of a topic, with the hand's pose at their time, for a tool outside the graph."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from roman_moe.core.errors import RomanError
from roman_moe.nodes.bringup.graph_client import graph_client
from roman_moe.perception.camera_file import Pose
from roman_moe.perception.images import Image, read_compressed, read_image

KINDS: dict[str, tuple[type, Callable[[Any], Image]]] = {
    "sensor_msgs/msg/Image": (ImageMessage, lambda message: read_image(message, grey=True)),
    "sensor_msgs/msg/CompressedImage": (CompressedImage, read_compressed),
}
TIMEOUT = 10.0  # [s] for the first image, and for each further one
SPIN_PERIOD = 0.05  # [s]


def images_of_topic(
    topic: str, hand: str = "", ros_arguments: Sequence[str] = (), clock: Callable[[], float] = time.monotonic
) -> Generator[tuple[Image, Pose | None], None, None]:
    """RGB images of a topic, raw or compressed, the newest each; and the last pose on the topic `hand`, if it is given.

    Raises:
        RomanError: if none comes in time, or one cannot be read.
    """
    with graph_client(ros_arguments) as client:
        node = client.node
        latest: dict[str, Any] = {}
        if hand:
            node.create_subscription(PoseStamped, hand, lambda message: latest.update(hand=message), 10)
        name, end, read = node.resolve_topic_name(topic), clock() + TIMEOUT, None
        while True:
            if read is None and (kind := _kind(node, name)) is not None:
                message_type, read = KINDS[kind]
                node.create_subscription(
                    message_type, name, lambda message: latest.update(image=message), qos_profile_sensor_data
                )
            client.spin_until(lambda: False, SPIN_PERIOD)
            if "image" in latest and read is not None and not (hand and "hand" not in latest):
                yield read(latest.pop("image")), _pose(latest["hand"]) if hand else None
                end = clock() + TIMEOUT
            elif clock() > end:
                wanting = hand if "image" in latest else name
                raise RomanError(f"{wanting}: no message within {TIMEOUT:g} s: compare ros2 topic list, ROS_DOMAIN_ID")


def _kind(node: Node, name: str) -> str | None:
    """Type of a topic of images; None if it is not there yet.

    Raises:
        RomanError: if it is something else.
    """
    kinds = dict(node.get_topic_names_and_types()).get(name, [])
    if kinds and not KINDS.keys() & set(kinds):
        raise RomanError(f"{name}: {kinds[0]}: expected {' or '.join(KINDS)}")
    return next((kind for kind in kinds if kind in KINDS), None)


def _pose(message: Any) -> Pose:
    p, q = message.pose.position, message.pose.orientation
    return Pose((p.x, p.y, p.z), (q.x, q.y, q.z, q.w), "base")
