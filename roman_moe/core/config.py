"""From YAML to frozen dataclasses, strictly: an unknown, missing or ill-typed key is an error with file, line and key.

No key is silently ignored: an unknown key is an error.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import reprlib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from roman_moe.core.errors import ConfigError, RomanError, one_line

T = TypeVar("T")


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where there is one: ten times as fast, and a manifest is read while the control loop runs."""


MAX_YAML_BYTES = 1 << 20
MAX_DEPTH = 32  # PyYAML recurses, and libyaml's has the process die of it


class Section(dict[Any, Any]):
    """Keys and values of a YAML file; `lines` on which each key stands."""

    lines: Mapping[Any, int] = {}


class Items(list[Any]):
    """A list of a YAML file; `lines` on which each item, by its index, stands."""

    lines: Mapping[Any, int] = {}


yaml.SafeDumper.add_representer(Section, yaml.representer.SafeRepresenter.represent_dict)
yaml.SafeDumper.add_representer(Items, yaml.representer.SafeRepresenter.represent_list)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Section:
    """`base` with `changes` to it, section by section; each key stands where it was said last."""
    result = Section(base)
    result.lines = {**getattr(base, "lines", {}), **getattr(changes, "lines", {})}
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


class _Brief(reprlib.Repr):
    """Aliases can make a value that no memory could spell out."""

    repr_Section = reprlib.Repr.repr_dict
    repr_Items = reprlib.Repr.repr_list


_BRIEF = _Brief()
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 120
_BRIEF.maxlevel = 2


class _Loader(_SafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader, which also refuses a key that is given twice: one of them would be ignored in silence."""

    def construct_section(self, node: yaml.MappingNode) -> Iterator[Section]:
        """A mapping as a `Section`: empty at first, since it may hold itself."""
        section = Section()
        yield section
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:bool":  # YAML 1.1 reads on and off as true and false
                key.tag = "tag:yaml.org,2002:str"
        keys = [(key.value, key.start_mark) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        lines: dict[Any, int] = {}
        for key, mark in keys:
            if key in lines:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", mark)
            lines[key] = mark.line + 1
        section.update(self.construct_mapping(node))
        section.lines = {key: line for key, line in lines.items() if key in section}

    def construct_items(self, node: yaml.SequenceNode) -> Iterator[Items]:
        """A list as `Items`, likewise."""
        items = Items()
        yield items
        items.lines = {i: item.start_mark.line + 1 for i, item in enumerate(node.value)}
        items.extend(self.construct_sequence(node))


_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.construct_section)
_Loader.add_constructor("tag:yaml.org,2002:seq", _Loader.construct_items)


def read_yaml(path: Path, error: type[RomanError]) -> Section:
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
        line = f", line {mark.line + 1}" if mark else ""
        reason = getattr(problem, "problem", None) or one_line(problem)
        raise error(f"{path}{line}: not valid YAML: {reason}") from None
    except (ValueError, OverflowError, RecursionError) as problem:  # a date that is none, a number of 5000 digits
        raise error(f"{path}: not valid YAML: {one_line(problem)}") from None
    if not isinstance(content, Section):
        raise error(f"{path}: expected keys and values, found {_describe(content)}")
    return content


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.YAMLError(f"nested more than {MAX_DEPTH} deep")


@dataclass(frozen=True)
class _Place:
    """Where in a file a value stands, as messages say it."""

    file: str
    path: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}{f', line {self.line}' if self.line else ''}{f': {self.path}' if self.path else ''}"

    def key(self, values: Mapping[str, Any], name: str) -> _Place:
        """Place of a key of what stands here."""
        return dataclasses.replace(self.at(values, name), path=f"{self.path}: {name}" if self.path else name)

    def item(self, values: Any, key: Any) -> _Place:
        """Place of an item, of a list by its index or of a mapping by its name, of what stands here."""
        step = f".{key}" if isinstance(values, Mapping) else f"[{key}]"
        return dataclasses.replace(self.at(values, key), path=self.path + step)

    def at(self, values: Any, key: Any) -> _Place:
        """This place, on the line of one of its keys or items."""
        return dataclasses.replace(self, line=getattr(values, "lines", {}).get(key, self.line))

    def of(self, values: Mapping[str, Any], message: str) -> _Place:
        """This place, on the line of what a message about it begins with, such as `scenarios[1]` or `skills.push`."""
        found = re.match(r"\w+(?:\.\w+|\[\d+\])*", message)
        place: _Place = self
        inner: Any = values
        for step in re.findall(r"\w+", found[0]) if found else ():
            key = int(step) if isinstance(inner, Items) and step.isdigit() else step
            if key not in getattr(inner, "lines", ()):
                break
            place, inner = place.at(inner, key), inner[key]
        return place


def place_of(path: Path, keys: str) -> str:
    """Where a key of a YAML file stands, for messages: file, line and the key itself, such as `skills.push`.

    Raises:
        ConfigError: if the file cannot be read.
    """
    place = _Place(str(path)).of(read_yaml(path, ConfigError), keys)
    return f"{place}: {keys}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to write in place of an unknown name."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return _misspelt(close[0]) if close else f"expected one of {', '.join(known)}"


def _misspelt(name: str) -> str:
    return f"did you mean {name!r}?"


def build(cls: type[T], values: Mapping[str, Any], where: str, error: type[RomanError], path: str = "") -> T:
    """Instance of dataclass `cls` from the keys of `values`.

    Types understood: bool, int, float, str, dict, `Literal`, nested dataclasses, `tuple[X, ...]` and `Mapping[str, X]`
    of them, and `X | None`. A dataclass refuses by a ValueError with a message for each mistake.

    Args:
        values: of a file as `read_yaml` reads it, which knows the lines, or of anything else.
        where: the file, for messages.
        path: of keys within it, likewise.

    Raises:
        error: naming `where`, the line, the key, what was found and what was expected, of the first mistake; it has the
            `others`.
    """
    mistakes: list[str] = []
    built = _build(cls, values, _Place(where, path), mistakes)
    if built is None:
        refusal = error(mistakes[0])
        refusal.others = tuple(mistakes[1:])
        raise refusal
    return built


def _build(cls: type[T], values: Mapping[str, Any], place: _Place, mistakes: list[str]) -> T | None:
    """The instance; None if there are mistakes, which are appended."""
    before = len(mistakes)
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = {key: suggestion(str(key), fields) for key in values if key not in fields}
    mistakes += [f"{place.at(values, key)}: unknown key {key!r}: {hint}" for key, hint in unknown.items()]
    arguments = {}
    for name, spec in fields.items():
        if name in values:
            arguments[name] = _convert(hints[name], values[name], place.key(values, name), mistakes)
        elif _misspelt(name) in unknown.values():
            continue
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            mistakes.append(f"{place}: key {name!r} is missing")
    if len(mistakes) > before:
        return None
    try:
        return cls(**arguments)
    except ValueError as problem:
        mistakes += [f"{place.of(values, str(each))}: {each}" for each in problem.args]
        return None


def _convert(kind: Any, value: Any, place: _Place, mistakes: list[str]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin is types.UnionType:  # X | None
        return _convert(arguments[0], value, place, mistakes)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _build(typing.cast("type[Any]", kind), value, place, mistakes)
    if origin is typing.Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(arguments[0], item, place.item(value, i), mistakes) for i, item in enumerate(value))
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, dict):
        return {str(key): _convert(arguments[1], item, place.item(value, key), mistakes) for key, item in value.items()}
    if kind is float and not isinstance(value, bool):
        try:
            return float(value)  # YAML 1.1 reads 1e-3 as text
        except (TypeError, ValueError, OverflowError):
            pass
    plain = isinstance(kind, type) and origin is None
    if plain and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    mistakes.append(f"{place} is {_describe(value)}: expected {_type_name(kind)}")
    return None


def _type_name(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(map(repr, arguments))
    if origin is tuple:
        return f"a list of {_type_name(arguments[0])}"
    if origin is not None or dataclasses.is_dataclass(kind):
        return "keys and values"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", dict: "keys and values"}
    return names.get(kind, str(kind))


def _describe(value: Any) -> str:
    return "empty" if value is None else _BRIEF.repr(value)
