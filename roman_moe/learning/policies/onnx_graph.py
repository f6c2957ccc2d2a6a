"""The ONNX graph of a policy, written operator by operator. numpy and onnx only; no torch.

Written rather than traced, so that the file holds the same few default-domain operators and the same bytes whatever
version of torch trained it. `export` compares it with the torch module that it is meant to equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from roman_moe.control.metadata import NetworkMetadata
from roman_moe.core.spec import GATE
from roman_moe.learning.policies.geometry import Turn, relative_matrix, relative_turns

OPSET = 17
IR_VERSION = 8  # what onnxruntime reads since 1.10
PRODUCER = "roman_moe"
CODE = "code"
"""Name of the input for the skill's one-hot code, where several experts share a network."""


@dataclass(frozen=True, slots=True, eq=False)
class PolicyParameters:
    """Numbers of an `MLPPolicy`.

    Attributes:
        mean: of features, relative positions and relative turns, (n + m,).
        std: likewise.
        clip: limit of the normalised values.
        near_scales: of the squashed relative positions [m] and turns.
        layers: weight (inputs, outputs) and bias of the hidden layers, then of the head.
        gain: of the gate's softmax; not read for an expert.
        k: experts that the gate gives a weight, those of its largest outputs; 0 for all.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    clip: float
    near_scales: tuple[float, ...]
    layers: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]
    gain: float
    k: int = 0


class Graph:
    """Collects nodes and constants under readable names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[np.floating[Any]] | float) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=np.float32), name))
        return name

    def integers(self, name: str, values: Sequence[int]) -> str:
        self.constants.append(numpy_helper.from_array(np.array(values, dtype=np.int64), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output


def policy_model(parameters: PolicyParameters, metadata: NetworkMetadata) -> bytes:
    """Content of the .onnx file of a policy: `observation` [batch, n] to `action` or `weights` [batch, k]."""
    graph = Graph()
    x = observation_layer(graph, parameters, metadata)
    *hidden, head = parameters.layers
    for i, (weight, bias) in enumerate(hidden):
        x = graph.add(
            "Gemm", [x, graph.constant(f"weight_{i}", weight), graph.constant(f"bias_{i}", bias)], f"linear_{i}"
        )
        x = graph.add("Mul", [x, graph.add("Sigmoid", [x], f"sigmoid_{i}")], f"silu_{i}")
    raw = graph.add("Gemm", [x, graph.constant("weight_head", head[0]), graph.constant("bias_head", head[1])], "raw")
    if metadata.name == GATE:
        output = "weights"
        highest = _highest(graph, raw, parameters.k) if parameters.k else raw
        clipped = graph.add("Clip", [highest, graph.constant("zero", 0.0), graph.constant("one", 1.0)], "clipped")
        amplified = graph.add("Mul", [clipped, graph.constant("gain", parameters.gain)], "amplified")
        weights = graph.add("Softmax", [amplified], "kept" if parameters.k else output, axis=1)
        if parameters.k:
            nothing = graph.add("Sub", [raw, raw], "nothing")
            graph.add("ScatterElements", [nothing, "chosen", weights], output, axis=1)
    else:
        output = graph.add("Clip", [raw, graph.constant("least", -1.0), graph.constant("most", 1.0)], "action")

    return finished_model(graph, metadata, output)


def _highest(graph: Graph, raw: str, k: int) -> str:
    """The k largest of each row; `chosen` says which."""
    graph.constants.append(numpy_helper.from_array(np.array([k], dtype=np.int64), "k"))
    graph.nodes.append(helper.make_node("TopK", [raw, "k"], ["highest", "chosen"], name="highest", axis=1))
    return "highest"


def finished_model(graph: Graph, metadata: NetworkMetadata, output: str) -> bytes:
    """Content of the .onnx file of a graph from `observation` [batch, n] to `output` [batch, k], with its metadata.

    If several experts share it, it has the input CODE [batch, skills], too.
    """
    sizes = {"observation": len(metadata.features), **({CODE: len(metadata.skills)} if metadata.skills else {})}
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            metadata.name,
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size]) for name, size in sizes.items()],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", len(metadata.outputs)])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name=PRODUCER,
    )
    helper.set_model_props(model, metadata.to_properties())
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def observation_layer(
    graph: Graph, parameters: PolicyParameters, metadata: NetworkMetadata, observation: str = "observation"
) -> str:
    """The same as `mlp.ObservationLayer`, in few operators: at this size each one costs as much as its arithmetic.

    One projection gives features, relative positions and turns, and these once more for each near scale. Its entries
    are -1, 0 and 1, so each relative position is one exact subtraction.
    """
    features, turns = metadata.features, relative_turns(metadata.features, metadata.units)
    positions, scales = relative_matrix(features), parameters.near_scales
    count, turning = len(features), 2 * len(turns)
    matrix = np.zeros((count + turning, positions.shape[1] + turning))
    matrix[:count, : positions.shape[1]] = positions
    matrix[count:, positions.shape[1] :] = np.eye(turning)
    near = matrix.shape[1] * len(scales)
    projection = np.hstack([np.eye(count + turning, count), matrix, *[matrix] * len(scales)])
    observed = _with_turns(graph, turns, count, observation) if turns else observation
    centre = np.concatenate([parameters.mean, np.zeros(near)])
    scale = np.concatenate([parameters.std, np.repeat(scales, matrix.shape[1])])
    x = graph.add("MatMul", [observed, graph.constant("projection", projection)], "projected")
    x = graph.add("Sub", [x, graph.constant("centre", centre)], "centred")
    x = graph.add("Div", [x, graph.constant("scale", scale)], "scaled")
    limits = [graph.constant("lower", -parameters.clip), graph.constant("upper", parameters.clip)]
    if not near:
        return graph.add("Clip", [x, *limits], "inputs")
    sizes = graph.integers("sizes", [len(parameters.mean), near])
    graph.nodes.append(helper.make_node("Split", [x, sizes], ["far", "near"], name="split", axis=1))
    parts = [graph.add("Clip", ["far", *limits], "far_limited"), graph.add("Tanh", ["near"], "near_squashed")]
    return graph.add("Concat", parts, "inputs", axis=1)


def _with_turns(graph: Graph, turns: Sequence[Turn], count: int, observation: str) -> str:
    """The observation, and behind it sine and cosine of each turn."""
    chosen = np.zeros((count, 4 * len(turns)))
    for k, turn in enumerate(turns):
        for part, column in enumerate((turn.end, turn.end + 1, turn.origin, turn.origin + 1)):
            chosen[column, part * len(turns) + k] = 1.0
    picked = graph.add("MatMul", [observation, graph.constant("turning", chosen)], "picked")
    sizes = graph.integers("turn_sizes", [len(turns)] * 4)
    names = ["end_sine", "end_cosine", "sine", "cosine"]
    graph.nodes.append(helper.make_node("Split", [picked, sizes], names, name="turn_split", axis=1))
    sine, cosine = "sine", "cosine"
    for step in range(max(turn.doublings for turn in turns)):
        sine, cosine = _doubled(graph, sine, cosine, [float(turn.doublings > step) for turn in turns], step)
    parts = [
        (graph.add("Mul", ["end_sine", cosine], "across_0"), graph.add("Mul", ["end_cosine", sine], "across_1")),
        (graph.add("Mul", ["end_cosine", cosine], "along_0"), graph.add("Mul", ["end_sine", sine], "along_1")),
    ]
    across, along = graph.add("Sub", [*parts[0]], "across"), graph.add("Add", [*parts[1]], "along")
    order = np.zeros((2 * len(turns), 2 * len(turns)))  # sine and cosine of a turn side by side
    for k in range(len(turns)):
        order[k, 2 * k] = order[len(turns) + k, 2 * k + 1] = 1.0
    apart = graph.add("Concat", [across, along], "turns_apart", axis=1)
    turned = graph.add("MatMul", [apart, graph.constant("turn_order", order)], "turns")
    return graph.add("Concat", [observation, turned], "observed", axis=1)


def _doubled(graph: Graph, sine: str, cosine: str, which: Sequence[float], step: int) -> tuple[str, str]:
    """Sine and cosine of twice the angle, where `which` is 1."""
    mask = graph.constant(f"doubled_{step}", np.array(which))
    rest = graph.constant(f"kept_{step}", 1.0 - np.array(which))
    product = graph.add("Mul", [sine, cosine], f"product_{step}")
    twice = graph.add("Add", [product, product], f"twice_{step}")
    squares = [graph.add("Mul", [x, x], f"square_{step}_{i}") for i, x in enumerate((cosine, sine))]
    difference = graph.add("Sub", squares, f"difference_{step}")
    results = []
    for new, old, name in ((twice, sine, "sine"), (difference, cosine, "cosine")):
        taken = graph.add("Mul", [new, mask], f"taken_{name}_{step}")
        kept = graph.add("Mul", [old, rest], f"kept_{name}_{step}")
        results.append(graph.add("Add", [taken, kept], f"{name}_{step}"))
    return results[0], results[1]
