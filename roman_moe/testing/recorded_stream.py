"""A graph's publishers at 60 Hz with two cameras, as a process of its own, and the recorder's node in this one."""

from __future__ import annotations

import dataclasses
import multiprocessing as mp
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String

from roman_moe.core.errors import RomanError
from roman_moe.core.spec import TASK_FILE, TaskSpec
from roman_moe.core.spec_parts import CameraSpec
from roman_moe.core.state import NANOSECONDS
from roman_moe.nodes.base.environment import ros_environment
from roman_moe.nodes.base.process import make_executor, ros_context
from roman_moe.nodes.base.topics import CODEC, OPERATOR_ACTION, SCENE, TICK, camera
from roman_moe.nodes.teleop.demo_recorder import DemoRecorder
from roman_moe.perception.images import fill_compressed
from roman_moe.testing.scenes import driven_tick
from roman_moe.wire.topics import COMPRESSED

RATE = 60.0  # [Hz] of scenes and actions
CAMERA_RATE = 30.0  # [Hz] of each camera's images
CAMERAS = {"left": CameraSpec(640, 480), "right": CameraSpec(640, 480)}
WARM_UP = 60  # ticks that do not count, while publishers and subscriptions find each other
TIMEOUT = 60.0  # [s]
DONE = "bench/done"


@dataclass(frozen=True)
class Stream:
    """What was published and recorded.

    Attributes:
        began_ns: stamp of the first tick that counts.
        ticks: that were published from then on.
        images: likewise.
        cpu_cores: of this process while it recorded.
    """

    episode: Path
    began_ns: int
    ticks: int
    images: int
    cpu_cores: float


def record_stream(spec: TaskSpec, folder: Path, seconds: float) -> Stream:
    """Record what the publishers give for so long.

    Raises:
        RomanError: if they and the recorder do not find each other.
    """
    fast = dataclasses.replace(spec, control_rate=RATE, gate_rate=RATE, cameras=CAMERAS)
    (folder / "task").mkdir()
    (folder / "task" / TASK_FILE).write_text(fast.to_yaml(), encoding="utf-8")
    demos, skill, ticks = folder / "stream", fast.skill_names[0], round(seconds * RATE)
    parameters = {"task": str(folder / "task"), "teach": skill, "demos": str(demos), "least_rate": 0.0}
    with ExitStack() as stack:
        stack.enter_context(ros_environment(separate=True, private=True))
        context = stack.enter_context(ros_context())
        executor = make_executor(context)
        stack.callback(executor.shutdown)
        node = DemoRecorder(context=context, parameters={**parameters, "images": True, "reliable": True})
        stack.callback(node.destroy_node)
        executor.add_node(node)
        node.start()
        done: list[int] = []
        node.create_subscription(String, DONE, lambda message: done.append(int(message.data)), QoSProfile(depth=1))
        node.begin()
        process = mp.get_context("spawn").Process(target=publish_stream, args=(fast, ticks), daemon=True)
        process.start()
        stack.callback(process.kill)

        def spin_until(condition: Callable[[], object], timeout: float) -> None:
            end = time.monotonic() + timeout
            while not condition():
                if time.monotonic() > end:
                    raise RomanError(f"nothing was recorded within {timeout:.0f} s: {node.told}")
                executor.spin_once(0.1)

        spin_until(lambda: node.ticks, TIMEOUT)
        began, cpu = time.monotonic(), time.process_time()
        spin_until(lambda: done, TIMEOUT + 10.0 * seconds)
        cpu_cores = (time.process_time() - cpu) / (time.monotonic() - began)
        node.end()
    images = len(CAMERAS) * len(range(0, ticks, round(RATE / CAMERA_RATE)))
    return Stream(demos / skill / "episode_000", done[0], ticks, images, cpu_cores)


def publish_stream(spec: TaskSpec, ticks: int) -> None:
    """Scenes at `RATE`, images at `CAMERA_RATE`, and then a word that all was sent."""
    rng = np.random.default_rng(0)
    noise = np.kron(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8), np.ones((8, 8, 1), dtype=np.uint8))
    image = CompressedImage()
    fill_compressed(image, noise)
    with ros_context() as context:
        node = Node("stream", context=context)
        cameras = [camera(name, COMPRESSED) for name in spec.cameras]
        topics = (SCENE, OPERATOR_ACTION, TICK, *cameras)
        publishers = {topic.name: node.create_publisher(topic.kind, topic.name, topic.qos) for topic in topics}
        done = node.create_publisher(String, DONE, QoSProfile(depth=1))
        while not all(publisher.get_subscription_count() for publisher in (*publishers.values(), done)):
            time.sleep(0.05)
        began_ns, due, every = time.time_ns(), time.monotonic(), round(RATE / CAMERA_RATE)
        for index in range(-WARM_UP, ticks):
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due + 1.0 / RATE, time.monotonic())  # a busy machine: no tick is hurried
            stamp = began_ns + round(index * NANOSECONDS / RATE)
            scene, action, tick = driven_tick(spec, stamp, rng)
            publishers[SCENE.name].publish(CODEC.scene(scene))
            publishers[OPERATOR_ACTION.name].publish(CODEC.action(stamp, spec.action.layout, action))
            publishers[TICK.name].publish(CODEC.tick(stamp, spec.skill_names, tick.numbers))
            image.header.stamp = CODEC.time(stamp)
            for topic in cameras if index % every == 0 else ():
                publishers[topic.name].publish(image)
        time.sleep(1.0)  # [s] for what is under way
        done.publish(String(data=str(began_ns)))
        time.sleep(TIMEOUT)  # until it is killed: what it has sent stays to be sent again
