"""Reads the contents of an ONNX file before a runtime opens it: versions, operators, data outside the file.

A walk over the protobuf wire format (https://protobuf.dev/programming-guides/encoding), so that a robot needs no `onnx`
package. Field numbers are those of onnx.proto, which never change. Weights are read in place, not copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 8  # of graphs inside attributes inside graphs
_MAX_FIELDS = 20_000  # a policy has hundreds; each takes a microsecond or two from the control loop
_MAX_FIELD_NUMBER = (1 << 29) - 1
_FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}  # TensorProto.DataType to numpy's


@dataclass(slots=True)
class OnnxSummary:
    """Declarations of a model.

    Attributes:
        opsets: version of each imported operator set, by domain ("" is the default one).
        domains: of all nodes, nested graphs included.
        operators: of all nodes likewise.
        external: names of tensors whose data lies outside the file.
        not_finite: names of tensors with an infinity or NaN.
        local_functions: how many operators the file defines itself.
    """

    ir_version: int = 0
    opsets: dict[str, int] = field(default_factory=dict)
    domains: set[str] = field(default_factory=set)
    operators: set[str] = field(default_factory=set)
    external: list[str] = field(default_factory=list)
    not_finite: list[str] = field(default_factory=list)
    local_functions: int = 0
    _has_graph: bool = False
    _fields_seen: int = 0

    def fields(self, data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """Fields of one of its messages, of which there may not be too many in all."""
        for number, value in _fields(data):
            self._fields_seen += 1
            if self._fields_seen > _MAX_FIELDS:
                raise ValueError(f"holds more than {_MAX_FIELDS} fields")
            yield number, value


def summarize(data: bytes) -> OnnxSummary:
    """Summary of a serialized ModelProto.

    Raises:
        ValueError: if it is none.
    """
    summary = OnnxSummary()
    for number, value in summary.fields(memoryview(data)):
        if number == 1:  # ModelProto.ir_version
            summary.ir_version = _integer(value)
        elif number == 8:  # opset_import
            domain, version = "", 0
            for key, item in summary.fields(_message(value)):
                if key == 1:
                    domain = _text(item)
                elif key == 2:
                    version = _integer(item)
            summary.opsets[_canonical(domain)] = version
        elif number == 7:  # graph
            summary._has_graph = True
            _walk_graph(_message(value), summary, 0)
        elif number == 25:  # functions
            summary.local_functions += 1
    if not (summary.ir_version and summary._has_graph):
        raise ValueError("no ONNX model in it")
    return summary


def _walk_graph(graph: memoryview, summary: OnnxSummary, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError("graphs are nested too deeply")
    for number, value in summary.fields(graph):
        if number == 1:  # GraphProto.node
            _walk_node(_message(value), summary, depth)
        elif number == 5:  # initializer
            _check_tensor(_message(value), summary)
        elif number == 15:  # sparse_initializer
            _check_sparse_tensor(_message(value), summary)


def _walk_node(node: memoryview, summary: OnnxSummary, depth: int) -> None:
    domain = ""
    for number, value in summary.fields(node):
        if number == 4:  # NodeProto.op_type
            summary.operators.add(_text(value))
        elif number == 7:  # domain
            domain = _text(value)
        elif number == 5:  # attribute
            for key, item in summary.fields(_message(value)):
                if key in (5, 10):  # AttributeProto.t, tensors
                    _check_tensor(_message(item), summary)
                elif key in (6, 11):  # g, graphs
                    _walk_graph(_message(item), summary, depth + 1)
                elif key in (22, 23):  # sparse_tensor, sparse_tensors
                    _check_sparse_tensor(_message(item), summary)
    summary.domains.add(_canonical(domain))


def _check_sparse_tensor(sparse: memoryview, summary: OnnxSummary) -> None:
    for number, value in summary.fields(sparse):
        if number in (1, 2):  # SparseTensorProto.values, indices
            _check_tensor(_message(value), summary)


def _check_tensor(tensor: memoryview, summary: OnnxSummary) -> None:
    name, kind, outside, finite = "", 0, False, True
    numbers: list[tuple[int, memoryview]] = []
    for number, value in summary.fields(tensor):
        if number == 8:  # TensorProto.name
            name = _text(value)
        elif number == 2:  # data_type
            kind = _integer(value)
        elif number == 13 or (number == 14 and value != 0):  # external_data, data_location other than DEFAULT
            outside = True
        elif number in (4, 9, 10):  # float_data, raw_data, double_data
            numbers.append((number, _message(value)))
    for number, data in numbers:
        layout = {4: "<f4", 10: "<f8"}.get(number) or _FLOATS.get(kind)
        if layout is not None:
            width = np.dtype(layout).itemsize
            finite = finite and bool(np.isfinite(np.frombuffer(data[: len(data) // width * width], layout)).all())
    if outside:
        summary.external.append(name)
    if not finite:
        summary.not_finite.append(name)


def _canonical(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field number and value (integer, or bytes of a string or message) of each field of a message."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        if not 0 < number <= _MAX_FIELD_NUMBER:  # zeros are no message, and others may read another number in it
            raise ValueError(f"field {number} cannot be")
        value: int | memoryview
        if kind == _VARINT:
            value, position = _varint(data, position)
        elif kind in (_FIXED64, _FIXED32, _BYTES):
            length = 8 if kind == _FIXED64 else 4
            if kind == _BYTES:
                length, position = _varint(data, position)
            value = data[position : position + length]
            if len(value) != length:
                raise ValueError("ends in the middle of a field")
            position += length
        else:
            raise ValueError(f"field {number} has unknown wire type {kind}")
        yield number, value


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise ValueError("ends in the middle of a number")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
    raise ValueError("holds a number of more than 64 bits")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("holds a number where a message belongs")
    return value


def _integer(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise ValueError("holds a message where a number belongs")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_message(value)).decode("utf-8")  # UnicodeDecodeError is a ValueError
