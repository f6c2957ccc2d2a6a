"""The ONNX graph of a policy of all skills of a task, which takes the code of the skill as a second input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor, nn

from roman_moe.control.metadata import NetworkMetadata
from roman_moe.learning.policies.mlp import NORMALISED_LIMIT
from roman_moe.learning.policies.multitask import Modular, Shared, SkillObservation
from roman_moe.learning.policies.onnx_graph import CODE, Graph, PolicyParameters, finished_model, observation_layer
from roman_moe.learning.policies.soft_modular import ModuleLayer, SoftModular

Numbers = NDArray[np.float32]


def multitask_model(layer: SkillObservation, actor: Modular | Shared, metadata: NetworkMetadata) -> bytes:
    """Content of the .onnx file: `observation` [batch, n] and `code` [batch, skills] to `action` [batch, a].

    Args:
        layer: before the network.
        actor: its first outputs are the actions before tanh; Soft Modularization in mode `official`.
        metadata: of the expert, with all skills.
    """
    graph, inner = Graph(), layer.layer
    parameters = PolicyParameters(_numbers(inner.mean), _numbers(inner.std), NORMALISED_LIMIT, inner.near_scales, [], 0)
    seen = observation_layer(graph, parameters, metadata, _own_features(graph, layer.hidden))
    shown = graph.add("MatMul", [CODE, graph.constant("shown_inputs", _numbers(layer.shown[:, 0]))], "shown")
    seen = graph.add("Mul", [seen, shown], "own_inputs")
    x, head = _before_head(graph, seen, actor)
    actions = len(metadata.outputs)
    mean = _gemm(graph, x, _numbers(head.weight)[:actions].T, _numbers(head.bias)[:actions], "head")
    return finished_model(graph, metadata, graph.add("Tanh", [mean], "action"))


def _own_features(graph: Graph, hidden: Tensor) -> str:
    """All features, with 0 for those that are hidden from the skill, even where they are NaN."""
    rows = graph.constant("hidden_features", _numbers(hidden[:, 0].float()))
    chosen = graph.add("Cast", [graph.add("MatMul", [CODE, rows], "chosen")], "is_hidden", to=TensorProto.BOOL)
    return graph.add("Where", [chosen, graph.constant("nothing", 0.0), "observation"], "own_features")


def _before_head(graph: Graph, seen: str, actor: Modular | Shared) -> tuple[str, nn.Linear]:
    """What the last layer is fed, and this layer."""
    if isinstance(actor, Modular):
        return _modular(graph, seen, actor.body), actor.body.head
    *hidden, head = [layer for layer in actor.body if isinstance(layer, nn.Linear)]
    x = graph.add("Concat", [seen, CODE], "with_code", axis=1)
    for number, layer in enumerate(hidden):
        x = _relu(graph, _linear(graph, x, layer, f"hidden_{number}"))
    return x, head


def _modular(graph: Graph, seen: str, body: SoftModular) -> str:
    seen = _linear(graph, _relu(graph, _linear(graph, seen, body.base[0], "base_0")), body.base[2], "base_1")
    weights, last = _routing(graph, seen, body)
    x = _unsqueezed(graph, _relu(graph, seen), [1, 2], "first")  # [batch, 1, 1, d], the same for all modules
    for number, (modules, weight) in enumerate(zip(body.layers, weights, strict=False)):
        y = graph.add("MatMul", [weight, _modules(graph, x, modules, number)], f"mixed_{number}")
        x = _unsqueezed(graph, _relu(graph, y), [2], f"next_{number}")
    y = _modules(graph, x, body.layers[-1], len(weights))
    chosen = _unsqueezed(graph, last, [1], "last_row")
    axes = graph.integers("last_axes", [1])
    y = graph.add("Squeeze", [graph.add("MatMul", [chosen, y], "mixed_last"), axes], "flat_last")
    return _relu(graph, y)


def _routing(graph: Graph, seen: str, body: SoftModular) -> tuple[list[str], str]:
    """Names of the weights between layers, each [batch, n, n], and of the last layer's, [batch, n]."""
    n, narrow = body.shape.modules, body.narrow
    assert isinstance(narrow, nn.Sequential)
    both = graph.add("Mul", [seen, _linear(graph, CODE, body.task, "task")], "seen_for_task")
    both = _linear(graph, _relu(graph, both), narrow[1], "narrow_0")
    both = _linear(graph, _relu(graph, both), narrow[3], "narrow_1")
    square, flat = graph.integers("square", [0, n, n]), graph.integers("flat", [0, n * n])
    weights, rows, x = list[str](), list[str](), both
    for number, route in enumerate(body.routes):
        if number:
            earlier = _joined(graph, rows, number)
            condition = _linear(graph, earlier, body.conditions[number - 1], f"condition_{number}")
            x = graph.add("Mul", [condition, both], f"conditioned_{number}")
        logits = _linear(graph, _relu(graph, x), route, f"route_{number}")
        squared = graph.add("Reshape", [logits, square], f"logits_{number}")
        weights.append(graph.add("Softmax", [squared], f"weights_{number}", axis=2))
        rows.append(graph.add("Reshape", [weights[-1], flat], f"weight_row_{number}"))
    condition = _linear(graph, _joined(graph, rows, len(rows)), body.last_condition, "condition_last")
    x = _relu(graph, graph.add("Mul", [condition, both], "conditioned_last"))
    return weights, graph.add("Softmax", [_linear(graph, x, body.last_route, "route_last")], "weights_last", axis=1)


def _modules(graph: Graph, x: str, layer: nn.Module, number: int) -> str:
    """What n modules answer, [batch, n, d], to an input for each, [batch, n, 1, d], or one for all."""
    assert isinstance(layer, ModuleLayer)
    weight = graph.constant(f"modules_{number}", _numbers(layer.weight))
    bias = graph.constant(f"modules_bias_{number}", _numbers(layer.bias))
    y = graph.add("Add", [graph.add("MatMul", [x, weight], f"module_{number}"), bias], f"module_sum_{number}")
    return graph.add("Squeeze", [y, graph.integers(f"module_axes_{number}", [2])], f"modules_out_{number}")


def _joined(graph: Graph, rows: list[str], number: int) -> str:
    return graph.add("Concat", rows, f"earlier_{number}", axis=1)


def _unsqueezed(graph: Graph, x: str, axes: list[int], name: str) -> str:
    return graph.add("Unsqueeze", [x, graph.integers(f"{name}_axes", axes)], name)


def _relu(graph: Graph, x: str) -> str:
    return graph.add("Relu", [x], f"{x}_active")


def _linear(graph: Graph, x: str, layer: nn.Module, name: str) -> str:
    assert isinstance(layer, nn.Linear)
    return _gemm(graph, x, _numbers(layer.weight).T, _numbers(layer.bias), name)


def _gemm(graph: Graph, x: str, weight: Numbers, bias: Numbers, name: str) -> str:
    return graph.add("Gemm", [x, graph.constant(f"{name}_weight", weight), graph.constant(f"{name}_bias", bias)], name)


def _numbers(tensor: Tensor | Any) -> Numbers:
    array: Numbers = tensor.detach().numpy()
    return array
