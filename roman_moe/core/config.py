"""From YAML to frozen dataclasses, strictly: an unknown, missing or ill-typed key is an error that names file and key.

Nothing is silently ignored: a key that no one reads is a typo.
"""

from __future__ import annotations

import dataclasses
import difflib
import reprlib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from roman_moe.core.errors import RomanError

T = TypeVar("T")


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where there is one: ten times as fast, and a manifest is read while the control loop runs."""


MAX_YAML_BYTES = 1 << 20
MAX_DEPTH = 32  # PyYAML recurses, and libyaml's has the process die of it

_BRIEF = reprlib.Repr()  # aliases can make a value that no memory could spell out
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 120
_BRIEF.maxlevel = 2


class _Loader(_SafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader, which also refuses a key that is there twice: one of them would be ignored in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path, error: type[RomanError]) -> dict[str, Any]:
    """Content of a YAML file that holds a mapping.

    Raises:
        error: naming the file, and the line if it is no YAML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_YAML_BYTES + 1)  # whatever size it claims to have
        if len(data) > MAX_YAML_BYTES:
            raise error(f"{path}: has more than {MAX_YAML_BYTES} bytes")
        text = data.decode("utf-8")
        _check_depth(text)
        content = yaml.load(text, Loader=_Loader)  # a SafeLoader
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise error(f"{path}: cannot be read: {problem}") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        reason = getattr(problem, "problem", None) or " ".join(str(problem).split())
        raise error(f"{path}: {line}not valid YAML: {reason}") from None
    except (ValueError, OverflowError, RecursionError) as problem:  # a date that is none, a number of 5000 digits
        raise error(f"{path}: not valid YAML: {' '.join(str(problem).split())}") from None
    if not isinstance(content, dict):
        raise error(f"{path}: expected keys and values, found {_describe(content)}")
    return content


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.YAMLError(f"nested more than {MAX_DEPTH} deep")


def build(cls: type[T], values: Mapping[str, Any], where: str, error: type[RomanError]) -> T:
    """Instance of dataclass `cls` from the keys of `values`.

    Types understood: bool, int, float, str, dict, nested dataclasses, `tuple[X, ...]` and `Mapping[str, X]` of them.

    Args:
        where: file and section, for messages.

    Raises:
        error: naming `where`, the key, what was found and what was expected.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(fields)}"
            raise error(f"{where}: unknown key {key!r}: {hint}")
    arguments = {}
    for name, spec in fields.items():
        if name in values:
            arguments[name] = _convert(hints[name], values[name], f"{where}: {name}", error)
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise error(f"{where}: key {name!r} is missing")
    try:
        return cls(**arguments)
    except ValueError as problem:
        raise error(f"{where}: {problem}") from None


def _convert(kind: Any, value: Any, where: str, error: type[RomanError]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return build(typing.cast("type[Any]", kind), value, where, error)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(arguments[0], item, f"{where}[{i}]", error) for i, item in enumerate(value))
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, dict):
        return {str(key): _convert(arguments[1], item, f"{where}.{key}", error) for key, item in value.items()}
    if kind is float and not isinstance(value, bool):
        try:
            return float(value)  # YAML 1.1 reads 1e-3 as text
        except (TypeError, ValueError, OverflowError):
            pass
    plain = isinstance(kind, type) and origin is None
    if plain and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise error(f"{where} is {_describe(value)}: expected {_type_name(kind)}")


def _type_name(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return f"a list of {_type_name(arguments[0])}"
    if origin is not None or dataclasses.is_dataclass(kind):
        return "keys and values"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", dict: "keys and values"}
    return names.get(kind, str(kind))


def _describe(value: Any) -> str:
    return "empty" if value is None else _BRIEF.repr(value)
