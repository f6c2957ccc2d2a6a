"""The wire-format reader must see what the onnx package sees, and survive any bytes."""

from __future__ import annotations

import contextlib

import numpy as np
import onnx
import pytest
from bundles import tiny_network
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from roman_moe.control.onnx_file import summarize


def model(nodes: list[onnx.NodeProto], **options: object) -> onnx.ModelProto:
    port = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [port("x", TensorProto.FLOAT, [1])], [port("y", TensorProto.FLOAT, [1])], options.pop("weights", [])
    )
    return helper.make_model(graph, **options)


def test_agrees_with_the_onnx_package_on_an_exported_network():
    data = tiny_network("push")
    parsed = onnx.load_from_string(data)
    summary = summarize(data)
    assert summary.ir_version == parsed.ir_version
    assert summary.opsets == {o.domain: o.version for o in parsed.opset_import}
    assert summary.domains == {""}
    assert summary.external == []
    assert summary.local_functions == 0


def test_sees_domains_and_outside_data_in_nested_graphs():
    outside = numpy_helper.from_array(np.zeros(4, np.float32), "far_away")
    onnx.external_data_helper.set_external_data(outside, location="elsewhere.bin")
    outside.ClearField("raw_data")
    inner = helper.make_graph(
        [helper.make_node("Thing", [], ["z"], domain="com.example")],
        "inner",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])],
        [outside],
    )
    outer = model([helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)])
    summary = summarize(outer.SerializeToString())
    assert summary.domains == {"", "com.example"}
    assert summary.external == ["far_away", "far_away"]


def test_sees_constants_kept_outside():
    outside = numpy_helper.from_array(np.zeros(4, np.float32), "far_away")
    onnx.external_data_helper.set_external_data(outside, location="elsewhere.bin")
    constant = helper.make_node("Constant", [], ["y"], value=outside)
    assert summarize(model([constant]).SerializeToString()).external == ["far_away"]


def test_sees_operators_that_the_file_defines_itself():
    function = helper.make_function("own", "Own", ["a"], ["b"], [], [helper.make_opsetid("", 17)])
    data = model([helper.make_node("Own", ["x"], ["y"], domain="own")], functions=[function]).SerializeToString()
    assert summarize(data).local_functions == 1


def test_the_default_domain_has_two_spellings():
    data = model(
        [helper.make_node("Tanh", ["x"], ["y"], domain="ai.onnx")], opset_imports=[helper.make_opsetid("", 17)]
    )
    assert summarize(data.SerializeToString()).domains == {""}


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_refused_or_read_but_never_crash(data: bytes):
    with contextlib.suppress(ValueError):
        summarize(data)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_truncated_files_are_refused(share: float):
    data = tiny_network("push")
    with pytest.raises(ValueError):
        summarize(data[: int(share * len(data))])


@pytest.mark.parametrize("number", [0, 7 + (1 << 29), 1 << 40])
def test_a_field_that_others_may_read_as_another_is_refused(number: int):
    """Readers cut such a number down to 29 bits: what is a graph to them must not be skipped here."""
    key, tag = number << 3 | 2, bytearray()
    while key >= 128:
        tag.append(key & 127 | 128)
        key >>= 7
    with pytest.raises(ValueError, match=f"field {number} cannot be"):
        summarize(tiny_network("push") + bytes([*tag, key, 0]))


def test_sees_numbers_that_are_not_finite_wherever_a_tensor_may_keep_them():
    values = np.array([1.0, np.nan, 2.0])
    kept = [
        numpy_helper.from_array(values.astype(np.float32), "raw"),
        numpy_helper.from_array(values.astype(np.float16), "half"),
        helper.make_tensor("listed", TensorProto.FLOAT, [3], values),
        helper.make_tensor("double", TensorProto.DOUBLE, [3], np.array([1.0, np.inf, 2.0])),
        numpy_helper.from_array(np.full(3, -1, np.int32), "whole"),  # whose bits would be no number
        numpy_helper.from_array(np.ones(3, np.float32), "fine"),
    ]
    constant = helper.make_node("Constant", [], ["y"], value=numpy_helper.from_array(values, "constant"))
    found = summarize(model([constant], weights=kept).SerializeToString()).not_finite
    assert sorted(found) == ["constant", "double", "half", "listed", "raw"]


def test_sees_which_operators_there_are():
    data = model([helper.make_node("Tanh", ["x"], ["z"]), helper.make_node("Loop", ["z"], ["y"])]).SerializeToString()
    assert summarize(data).operators == {"Tanh", "Loop"}
