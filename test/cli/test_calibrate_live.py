"""`roman-moe calibrate` with a camera that is there: views of a simulated board, taken from a topic or a video."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from roman_moe.bench.calibration import SIZE, BoardScene, errors
from roman_moe.cli import calibrate
from roman_moe.cli.main import main
from roman_moe.core.errors import MissingDependencyError
from roman_moe.perception.board import Board
from roman_moe.perception.board_views import BoardViewCollector
from roman_moe.perception.calibration import read_images
from roman_moe.perception.camera_file import read_camera, write_camera
from roman_moe.perception.images import fill_image

pytest.importorskip("rclpy")

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from roman_moe.nodes.base.process import ros_context

AGAIN = 2.0  # [s] after which an image that nobody has looked at is sent again: one may get lost
PERIOD = 1.0  # [s] from one image to the next, by the clock that is injected


@pytest.fixture(scope="module")
def lab() -> Iterator[BoardScene]:
    try:
        laboratory = BoardScene(Board(), 3)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    with laboratory:
        yield laboratory


@pytest.fixture(autouse=True)
def looked(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released whenever an image was looked at; a period goes by with each."""
    ticks, semaphore, take = itertools.count(), threading.Semaphore(0), BoardViewCollector.take

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return PERIOD * next(ticks)

    def watched(*arguments: Any) -> bool:
        try:
            return take(*arguments)
        finally:
            semaphore.release()

    monkeypatch.setattr(calibrate, "time", Clock)
    monkeypatch.setattr(BoardViewCollector, "take", watched)
    return semaphore


@contextlib.contextmanager
def published(
    looked: threading.Semaphore, images: list[np.ndarray], send: Callable[[Node], Callable[[int], None]]
) -> Iterator[None]:
    """All images in turn, from a node of its own; each until somebody has looked at it."""
    done = threading.Event()

    def publish() -> None:
        with ros_context() as context:
            node = Node("camera", context=context)
            send_one = send(node)
            for number in range(len(images)):
                send_one(number)
                while not done.is_set() and not looked.acquire(timeout=AGAIN):
                    send_one(number)
            done.wait()
            node.destroy_node()

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def twice(images: list[np.ndarray]) -> list[np.ndarray]:
    """A board that is held still for two images."""
    return [image for image in images for _ in range(2)]


def blurred(image: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), 2.0)


def soft(image: np.ndarray) -> np.ndarray:
    """Less blurred: the board can still be found in it."""
    return cv2.GaussianBlur(image, (0, 0), 1.6)


def test_views_of_a_topic_are_taken_until_they_are_enough(
    lab: BoardScene, own_domain: int, tmp_path: Path, looked: threading.Semaphore, capsys: pytest.CaptureFixture[str]
) -> None:
    front, truth = lab.in_front(20)
    sharp = list(front.values())
    images = [np.zeros_like(sharp[0]), *twice([blurred(sharp[0])]), *twice([sharp[0], *sharp])]

    def sender(node: Node) -> Callable[[int], None]:
        publisher = node.create_publisher(ImageMessage, "/left/image_raw", qos_profile_sensor_data)

        def send(number: int) -> None:
            message = ImageMessage()
            fill_image(message, images[number])
            publisher.publish(message)

        return send

    folder, file = tmp_path / "left", tmp_path / "left.yaml"
    with published(looked, images, sender):
        assert main(["calibrate", "intrinsics", str(folder), str(file), "--topic", "/left/image_raw"]) == 0
    taken = read_images(folder)
    assert 15 <= len(taken) <= 20
    assert all(any(np.array_equal(image, each) for each in sharp) for image in taken.values())  # none that is blurred
    assert read_camera(file, posed=False).focal == pytest.approx(truth.focal, rel=0.005)
    said = capsys.readouterr().out
    assert "1 views, view taken; missing: 14 more views, the board in the" in said
    assert f"{len(taken)} views, view taken; missing: nothing" in said
    again = tmp_path / "again.yaml"
    assert main(["calibrate", "intrinsics", str(folder), str(again)]) == 0
    same, found = read_camera(again, posed=False), read_camera(file, posed=False)
    assert [*same.focal, *same.centre] == pytest.approx([*found.focal, *found.centre], rel=1e-6)


def test_a_camera_on_the_hand_is_calibrated_from_compressed_images_and_the_hands_topic(
    lab: BoardScene, own_domain: int, tmp_path: Path, looked: threading.Semaphore
) -> None:
    around, hands, mount = lab.on_hand(14)
    write_camera(tmp_path / "eye.yaml", mount, "")
    images, poses = twice(list(around.values())), twice(list(hands.values()))

    def sender(node: Node) -> Callable[[int], None]:
        pose_publisher = node.create_publisher(PoseStamped, "/hand", 10)
        publisher = node.create_publisher(CompressedImage, "/eye/compressed", qos_profile_sensor_data)

        def send(number: int) -> None:
            hand, image = PoseStamped(), CompressedImage(format="png")
            hand.pose.position.x, hand.pose.position.y, hand.pose.position.z = poses[number].position
            q = hand.pose.orientation
            q.x, q.y, q.z, q.w = poses[number].orientation
            image.data.frombytes(cv2.imencode(".png", images[number][:, :, ::-1])[1].tobytes())
            pose_publisher.publish(hand)
            publisher.publish(image)

        return send

    folder, file = tmp_path / "hand", tmp_path / "eye.yaml"
    options = ["--topic", "/eye/compressed", "--hand", "/hand"]
    with published(looked, images, sender):
        assert main(["calibrate", "hand-eye", str(folder), str(file), *options]) == 0
    assert set(yaml.safe_load((folder / "hands.yaml").read_text())["poses"]) == set(read_images(folder))
    position, rotation = errors(read_camera(file, posed=False), mount)
    assert position < 3.0
    assert rotation < 0.3


def test_a_fixed_camera_is_calibrated_from_a_device_at_one_place_after_the_other(
    lab: BoardScene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, places, truth = lab.on_table()
    write_camera(tmp_path / "left.yaml", truth, "")
    write_places(tmp_path / "places.yaml", places)
    images = [image for image in table.values() for _ in range(3)]
    write_video(tmp_path / "all.avi", images)
    folder, file = tmp_path / "table", tmp_path / "left.yaml"
    options = ["--places", str(tmp_path / "places.yaml"), "--device", str(tmp_path / "all.avi")]
    assert main(["calibrate", "camera-to-base", str(folder), str(file), *options]) == 0
    assert list(read_images(folder)) == list(places)
    position, rotation = errors(read_camera(file), truth)
    assert position < 3.0
    assert rotation < 0.3
    said = capsys.readouterr().out
    assert "lay the board at 0.500, -0.100, 0.000 m (place_0.png)" in said
    assert "1 views, view taken; missing: the board at 0.600, 0.150, 0.000 m (place_1.png)" in said
    assert main(["calibrate", "camera-to-base", str(folder), str(file), *options]) == 2
    assert "holds images already: leave out --topic and --device" in capsys.readouterr().err
    write_video(tmp_path / "one.avi", images[:3])
    options[-1] = str(tmp_path / "one.avi")
    assert main(["calibrate", "camera-to-base", str(tmp_path / "few"), str(file), *options]) == 2
    assert "ended after 1 views" in capsys.readouterr().err
    assert list(read_images(tmp_path / "few")) == ["place_0.png"]


def write_places(path: Path, places: Any) -> None:
    plain = {name: {"position": list(p.position), "orientation": list(p.orientation)} for name, p in places.items()}
    path.write_text(yaml.safe_dump({"poses": plain}))


def write_video(path: Path, images: list[np.ndarray]) -> None:
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, SIZE)
    for image in images:
        video.write(np.ascontiguousarray(image[:, :, ::-1]))
    video.release()


def test_a_view_is_sharp_at_rest_and_new(lab: BoardScene) -> None:
    front, _ = lab.in_front(2)
    one, other = front.values()
    taker = BoardViewCollector(Board(), rest=0.5)
    said = []
    for now, image in enumerate([np.zeros_like(one), one, one, one, one, other, one, soft(one), soft(one)]):
        taker.take(image, 0.25 * now, "view")
        said.append(taker.note)
    assert said == [
        "no board", "board moves", "hold still", "view taken", "view is there already: move the board", "board moves",
        "board moves", "board is blurred", "board is blurred",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "options", "complaint"),
    [
        ("intrinsics", ["--topic", "/a", "--device", "0"], "--topic and --device: expected one of them"),
        ("intrinsics", ["--device", "none.avi"], "--device none.avi: gives no images"),
        ("hand-eye", ["--device", "0"], "no poses of the hand: expected --topic and --hand TOPIC"),
        ("camera-to-base", ["--device", "0"], "no pose of the board: expected --place X,Y,Z,YAW or --places FILE"),
    ],
)
def test_what_cannot_be_watched_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str, options: list[str], complaint: str
) -> None:
    assert main(["calibrate", part, str(tmp_path / "new"), str(tmp_path / "a.yaml"), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line


def test_a_topic_without_images_is_refused(own_domain: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from roman_moe.core.errors import RomanError
    from roman_moe.nodes.perception.image_topic import images_of_topic

    clock = itertools.count(0.0, 3.0)
    with pytest.raises(RomanError, match="/left: no message within 10 s"):
        next(images_of_topic("/left", clock=lambda: float(next(clock))))
