"""Networks that are replaced while they run: through the real parameter services, and never in the way of a tick."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import tiny_network, write_tiny_bundle
from mixtures import RAMP_TICKS, TICK_NS, Mixture, action_of, state_at, weights_of
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter
from ros_rig import Rig
from specs import ACTION_LAYOUT, LAYOUT, OBSERVATIONS, SKILLS

from roman_moe.control.bundle import load_model
from roman_moe.core.paths import share_folder
from roman_moe.core.spec import GATE
from roman_moe.nodes.base.managed_node import CALLBACK_FAULTS
from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.base.topics import CODEC, GATE_WEIGHTS, OPERATOR_WEIGHTS, SCENE, Topic, expert_action
from roman_moe.nodes.control import network_node
from roman_moe.nodes.control.blender import CONFLICTS, MISSED_TICKS
from roman_moe.nodes.control.expert import IDLE, ExpertNode
from roman_moe.nodes.control.gate import GateNode
from roman_moe.nodes.control.network_node import MODEL, REFUSED, SHA256, SWAPS
from roman_moe.wire.codec import decode_action, decode_weights, message_stamp


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another controller for the same graph."""
    return write_tiny_bundle(tmp_path_factory.mktemp("other") / "other", seed=2)


@pytest.fixture(scope="session")
def third(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """And one more."""
    return write_tiny_bundle(tmp_path_factory.mktemp("third") / "third", seed=3)


class Stream:
    """Scenes, one after the other, to one node, and its answers."""

    def __init__(self, rig: Rig, node: RomanNode, topic: Any, decode: Any) -> None:
        self.rig, self.node, self.topic, self.decode = rig, node, topic, decode
        self.tick, self.step = -1, 1
        rig.listen(topic)
        rig.serve(node)

    @classmethod
    def of_expert(cls, rig: Rig, bundle: Path, skill: str = "push", **parameters: Any) -> Stream:
        node = rig.add(ExpertNode, f"expert_{skill}", bundle=str(bundle), skill=skill, **parameters)
        return cls(rig, node, expert_action(skill), partial(decode_action, layout=ACTION_LAYOUT))

    @classmethod
    def of_gate(cls, rig: Rig, bundle: Path) -> Stream:
        stream = cls(
            rig,
            rig.add(GateNode, bundle=str(bundle)),
            GATE_WEIGHTS,
            lambda message: decode_weights(message, SKILLS),
        )
        stream.tick, stream.step = -2, 2  # at its own rate
        return stream

    @property
    def name(self) -> str:
        return self.node.get_name()

    def next(self) -> np.ndarray:
        self.tick += self.step
        return self.again()

    def again(self) -> np.ndarray:
        before = len(self.rig.heard[self.topic.name])
        self.rig.send(SCENE, CODEC.scene(state_at(self.tick)))
        return self.decode(self.rig.last(self.topic, before + 1))

    def run(self, ticks: int) -> np.ndarray:
        return np.array([self.next() for _ in range(ticks)])

    def set(self, model: Path | str) -> SetParametersResult:
        return self.rig.set(self.name, MODEL, str(model))

    def runs(self, model: Path, swaps: int) -> None:
        """Parameter, diagnostics and node agree on what runs."""
        assert self.rig.get(self.name, MODEL) == str(model)
        self.rig.spin_until(lambda: self.rig.fact(self.name, MODEL) == str(model))
        self.rig.spin_until(lambda: self.rig.fact(self.name, SWAPS) == str(swaps))
        assert len(self.rig.fact(self.name, SHA256)) == 64


def test_a_swap_takes_over_at_the_next_scene_without_a_jump(rig: Rig, bundle: Path, other: Path) -> None:
    stream = Stream.of_expert(rig, bundle)
    old, new = action_of(bundle, "push"), action_of(other, "push")
    np.testing.assert_array_equal(stream.next(), old)
    assert stream.set(other / "push.onnx").successful
    answers = stream.run(RAMP_TICKS + 2)
    np.testing.assert_allclose(answers[0], old, atol=1e-12)
    steps = np.abs(np.diff(answers, axis=0))
    assert (steps <= 1.001 * np.abs(new - old) / RAMP_TICKS + 1e-12).all()
    np.testing.assert_array_equal(answers[RAMP_TICKS], new)
    np.testing.assert_array_equal(answers[-1], new)
    stream.runs(other / "push.onnx", swaps=1)
    assert rig.reported("expert_push", REFUSED) == 0


@pytest.mark.parametrize("topic", [GATE_WEIGHTS, OPERATOR_WEIGHTS])
def test_an_idle_expert_swaps_and_its_new_network_answers_the_scene_it_is_asked_for(
    rig: Rig, bundle: Path, other: Path, topic: Topic
) -> None:
    stream, place = Stream.of_expert(rig, bundle), SKILLS.index("push")
    others, alone = np.eye(7)[place - 1], np.eye(7)[place]
    stream.next()
    rig.send(GATE_WEIGHTS, CODEC.weights(0, SKILLS, others))
    rig.spin_until(lambda: stream.node._weights[GATE_WEIGHTS.name] == 0.0)
    for tick in (1, 2):
        rig.send(SCENE, CODEC.scene(state_at(tick)))
        rig.spin_until(lambda tick=tick: stream.node._kept and stream.node._kept.scene.stamp_ns == tick * TICK_NS)
        if tick == 1:
            assert stream.set(other / "push.onnx").successful
    stream.runs(other / "push.onnx", swaps=1)
    rig.spin_until(lambda: rig.said("expert_push", IDLE))
    rig.send(topic, CODEC.weights(0, SKILLS, alone))  # of an earlier scene
    rig.send(topic, CODEC.weights(2 * TICK_NS, SKILLS, alone))
    message = rig.last(stream.topic, 2)
    assert message_stamp(message) == 2 * TICK_NS
    np.testing.assert_array_equal(stream.decode(message), action_of(other, "push"))
    stream.tick = 2
    np.testing.assert_array_equal(stream.next(), action_of(other, "push"))  # the next scene it answers at once
    assert len(rig.heard[stream.topic.name]) == 3


def test_a_policy_of_stable_baselines3_takes_over_as_well(rig: Rig, bundle: Path, tmp_path: Path) -> None:
    """From its zip through `export --from` into a node that runs."""
    sb3 = pytest.importorskip("stable_baselines3")
    from roman_moe.cli.main import main
    from roman_moe.sim.env import SkillEnv

    policy = sb3.PPO("MlpPolicy", SkillEnv("roman", "push"), seed=0, device="cpu")
    policy.save(tmp_path / "policy.zip")
    file = tmp_path / "push.onnx"
    assert main(["export", "--from", str(tmp_path / "policy.zip"), "--skill", "push", "--to", str(file)]) == 0
    stream = Stream.of_expert(rig, bundle)
    stream.next()
    assert stream.set(file).successful
    answer = stream.run(RAMP_TICKS + 2)[-1]
    observed = LAYOUT.vector(state_at(0))[LAYOUT.indices(OBSERVATIONS["push"])].astype(np.float32)
    np.testing.assert_allclose(answer, policy.predict(observed, deterministic=True)[0], atol=1e-5)
    stream.runs(file, swaps=1)


def damaged(folder: Path, kind: str) -> tuple[Path, str]:
    """A file that must be refused as push's expert, and a word of the reason."""
    file = folder / "model.onnx"
    good = tiny_network("push", seed=9)
    if kind == "missing":
        return folder / "none.onnx", "no such file"
    if kind == "no network":
        file.write_bytes(b"x" * 100)
        return file, "not an ONNX file"
    if kind == "cut off":
        file.write_bytes(good[: len(good) // 2])
        return file, "not an ONNX file"
    if kind == "another skill's":
        file.write_bytes(tiny_network("pull", seed=9))
        return file, "skill pull"
    if kind == "the gate":
        file.write_bytes(tiny_network(GATE, seed=9))
        return file, "skill gate"
    other = file.with_suffix(".txt")
    other.write_bytes(good)
    return other, "ending in .onnx"


@pytest.mark.parametrize("kind", ["missing", "no network", "cut off", "another skill's", "the gate", "another suffix"])
def test_a_refused_model_leaves_the_old_one_running(rig: Rig, bundle: Path, tmp_path: Path, kind: str) -> None:
    stream = Stream.of_expert(rig, bundle)
    before = stream.next()
    file, reason = damaged(tmp_path, kind)
    result = stream.set(file)
    assert not result.successful
    assert reason in result.reason
    assert str(file) in result.reason
    rig.spin_until(lambda: rig.reported("expert_push", REFUSED) == 1)
    assert reason in rig.fact("expert_push", "last_fault")
    assert rig.get("expert_push", MODEL) == ""
    for answer in stream.run(3):
        np.testing.assert_array_equal(answer, before)
    assert rig.fact("expert_push", SWAPS) == "0"


def test_the_same_network_again_changes_nothing_at_all(rig: Rig, bundle: Path) -> None:
    stream = Stream.of_expert(rig, bundle)
    before = stream.next()
    assert stream.set(bundle / "push.onnx").successful
    for answer in stream.run(RAMP_TICKS + 2):
        np.testing.assert_array_equal(answer, before)
    stream.runs(bundle / "push.onnx", swaps=1)
    assert stream.set("").successful  # the bundle's own
    np.testing.assert_array_equal(stream.next(), before)


def test_a_swap_in_the_middle_of_another_does_not_jump_either(rig: Rig, bundle: Path, other: Path, third: Path) -> None:
    stream = Stream.of_expert(rig, bundle)
    answers = [stream.next()]
    assert stream.set(other / "push.onnx").successful
    answers += list(stream.run(RAMP_TICKS // 2))
    assert stream.set(third / "push.onnx").successful
    answers += list(stream.run(RAMP_TICKS + 1))
    actions = [action_of(path, "push") for path in (bundle, other, third)]
    widest = max(np.abs(a - b).max() for a in actions for b in actions)
    assert np.abs(np.diff(answers, axis=0)).max() <= 1.001 * widest / RAMP_TICKS
    np.testing.assert_array_equal(answers[-1], actions[2])
    stream.runs(third / "push.onnx", swaps=2)


def test_of_two_that_come_before_a_scene_the_later_one_runs(rig: Rig, bundle: Path, other: Path, third: Path) -> None:
    stream = Stream.of_expert(rig, bundle, ramp=0.0)
    stream.next()
    for folder in (other, third):
        assert stream.set(folder / "push.onnx").successful
    np.testing.assert_array_equal(stream.run(2)[-1], action_of(third, "push"))
    stream.runs(third / "push.onnx", swaps=1)


def test_a_scene_that_comes_again_is_answered_by_the_same_network(rig: Rig, bundle: Path, other: Path) -> None:
    stream = Stream.of_expert(rig, bundle)
    before = stream.next()
    assert stream.set(other / "push.onnx").successful
    np.testing.assert_array_equal(stream.again(), before)
    first = stream.next()
    np.testing.assert_array_equal(stream.again(), first)


def test_requests_at_the_same_time_are_all_answered_and_the_truth_is_told(
    rig: Rig, bundle: Path, other: Path, third: Path
) -> None:
    streams = [Stream.of_expert(rig, bundle, skill, ramp=0.0) for skill in SKILLS[:3]]
    for stream in streams:
        stream.next()
    futures = [
        [rig.begin_to_set(stream.name, MODEL, str(file)) for stream in streams]
        for file in (other / "none.onnx", other / "push.onnx", third / "push.onnx", "")
    ]
    verdicts = [[rig.answer(future).results[0].successful for future in row] for row in futures]
    mine = [stream.name == "expert_push" for stream in streams]
    assert verdicts == [[False] * 3, mine, mine, [True] * 3]
    for stream in streams:
        skill = stream.name.removeprefix("expert_")
        np.testing.assert_array_equal(stream.run(2)[-1], action_of(bundle, skill))
        assert rig.get(stream.name, MODEL) == ""


def test_what_is_refused_with_something_else_does_not_take_over_later(rig: Rig, bundle: Path, other: Path) -> None:
    stream = Stream.of_expert(rig, bundle)
    before = stream.next()
    requests = [Parameter(MODEL, value=str(other / "push.onnx")), Parameter("use_sim_time", value="yes")]
    request = SetParametersAtomically.Request(parameters=[requested.to_parameter_msg() for requested in requests])
    name = "expert_push/set_parameters_atomically"
    assert not rig.answer(rig.call(SetParametersAtomically, name, request)).result.successful
    assert rig.set("expert_push", "use_sim_time", False).successful
    for answer in stream.run(3):
        np.testing.assert_array_equal(answer, before)
    assert rig.get("expert_push", MODEL) == ""


def test_a_fixed_parameter_is_not_set(rig: Rig, bundle: Path) -> None:
    stream = Stream.of_expert(rig, bundle)
    assert not rig.set(stream.name, "skill", "pull").successful
    assert rig.get(stream.name, "skill") == "push"


class SlowLoader:
    """Loads as ever, but no sooner than it is told to."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, *arguments: Any) -> Any:
        self.begun.set()
        assert self.go_on.wait(600.0)
        return load_model(*arguments)


@pytest.fixture
def slow_loader(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowLoader]:
    loader = SlowLoader()
    yield loader
    loader.go_on.set()


def test_no_tick_waits_for_a_slow_load(
    rig: Rig, bundle: Path, other: Path, slow_loader: SlowLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream.of_expert(rig, bundle, ramp=0.0)
    before = stream.next()
    monkeypatch.setattr(network_node, "load_model", slow_loader)
    future = rig.begin_to_set("expert_push", MODEL, str(other / "push.onnx"))
    rig.spin_until(slow_loader.begun.is_set)
    for answer in stream.run(20):
        np.testing.assert_array_equal(answer, before)
    assert not future.done()
    slow_loader.go_on.set()
    assert rig.answer(future).results[0].successful
    np.testing.assert_array_equal(stream.run(2)[-1], action_of(other, "push"))


def test_a_node_that_goes_through_its_states_while_a_network_loads_runs_what_its_parameter_says(
    rig: Rig, bundle: Path, other: Path, slow_loader: SlowLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream.of_expert(rig, bundle, ramp=0.0)
    stream.next()
    with monkeypatch.context() as patch:
        patch.setattr(network_node, "load_model", slow_loader)
        future = rig.begin_to_set("expert_push", MODEL, str(other / "push.onnx"))
        rig.spin_until(slow_loader.begun.is_set)
    for transition in ("deactivate", "cleanup"):
        assert rig.change_state("expert_push", transition)
    slow_loader.go_on.set()
    assert rig.answer(future).results[0].successful
    for transition in ("configure", "activate"):
        assert rig.change_state("expert_push", transition)
    np.testing.assert_array_equal(stream.next(), action_of(other, "push"))
    stream.runs(other / "push.onnx", swaps=0)


def test_a_loader_that_fails_in_an_unknown_way_is_a_refusal(
    rig: Rig, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("too large")

    stream = Stream.of_expert(rig, bundle)
    monkeypatch.setattr(network_node, "load_model", fail)
    result = stream.set("any.onnx")
    assert not result.successful
    assert result.reason == "any.onnx: MemoryError: too large"


def test_a_model_set_while_inactive_answers_the_first_scene(rig: Rig, bundle: Path, other: Path) -> None:
    stream = Stream.of_expert(rig, bundle, ramp=0.0)
    assert rig.change_state("expert_push", "deactivate")
    assert not stream.set(other / "pull.onnx").successful
    assert stream.set(other / "push.onnx").successful
    assert rig.change_state("expert_push", "activate")
    np.testing.assert_array_equal(stream.run(2)[-1], action_of(other, "push"))


def test_a_model_set_before_the_configuration_is_checked_by_it(rig: Rig, bundle: Path, other: Path) -> None:
    stream = Stream.of_expert(rig, bundle, autostart=False)
    assert stream.set(other / "pull.onnx").successful
    assert not rig.change_state("expert_push", "configure")
    rig.spin_until(lambda: rig.said("expert_push", "skill pull"))
    assert stream.set(other / "push.onnx").successful
    for transition in ("configure", "activate"):
        assert rig.change_state("expert_push", transition)
    np.testing.assert_array_equal(stream.next(), action_of(other, "push"))


def test_the_gates_weights_stay_weights_throughout_a_swap(rig: Rig, bundle: Path, other: Path, third: Path) -> None:
    stream = Stream.of_gate(rig, bundle)
    all_weights = [stream.next()]
    for folder in (other, third):
        assert stream.set(folder / "gate.onnx").successful
        all_weights += list(stream.run(3))
    all_weights += list(stream.run(RAMP_TICKS))
    assert np.min(all_weights) >= 0.0
    np.testing.assert_allclose(np.sum(all_weights, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(all_weights[-1], weights_of(third))
    stream.runs(third / "gate.onnx", swaps=2)
    assert not stream.set(other / "push.onnx").successful


def test_a_whole_graph_swaps_without_a_missed_tick_or_a_jump(rig: Rig, bundle: Path, other: Path) -> None:
    mixture = Mixture(rig, bundle)
    velocities = [mixture.next() for _ in range(3)]
    files = {f"expert_{skill}": other / f"{skill}.onnx" for skill in SKILLS}
    files["gate"] = other / "gate.onnx"
    for node, file in files.items():
        future = rig.begin_to_set(node, MODEL, str(file))
        velocities += [mixture.next() for _ in range(2)]
        assert rig.answer(future).results[0].successful
    velocities += [mixture.next() for _ in range(2 * RAMP_TICKS)]
    reach = 2.0 * 0.2  # [m/s] from one extreme of an action to the other
    assert np.abs(np.diff(velocities, axis=0)).max() <= 2.0 * reach / RAMP_TICKS  # experts and gate at once
    expected = Mixture.without(_of(mixture, other))
    np.testing.assert_allclose(velocities[-1], expected, atol=1e-9)
    for kind in (MISSED_TICKS, CONFLICTS, CALLBACK_FAULTS):
        assert not any(node.diagnostics.counts[kind] for node in mixture.nodes)


def _of(mixture: Mixture, bundle: Path) -> Mixture:
    mixture.weights = weights_of(bundle)
    mixture.actions = np.array([action_of(bundle, skill) for skill in SKILLS])
    return mixture


def test_paths_count_from_the_working_folder_what_is_shipped_or_the_bundle(
    rig: Rig, bundle: Path, other: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # outside of any checkout
    rig.serve(rig.add(ExpertNode, "shipped", bundle="models/roman", skill="push", model="pull.onnx", autostart=False))
    assert not rig.change_state("shipped", "configure")
    rig.spin_until(lambda: rig.said("shipped", str(share_folder() / "models/roman/pull.onnx")))
    monkeypatch.chdir(bundle.parent)
    rig.serve(rig.add(ExpertNode, "near", bundle=bundle.name, skill="push", model="push.onnx"))
    assert rig.set("near", "model", str(other / "push.onnx")).successful
    assert rig.set("near", "model", "push.onnx").successful
    assert not rig.set("near", "model", "nothing.onnx").successful
