"""The lab's cameras at its own pace: a thread draws, and images, calibrations and states have one time."""

from __future__ import annotations

from contextlib import closing

import numpy as np
from messages import decode_hand
from ros_rig import Rig
from worlds import TASK

from roman_moe.nodes.arms.lab_node import LabNode
from roman_moe.nodes.base.topics import HAND_STATE, camera
from roman_moe.perception.images import read_compressed, read_image, read_info
from roman_moe.sim.cameras import SceneCameras
from roman_moe.sim.world import World
from roman_moe.wire import topics as names
from roman_moe.wire.codec import message_stamp


def test_in_its_own_time_the_lab_shows_states_that_it_has_told(rig: Rig) -> None:
    """The first state waits for a command, so what is seen is the start: the image of a world without a graph."""
    lab = rig.join(lambda context: LabNode(context=context, parameters={"task": "roman", "cameras": True, "seed": 4}))
    topics = {part: camera("right", part, True) for part in (names.IMAGE, names.CAMERA_INFO, names.CAMERA_POSE)}
    jpeg = camera("right", names.COMPRESSED, True)
    for topic in (HAND_STATE, jpeg, *topics.values()):
        rig.listen(topic)
    lab.start()
    message, info, pose = (rig.last(topic) for topic in topics.values())
    assert message_stamp(message) == message_stamp(info)
    assert message.header.frame_id == info.header.frame_id == "right_optical_frame"
    rig.spin_until(
        lambda: message_stamp(message) in [decode_hand(each).stamp_ns for each in rig.heard[HAND_STATE.name]]
    )
    world = World(TASK)
    with closing(SceneCameras(world)) as drawn:
        expected = drawn.images(lab._lab.physics_state())["right"]
        calibrated = drawn.cameras["right"]
    np.testing.assert_array_equal(read_image(message, grey=False), expected)
    compressed = rig.last(jpeg)
    assert compressed.header == message.header
    assert np.abs(read_compressed(compressed).astype(int) - expected).mean() < 5.0
    known = read_info(info)
    assert (known.width, known.height) == (calibrated.width, calibrated.height)
    np.testing.assert_array_equal(known.focal, calibrated.focal)
    at = pose.pose.position
    np.testing.assert_array_equal([at.x, at.y, at.z], calibrated.position)
