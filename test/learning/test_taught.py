"""A task without simulation, as docs/your_task.md has it: recorded through a real graph, cloned, and run by the bundle.

The commands are processes in which neither MuJoCo nor Gymnasium can be imported.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

pytest.importorskip("rclpy")

from rclpy.context import Context
from rclpy.node import Node
from ros_rig import TIMEOUT, Rig, open_rig
from servo_emulator import FRANKA, JAZZY, PointRobot, ServoNode
from std_msgs.msg import Float64MultiArray

from roman_moe.arms.config import ArmConfig, load_arm_config
from roman_moe.cli.main import main
from roman_moe.core.paths import config_path
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.core.state import ObjectPoses, SceneState, upright
from roman_moe.core.tasks import load_spec
from roman_moe.demos.reader import read_episodes
from roman_moe.nodes.base import topics
from roman_moe.wire.bodies import scene_layout
from roman_moe.wire.codec import decode_scene

DOCS = Path(__file__).parents[2] / "docs" / "your_task.md"
SECTION = DOCS.read_text(encoding="utf-8").partition("## A task without simulation")[2].partition("\n## ")[0]
(TASK,) = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
(OPERATOR,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
(FILE,) = re.findall(r"`python (\w+)\.py reach`", SECTION)
RECIPE = "rates: {control_rate: 20.0, gate_rate: 10.0}\ndefaults: {hidden: [32, 32], steps: 300, noise_bound: 0.0}\n"
NEAR = 0.008  # [m]
OPTIONS = ["--arm", "mock", "--device", "none", "--least-rate", "0"]  # however busy this machine is


@pytest.fixture
def rig(own_domain: int) -> Iterator[Rig]:
    with open_rig() as rig:
        yield rig


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder of all commands; none of them can import a simulation."""
    (tmp_path / "handover").mkdir()
    (tmp_path / "handover" / "task.yaml").write_text(TASK)
    for name in ("mujoco", "gymnasium"):
        blocked = tmp_path / "blocked" / f"{name}.py"
        blocked.parent.mkdir(exist_ok=True)
        blocked.write_text(f"raise ModuleNotFoundError('No module named {name}', name='{name}')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "blocked"), os.environ["PYTHONPATH"]]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextlib.contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as it:
        try:
            yield it
        finally:
            it.kill()


def said(process: subprocess.Popen[str]) -> str:
    """Output of a process that ends by itself."""
    output, _ = process.communicate(timeout=TIMEOUT)
    return output


class Operator:
    """Shows a network of the task through the graph, by the script of the documentation.

    Attributes:
        sent: answers by stamp.
    """

    def __init__(self, rig: Rig, spec: TaskSpec, network: str) -> None:
        self._rig, self._spec, self._network = rig, spec, network
        self.sent: dict[int, NDArray[np.float64]] = {}
        rig.heard[topics.SCENE.name].clear()
        rig.listen(topics.SCENE)
        experts = [topics.OPERATOR_WEIGHTS, *map(topics.expert_action, spec.skill_names)]
        self._topics: list[topics.Topic] = experts if network == GATE else [topics.OPERATOR_ACTION]

    def drive(self, goal: NDArray[np.float64], done: Callable[[SceneState], bool]) -> None:
        """Answer scenes with the way to a goal, until one is as it is to be."""
        heard = self._rig.heard[topics.SCENE.name]
        there = False
        while not there:
            self._rig.spin_until(lambda: heard)
            scene = decode_scene(self._spec, heard.pop(0))
            if scene.stamp_ns not in self.sent:  # each scene is answered once
                self._answer(scene, goal)
            there = done(scene)

    def _answer(self, scene: SceneState, goal: NDArray[np.float64]) -> None:
        motion = np.clip((goal - scene.hand_position) / 0.05, -1.0, 1.0)
        near = distance(scene, scene.position("part")) < NEAR
        leads = ("grip" if near else "reach") if self._network == GATE else self._network
        weights = np.array([float(skill == leads) for skill in self._spec.skill_names])
        for topic in self._topics:
            if topic is topics.OPERATOR_WEIGHTS:
                self._rig.send(topic, topics.CODEC.weights(scene.stamp_ns, self._spec.skill_names, weights))
                self.sent[scene.stamp_ns] = weights
                continue
            grips = topic.name == "expert/grip/action" or self._network == "grip"
            action = np.array([*motion, -1.0 if grips else 1.0])
            self._rig.send(topic, topics.CODEC.action(scene.stamp_ns, self._spec.action.layout, action))
            if self._network != GATE:
                self.sent[scene.stamp_ns] = action


def distance(scene: SceneState, goal: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(scene.hand_position - goal))


def record(rig: Rig, spec: TaskSpec, network: str, starts: list[tuple[float, float, float]]) -> dict[int, Any]:
    """Record an episode from each start through a graph with the mock arm; what was answered, by stamp."""
    options = ["--skill", network, "--episodes", str(len(starts)), "--out", "demos/handover", *OPTIONS]
    with process("-m", "roman_moe", "record", "--task", "handover", *options) as recorder:
        operator = Operator(rig, spec, network)
        part = np.array(spec.objects["part"].position)
        for start in map(np.array, starts):
            operator.drive(start, lambda scene, start=start: distance(scene, start) < NEAR)
            assert rig.trigger("demo_recorder/start").success
            operator.drive(part, lambda scene: shown(scene, network))
            answer = rig.trigger("demo_recorder/stop")
            assert answer.success, answer.message
        output = said(recorder)
    assert recorder.returncode == 0, output
    assert f"{len(starts)} of {len(starts)} episodes kept in demos/handover/{network}" in output
    return operator.sent


def shown(scene: SceneState, network: str) -> bool:
    """Whether all is shown that there is to show."""
    gripped = scene.finger_opening < 0.01 or network == "reach"
    return gripped and distance(scene, scene.position("part")) < 0.002


def test_what_an_operator_shows_through_the_graph_becomes_a_bundle_that_does_it(
    rig: Rig, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = load_spec("handover")
    starts = [(0.45, 0.0, 0.25), (0.46, 0.1, 0.22), (0.54, 0.02, 0.25)]
    for network in spec.networks:
        sent = record(rig, spec, network, starts[:2] if network == "grip" else starts)
        episodes = read_episodes(folder / "demos" / "handover", spec, network)
        for episode, start in zip(episodes, starts, strict=False):
            assert (episode.meta.source, episode.meta.task_sha256) == ("operator", spec.digest)
            assert distance(episode.states[0], np.array(start)) < 0.05
            assert distance(episode.states[-1], np.array(spec.objects["part"].position)) < NEAR
            for state, answer in zip(episode.states, episode.answers, strict=True):
                np.testing.assert_array_equal(answer, sent[state.stamp_ns])
            assert any(command.moves for command in episode.commands)
            assert episode.drove is not None
            assert episode.drove.all()
            assert episode.taught.all()
    (folder / "recipe.yaml").write_text(RECIPE)
    command = ["train", "bc", "--demos", "demos/handover", "--out", "runs/handover", "--recipe", "recipe.yaml"]
    assert main(command) == 0, capsys.readouterr().err
    assert main(["export", "runs/handover", "shipped"]) == 0
    rig.heard[topics.SCENE.name].clear()
    with process("-m", "roman_moe", "run", "--bundle", "shipped", "--arm", "mock"):
        rig.spin_until(lambda: any(solved(decode_scene(spec, scene)) for scene in rig.heard[topics.SCENE.name]))
    rig.heard[topics.SCENE.name].clear()
    see_part = robot_behind_servo(rig, spec, folder / "my_arm.yaml")
    with process("-m", "roman_moe", "run", "--bundle", "shipped", "--arm", "servo", "--config", "my_arm.yaml"):

        def reached() -> bool:
            see_part()
            part = np.array(spec.objects["part"].position)
            return any(distance(decode_scene(spec, scene), part) < 0.02 for scene in rig.heard[topics.SCENE.name])

        rig.spin_until(reached)


def robot_behind_servo(rig: Rig, spec: TaskSpec, file: Path) -> Callable[[], None]:
    """A robot at home behind the emulator of Servo, and its arm's file; what is called publishes the part's pose."""
    content = yaml.safe_load(config_path("arms/franka.yaml").read_text())
    content.pop("flags")
    content["gripper"].pop("action")
    content["pose"]["max_age"] = content["fingers"]["max_age"] = 30.0  # this machine may be busy
    file.write_text(yaml.safe_dump(content))
    config = load_arm_config(file, spec)
    robot = rig.join(lambda context: PointRobot(context, config, spec.home.position))
    servo = rig.join(lambda c: ServoNode(c, config, robot, JAZZY, {**FRANKA, "publish_period": 0.01}))
    robot.drive(servo)
    rig.join(lambda context: gripper_of(context, config))
    publisher = robot.create_publisher(topics.TRUTH_POSES.kind, topics.TRUTH_POSES.name, topics.TRUTH_POSES.qos)
    part = np.array([spec.objects["part"].position])

    def see_part() -> None:
        now_ns = robot.get_clock().now().nanoseconds
        poses = ObjectPoses(now_ns, part, np.ones(1, dtype=bool), np.zeros(1), upright(1))
        publisher.publish(topics.CODEC.bodies(spec.object_names, scene_layout(spec).of_objects(poses)))

    return see_part


def gripper_of(context: Context, config: ArmConfig) -> Node:
    """Whoever takes the gripper's topic."""
    node = Node("gripper", context=context)
    node.create_subscription(Float64MultiArray, config.gripper.topic, lambda message: None, 10)
    return node


def solved(scene: SceneState) -> bool:
    return scene.finger_opening < 0.01 and distance(scene, scene.position("part")) < 0.02


def test_the_operator_of_the_documentation_moves_the_arm(rig: Rig, folder: Path) -> None:
    assert FILE not in sys.stdlib_module_names  # the other processes that begin in this folder would import it
    (folder / f"{FILE}.py").write_text(OPERATOR)
    spec = load_spec("handover")
    rig.listen(topics.SCENE)
    options = ["--skill", "grip", "--episodes", "1", "--out", "demos", *OPTIONS]
    with (
        process(f"{FILE}.py", "grip"),
        process("-m", "roman_moe", "record", "--task", "handover", *options) as recorder,
    ):
        rig.spin_until(lambda: rig.heard[topics.SCENE.name])
        assert rig.trigger("demo_recorder/start").success
        rig.spin_until(lambda: shown(decode_scene(spec, rig.heard[topics.SCENE.name][-1]), "grip"))
        assert rig.trigger("demo_recorder/stop").success
        output = said(recorder)
    assert recorder.returncode == 0, output
    (episode,) = read_episodes(folder / "demos", spec, "grip")
    assert distance(episode.states[-1], np.array(spec.objects["part"].position)) < NEAR
