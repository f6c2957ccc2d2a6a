"""Lists as people type them: `0-6`, `0,2,5`, `one,two`, `all`. Answers keep the allowed order, each item once."""

from __future__ import annotations

from collections.abc import Sequence

from roman_moe.core.errors import ConfigError

ALL = "all"


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def parse_numbers(text: str, allowed: Sequence[int], what: str) -> tuple[int, ...]:
    """Numbers in text such as "3", "0-6", "0,2,5-6" or "all".

    Args:
        allowed: every number that may be chosen, in the order of the answer.
        what: the option, for the error: "--scenarios".

    Raises:
        ConfigError: naming the first part that is no number or range of allowed numbers.
    """
    if text.strip() == ALL:
        return tuple(allowed)
    chosen: set[int] = set()
    for part in _parts(text):
        first, dash, last = part.partition("-")
        try:
            span = range(int(first), int(last if dash else first) + 1)
        except ValueError:
            span = range(0)
        inside = bool(span) and span[0] >= min(allowed) and span[-1] <= max(allowed)  # before a huge range is spelt out
        if not inside or not set(span) <= set(allowed):
            raise ConfigError(
                f"{what} {text!r}: found {part!r}: expected numbers from {min(allowed)} to {max(allowed)} such as "
                f"{max(allowed)}, {min(allowed)}-{max(allowed)} or {min(allowed)},{max(allowed)}, or {ALL!r}"
            )
        chosen.update(span)
    return tuple(number for number in allowed if number in chosen)


def parse_names(text: str, allowed: Sequence[str], what: str) -> tuple[str, ...]:
    """Names in text: one, several with commas between, or "all".

    Args:
        allowed: every name that may be chosen, in the order of the answer.
        what: the option, for the error: "--skills".

    Raises:
        ConfigError: naming the first part that is not allowed.
    """
    if text.strip() == ALL:
        return tuple(allowed)
    chosen = _parts(text)
    for part in chosen:
        if part not in allowed:
            raise ConfigError(f"{what} {text!r}: found {part!r}: expected {ALL!r} or some of {', '.join(allowed)}")
    return tuple(name for name in allowed if name in chosen)
