"""`roman-moe status`: nodes, networks, rates and faults of a running graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from roman_moe.cli.graph_options import GraphOptions
from roman_moe.cli.options import Flag, Report, Seconds, write_report
from roman_moe.core.errors import RomanError
from roman_moe.core.ranges import Range
from roman_moe.wire.topics import DIAGNOSTICS

if TYPE_CHECKING:
    from roman_moe.nodes.bringup.snapshot import GraphListener, GraphSnapshot

LAST_FAULT = "last_fault"  # as nodes.diagnostics has it, which needs ROS
LEVELS = ("ok", "warning", "error", "stale")
REPORT_AGE = 4.0  # [s] without a report, of which there is one every second, after which a node is stale
USUAL = ("", "0", "False", "0 NO_WARNING", "1 RAMPING_IN")  # values that need no line
IN_TABLES = ("level", "message", "model", "sha256", "process", LAST_FAULT)
WIDE = 1000  # [characters] for a file or a pipe: nothing that is to be searched is broken


@dataclass(frozen=True)
class Status(GraphOptions):
    """Show nodes, networks, rates and faults of the running graph."""

    needs = ("rclpy",)

    seconds: Annotated[Seconds, Range(1, 3600)] = 2.0
    """Time to wait for reports; every node reports once a second, and the command waits for each visible node."""

    watch: Flag = False
    """Refresh continuously until Ctrl-C."""

    json: Report = None

    def main(self) -> int:
        """0 if every node is well, 1 if one is not."""
        from roman_moe.nodes.bringup.graph_client import BLENDER, graph_client
        from roman_moe.nodes.bringup.snapshot import GraphListener

        console = Console()
        with graph_client(self.ros_arguments) as client:
            watch = GraphListener(client)
            if not watch.find():
                raise RomanError(client.absent(BLENDER))
            if self.watch and console.is_terminal:
                with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
                    while True:
                        live.update(picture(self._look(watch)), refresh=True)
            while self.watch:
                show(console, self._look(watch))
            report = self._look(watch)
        show(console, report)
        return 0 if all(node["level"] == LEVELS[0] for node in report["nodes"].values()) else 1

    def _look(self, watch: GraphListener) -> dict[str, Any]:
        report = report_of(watch.look(self.seconds))
        write_report(self.json, report)
        return report


def report_of(snapshot: GraphSnapshot) -> dict[str, Any]:
    """What was seen, ready for JSON; a node that is expected and does not report is stale."""
    nodes: dict[str, dict[str, str]] = {}
    for name in sorted({*snapshot.statuses, *snapshot.expected}):
        if name not in snapshot.statuses:
            nodes[name] = {"level": LEVELS[-1], "message": "no report"}
            continue
        status, silence = snapshot.statuses[name], snapshot.silences.get(name, 0.0)
        level, message = LEVELS[min(status.level[0], len(LEVELS) - 1)], status.message
        if silence > REPORT_AGE:
            level, message = LEVELS[-1], f"no report for {silence:.0f} s; the last: {message}"
        nodes[name] = {"level": level, "message": message, **{value.key: value.value for value in status.values}}
    hand = None
    if snapshot.hand:
        position, opening = snapshot.hand
        hand = {"position_m": [round(float(x), 4) for x in position], "opening_m": round(opening, 4)}
    return {
        "nodes": nodes,
        "leading": {"skill": snapshot.leading[0], "weight": snapshot.leading[1]} if snapshot.leading else None,
        "rates_hz": {name: round(rate, 2) for name, rate in snapshot.rates.items()},
        "ages_s": {name: round(age, 3) for name, age in snapshot.ages.items()},
        "hand": hand,
    }


def show(console: Console, report: dict[str, Any]) -> None:
    """Print a report: on a terminal as wide as that, into a file or pipe without a line break within a text."""
    plain = console if console.is_terminal else Console(width=WIDE)
    with plain.capture() as capture:
        plain.print(picture(report))
    for line in capture.get().splitlines():
        print(line.rstrip())


def picture(report: dict[str, Any]) -> RenderableType:
    """Who leads, the topics, each node, each network, and what else the nodes say."""
    parts: list[RenderableType] = [Text(lead_line(report)), Text(streams_line(report))]
    parts += [Padding(table, (1, 0, 0, 0)) for table in (nodes_table(report), networks_table(report)) if table.rows]
    remarks = list(remarks_of(report))
    return Group(*parts, *([Text(), *map(Text, remarks)] if remarks else []))


def lead_line(report: dict[str, Any]) -> str:
    """Who leads, and where the hand is."""
    leading, hand = report["leading"], report["hand"]
    lead = f"{leading['skill']} leads with {leading['weight']:.2f}" if leading else "no weights"
    if not hand:
        return lead
    x, y, z = hand["position_m"]
    return f"{lead}; hand at ({x:.3f}, {y:.3f}, {z:.3f}) m, opening {hand['opening_m']:.3f} m"


def streams_line(report: dict[str, Any]) -> str:
    """How often and how lately scenes, weights and commands came."""
    streams = ", ".join(
        f"{name} {rate:.1f} Hz ({1000 * report['ages_s'][name]:.0f} ms ago)"
        for name, rate in report["rates_hz"].items()
        if name != DIAGNOSTICS
    )
    return streams or "no scenes, no commands"


def nodes_table(report: dict[str, Any]) -> Table:
    """A row a node: how it is, and what it says."""
    table = _table("node", "is", "says")
    for name, node in report["nodes"].items():
        table.add_row(name, node["level"], node["message"], style="" if node["level"] == LEVELS[0] else "yellow")
    return table


def networks_table(report: dict[str, Any]) -> Table:
    """A row a network: folder and file, and the beginning of its sha256."""
    table = _table("node", "network", "sha256")
    for name, node in report["nodes"].items():
        if node.get("model"):
            table.add_row(name, "/".join(Path(node["model"]).parts[-2:]), node.get("sha256", "")[:12])
    return table


def remarks_of(report: dict[str, Any]) -> Iterable[str]:
    """A line for each node that has counted something, or of which something unusual is true."""
    for name, node in report["nodes"].items():
        said = [f"{key} {value}" for key, value in node.items() if key not in IN_TABLES and value not in USUAL]
        said += [f"last fault: {node[LAST_FAULT]}"] if LAST_FAULT in node else []
        if said:
            yield f"{name}: {', '.join(said)}"


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, no_wrap=title != "says")
    return table
