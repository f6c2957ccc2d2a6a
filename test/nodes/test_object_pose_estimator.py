"""The object pose estimator with real messages: what it gives, and that no bad image becomes a plausible pose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from drawn_markers import Body, about, drawn_bodies, looking, noisy
from geometry_msgs.msg import PoseStamped
from messages import hand_message
from ros_rig import Rig
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from roman_moe.core.errors import ConfigError
from roman_moe.core.rotation import from_matrix
from roman_moe.core.spec import TaskSpec, read_spec
from roman_moe.core.state import HandState, ObjectPoses
from roman_moe.nodes.base.topics import CODEC, OBJECT_POSES, SEEN_POSES, Topic, camera
from roman_moe.nodes.perception.object_pose_estimator import BAD_IMAGES, BAD_LOOKS, BAD_MARKERS, ObjectPoseEstimator
from roman_moe.perception.camera import Camera
from roman_moe.perception.camera_file import write_camera
from roman_moe.perception.estimator import INPUTS, OUTPUTS, EstimatorMetadata
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


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cell") / "cell"
    folder.mkdir()
    (folder / "task.yaml").write_text(TASK)
    return folder


@pytest.fixture(scope="module")
def clean(task: Path) -> dict[str, np.ndarray]:
    """Grey images of the cell by camera."""
    return drawn_cell(read_spec(task / "task.yaml"))


def drawn_cell(spec: TaskSpec, seen_from: dict[str, Camera] = CAMERAS, *besides: Body) -> dict[str, np.ndarray]:
    bodies = [(each.markers, np.eye(3), PLACES[name]) for name, each in spec.objects.items()]
    return {name: drawn_bodies(each, [*bodies, *besides]) for name, each in seen_from.items()}


class Cell:
    """The node, its cameras and its hand: one look a tick, and poses that answer it."""

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
        """A look, and the poses at the hand's state of that moment: of this look, too, from the second tick on."""
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
        """After some good looks all is seen where it is."""
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
        """Of bad looks no wrong pose comes, and in the end none at all."""
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


@pytest.fixture
def cell(rig: Rig, task: Path, clean: dict[str, np.ndarray]) -> Cell:
    cell = Cell(rig, task, clean)
    cell.place()
    cell.calibrate()
    return cell


@pytest.mark.parametrize("compressed", [False, True])
def test_images_become_poses_at_every_state_of_the_hand(
    rig: Rig, task: Path, clean: dict[str, np.ndarray], tmp_path: Path, compressed: bool
) -> None:
    """With the cameras' places from files; a state between looks gets poses as well, and a late subscriber pictures."""
    for each in CAMERAS.values():
        write_camera(tmp_path / f"{each.name}.yaml", each)
    cell = Cell(rig, task, clean, compressed=compressed, calibration=str(tmp_path))
    cell.calibrate()
    assert not cell.answer().valid.any()
    cell.good()
    cell.stamp += LOOK_NS // 2
    between = cell.answer()
    np.testing.assert_allclose(between.ages, 0.05, atol=1e-9)
    drawn_in = camera("left", names.ANNOTATED)
    for topic in (SEEN_POSES, drawn_in):
        rig.listen(topic)
    rig.spin_until(lambda: cell.node._pictures._annotated["left"].get_subscription_count() == 1)
    rig.spin_until(lambda: cell.node._pictures._poses.get_subscription_count() == 1)
    cell.stamp += LOOK_NS // 2
    cell.tick()
    cell.tick()
    assert len(rig.last(SEEN_POSES).poses) == 3
    picture = rig.last(drawn_in)
    assert (picture.width, picture.height, picture.encoding) == (640, 480, "rgb8")
    colours = np.frombuffer(picture.data, np.uint8).reshape(480, 640, 3)
    assert (colours.max(axis=2) - colours.min(axis=2) > 80).sum() > 50  # the cell itself is grey
    rig.spin_until(lambda: rig.fact(NAME, "looks_hz") not in ("", "0"))
    assert "peg " in rig.fact(NAME, "sigma_mm")
    assert rig.fact(NAME, "latency_ms") == "0"  # images and state have one stamp here


def test_markers_for_rviz_name_every_object_and_tell_the_hidden_ones_apart(cell: Cell) -> None:
    messages = pytest.importorskip("visualization_msgs.msg", reason="not in every ROS installation")
    topic = Topic(names.SEEN_MARKERS, messages.MarkerArray)
    cell.rig.listen(topic)
    cell.rig.spin_until(lambda: cell.node._pictures._markers.get_subscription_count() == 1)

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


def on_left(change: Callable[[Any], None]) -> Callable[[dict[str, Any]], None]:
    return lambda messages: change(messages["left"])


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


def test_a_compressed_image_that_is_none_is_named(rig: Rig, task: Path, clean: dict[str, np.ndarray]) -> None:
    cell = Cell(rig, task, clean, compressed=True)
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
    rig: Rig, task: Path, clean: dict[str, np.ndarray]
) -> None:
    cell = Cell(rig, task, clean, sensor_noise=False)
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
    rig: Rig, task: Path, clean: dict[str, np.ndarray], spoil: Any, text: str
) -> None:
    cell = Cell(rig, task, clean)
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
    cell.named(BAD_LOOKS, "images of the cameras left and right are swapped")
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
        cell.named(BAD_LOOKS, "camera left was moved: 2 points that cannot move are off by")
    cell.place(knocked)
    cell.good(4)


def test_a_camera_that_is_off_from_the_start_is_named_and_gives_no_pose(cell: Cell) -> None:
    """Looks down by 3 degrees: the cameras contradict each other."""
    left = CAMERAS["left"]
    turned = replace(left, orientation=from_matrix(about(left.rotation[:, 0], 0.052) @ left.rotation))
    cell.clean = drawn_cell(cell.spec, {**CAMERAS, "left": turned})
    cell.bad(lambda _: None)
    cell.named(BAD_LOOKS, "cameras contradict each other on ")


def test_a_marker_that_is_there_twice_is_named_and_gives_no_pose(cell: Cell) -> None:
    cell.good()
    copy = [cell.spec.objects["peg"].markers[0]], np.eye(3), np.array([0.45, -0.15, 0.0])
    cell.clean = drawn_cell(cell.spec, CAMERAS, copy)
    for _ in range(5):
        poses = cell.tick()
        cell.check_right(poses)
    assert poses.valid.tolist() == [False, True, True]
    cell.named(BAD_MARKERS, "marker 0 of peg is there twice in the image of left")


def test_a_marker_of_a_wrong_size_is_named_and_gives_no_pose(cell: Cell) -> None:
    peg = cell.spec.objects["peg"]
    large = tuple(replace(marker, size=1.25 * marker.size) for marker in peg.markers)
    cell.clean = drawn_cell(replace(cell.spec, objects={**cell.spec.objects, "peg": replace(peg, markers=large)}))
    for _ in range(5):
        poses = cell.tick()
        cell.check_right(poses)
    assert poses.valid.tolist() == [False, True, True]
    cell.named(BAD_MARKERS, "of peg")


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
    rig: Rig, task: Path, clean: dict[str, np.ndarray], tmp_path: Path
) -> None:
    file = write_estimator(tmp_path / "poses.onnx", read_spec(task / "task.yaml"))
    cell = Cell(rig, task, clean, poses="camera", estimator=str(file))
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
    cell.named(BAD_LOOKS, "cameras contradict each other on peg, stand, tray")


def test_a_task_without_an_estimator_is_refused(rig: Rig, task: Path) -> None:
    with pytest.raises(ConfigError, match=r"no estimator of the poses of task 'cell' .* name it with --estimator FILE"):
        rig.add(ObjectPoseEstimator, task=str(task), poses="camera")
    with pytest.raises(ConfigError, match="poses 'radar': expected camera or markers"):
        rig.add(ObjectPoseEstimator, task=str(task), poses="radar")


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
