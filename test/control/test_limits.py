"""A file of limits that says anything else than nine limits is refused in one line that names it and the key."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml

from roman_moe.control.limits import Limits, load_limits
from roman_moe.core.errors import ConfigError
from roman_moe.core.paths import config_path

SHIPPED = config_path("limits.yaml").read_text()
KEYS = [field.name for field in fields(Limits)]


def refusal(file: Path, text: str) -> str:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_limits(file)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(file))
    assert len(message) < 1000
    return message


def changed(key: str, value: str) -> str:
    """The shipped file with another value for a key, as it is spelled."""
    content = {name: repr(found) for name, found in yaml.safe_load(SHIPPED).items()}
    return "".join(f"{name}: {text}\n" for name, text in (content | {key: value}).items())


def test_the_shipped_limits_load_and_say_what_the_file_says():
    limits = load_limits()
    content = yaml.safe_load(SHIPPED)
    assert set(content) == set(KEYS)
    for key, value in content.items():
        assert getattr(limits, key) == (tuple(value) if isinstance(value, list) else value)


def test_a_file_that_changed_is_read_again(tmp_path: Path):
    """A node configured anew must enforce what the file says now."""
    file = tmp_path / "limits.yaml"
    file.write_text(SHIPPED)
    assert load_limits(file).speed == 0.35
    file.write_text(changed("speed", "0.25"))
    assert load_limits(file).speed == 0.25


@pytest.mark.parametrize("key", KEYS)
def test_each_key_must_be_there(tmp_path: Path, key: str):
    content = yaml.safe_load(SHIPPED)
    del content[key]
    assert f"key {key!r} is missing" in refusal(tmp_path / "l.yaml", yaml.safe_dump(content))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "value",
    ["fast", "true", "", "{a: 1}", ".nan", ".inf", "-.inf", "-1.0", "0", "[]", "[1.0]", "[1, .nan, 1]", "1e999"],
)
def test_each_key_must_hold_what_can_be_a_limit(tmp_path: Path, key: str, value: str):
    assert f": {key}" in refusal(tmp_path / "l.yaml", changed(key, value))


@pytest.mark.parametrize("key", ["speed", "ramp", "workspace_low"])
def test_a_number_beyond_all_floats_is_no_traceback(tmp_path: Path, key: str):
    value = "1" * 400
    assert f": {key}" in refusal(tmp_path / "l.yaml", changed(key, f"[{value}, 0, 0]" if "_" in key else value))
    assert "not valid YAML" in refusal(tmp_path / "l.yaml", changed(key, "1" * 5000))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SHIPPED + "spede: 1.0\n", "unknown key 'spede': did you mean 'speed'?"),
        (SHIPPED + "speed: 0.35\n", "key 'speed' is given twice"),
        ("", "expected keys and values, found empty"),
        ("- 1\n", "expected keys and values, found [1]"),
        ("speed: [\n", "not valid YAML"),
        ("speed: 2026-13-45\n", "not valid YAML"),
        ("speed: " + "[" * 100_000, "nested more than 32 deep"),
        ("x: " + "a" * (1 << 20), "has more than 1048576 bytes"),
        ("x: \x00", "not valid YAML"),
    ],
    ids=["unknown", "twice", "empty", "list", "open", "no date", "deep", "large", "zeros"],
)
def test_a_file_that_is_something_else(tmp_path: Path, text: str, expected: str):
    assert expected in refusal(tmp_path / "l.yaml", text)


def test_aliases_that_unfold_into_more_than_a_memory_holds(tmp_path: Path):
    deep = "[&l0 [x, x], " + ", ".join(f"&l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 12)) + "]"
    assert ": speed is [" in refusal(tmp_path / "l.yaml", changed("speed", deep))


def test_no_file_and_no_text(tmp_path: Path):
    for path, expected in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "cannot be read")):
        with pytest.raises(ConfigError, match=expected):
            load_limits(path)
    file = tmp_path / "l.yaml"
    file.write_bytes(b"\xff\xfe\x00speed")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_limits(file)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"workspace_low": (0.2, 0.0)}, "workspace_low is [0.2, 0.0]: expected 3 numbers"),
        ({"workspace_low": (0.2, 0.6, 0.0)}, "workspace from 0.6 to 0.6 along y"),
        ({"workspace_high": (0.3, 0.6, 0.6)}, "workspace from 0.2 to 0.3 along x: expected more than twice slow_down"),
        ({"workspace_high": (0.75, 0.6, -0.2)}, "workspace from -0.12 to -0.2 along z"),
        ({"acceleration": 2.0}, "slow_down 0.05: expected speed^2 / acceleration, 0.0612 m, or more"),
        ({"slow_down": 0.01}, "slow_down 0.01: expected speed^2 / acceleration, 0.0136 m, or more"),
    ],
)
def test_limits_that_contradict_each_other(change: dict[str, object], expected: str):
    with pytest.raises(ValueError) as caught:
        replace(load_limits(), **change)
    assert expected in str(caught.value)


def test_limits_are_hashable_and_frozen():
    limits = load_limits()
    assert hash(limits) == hash(load_limits())
    with pytest.raises(AttributeError):
        limits.speed = 9.0  # type: ignore[misc]
