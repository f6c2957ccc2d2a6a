"""Node parameters, declared once: a frozen dataclass gives each its type, default, range and description.

Whoever runs `ros2 param describe` and whoever reads the source see the same. All are fixed when the node starts, but
those that say otherwise.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from roman_moe.control.manifest import load_manifest, task_of_bundle
from roman_moe.control.rates import Rates
from roman_moe.core.errors import ConfigError
from roman_moe.core.paths import find_shipped
from roman_moe.core.spec import TaskSpec
from roman_moe.core.tasks import load_spec

T = TypeVar("T")

AUTOSTART = "autostart"
"""Parameter that every node has, and fact: whether a successor is to begin active. Told where it is false, and once
somebody has moved the node through its life cycle."""

_TYPES = {
    "bool": (Parameter.Type.BOOL, "true or false"),
    "int": (Parameter.Type.INTEGER, "a whole number"),
    "float": (Parameter.Type.DOUBLE, "a number with a decimal point"),
    "str": (Parameter.Type.STRING, "text"),
    "tuple[str, ...]": (Parameter.Type.STRING_ARRAY, "a list of texts, such as [one, two]"),
}
"""ROS type and description for errors, by annotation (texts, since annotations are not evaluated)."""


def parameter(
    description: str,
    default: Any = dataclasses.MISSING,
    bounds: tuple[Any, Any] | None = None,
    fixed: bool = True,
    shipped: bool = False,
    formerly: str = "",
) -> Any:
    """A field of a parameter dataclass.

    Args:
        description: with the unit in brackets.
        default: none if it must be given.
        fixed: whether it cannot be set while the node runs.
        shipped: it is a path: counted from the working folder, or of what is shipped if nothing is there.
        formerly: another name, of a text alone, that only the present version understands.
    """
    metadata = {
        "description": description,
        "bounds": bounds,
        "fixed": fixed,
        "shipped": shipped,
        "formerly": formerly,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class NodeParameters:
    """Parameters that all nodes have."""

    autostart: bool = parameter(
        "whether the node configures and activates itself, or waits for a lifecycle manager", True
    )


@dataclasses.dataclass(frozen=True)
class TaskParameters(NodeParameters):
    """Parameters of a node that must know the task, but runs no network."""

    bundle: str = parameter("folder of the bundle, which has the task", "", shipped=True, formerly="controller")
    task: str = parameter("name or folder of a task; the bundle's if empty", "")

    def spec(self) -> TaskSpec:
        """The task.

        Raises:
            RomanError: if neither bundle nor task is given, one cannot be read, or the bundle is another task's.
        """
        if self.bundle:
            return task_of_bundle(self.bundle, self.task)
        if self.task:
            return load_spec(self.task)
        raise ConfigError("parameters bundle and task: expected one of them: a bundle's folder, or a task's name")

    def skills(self) -> tuple[str, ...]:
        """Of the bundle; of the task, where there is none. Raises as `spec`."""
        return load_manifest(self.bundle).skills if self.bundle else self.spec().skill_names

    def rates(self) -> Rates:
        """Of the bundle; of the task, where there is none. Raises as `spec`."""
        if self.bundle:
            return load_manifest(self.bundle).rates
        spec = self.spec()
        return Rates(spec.control_rate, spec.gate_rate)


def declare(node: Node, kind: type[T]) -> T:
    """Declare the fields of dataclass `kind` as parameters of `node` and return their values.

    Raises:
        ConfigError: naming node, parameter, what was found and what was expected.
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        ros_type, expected = _TYPES[str(field.type)]
        where = f"{node.get_name()}: parameter {field.name!r}"
        default = ros_type if field.default is dataclasses.MISSING else field.default
        if ros_type is Parameter.Type.STRING_ARRAY:
            values[field.name] = _declare_texts(node, field, where)
            continue
        try:
            former = _former_value(node, field.metadata["formerly"])
            node.declare_parameter(field.name, former or default, _descriptor(field))
            values[field.name] = node.get_parameter(field.name).value
        except InvalidParameterTypeException:
            raise ConfigError(f"{where} has the wrong type: expected {expected}") from None
        except InvalidParameterValueException:
            raise _out_of_range(where, field) from None
        except ParameterUninitializedException:
            raise ConfigError(f"{where} is not set: expected {field.metadata['description']}") from None
        if isinstance(values[field.name], float) and not math.isfinite(values[field.name]):
            raise _out_of_range(where, field)  # rclpy takes NaN to be within any range
        if field.metadata["shipped"] and values[field.name]:
            values[field.name] = str(find_shipped(values[field.name]))
    return kind(**values)


def _former_value(node: Node, name: str) -> str:
    """What a parameter was given under its former name; empty if nothing."""
    if not name:
        return ""
    value: str = node.declare_parameter(name, "").value
    node.undeclare_parameter(name)
    if value:
        node.get_logger().warning(f"parameter {name!r} has a new name; the next version removes this one")
    return value


def texts_of(value: Any) -> tuple[str, ...] | None:
    """Content of a list of texts without empty ones, or None if it is none; ROS gives an empty list any type."""
    if isinstance(value, str) or not hasattr(value, "__iter__") or not all(isinstance(text, str) for text in value):
        return None
    return tuple(filter(None, value))


def _declare_texts(node: Node, field: dataclasses.Field[Any], where: str) -> tuple[str, ...]:
    descriptor = _descriptor(field)
    descriptor.dynamic_typing = True  # or an empty list, which has another type, would be refused
    default: Any = field.default
    texts = texts_of(node.declare_parameter(field.name, [*default, ""], descriptor).value)
    if texts is None:
        raise ConfigError(f"{where} has the wrong type: expected {_TYPES[str(field.type)][1]}")
    node.set_parameters([Parameter(field.name, Parameter.Type.STRING_ARRAY, list(texts))])
    return texts


def _out_of_range(where: str, field: dataclasses.Field[Any]) -> ConfigError:
    low, high = field.metadata["bounds"]
    return ConfigError(f"{where} is out of range: expected {low} to {high}")


def _descriptor(field: dataclasses.Field[Any]) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=field.metadata["description"], read_only=field.metadata["fixed"])
    if field.metadata["bounds"] is not None:
        low, high = field.metadata["bounds"]
        if field.type == "int":
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        else:
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
    return descriptor
