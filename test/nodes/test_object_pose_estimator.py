"""The object pose estimator with real messages: what it gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from camera_cell import CAMERAS, LOOK_NS, NAME, PLACES, Cell, on_left
from ros_rig import Rig

from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TaskSpec, read_spec
from roman_moe.nodes.base.topics import CODEC, SEEN_POSES, Topic, camera
from roman_moe.nodes.perception.object_pose_estimator import BAD_FRAME_SETS, BAD_IMAGES, ObjectPoseEstimator
from roman_moe.perception.camera_file import write_camera
from roman_moe.perception.estimator import INPUTS, OUTPUTS, EstimatorMetadata
from roman_moe.wire import topics as names


@pytest.mark.parametrize("compressed", [False, True])
def test_images_become_poses_at_every_state_of_the_hand(
    rig: Rig, cell_task: Path, cell_images: dict[str, np.ndarray], tmp_path: Path, compressed: bool
) -> None:
    """With the cameras' places from files; a state between frame sets gets poses as well, and a late subscriber
    pictures."""
    for each in CAMERAS.values():
        write_camera(tmp_path / f"{each.name}.yaml", each)
    cell = Cell(rig, cell_task, cell_images, compressed=compressed, calibration=str(tmp_path))
    cell.calibrate()
    assert not cell.answer().valid.any()
    cell.good()
    cell.stamp += LOOK_NS // 2
    between = cell.answer()
    np.testing.assert_allclose(between.ages, 0.05, atol=1e-9)
    drawn_in = camera("left", names.ANNOTATED)
    for topic in (SEEN_POSES, drawn_in):
        rig.listen(topic)
    rig.spin_until(lambda: cell.node._visualization._annotated["left"].get_subscription_count() == 1)
    rig.spin_until(lambda: cell.node._visualization._poses.get_subscription_count() == 1)
    cell.stamp += LOOK_NS // 2
    cell.tick()
    cell.tick()
    assert len(rig.last(SEEN_POSES).poses) == 3
    picture = rig.last(drawn_in)
    assert (picture.width, picture.height, picture.encoding) == (640, 480, "rgb8")
    colours = np.frombuffer(picture.data, np.uint8).reshape(480, 640, 3)
    assert (colours.max(axis=2) - colours.min(axis=2) > 80).sum() > 50  # the cell itself is grey
    rig.spin_until(lambda: rig.fact(NAME, "frame_sets_hz") not in ("", "0"))
    rig.spin_until(lambda: "peg " in rig.fact(NAME, "sigma_mm"))
    assert rig.fact(NAME, "latency_ms") == "0"  # images and state have one stamp here


def test_markers_for_rviz_name_every_object_and_tell_the_hidden_ones_apart(cell: Cell) -> None:
    messages = pytest.importorskip("visualization_msgs.msg", reason="not in every ROS installation")
    topic = Topic(names.SEEN_MARKERS, messages.MarkerArray)
    cell.rig.listen(topic)
    cell.rig.spin_until(lambda: cell.node._visualization._markers.get_subscription_count() == 1)

    def shown(space: str) -> list[Any]:
        """Markers of the last state of the hand."""
        stamp = CODEC.time(cell.stamp)
        cell.rig.spin_until(lambda: cell.rig.last(topic).markers[0].header.stamp == stamp)
        return [marker for marker in cell.rig.last(topic).markers if marker.ns == space]

    cell.answer()
    assert {marker.action for marker in shown("objects")} == {messages.Marker.DELETE}  # nothing was ever seen
    cell.good()
    seen = shown("objects")
    assert [marker.text for marker in shown("names")] == list(PLACES)
    assert [marker.action for marker in seen] == [messages.Marker.ADD] * 3
    at = seen[0].pose.position
    assert np.linalg.norm(PLACES["peg"] - [at.x, at.y, at.z]) < 0.005
    for _ in range(4):  # unseen for 0.4 s
        cell.tick(lambda images: images.pop("right"))
    hidden = shown("objects")
    assert [marker.action for marker in hidden] == [messages.Marker.ADD] * 3
    assert seen[0].color.g > hidden[0].color.g


def test_padded_rows_and_other_colours_are_read(cell: Cell) -> None:
    def pad(messages: dict[str, Any]) -> None:
        for message in messages.values():
            rows = np.frombuffer(message.data, np.uint8).reshape(480, -1)
            message.data = np.pad(rows, ((0, 0), (0, 64))).tobytes()
            message.step, message.encoding = message.step + 64, "bgr8"

    for _ in range(4):
        poses = cell.tick(pad)
    assert poses.valid.all()
    cell.check_right(poses)


def write_estimator(file: Path, spec: TaskSpec) -> Path:
    """An estimator's file whose answer is always where the objects are in the images of `CAMERAS`."""
    places, count = np.array(list(PLACES.values())), len(PLACES)
    answers = {
        "pixels": np.stack([each.project(places)[0] for each in CAMERAS.values()]),
        "pixel_sigmas": np.full((2, count), 0.5),
        "heights": np.tile(places[:, 2], (2, 1)),
        "height_sigmas": np.full((2, count), 0.01),
        "confidences": np.ones((2, count)),
        "turns": np.ones((2, count, 2)),
    }
    values = {name: onnx.numpy_helper.from_array(each.astype(np.float32), f"_{name}") for name, each in answers.items()}
    kinds = {"images": onnx.TensorProto.UINT8, "rays": onnx.TensorProto.FLOAT, "positions": onnx.TensorProto.FLOAT}
    shapes = {"images": ("c", 480, 640, 3), "rays": ("c", 3, 3), "positions": ("c", 3)}
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", [f"_{name}"], [name]) for name in answers],
        "answers",
        [onnx.helper.make_tensor_value_info(name, kinds[name], shapes[name]) for name in INPUTS],
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, answers[name].shape) for name in OUTPUTS],
        list(values.values()),
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    metadata = EstimatorMetadata(spec.name, spec.object_names, 640, 480)
    onnx.helper.set_model_props(model, metadata.to_properties())
    file.write_bytes(model.SerializeToString())
    return file


def test_the_learned_estimators_answer_goes_the_same_way(
    rig: Rig, cell_task: Path, cell_images: dict[str, np.ndarray], tmp_path: Path
) -> None:
    file = write_estimator(tmp_path / "poses.onnx", read_spec(cell_task / "task.yaml"))
    cell = Cell(rig, cell_task, cell_images, poses="camera", estimator=str(file))
    cell.place()
    cell.calibrate()
    cell.good()
    cell.bad(on_left(lambda message: setattr(message, "encoding", "mono8")))  # of no use to a network that sees colours
    cell.named(BAD_IMAGES, "camera left: encoding 'mono8': expected one of rgb8")
    assert rig.change_state(NAME, "deactivate")
    assert not rig.advertised(NAME)
    assert rig.change_state(NAME, "activate")
    cell.good()
    left = CAMERAS["left"]
    cell.place({"left": replace(left, position=left.position + 0.03 * left.rotation[:, 1])})  # where it is not
    cell.bad(lambda _: None)
    cell.named(BAD_FRAME_SETS, "cameras contradict each other on peg, stand, tray")


def test_a_task_without_an_estimator_is_refused(rig: Rig, cell_task: Path) -> None:
    with pytest.raises(ConfigError, match=r"no estimator of the poses of task 'cell' .* name it with --estimator FILE"):
        rig.add(ObjectPoseEstimator, task=str(cell_task), poses="camera")
    with pytest.raises(ConfigError, match="poses 'radar': expected camera or markers"):
        rig.add(ObjectPoseEstimator, task=str(cell_task), poses="radar")
