"""Lists as people type them."""

from __future__ import annotations

import pytest

from roman_moe.cli.selections import parse_names, parse_numbers
from roman_moe.core.errors import ConfigError

NUMBERS = range(7)
NAMES = ("pull", "push", "button")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6", (6,)),
        ("0-6", (0, 1, 2, 3, 4, 5, 6)),
        ("all", (0, 1, 2, 3, 4, 5, 6)),
        ("0,2,5", (0, 2, 5)),
        ("5, 0-1 ,1", (0, 1, 5)),
        ("3-3", (3,)),
    ],
)
def test_numbers_come_sorted_and_once(text: str, expected: tuple[int, ...]):
    assert parse_numbers(text, NUMBERS, "--scenarios") == expected


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("", "''"),
        ("7", "'7'"),
        ("0-7", "'0-7'"),
        ("6-0", "'6-0'"),
        ("-1", "'-1'"),
        ("1,x", "'x'"),
        ("1,,2", "''"),
        ("1.5", "'1.5'"),
        ("0-99999999999999", "'0-99999999999999'"),  # must not be spelt out first
    ],
)
def test_what_is_no_number_is_named(text: str, culprit: str):
    with pytest.raises(ConfigError) as refused:
        parse_numbers(text, NUMBERS, "--scenarios")
    assert str(refused.value).startswith(f"--scenarios {text!r}: found {culprit}: expected")


def test_numbers_with_gaps_refuse_a_range_over_a_gap():
    assert parse_numbers("10,30", (10, 20, 30), "--seeds") == (10, 30)
    with pytest.raises(ConfigError, match="'10-30'"):
        parse_numbers("10-30", (10, 20, 30), "--seeds")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("push", ("push",)), ("button, pull,pull", ("pull", "button")), ("all", NAMES)],
)
def test_names_come_in_the_allowed_order_and_once(text: str, expected: tuple[str, ...]):
    assert parse_names(text, NAMES, "--skills") == expected


@pytest.mark.parametrize(
    ("text", "culprit"), [("", "''"), ("shove", "'shove'"), ("push,all", "'all'"), ("Push", "'Push'")]
)
def test_what_is_no_name_is_named(text: str, culprit: str):
    with pytest.raises(ConfigError) as refused:
        parse_names(text, NAMES, "--skills")
    assert str(refused.value).startswith(f"--skills {text!r}: found {culprit}: expected 'all' or some of pull, push")
