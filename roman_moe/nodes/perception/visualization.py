"""Visualization of the estimator: poses and markers for RViz and Foxglove, and annotated images.

Each is made only while somebody subscribes to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from geometry_msgs.msg import Pose, PoseArray
from sensor_msgs.msg import Image as ImageMessage

try:  # of no use to the arm, and not in every ROS installation
    from visualization_msgs.msg import Marker, MarkerArray
except ImportError:
    MarkerArray = None

from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import ObjectPoses
from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.base.topics import CODEC, SEEN_POSES, Topic, camera
from roman_moe.perception.annotate import annotated
from roman_moe.perception.camera import Camera
from roman_moe.perception.detections import Detections
from roman_moe.perception.images import Image, fill_image
from roman_moe.wire import topics as names
from roman_moe.wire.codec import BASE_FRAME

SIZE, TEXT = 0.02, 0.025  # [m] of a marker's ball, and of its name's letters
VALID, HIDDEN = (0.25, 0.85, 0.35, 0.9), (0.6, 0.6, 0.6, 0.5)  # red, green, blue, opacity


class Visualization:
    """Made while its node is activated."""

    def __init__(self, node: RomanNode, spec: TaskSpec) -> None:
        self._names = spec.object_names
        self._poses = node.advertise(SEEN_POSES)
        self._markers = None
        if MarkerArray is not None:
            self._markers = node.advertise(Topic(names.SEEN_MARKERS, MarkerArray))
        self._annotated = {name: node.advertise(camera(name, names.ANNOTATED)) for name in spec.cameras}

    def show_poses(self, poses: ObjectPoses) -> None:
        """All valid objects in order; as markers, with the hidden ones and all names."""
        if self._poses.get_subscription_count():
            message = PoseArray(poses=[_pose(poses, row) for row in np.flatnonzero(poses.valid).tolist()])
            message.header.stamp, message.header.frame_id = CODEC.time(poses.stamp_ns), BASE_FRAME
            self._poses.publish(message)
        if self._markers is not None and self._markers.get_subscription_count():
            rows = range(len(self._names))
            self._markers.publish(MarkerArray(markers=[m for row in rows for m in self._of(poses, row)]))

    def _of(self, poses: ObjectPoses, row: int) -> list[Any]:
        """A ball and a name, or their end while nobody knows where the object is."""
        known = bool(np.isfinite(poses.positions[row]).all() and np.isfinite(poses.ages[row]))
        markers = []
        for kind, space in ((Marker.SPHERE, "objects"), (Marker.TEXT_VIEW_FACING, "names")):
            marker = Marker(ns=space, id=row, type=kind, action=Marker.ADD if known else Marker.DELETE)
            marker.header.stamp, marker.header.frame_id = CODEC.time(poses.stamp_ns), BASE_FRAME
            if known:
                marker.pose, marker.text = _pose(poses, row), self._names[row]
                marker.pose.position.z += 1.5 * SIZE if kind == Marker.TEXT_VIEW_FACING else 0.0
                marker.scale.x = marker.scale.y = SIZE
                marker.scale.z = SIZE if kind == Marker.SPHERE else TEXT
                colour = marker.color
                colour.r, colour.g, colour.b, colour.a = VALID if poses.valid[row] else HIDDEN
            markers.append(marker)
        return markers

    def show_images(
        self, images: Mapping[str, Image], cameras: Mapping[str, Camera], poses: ObjectPoses, found: Detections
    ) -> None:
        """A frame set's images, with what was found drawn in."""
        for name, publisher in self._annotated.items():
            if name in images and publisher.get_subscription_count():
                message = ImageMessage()
                fill_image(message, annotated(images[name], cameras[name], self._names, poses, found))
                message.header.stamp, message.header.frame_id = CODEC.time(found.stamp_ns), f"{name}_optical_frame"
                publisher.publish(message)


def _pose(poses: ObjectPoses, row: int) -> Pose:
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = poses.positions[row].tolist()
    turned = pose.orientation
    turned.x, turned.y, turned.z, turned.w = poses.orientations[row].tolist()
    return pose
