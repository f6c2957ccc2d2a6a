"""What replacing a network costs a graph in motion: missed ticks, the step at the seam, and the time until it answers.

The lab runs in real time, all nodes in this process; one swap after the other, of the network that leads at the moment
and now and then of the gate. The networks that take turns are the bundle's own and copies with disturbed weights. Every
answer goes through the real topics; a swap takes from its request to the report of the first scene that the new network
answered, which /diagnostics brings.
"""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from roman_moe.control.bundle import Bundle, load_bundle
from roman_moe.control.manifest import MANIFEST_NAME, NetworkFile
from roman_moe.control.metadata import GATE
from roman_moe.core.errors import RomanError
from roman_moe.core.features import feature_vector
from roman_moe.nodes.bringup import Graph, running_graph
from roman_moe.nodes.graph import load_description, resolve
from roman_moe.nodes.model_slot import SHA256
from roman_moe.nodes.observation import observation
from roman_moe.nodes.operator import node_of
from roman_moe.nodes.topics import ACTION, GATE_WEIGHTS, SCENE, TWIST, TWIST_COMMAND, expert_action, weights_of
from roman_moe.nodes.wire import Numbers, NumbersReader

RAMP = 0.5  # [s] the nodes' default
RATE = 20.0  # [Hz]
GATE_SHARE = 5  # every so many swaps it is the gate's turn
DISTURBANCE = 0.02  # of the weights, relative
PATIENCE = 60.0  # [s]


def measure(bundle_path: str | Path, swaps: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Swap so often while the arm moves, and report.

    Returns:
        {"swaps", "missed_ticks", "seam_ratio", "p50_ms", "p99_ms", "largest_seam_step", "largest_seam_excess",
        "largest_expert_step", "mean_difference"}: the seam's ratio is that of the largest step of a swapped expert's
        answer within a ramp to the largest that the experts make by themselves over the same scenes. The excess is by
        how much such a step exceeds those of both its networks over the same two scenes, and the mean difference what
        lies between the answers of the networks taken turns with.

    Raises:
        RomanError: if the graph does not run, or a swap is refused.
    """
    with tempfile.TemporaryDirectory(prefix="roman_moe-") as folder:
        bundle = load_bundle(bundle_path)
        others = _disturbed(bundle, Path(folder), np.random.default_rng(seed))
        arguments = {"controller": str(bundle_path), "seed": seed, "episodes": 0}
        with running_graph(resolve(load_description(), arguments)) as graph:
            ticks = _Ticks(graph, bundle.skills)
            if not graph.spin_until(lambda: len(ticks.scenes) > 2 * RATE, PATIENCE):
                raise RomanError(f"bench swap: no scenes within {PATIENCE:.0f} s: {graph.monitor.troubles()}")
            before = graph.monitor.missed_ticks
            delays, seams = _swap(graph, ticks, bundle, others, swaps)
            graph.spin_until(lambda: False, 2.0)  # the last ramp, and the last reports
            missed = graph.monitor.missed_ticks - before
        answers = {file: load_bundle(path) for file, path in (("own", bundle_path), ("other", others))}
    seam_step, excess, own_step, difference = _steps(ticks, seams, bundle.skills, answers)
    return {
        "swaps": len(delays),
        "missed_ticks": missed,
        "seam_ratio": round(seam_step / own_step, 4),
        "p50_ms": round(float(np.percentile(delays, 50)) * 1000, 1),
        "p99_ms": round(float(np.percentile(delays, 99)) * 1000, 1),
        "largest_seam_step": round(seam_step, 4),
        "largest_seam_excess": round(excess, 4),
        "largest_expert_step": round(own_step, 4),
        "mean_difference": round(difference, 4),
    }


class _Ticks:
    """Everything that the graph says, by stamp and episode."""

    def __init__(self, graph: Graph, skills: tuple[str, ...]) -> None:
        self.episode = 0
        self.scenes: dict[tuple[int, int], NDArray[np.float64]] = {}
        self.answers: dict[str, dict[tuple[int, int], NDArray[np.float64]]] = {}
        self._last = -1
        graph.add(self._listener(skills))

    def _listener(self, skills: tuple[str, ...]) -> Any:
        def make(context: Context) -> Node:
            self.node = Node("bench", context=context)

            def on_scene(data: bytes) -> None:
                scene = observation(data).scene
                if scene.stamp_ns < self._last:
                    self.episode += 1
                self._last = scene.stamp_ns
                self.scenes[self.episode, scene.stamp_ns] = feature_vector(scene)

            self.node.create_subscription(SCENE.kind, SCENE.name, on_scene, SCENE.qos, raw=True)
            for name, topic, numbers in (
                (GATE, GATE_WEIGHTS, weights_of(skills)),
                ("command", TWIST_COMMAND, TWIST),
                *((skill, expert_action(skill), ACTION) for skill in skills),
            ):
                self._listen(name, topic, numbers)
            return self.node

        return make

    def _listen(self, name: str, topic: Any, numbers: Numbers) -> None:
        read, found = NumbersReader(topic.kind, numbers), self.answers.setdefault(name, {})

        def on_answer(data: bytes) -> None:
            stamp, values = read(data)
            found[self.episode, stamp] = values

        self.node.create_subscription(topic.kind, topic.name, on_answer, topic.qos, raw=True)


def _swap(
    graph: Graph, ticks: _Ticks, bundle: Bundle, others: Path, swaps: int
) -> tuple[list[float], dict[str, list[tuple[int, int]]]]:
    """Swap so often; how long each took [s], and the first tick after each request by network."""
    clients: dict[str, Any] = {
        name: ticks.node.create_client(SetParameters, f"{node_of(name)}/set_parameters")
        for name in (*bundle.skills, GATE)
    }
    files = {**{skill: entry.file for skill, entry in bundle.manifest.experts.items()}, GATE: bundle.manifest.gate.file}
    shas = {
        (folder, name): (load.manifest.gate if name == GATE else load.manifest.experts[name]).sha256
        for folder, load in ((bundle.path, bundle), (others, load_bundle(others)))
        for name in files
    }
    where = dict.fromkeys(files, bundle.path)
    delays: list[float] = []
    seams: dict[str, list[tuple[int, int]]] = {name: [] for name in files}
    for number in range(swaps):
        tick = graph.monitor.tick
        name = GATE if number % GATE_SHARE == 0 or tick is None else tick.leading
        where[name] = others if where[name] == bundle.path else bundle.path
        file = str(Path(where[name]).resolve() / files[name])
        request = SetParameters.Request(parameters=[Parameter("model", value=file).to_parameter_msg()])
        seams[name].append(max(ticks.scenes))
        began = time.monotonic()
        future: Any = clients[name].call_async(request)
        if not graph.spin_until(future.done, PATIENCE) or not future.result().results[0].successful:
            raise RomanError(f"bench swap: {name}: {future.result() if future.done() else 'no answer'}")
        wanted = shas[where[name], name]
        if not graph.spin_until(lambda name=name, wanted=wanted: _runs(graph, name) == wanted, PATIENCE):  # type: ignore[misc]
            raise RomanError(f"bench swap: {name} does not run {file}: {graph.monitor.troubles()}")
        delays.append(time.monotonic() - began)
    return delays, seams


def _runs(graph: Graph, name: str) -> str:
    status = graph.monitor.statuses.get(node_of(name))
    return next((v.value for v in status.values if v.key == SHA256), "") if status else ""


def _steps(
    ticks: _Ticks, seams: dict[str, list[tuple[int, int]]], skills: tuple[str, ...], bundles: Mapping[str, Bundle]
) -> tuple[float, float, float, float]:
    """Largest step of a swapped expert within its ramps, by how much such a step exceeds those of both its networks
    over the same two scenes, the experts' own largest, and the networks' mean difference.
    """
    ramp_ns, period_ns = round(RAMP * 1e9), round(1e9 / RATE)
    stamps = sorted(ticks.scenes)
    seam_step = own_step = excess = 0.0
    differences = []
    for i, skill in enumerate(skills):
        given = ticks.answers[skill]
        own = [np.array([bundle.experts[i].action(ticks.scenes[s]) for s in stamps]) for bundle in bundles.values()]
        differences.append(float(np.abs(own[0] - own[1]).mean()))
        follows = np.array([a[0] == b[0] and b[1] - a[1] == period_ns for a, b in itertools.pairwise(stamps)])
        own_steps = np.max([np.abs(np.diff(answers, axis=0)).max(axis=1) for answers in own], axis=0)
        own_step = max(own_step, float(own_steps[follows].max()))
        pairs = zip(stamps, stamps[1:], follows, own_steps, strict=False)
        for before, now, consecutive, usual in pairs:
            if consecutive and before in given and now in given and _within(now, seams[skill], ramp_ns, period_ns):
                step = float(np.abs(given[now] - given[before]).max())
                seam_step, excess = max(seam_step, step), max(excess, step - float(usual))
    return seam_step, excess, own_step, float(np.mean(differences))


def _within(tick: tuple[int, int], seams: list[tuple[int, int]], ramp_ns: int, period_ns: int) -> bool:
    """Whether a tick lies between a request and the end of its ramp, with some ticks for the loading."""
    return any(e == tick[0] and 0 <= tick[1] - stamp <= ramp_ns + 10 * period_ns for e, stamp in seams)


def _disturbed(bundle: Bundle, folder: Path, rng: np.random.Generator) -> Path:
    """The bundle again, every weight times 1 plus some noise."""
    import onnx
    from onnx import numpy_helper

    experts = {}
    for name, entry in (("", bundle.manifest.gate), *bundle.manifest.experts.items()):
        model = onnx.load(bundle.path / entry.file)
        for tensor in model.graph.initializer:
            weights = numpy_helper.to_array(tensor)
            if weights.ndim == 2 and min(weights.shape) > 1:
                noisy = weights * (1.0 + DISTURBANCE * rng.standard_normal(weights.shape))
                tensor.CopyFrom(numpy_helper.from_array(noisy.astype(weights.dtype), tensor.name))
        data = model.SerializeToString()
        (folder / entry.file).write_bytes(data)
        experts[name] = NetworkFile.of(entry.file, data)
    gate = experts.pop("")
    manifest = dataclasses.replace(bundle.manifest, gate=gate, experts=experts)
    (folder / MANIFEST_NAME).write_text(manifest.to_yaml())
    return folder
