"""`roman-moe status`: what runs in a running graph, and how it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from roman_moe.cli.options import OptionalFile, Seconds
from roman_moe.cli.reach import Reach
from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.core.files import write_json

if TYPE_CHECKING:
    from roman_moe.nodes.operator import Sight

LAST_FAULT = "last_fault"  # as nodes.diagnostics has it, which needs ROS
LEVELS = ("ok", "warning", "error", "stale")


@dataclass(frozen=True)
class Status(Reach):
    """Show what runs in the running graph, and what is wrong."""

    seconds: Seconds = 2.0
    """For how long to look; every node reports once a second."""

    json: OptionalFile = None
    """Write the report to this file."""

    def main(self) -> int:
        """0 if every node is well, 1 if one is not."""
        if not 1.0 <= self.seconds <= 3600.0:
            raise ConfigError(f"--seconds {self.seconds}: expected 1 to 3600")
        from roman_moe.nodes.operator import BLENDER, operator

        with operator(self.ros_arguments) as person:
            sight = person.watch(self.seconds)
            if not sight.statuses:
                raise RomanError(person.absent(BLENDER))
        report = report_of(sight)
        console = Console()
        console.print(nodes_table(report))
        console.print(streams_line(report), highlight=False, soft_wrap=True)
        if self.json:
            write_json(self.json, report)
        return 0 if all(node["level"] == LEVELS[0] for node in report["nodes"].values()) else 1


def report_of(sight: Sight) -> dict[str, Any]:
    """What was seen, ready for JSON; a node that every graph has and that said nothing is stale."""
    from roman_moe.control.metadata import GATE
    from roman_moe.nodes.operator import BLENDER, node_of

    nodes = {}
    for name, status in sorted(sight.statuses.items()):
        said = {value.key: value.value for value in status.values}
        level = LEVELS[min(status.level[0], len(LEVELS) - 1)]
        nodes[name] = {"level": level, "message": status.message, **said}
    if nodes:
        for name in ("observer", BLENDER, *(node_of(network) for network in (GATE, *sight.skills))):
            nodes.setdefault(name, {"level": LEVELS[-1], "message": "not heard of"})
    return {
        "nodes": nodes,
        "leading": {"skill": sight.leading[0], "weight": sight.leading[1]} if sight.leading else None,
        "rates_hz": {name: round(rate, 2) for name, rate in sight.rates.items()},
        "ages_s": {name: round(age, 3) for name, age in sight.ages.items()},
    }


def nodes_table(report: dict[str, Any]) -> Table:
    """A row a node."""
    table = Table(box=None, pad_edge=False)
    for title in ("node", "is", "says", "model", "sha256", "counted"):
        table.add_column(title, overflow="fold", no_wrap=title in ("node", "is", "sha256"))
    for name, node in report["nodes"].items():
        known = {"level", "message", "model", "sha256", LAST_FAULT, "process"}
        counted = ", ".join(f"{key} {value}" for key, value in node.items() if key not in known)
        model = Path(node.get("model", ""))
        table.add_row(
            name,
            node["level"],
            node["message"],
            "/".join(model.parts[-2:]),
            node.get("sha256", "")[:12],
            f"{counted}; last: {node[LAST_FAULT]}" if LAST_FAULT in node else counted,
            style="" if node["level"] == LEVELS[0] else "yellow",
        )
    return table


def streams_line(report: dict[str, Any]) -> str:
    """Who leads, and how often and how lately scenes, weights and commands came."""
    leading = report["leading"]
    lead = f"{leading['skill']} leads with {leading['weight']:.2f}" if leading else "no weights"
    streams = ", ".join(
        f"{name} {rate:.1f} Hz ({1000 * report['ages_s'][name]:.0f} ms ago)"
        for name, rate in report["rates_hz"].items()
        if name != "/diagnostics"
    )
    return f"{lead}; {streams or 'no scenes, no commands'}"
