"""What changed in a graph, in words: from one report of a node to its next, such as a stop or a swap.

A fault is reported the first, tenth and hundredth time, as in a node's own log: a screen is no place for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from roman_moe.nodes.base.diagnostics import LAST_FAULT, STOPPED
from roman_moe.nodes.base.parameters import AUTOSTART
from roman_moe.nodes.control.blender import TAKEN_OUT
from roman_moe.nodes.control.network_node import MODEL, SWAPS

YES, NO = str(True), str(False)


class ChangeReports:
    """Follows the reports of one graph's nodes."""

    def __init__(self) -> None:
        self._known: dict[str, Mapping[str, str]] = {}  # facts and counts of each node's last report

    def lines(self, node: str, said: Mapping[str, str]) -> list[str]:
        """A line for each thing that is new in a node's report; the first report counts as after one of all well."""
        before = self._known.get(node, {})
        self._known[node] = {**before, **said}  # one that is started again has no model yet, and no fault
        lines = []
        if said.get(STOPPED, NO) != before.get(STOPPED, NO):
            lines.append(f"{node} is {'armed again' if said.get(STOPPED, NO) == NO else 'stopped'}")
        out, was_out = _skills(said), _skills(before)
        lines += [f"{skill} is taken out" for skill in sorted(out - was_out)]
        lines += [f"{skill} is put back" for skill in sorted(was_out - out)]
        swapped = int(said.get(SWAPS, "0")) > int(before.get(SWAPS, "0"))
        if MODEL in said and (swapped or said[MODEL] != before.get(MODEL, said[MODEL])):
            lines.append(f"{node} runs {'/'.join(Path(said[MODEL]).parts[-2:])}")
        if said.get(AUTOSTART, YES) != before.get(AUTOSTART, YES):
            lines.append(f"{node} is {'active again' if said.get(AUTOSTART) == YES else 'deactivated'}")
        kind, _, detail = said.get(LAST_FAULT, "").partition(": ")
        if _passed(before.get(kind, ""), said.get(kind, "")):
            number = f" ({said[kind]} times)" if said[kind] != "1" else ""
            lines.append(f"{node}: {kind.replace('_', ' ')}{number}: {detail}")
        return lines


def _skills(said: Mapping[str, str]) -> set[str]:
    return set(filter(None, said.get(TAKEN_OUT, "").split(",")))


def _passed(before: str, now: str) -> bool:
    """Whether a count has reached 1, 10, 100 and so on; a smaller one begins anew."""
    if not now.isdecimal():
        return False
    return len(now) > len(before) or int(now) < int(before)
