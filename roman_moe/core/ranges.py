"""Allowed ranges of numbers in recipes and options: a number outside of its range is refused, NaN included."""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_NUMBERS = 16
"""Longest list in a recipe."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `least` to `most`; without `least` itself if `above`, without `most` if `below`."""

    least: float
    most: float
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        low = value > self.least if self.above else value >= self.least
        return low and (value < self.most if self.below else value <= self.most)

    def __str__(self) -> str:
        least, most = f"{self.least:.12g}", f"{self.most:.12g}"
        if self.most == math.inf:
            return f"more than {least}" if self.above else f"{least} or more"
        return f"{'more than ' if self.above else ''}{least} to {'less than ' if self.below else ''}{most}"


SHARE = Range(0, 1)
MORE_THAN_0 = Range(0, math.inf, above=True, below=True)
AT_LEAST_0 = Range(0, math.inf, below=True)
AT_LEAST_1 = Range(1, math.inf, below=True)


def ranges_of(kind: type) -> Mapping[str, Range]:
    """The range of each field of a dataclass whose type states one; the last, if it states several."""
    hints = typing.get_type_hints(kind, include_extras=True).items()
    found = {
        name: [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Range)] for name, hint in hints
    }
    return {name: ranges[-1] for name, ranges in found.items() if ranges}


def check_ranges(owner: Any) -> None:
    """Check the fields of a dataclass whose types state a range: numbers, or tuples of them.

    Raises:
        ValueError: naming the field, what was found and what was expected.
    """
    for name, allowed in ranges_of(type(owner)).items():
        value = getattr(owner, name)
        if isinstance(value, tuple):
            if len(value) > MOST_NUMBERS or not all(number in allowed for number in value):
                raise ValueError(f"{name} is {list(value)}: expected up to {MOST_NUMBERS} numbers, each {allowed}")
        elif value not in allowed:
            raise ValueError(f"{name} is {value}: expected {allowed}")
