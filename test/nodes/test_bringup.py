"""The whole graph, composed: the same trajectory as in process, and no fault of a part ends it or moves the arm."""

from __future__ import annotations

import dataclasses
import math
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import write_tiny_bundle
from rclpy.lifecycle.node import LifecycleNodeMixin
from ros_rig import Rig
from scenes import limit_time
from specs import SKILLS
from worlds import TASK

from roman_moe.control.bundle import load_bundle
from roman_moe.control.controller import Controller
from roman_moe.core.action import Command
from roman_moe.core.errors import BundleError, ConfigError, RomanError
from roman_moe.core.paths import share_folder
from roman_moe.core.spec import GATE
from roman_moe.nodes.arms.lab_node import LabNode
from roman_moe.nodes.base.environment import DISCOVERY, DOMAIN, PROFILES
from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.base.topics import TWIST_COMMAND
from roman_moe.nodes.bringup.bringup import Tick, node_class, run_episode, running_graph
from roman_moe.nodes.bringup.episode_record import EpisodeRecord
from roman_moe.nodes.bringup.graph import load_description, resolve
from roman_moe.nodes.control.blender import MISSED_TICKS, Blender
from roman_moe.nodes.control.network_node import NetworkNode
from roman_moe.nodes.control.observation import Observation
from roman_moe.sim.episode import run_episode as run_in_process
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.task import SimTask
from roman_moe.sim.world import World

NOISE = 0.005


@dataclasses.dataclass
class InProcess:
    """The same episode without ROS."""

    outcome: str
    physics_states: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(
        cls, bundle: Path, start: str, seed: int, disturbed: bool = False, arm: str = "", task: SimTask = TASK
    ) -> InProcess:
        lab, controller = World(task, arm=arm), Controller(load_bundle(bundle))
        states, weights = [], []

        def on_tick(_: Any, step: Any) -> None:
            states.append(lab.physics_state())
            weights.append(step.weights)

        noise = TruthPoses(NOISE)
        result = run_in_process(lab, controller, task.start(start), seed, noise, disturbed, on_tick=on_tick)
        return cls(result.outcome, np.array(states), np.array(weights))


def hand_poses(states: np.ndarray, task: SimTask, arm: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Positions, (T, 3) [m], and rotation matrices, (T, 3, 3)."""
    lab = World(task, arm=arm)
    positions, rotations = [], []
    for state in states:
        lab.set_physics_state(state)
        hand = lab.data.site("hand")
        positions.append(hand.xpos.copy())
        rotations.append(hand.xmat.reshape(3, 3).copy())
    return np.array(positions), np.array(rotations)


def angles_between(rotations: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Angle of each rotation from another [rad]; exact for small ones, too."""
    distances = np.linalg.norm(rotations - others, axis=(1, 2))
    return np.asarray(2.0 * np.arcsin(np.minimum(distances / math.sqrt(8.0), 1.0)))


def largest_hand_difference(
    record: EpisodeRecord, expected: InProcess, task: SimTask = TASK, arm: str = ""
) -> tuple[float, float]:
    """Of position [m] and orientation [rad]."""
    assert len(record.physics_states) == len(expected.physics_states)
    positions, rotations = hand_poses(record.physics_states, task, arm)
    expected_positions, expected_rotations = hand_poses(expected.physics_states, task, arm)
    distances = np.linalg.norm(positions - expected_positions, axis=1)
    return float(distances.max()), float(angles_between(rotations, expected_rotations).max())


@pytest.mark.parametrize(("start", "arm"), [("push", ""), ("6", ""), ("6", "ur5e")])
def test_lockstep_gives_the_in_process_trajectory_to_the_last_bit(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, start: str, arm: str
) -> None:
    limit_time(monkeypatch, 4.0)
    ticks: list[Tick] = []
    record = run_episode(bundle, start, sim_arm=arm, seed=11, noise_bound=NOISE, lockstep=True, on_tick=ticks.append)
    expected = InProcess.of(bundle, start, 11, arm=arm)
    np.testing.assert_array_equal(record.physics_states, expected.physics_states)
    np.testing.assert_array_equal(record.weights, expected.weights)
    assert record.outcome == expected.outcome
    assert record.missed_ticks == 0
    assert [tick.stamp_ns for tick in ticks] == record.stamps_ns.tolist()
    assert [tick.leading for tick in ticks] == [record.skills[row] for row in record.weights.argmax(axis=1)]


def test_under_a_sparse_gate_the_experts_of_weight_0_idle_and_the_trajectory_is_the_in_process_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who had a weight until a gate tick may answer it before its weights are there."""
    limit_time(monkeypatch, 2.0)
    bundle, answer = write_tiny_bundle(tmp_path / "sparse", seed=2, k=2), NetworkNode.answer  # changes over 19 times
    answered: dict[str, set[int]] = {name: set() for name in (*SKILLS, GATE)}

    def counted(node: NetworkNode, seen: Observation, features: np.ndarray) -> list[float]:
        answered[node._network].add(seen.scene.stamp_ns)
        return answer(node, seen, features)

    monkeypatch.setattr(NetworkNode, "answer", counted)
    record = run_episode(bundle, "6", seed=11, noise_bound=NOISE, lockstep=True)
    expected = InProcess.of(bundle, "6", 11)
    np.testing.assert_array_equal(record.physics_states, expected.physics_states)
    np.testing.assert_array_equal(record.weights, expected.weights)
    assert record.missed_ticks == 0
    needed = record.weights > 0.0
    assert (needed.sum(axis=1) == 2).all()
    assert (needed[1:] > needed[:-1]).any()  # one that had idled took over
    stamps = (record.stamps_ns + min(answered[GATE])).tolist()
    ran = np.array([[stamp in answered[skill] for skill in SKILLS] for stamp in stamps])
    assert ran[needed].all()
    assert not ran[1:][~(needed[1:] | needed[:-1])].any()
    assert not ran[1::2][~needed[1::2]].any()  # between the gate's ticks the weights are there


def test_a_whole_scenario_through_the_graph_is_the_in_process_one_disturbed_as_it_is() -> None:
    bundle = share_folder() / "models/roman"
    record = run_episode(bundle, "6", seed=2, noise_bound=NOISE, disturbed=True, lockstep=True)
    expected = InProcess.of(bundle, "6", 2, disturbed=True)
    assert record.disturbance
    assert record.outcome == expected.outcome
    assert max(largest_hand_difference(record, expected)) <= 1e-6


@pytest.mark.parametrize("arm", ["", "panda"])
def test_a_task_that_turns_the_hand_is_the_same_through_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    """With the bundle that is shipped for it, over a whole scenario; with random networks while there is none."""
    task = load_sim_task("kitting")
    bundle, start = share_folder() / "models" / task.spec.name, str(len(task.spec.scenarios) - 1)
    if not bundle.is_dir():
        bundle = write_tiny_bundle(tmp_path / "kitting", seed=1, spec=task.spec)
        limit_time(monkeypatch, 6.0)
    record = run_episode(bundle, start, sim_arm=arm, seed=3, noise_bound=NOISE, lockstep=True)
    expected = InProcess.of(bundle, start, 3, arm=arm, task=task)
    distance, angle = largest_hand_difference(record, expected, task, arm)
    positions, rotations = hand_poses(record.physics_states, task, arm)
    print(f"{bundle.name}, {len(positions)} ticks: the hand differs by {distance:g} m and {angle:g} rad")
    assert record.outcome == expected.outcome
    assert np.ptp(positions, axis=0).max() > 0.05
    assert angles_between(rotations, rotations[[0] * len(rotations)]).max() > 0.2
    assert distance <= 1e-6
    assert angle <= 1e-6


@pytest.mark.parametrize("speed", [0.5, 1.0])
def test_real_time_keeps_its_pace_and_counts_the_ticks_that_it_held(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, speed: float
) -> None:
    """However slow the machine is, the arm never moves faster than the clock, nor does it wait for a lost command."""
    limit_time(monkeypatch, 1.0)
    periods: list[float] = []
    answered: dict[int, int] = {}  # number of the tick, by stamp: a state may be sent and answered twice
    publish_next, publish = LabNode._publish_next, Blender._publish

    def timed(node: LabNode) -> None:
        periods.append(time.monotonic())
        publish_next(node)

    def lossy(node: Blender, command: Command) -> None:
        if answered.setdefault(command.stamp_ns, len(answered)) not in (4, 5, 6):
            publish(node, command)

    monkeypatch.setattr(LabNode, "_publish_next", timed)
    monkeypatch.setattr(Blender, "_publish", lossy)
    record = run_episode(bundle, "push", seed=1, speed=speed)
    assert record.outcome == "time_limit"
    assert len(record.stamps_ns) == 20
    assert record.held_ticks >= 3
    assert record.missed_ticks >= record.held_ticks
    # a state may come up to a period late; none comes before it is due
    assert len(periods) >= 19
    assert periods[-1] - periods[0] >= (len(periods) - 2) * 0.05 / speed


@pytest.mark.parametrize(
    ("path", "start", "error"),
    [("nowhere/bundle", "6", BundleError), (None, "9", ConfigError), (None, "dance", ConfigError)],
)
def test_what_cannot_run_is_refused_at_once(bundle: Path, path: Any, start: str, error: type[RomanError]) -> None:
    with pytest.raises(error):
        run_episode(path or bundle, start)


def test_the_environment_is_as_it_was(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (DISCOVERY, DOMAIN, *PROFILES)
    for name in names:
        monkeypatch.delenv(name, raising=False)
    with running_graph(resolve(load_description(), {"bundle": str(bundle)})):
        assert os.environ[DISCOVERY] == "OFF"
    assert not set(names) & set(os.environ)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_ends_it_cleanly(
    bundle: Path, number: signal.Signals, error: type[BaseException], capfd: pytest.CaptureFixture[str]
) -> None:
    threads = threading.active_count()
    before = signal.getsignal(number)

    def interrupt(tick: Tick) -> None:
        if tick.stamp_ns == 0:
            os.kill(os.getpid(), number)

    with pytest.raises(error):
        run_episode(bundle, "6", lockstep=True, on_tick=interrupt)
    assert signal.getsignal(number) is before
    assert threading.active_count() == threads
    assert "FATAL" not in capfd.readouterr().err


@pytest.mark.parametrize("fault", [False, True])
def test_a_signal_while_a_node_is_being_made_ends_it_cleanly(
    bundle: Path, fault: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The half-made node goes with the rest; if something fails at that, the signal is still the reason of the end."""
    ended: list[Any] = []

    def interrupt(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def fail(node: Any) -> None:
        ended.append(node)
        raise AttributeError("half-made")

    monkeypatch.setattr(LifecycleNodeMixin, "__init__", interrupt)
    if fault:
        monkeypatch.setattr(RomanNode, "destroy_node", fail)
    with pytest.raises(KeyboardInterrupt):
        run_episode(bundle, "6")
    assert len(ended) == fault


def test_an_error_of_the_caller_passes_through(bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(_: Tick) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_episode(bundle, "6", lockstep=True, on_tick=fail)
    assert "FATAL" not in capfd.readouterr().err


def whole_graph(rig: Rig, bundle: Path, **arguments: Any) -> dict[str, RomanNode]:
    specs = resolve(load_description(), {"bundle": str(bundle), "start": "push", **arguments})
    return {spec.name: rig.add(node_class(spec.executable), spec.name, **spec.parameters) for spec in specs}


def test_when_experts_die_the_others_go_on_and_then_the_arm_holds(rig: Rig, bundle: Path) -> None:
    nodes = whole_graph(rig, bundle)
    rig.listen(TWIST_COMMAND)
    rig.last(TWIST_COMMAND, 4)
    rig.remove(nodes["gate"])
    rig.spin_until(lambda: rig.reported("blender", MISSED_TICKS) >= 4)
    linear = rig.last(TWIST_COMMAND).twist.linear
    assert (linear.x, linear.y, linear.z) == (0.0, 0.0, 0.0)
    assert rig.said("blender", "no answer from gate: held the arm")


def test_a_dead_expert_of_little_weight_is_left_out(rig: Rig, bundle: Path) -> None:
    nodes = whole_graph(rig, bundle)
    rig.listen(TWIST_COMMAND)
    rig.last(TWIST_COMMAND, 4)
    blender: Any = nodes["blender"]
    rig.spin_until(lambda: bool(blender._pending.weights))  # none for a moment where ticks are late
    weights = next(iter(blender._pending.weights.values()))
    least = SKILLS[int(np.argmin(weights))]
    rig.remove(nodes[f"expert_{least}"])
    rig.spin_until(lambda: rig.said("blender", f"no answer from expert_{least}: blended the others"))
    twists = rig.heard[TWIST_COMMAND.name]
    twists.clear()
    # a tick that is late is held: another one moves the arm
    rig.spin_until(lambda: any((m.twist.linear.x, m.twist.linear.y, m.twist.linear.z) != (0, 0, 0) for m in twists))
