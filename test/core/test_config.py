"""Strict YAML: whatever no one reads, or reads as another type, is an error that names file and key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from roman_moe.core.config import build, read_yaml
from roman_moe.core.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    speed: float = 1.0


@dataclass(frozen=True)
class Outer:
    count: int
    name: str = "x"
    on: bool = False
    sizes: tuple[int, ...] = ()
    inner: Inner = field(default_factory=Inner)
    many: Mapping[str, Inner] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"count {self.count}: expected 0 or more")


def test_every_kind_of_value_arrives():
    values = {
        "count": 3,
        "name": "y",
        "on": True,
        "sizes": [1, 2],
        "inner": {"speed": 2},
        "many": {"a": {"speed": "1e-3"}},
        "rest": {"any": [1]},
    }
    assert build(Outer, values, "f", ConfigError) == Outer(
        3, "y", True, (1, 2), Inner(2.0), {"a": Inner(0.001)}, {"any": [1]}
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "f: key 'count' is missing"),
        ({"count": 1, "nam": "y"}, "f: unknown key 'nam': did you mean 'name'?"),
        ({"count": 1, "inner": {"q": 1}}, "f: inner: unknown key 'q': expected one of speed"),
        ({"count": 1.5}, "f: count is 1.5: expected a whole number"),
        ({"count": True}, "f: count is True: expected a whole number"),
        ({"count": None}, "f: count is empty: expected a whole number"),
        ({"count": 1, "on": 1}, "f: on is 1: expected true or false"),
        ({"count": 1, "sizes": 3}, "f: sizes is 3: expected a list of a whole number"),
        ({"count": 1, "sizes": [1, "b"]}, "f: sizes[1] is 'b': expected a whole number"),
        ({"count": 1, "inner": 3}, "f: inner is 3: expected keys and values"),
        ({"count": 1, "inner": {"speed": "fast"}}, "f: inner: speed is 'fast': expected a number"),
        ({"count": 1, "inner": {"speed": True}}, "f: inner: speed is True: expected a number"),
        ({"count": 1, "many": {"a": {"sped": 1}}}, "f: many.a: unknown key 'sped': did you mean 'speed'?"),
        ({"count": -1}, "f: count -1: expected 0 or more"),
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, Any], message: str):
    with pytest.raises(ConfigError) as caught:
        build(Outer, values, "f", ConfigError)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2\n", "line 2: not valid YAML"),
        ("- 1\n", "expected keys and values, found [1]"),
        ("a: !!python/object:os.system {}\n", "not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", "line 3: not valid YAML: key 'a' is there twice"),
    ],
)
def test_files_that_are_no_mapping_are_named(tmp_path: Path, text: str, message: str):
    file = tmp_path / "f.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(file, ConfigError)
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_text_are_named(tmp_path: Path):
    (tmp_path / "f.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"f\.yaml: cannot be read"):
        read_yaml(tmp_path / "f.yaml", ConfigError)
