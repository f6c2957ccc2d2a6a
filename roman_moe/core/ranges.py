"""Allowed ranges of numbers in files, recipes and options: a number outside of its range is refused, NaN included."""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import Annotated, Any

MOST_NUMBERS = 16
"""Longest list in a recipe."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `least` to `most`; without `least` itself if `above`, without `most` if `below`.

    A list has `count` of them; up to `MOST_NUMBERS`, if it is 0.
    """

    least: float
    most: float
    above: bool = False
    below: bool = False
    count: int = 0

    def __contains__(self, value: float) -> bool:
        low = value > self.least if self.above else value >= self.least
        return low and (value < self.most if self.below else value <= self.most)

    def __str__(self) -> str:
        least, most = f"{self.least:.12g}", f"{self.most:.12g}"
        if self.least == -math.inf and self.most == math.inf:
            return "a finite number"
        if self.most == math.inf:
            return f"more than {least}" if self.above else f"{least} or more"
        return f"{'more than ' if self.above else ''}{least} to {'less than ' if self.below else ''}{most}"

    def expected(self, value: Any) -> str:
        """What was expected in place of a number, or of a tuple of numbers; empty if that is right."""
        if not isinstance(value, tuple):
            return "" if value in self else str(self)
        fits = len(value) == self.count if self.count else len(value) <= MOST_NUMBERS
        if fits and all(number in self for number in value):
            return ""
        return f"{self.count or f'up to {MOST_NUMBERS}'} numbers, each {self}"


class UnitQuaternion(Range):
    """Numbers x, y, z, w of a rotation."""

    def expected(self, value: Any) -> str:
        return "" if len(value) == 4 and abs(math.hypot(*value) - 1.0) < 1e-3 else "a unit quaternion x, y, z, w"


SHARE = Range(0, 1)
MORE_THAN_0 = Range(0, math.inf, above=True, below=True)
AT_LEAST_0 = Range(0, math.inf, below=True)
AT_LEAST_1 = Range(1, math.inf, below=True)
FINITE = Range(-math.inf, math.inf, above=True, below=True)

Positive = Annotated[float, MORE_THAN_0]
Finite = Annotated[float, FINITE]
Vector = Annotated[tuple[float, ...], Range(-math.inf, math.inf, above=True, below=True, count=3)]
"""Three finite numbers."""
Quaternion = Annotated[tuple[float, ...], UnitQuaternion(-1, 1)]


class Checked:
    """Base of dataclasses whose ranges are checked when they are made; see `check_ranges`."""

    def __post_init__(self) -> None:
        check_ranges(self)


def ranges_of(kind: type) -> Mapping[str, Range]:
    """The range of each field of a dataclass whose type states one; the last, if it states several."""
    hints = typing.get_type_hints(kind, include_extras=True).items()
    found = {
        name: [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Range)] for name, hint in hints
    }
    return {name: ranges[-1] for name, ranges in found.items() if ranges}


def check_ranges(owner: Any, error: type[Exception] = ValueError) -> None:
    """Check the fields of a dataclass whose types state a range: numbers, or tuples of them. A default is right.

    Raises:
        error: naming the field, what was found and what was expected.
    """
    for name, allowed in ranges_of(type(owner)).items():
        value = getattr(owner, name)
        if value != getattr(type(owner), name, MISSING) and (expected := allowed.expected(value)):
            raise error(f"{name} is {list(value) if isinstance(value, tuple) else value}: expected {expected}")
