"""Strict YAML: whatever no one reads, or reads as another type, is an error that names file and key."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from roman_moe.core.config import build, merged, read_yaml
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
        ("a: [1\nb: 2\n", ", line 2: not valid YAML"),
        ("- 1\n", "expected keys and values, found [1]"),
        ("a: !!python/object:os.system {}\n", "not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", ", line 3: not valid YAML: key 'a' is given twice"),
    ],
)
def test_files_that_are_no_mapping_are_named(tmp_path: Path, text: str, message: str):
    file = tmp_path / "f.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(file, ConfigError)
    assert str(caught.value).startswith(str(file))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_text_are_named(tmp_path: Path):
    (tmp_path / "f.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"f\.yaml: cannot be read"):
        read_yaml(tmp_path / "f.yaml", ConfigError)


SOMEWHERE = """\
count: 3

name: y
sizes:
  - 1
  - 2
inner: {speed: 2}
many:
  a:
    speed: 1

  b: {speed: 2}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: y", "nam: y", "line 3: unknown key 'nam': did you mean 'name'?"),
        ("count: 3", "count: 1.5", "line 1: count is 1.5: expected a whole number"),
        ("count: 3", "count: -3", "line 1: count -3: expected 0 or more"),
        ("  - 2", "  - two", "line 6: sizes[1] is 'two': expected a whole number"),
        ("{speed: 2}\nmany", "{sped: 2}\nmany", "line 7: inner: unknown key 'sped': did you mean 'speed'?"),
        ("{speed: 2}\nmany", "fast\nmany", "line 7: inner is 'fast': expected keys and values"),
        ("    speed: 1", "    speed: fast", "line 10: many.a: speed is 'fast': expected a number"),
        ("  b: {speed: 2}", "  b: {speed: {}}", "line 12: many.b: speed is {}: expected a number"),
        ("count: 3\n", "", "f.yaml: key 'count' is missing"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(tmp_path: Path, old: str, new: str, message: str):
    assert old in SOMEWHERE
    file = tmp_path / "f.yaml"
    file.write_text(SOMEWHERE.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        build(Outer, read_yaml(file, ConfigError), str(file), ConfigError)
    assert str(caught.value).endswith(message)
    assert str(caught.value).startswith(f"{file}, line " if message.startswith("line") else f"{file}: ")


@dataclass(frozen=True)
class Referring:
    names: tuple[Inner, ...] = ()
    many: Mapping[str, Inner] = field(default_factory=dict)
    count: int = 0
    wrong: str = ""

    def __post_init__(self) -> None:
        raise ValueError(self.wrong)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("count 3: too many", 6),
        ("names[1]: unknown", 3),
        ("names[7]: unknown", 1),
        ("many.b: slow", 5),
        ("many.c: slow", 4),
        ("many: slow", 4),
        ("something else", 0),
        ("", 0),
    ],
)
def test_what_a_data_class_refuses_is_told_with_the_line_of_what_it_names(tmp_path: Path, wrong: str, line: int):
    file = tmp_path / "f.yaml"
    file.write_text(
        f"names:\n  - {{speed: 1}}\n  - {{speed: 2}}\nmany:\n  b: {{speed: 1}}\ncount: 3\nwrong: {wrong!r}\n"
    )
    with pytest.raises(ConfigError) as caught:
        build(Referring, read_yaml(file, ConfigError), str(file), ConfigError)
    assert str(caught.value) == f"{file}{f', line {line}' if line else ''}: {wrong}"


def test_what_was_read_can_be_written_again(tmp_path: Path):
    file = tmp_path / "f.yaml"
    file.write_text("a: {b: [1, {c: 2}]}\n")
    content = read_yaml(file, ConfigError)
    assert yaml.safe_load(yaml.safe_dump(content)) == content == {"a": {"b": [1, {"c": 2}]}}
    assert pickle.loads(pickle.dumps(content)).lines == content.lines == {"a": 1}


def test_merged_sections_know_who_said_what_last(tmp_path: Path):
    file = tmp_path / "f.yaml"
    file.write_text("base:\n  count: 1\n  inner:\n    speed: 1\nchanges:\n  inner:\n    speed: fast\n")
    content = read_yaml(file, ConfigError)
    both = merged(content["base"], content["changes"])
    assert both == {"count": 1, "inner": {"speed": "fast"}}
    assert content["base"]["inner"] == {"speed": 1}
    with pytest.raises(ConfigError) as caught:
        build(Outer, both, str(file), ConfigError, "networks.a")
    assert str(caught.value) == f"{file}, line 7: networks.a: inner: speed is 'fast': expected a number"


def test_a_section_that_holds_itself_or_grows_without_end_is_one_short_line(tmp_path: Path):
    file = tmp_path / "f.yaml"
    lists = "[&l0 [x, x], " + ", ".join(f"&l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 12)) + "]"
    for text in ("count: &a {b: *a}\n", f"count: {{a: {lists}}}\n"):
        file.write_text(text)
        with pytest.raises(ConfigError) as caught:
            build(Outer, read_yaml(file, ConfigError), str(file), ConfigError)
        assert str(caught.value).startswith(f"{file}, line 1: count is {{")
        assert len(str(caught.value)) < 500
