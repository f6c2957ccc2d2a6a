"""Models that are whole and must not run: what a wrong export, another program or a hostile one may write."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Edit = Callable[[onnx.ModelProto], None]  # makes a good expert's model wrong, in place

_OUTPUT = "before_damage"


def wrong_models(model: onnx.ModelProto) -> Iterator[tuple[str, Edit]]:
    """What is wrong, and how to make it so, for an expert's good model."""
    told = {entry.key: entry.value for entry in model.metadata_props}
    yield from _wrong_metadata(told)
    yield from _wrong_versions()
    yield from _wrong_ports(model)
    yield from _wrong_graphs()
    yield from _wrong_tensors(model)
    yield from _wrong_answers(model)


def _wrong_metadata(told: dict[str, str]) -> Iterator[tuple[str, Edit]]:
    def set_(**change: str) -> Edit:
        return lambda model: helper.set_model_props(model, told | change)

    def forget(key: str) -> Edit:
        return lambda model: helper.set_model_props(model, {k: v for k, v in told.items() if k != key})

    features, units = told["features"].split(","), told["units"].split(",")
    outputs = told["outputs"].split(",")
    for key in told:
        yield f"metadata without {key}", forget(key)
    yield "no metadata", lambda model: model.ClearField("metadata_props")
    yield "metadata of another format", set_(format_version="99")
    yield "metadata of another skill", set_(skill="another_skill")
    yield "metadata of no skill", set_(skill="")
    yield "a skill of two lines", set_(skill=told["skill"] + "\nTraceback (most recent call last):")
    yield "a skill of a megabyte", set_(skill="x" * (1 << 20))
    yield "metadata of another program", lambda model: helper.set_model_props(model, {"author": "someone"})
    yield "a feature that there is not", set_(features=",".join(["torque.x", *features[1:]]))
    yield "a feature twice", set_(features=",".join([features[1], *features[1:]]))
    yield "a feature less", set_(features=",".join(features[:-1]), units=",".join(units[:-1]))
    yield "no features", set_(features="", units="")
    yield "a unit less", set_(units=",".join(units[:-1]))
    yield "other units", set_(units=",".join("cm" if unit == "m" else unit for unit in units))
    yield "another order of outputs", set_(outputs=",".join([outputs[1], outputs[0], *outputs[2:]]))
    yield "an output less", set_(outputs=",".join(outputs[:-1]))
    for rate in ("25.0", "0.0", "nan", "fast", "-20.0", "1e999"):
        yield f"a rate of {rate}", set_(rate_hz=rate)
    for speed in ("0.5", "nan", "inf", ""):
        yield f"a top speed of {speed or 'nothing'}", set_(top_speed=speed)


def _wrong_versions() -> Iterator[tuple[str, Edit]]:
    def opset(version: int, domain: str = "") -> Edit:
        def edit(model: onnx.ModelProto) -> None:
            if not domain:
                model.ClearField("opset_import")
            model.opset_import.append(helper.make_opsetid(domain, version))

        return edit

    def domain(name: str, operator: str) -> Edit:
        def edit(model: onnx.ModelProto) -> None:
            model.graph.node[-1].domain, model.graph.node[-1].op_type = name, operator
            model.opset_import.append(helper.make_opsetid(name, 1))

        return edit

    def function(model: onnx.ModelProto) -> None:
        body = [helper.make_node("Tanh", ["a"], ["b"])]
        model.functions.append(helper.make_function("own", "Own", ["a"], ["b"], body, [helper.make_opsetid("", 17)]))
        domain("own", "Own")(model)

    def version(number: int) -> Edit:
        return lambda model: setattr(model, "ir_version", number)

    for number in (-1, 0, 1, 9, 12, 22, 999, 1 << 40):
        yield f"opset {number}", opset(number)
    yield "no opset", lambda model: model.ClearField("opset_import")
    yield "operators of another domain imported", opset(3, "ai.onnx.ml")
    yield "an operator of the runtime's own", domain("com.microsoft", "Gelu")
    yield "an operator of nobody's domain", domain("org.example", "Tanh")
    yield "a function of its own", function
    for number in (0, 999):
        yield f"IR version {number}", version(number)


def _wrong_ports(model: onnx.ModelProto) -> Iterator[tuple[str, Edit]]:
    action = model.graph.output[0].name

    def shape(port: str, dimensions: list[int | str], kind: int = TensorProto.FLOAT) -> Edit:
        def edit(model: onnx.ModelProto) -> None:
            value = getattr(model.graph, port)[0]
            value.CopyFrom(helper.make_tensor_value_info(value.name, kind, dimensions))

        return edit

    def tail(nodes: list[onnx.NodeProto], dimensions: list[int | str], kind: int = TensorProto.FLOAT) -> Edit:
        """What else is done to the action, and the shape that is declared."""

        def edit(model: onnx.ModelProto) -> None:
            _append(model, nodes)
            shape("output", dimensions, kind)(model)

        return edit

    def both(model: onnx.ModelProto) -> None:
        model.graph.output.append(helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, ["batch", 4]))
        _append(model, [helper.make_node("Identity", [_OUTPUT], [action])])

    def more(model: onnx.ModelProto) -> None:
        model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["batch", 3]))

    wide = [helper.make_node("Concat", [_OUTPUT, _OUTPUT], [action], axis=1)]
    high = [helper.make_node("Concat", [_OUTPUT, _OUTPUT], [action], axis=0)]
    yield "an input of another width", shape("input", ["batch", 7])
    yield "an input of no rank", shape("input", [])
    yield "an input of three ranks", shape("input", ["batch", 1, len(_features(model))])
    yield "an input for five scenes", shape("input", [5, len(_features(model))])
    yield "an input of integers", shape("input", ["batch", len(_features(model))], TensorProto.INT64)
    yield "an input of doubles", shape("input", ["batch", len(_features(model))], TensorProto.DOUBLE)
    yield "two inputs", more
    yield "no inputs", lambda model: model.graph.ClearField("input")
    yield "an output of another width", tail(wide, ["batch", 8])
    yield "an output of another width than it declares", tail(wide, ["batch", 4])
    yield "an output of more rows than it declares", tail(high, [1, 4])
    yield "an output of more rows than scenes", tail(high, ["rows", 4])
    yield "an output of one number", tail([helper.make_node("ReduceMean", [_OUTPUT], [action])], [1, 1])
    doubles = [helper.make_node("Cast", [_OUTPUT], [action], to=TensorProto.DOUBLE)]
    yield "an output of doubles", tail(doubles, ["batch", 4], TensorProto.DOUBLE)
    yield "two outputs", both
    yield "no outputs", lambda model: model.graph.ClearField("output")


def _wrong_graphs() -> Iterator[tuple[str, Edit]]:
    def cycle(model: onnx.ModelProto) -> None:
        model.graph.node[0].input[0] = model.graph.node[-1].input[0]

    def dangling(model: onnx.ModelProto) -> None:
        model.graph.node[-1].input[0] = "nobody"

    def twice(model: onnx.ModelProto) -> None:
        model.graph.node[1].output[0] = model.graph.node[0].output[0]

    def operator(name: str) -> Edit:
        return lambda model: setattr(model.graph.node[-1], "op_type", name)

    def refused(operator: str, inputs: list[str], constants: list[onnx.TensorProto]) -> Edit:
        def edit(model: onnx.ModelProto) -> None:
            action = model.graph.output[0].name
            extra = helper.make_node(operator, inputs, ["extra"])
            nodes = [
                extra,
                helper.make_node("ReduceMax", ["extra"], ["most"], keepdims=0),
                helper.make_node("Sub", ["most", "most"], ["none"]),
                helper.make_node("Add", [_OUTPUT, "none"], [action]),
            ]
            model.graph.initializer.extend(constants)
            _append(model, nodes)

        return edit

    def nested(model: onnx.ModelProto) -> None:
        graph = helper.make_graph([], "innermost", [], [])
        for i in range(12):
            graph = helper.make_graph([helper.make_node("If", ["c"], [f"o{i}"], then_branch=graph)], f"g{i}", [], [])
        model.graph.node.append(graph.node[0])

    def crowded(model: onnx.ModelProto) -> None:
        for _ in range(250_000):
            model.graph.node.add()

    large = numpy_helper.from_array(np.array([1 << 15, 1 << 15], np.int64), "large")
    yield "a cycle", cycle
    yield "an input from nowhere", dangling
    yield "two nodes of one output", twice
    yield "an operator that there is not", operator("Hyperbole")
    yield "an operator without a name", operator("")
    alpha = helper.make_attribute("alpha", 1.0)
    yield "an attribute that there is not", lambda model: model.graph.node[-1].attribute.append(alpha)
    yield "inputs that an operator does not have", lambda model: model.graph.node[-1].input.extend(["a", "b", "c"])
    yield "no nodes", lambda model: model.graph.ClearField("node")
    yield "no graph", lambda model: model.ClearField("graph")
    yield "graphs in graphs in graphs", nested
    yield "a quarter of a million nodes", crowded
    yield "4 GB from a constant", refused("ConstantOfShape", ["large"], [large])
    yield "4 GB from a row", refused("Expand", [_OUTPUT, "large"], [large])
    yield "4 GB from tiles", refused("Tile", [_OUTPUT, "large"], [large])
    yield "noise of its own", refused("RandomNormalLike", [_OUTPUT], [])
    yield "an output as long as there are numbers", refused("NonZero", [_OUTPUT], [])


def _wrong_tensors(model: onnx.ModelProto) -> Iterator[tuple[str, Edit]]:
    floats = [tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT]
    weight = next(tensor.name for tensor in model.graph.initializer if "weight" in tensor.name)

    def value(name: str, number: float) -> Edit:
        def edit(model: onnx.ModelProto) -> None:
            tensor = _tensor(model, name)
            values = numpy_helper.to_array(tensor).copy()
            values.flat[-1] = number
            tensor.CopyFrom(numpy_helper.from_array(values, name))

        return edit

    def dimensions(*sizes: int) -> Edit:
        def edit(model: onnx.ModelProto) -> None:
            _tensor(model, weight).dims[:] = sizes

        return edit

    def kind(number: int) -> Edit:
        return lambda model: setattr(_tensor(model, weight), "data_type", number)

    def outside(location: str) -> Edit:
        def edit(model: onnx.ModelProto) -> None:
            tensor = _tensor(model, weight)
            onnx.external_data_helper.set_external_data(tensor, location=location)
            tensor.ClearField("raw_data")

        return edit

    def outside_constant(model: onnx.ModelProto) -> None:
        tensor = numpy_helper.from_array(np.zeros(4, np.float32), "far_away")
        onnx.external_data_helper.set_external_data(tensor, location="weights.bin")
        tensor.ClearField("raw_data")
        action = model.graph.output[0].name
        _append(
            model,
            [
                helper.make_node("Constant", [], ["far_away"], value=tensor),
                helper.make_node("Add", [_OUTPUT, "far_away"], [action]),
            ],
        )

    def sparse(model: onnx.ModelProto) -> None:
        values = numpy_helper.from_array(np.ones(1, np.float32), weight)
        index = numpy_helper.from_array(np.array([1 << 40], np.int64), "index")
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, index, [1 << 20, 1 << 20]))
        model.graph.initializer.remove(_tensor(model, weight))

    def lost(model: onnx.ModelProto) -> None:
        model.graph.initializer.remove(_tensor(model, weight))

    def short(model: onnx.ModelProto) -> None:
        tensor = _tensor(model, weight)
        tensor.raw_data = tensor.raw_data[:-4]

    for name in floats:
        yield f"{name} not a number", value(name, np.nan)
    for name in floats[:3]:
        yield f"{name} infinite", value(name, np.inf)
    yield "weights of 2 GB, of which few are there", dimensions(1 << 15, 1 << 14)
    yield "weights of more bytes than numbers can count", dimensions(1 << 62, 1 << 62)
    yield "weights of negative size", dimensions(-8, -4)
    yield "no weights", dimensions(0, 0)
    yield "weights one number short", short
    yield "weights lost", lost
    yield "weights of an unknown type", kind(99)
    yield "weights of text", kind(TensorProto.STRING)
    yield "weights of integers", kind(TensorProto.INT32)
    yield "weights in another file", outside("weights.bin")
    yield "weights in the system's files", outside("/etc/passwd")
    yield "weights in the folder above", outside("../weights.bin")
    yield "a constant in another file", outside_constant
    yield "sparse weights of 4 TB", sparse


def _wrong_answers(model: onnx.ModelProto) -> Iterator[tuple[str, Edit]]:
    observation, action = model.graph.input[0].name, model.graph.output[0].name

    def plus(nodes: list[onnx.NodeProto], constant: float = 0.0) -> Edit:
        """The action and what `nodes` make of the observation, or a constant."""

        def edit(model: onnx.ModelProto) -> None:
            last = nodes[-1].output[0] if nodes else "offset"
            model.graph.initializer.append(numpy_helper.from_array(np.array(constant, np.float32), "offset"))
            _append(model, [*nodes, helper.make_node("Add", [_OUTPUT, last], [action])])

        return edit

    sum_ = helper.make_node("ReduceMean", [observation], ["mean"], keepdims=0)
    yield "actions far above the range", plus([], 2.5)
    yield "actions far below the range", plus([], -2.5)
    yield "actions that grow with the scene", plus([sum_])
    yield "no number where features are negative", plus([sum_, helper.make_node("Sqrt", ["mean"], ["root"])])
    yield "no number at the origin", plus([sum_, helper.make_node("Div", ["mean", "mean"], ["one"])])
    yield "infinite away from the origin", plus([sum_, helper.make_node("Div", ["mean", "offset"], ["far"])])


def _append(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    """Put nodes behind the graph, whose output they find under another name."""
    model.graph.node[-1].output[0] = _OUTPUT
    model.graph.node.extend(nodes)


def _tensor(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def _features(model: onnx.ModelProto) -> tuple[str, ...]:
    told = {entry.key: entry.value for entry in model.metadata_props}
    return tuple(told["features"].split(","))
