"""What recording loses and costs: `kill -9` at random moments, and a graph at 60 Hz with two cameras.

The killed processes write short episodes through the real recorder, one after the other, and tell each that is kept;
what they have told must be there afterwards, and whatever is there must be read. The graph is a process of publishers
beside the recorder's node, which runs in this process as in `roman-moe record`: its CPU is what is measured.
"""

from __future__ import annotations

import dataclasses
import multiprocessing as mp
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String

from roman_moe.control.guard import GuardStatus
from roman_moe.core.action import Command
from roman_moe.core.errors import DemonstrationError, RomanError
from roman_moe.core.parts import CameraSpec
from roman_moe.core.spec import TASK_FILE, TaskSpec
from roman_moe.core.state import NANOSECONDS
from roman_moe.core.tasks import load_spec
from roman_moe.demos.reader import read_episode
from roman_moe.demos.recorder import Recorder
from roman_moe.nodes.base.environment import ros_environment
from roman_moe.nodes.base.process import make_executor, ros_context
from roman_moe.nodes.base.topics import CODEC, OPERATOR_ACTION, SCENE, TICK, camera
from roman_moe.nodes.teleop.demo_recorder import DemoRecorder
from roman_moe.testing.scenes import random_scene
from roman_moe.wire.codec import BlenderTick
from roman_moe.wire.topics import COMPRESSED

RATE = 60.0  # [Hz] of scenes and actions
CAMERA_RATE = 30.0  # [Hz] of each camera's images
CAMERAS = {"left": CameraSpec(640, 480), "right": CameraSpec(640, 480)}
WARM_UP = 60  # ticks that do not count, while publishers and subscriptions find each other
TICKS = 10  # of an episode that a process which is killed writes
LIFE = 0.5  # [s] within which it is killed
PATIENCE = 60.0  # [s]
DONE = "bench/done"


def measure(task: str = "roman", seconds: float = 10.0, kills: int = 100, seed: int = 0) -> dict[str, Any]:
    """Measure both.

    Args:
        task: name or folder of the task whose scenes are recorded.
        seconds: for which the graph publishes.
        kills: how many processes are killed.
        seed: of the moments at which they are.

    Returns:
        {"dropped", "cpu_cores", "ticks", "images", "kills", "closed_episodes", "damaged_closed_episodes",
        "lost_closed_episodes"}: messages that were published and are not in the episode, and CPU of the recorder's
        process; episodes that were told as kept, or stand there, and those of them that cannot be read or are gone.

    Raises:
        RomanError: if the graph does not come together.
    """
    spec = load_spec(task)
    with tempfile.TemporaryDirectory(prefix="roman_moe-") as folder:
        killed = _kill(spec, Path(folder) / "killed", kills, np.random.default_rng(seed))
        return {**_record(spec, Path(folder), seconds), "kills": kills, **killed}


def _kill(spec: TaskSpec, dataset: Path, kills: int, rng: np.random.Generator) -> dict[str, int]:
    context = mp.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    told: set[str] = set()
    for _ in range(kills):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_write_for_ever, args=(spec, dataset, theirs), daemon=True)
        process.start()
        theirs.close()
        if not ours.poll(PATIENCE):
            raise RomanError(f"bench record: no episode within {PATIENCE:.0f} s")
        time.sleep(rng.uniform(0.0, LIFE))
        process.kill()
        process.join()
        told |= _all_of(ours)
    there = {path.name: path for path in (dataset / spec.skill_names[0]).glob("episode_*")}
    damaged = [name for name, path in there.items() if not _is_whole(path, spec)]
    return {
        "closed_episodes": len(told | there.keys()),
        "damaged_closed_episodes": len(damaged),
        "lost_closed_episodes": len(told - there.keys()),
    }


def _write_for_ever(spec: TaskSpec, dataset: Path, kept: Connection) -> None:
    recorder = Recorder(dataset, spec, spec.skill_names[0], spec.control_rate, "bench")
    rng = np.random.default_rng(0)
    while True:
        path = recorder.start()
        for index in range(TICKS):
            _say(recorder, spec, index, rng)
        recorder.stop()
        kept.send(path.name)


def _say(recorder: Recorder, spec: TaskSpec, index: int, rng: np.random.Generator) -> None:
    scene, action, tick = _parts(spec, round(index * NANOSECONDS / spec.control_rate), rng)
    recorder.scene(scene)
    recorder.answer(scene.stamp_ns, action)
    recorder.tick(tick)


def _parts(spec: TaskSpec, stamp: int, rng: np.random.Generator) -> tuple[Any, np.ndarray, BlenderTick]:
    command = Command(stamp, rng.normal(0.0, 0.1, 3), spec.gripper.open)
    tick = BlenderTick(spec.skill_names, np.zeros(len(spec.skills)), command, GuardStatus.NO_WARNING, drove=True)
    return random_scene(spec, stamp, rng), rng.uniform(-1.0, 1.0, spec.action.size), tick


def _all_of(pipe: Connection) -> set[str]:
    """What a process has told before its end; a message that was cut off says nothing."""
    told = set()
    try:
        while True:
            told.add(pipe.recv())
    except (EOFError, OSError):
        return told


def _is_whole(path: Path, spec: TaskSpec) -> bool:
    try:
        return len(read_episode(path, spec).states) == TICKS
    except DemonstrationError:
        return False


def _record(spec: TaskSpec, folder: Path, seconds: float) -> dict[str, Any]:
    fast = dataclasses.replace(spec, control_rate=RATE, gate_rate=RATE, cameras=CAMERAS)
    (folder / "task").mkdir()
    (folder / "task" / TASK_FILE).write_text(fast.to_yaml(), encoding="utf-8")
    demos, skill = folder / "graph", fast.skill_names[0]
    parameters = {"task": str(folder / "task"), "teach": skill, "demos": str(demos), "least_rate": 0.0}
    parameters |= {"images": True, "reliable": True}
    ticks = round(seconds * RATE)
    with ExitStack() as stack:
        stack.enter_context(ros_environment(separate=True, private=True))
        context = stack.enter_context(ros_context())
        executor = make_executor(context)
        stack.callback(executor.shutdown)
        node = DemoRecorder(context=context, parameters=parameters)
        stack.callback(node.destroy_node)
        executor.add_node(node)
        node.start()
        done: list[Any] = []
        node.create_subscription(String, DONE, lambda message: done.append(int(message.data)), QoSProfile(depth=1))
        node.begin()
        spawn = mp.get_context("spawn")
        process = spawn.Process(target=_publish, args=(fast, ticks), daemon=True)
        process.start()
        stack.callback(process.kill)

        def spin_until(condition: Callable[[], object], patience: float) -> None:
            end = time.monotonic() + patience
            while not condition():
                if time.monotonic() > end:
                    raise RomanError(f"bench record: nothing within {patience:.0f} s: {node.told}")
                executor.spin_once(0.1)

        spin_until(lambda: node.ticks, PATIENCE)
        began, cpu = time.monotonic(), time.process_time()
        spin_until(lambda: done, PATIENCE + 10.0 * seconds)
        cpu_cores = (time.process_time() - cpu) / (time.monotonic() - began)
        node.end()
    with Reader(demos / skill / "episode_000") as bag:
        counts = Counter(connection.topic for connection, stamp, _ in bag.messages() if stamp >= done[0])
    images = sum(count for topic, count in counts.items() if topic.endswith(COMPRESSED))
    sent = len(CAMERAS) * len(range(0, ticks, round(RATE / CAMERA_RATE)))
    found = counts[f"/{SCENE.name}"]
    return {
        "dropped": ticks - found + sent - images,
        "cpu_cores": round(cpu_cores, 3),
        "ticks": found,
        "images": images,
    }


def _publish(spec: TaskSpec, ticks: int) -> None:
    """A graph's publishers: scenes at `RATE`, images at `CAMERA_RATE`, and then a word that all was sent."""
    rng = np.random.default_rng(0)
    noise = cv2.resize(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    jpeg = cv2.imencode(".jpg", noise)[1].tobytes()
    with ros_context() as context:
        node = Node("bench", context=context)
        images = {name: camera(name, COMPRESSED) for name in spec.cameras}
        topics = (SCENE, OPERATOR_ACTION, TICK, *images.values())
        publishers = {topic.name: node.create_publisher(topic.kind, topic.name, topic.qos) for topic in topics}
        done = node.create_publisher(String, DONE, QoSProfile(depth=1))
        while not all(publisher.get_subscription_count() for publisher in (*publishers.values(), done)):
            time.sleep(0.05)
        began_ns, due, every = time.time_ns(), time.monotonic(), round(RATE / CAMERA_RATE)
        for index in range(-WARM_UP, ticks):
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due + 1.0 / RATE, time.monotonic())  # a busy machine: no tick is hurried
            stamp = began_ns + round(index * NANOSECONDS / RATE)
            scene, action, tick = _parts(spec, stamp, rng)
            publishers[SCENE.name].publish(CODEC.scene(scene))
            publishers[OPERATOR_ACTION.name].publish(CODEC.action(stamp, spec.action.layout, action))
            publishers[TICK.name].publish(CODEC.tick(stamp, spec.skill_names, tick.numbers))
            for topic in images.values() if index % every == 0 else ():
                image = CompressedImage(format="jpeg", data=jpeg)
                image.header.stamp = CODEC.time(stamp)
                publishers[topic.name].publish(image)
        time.sleep(1.0)  # [s] for what is under way
        done.publish(String(data=str(began_ns)))
        time.sleep(PATIENCE)  # until it is killed: what it has sent stays to be sent again
