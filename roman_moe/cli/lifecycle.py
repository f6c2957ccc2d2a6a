"""`roman-moe lifecycle`: the standard transitions of a managed node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from roman_moe.cli.graph_options import GraphOptions
from roman_moe.cli.options import SILENT
from roman_moe.core.errors import ConfigError, RomanError

TRANSITIONS = ("configure", "activate", "deactivate", "cleanup")
REPORT = 1.5  # [s] within which a node reports why it refused


@dataclass(frozen=True)
class Lifecycle(GraphOptions):
    """Configure, activate, deactivate or clean up a running node."""

    needs = ("rclpy",)

    node: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NODE", help_behavior_hint=SILENT)] = ""
    """Name of the node, such as blender; roman-moe status lists them."""

    transition: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TRANSITION", help_behavior_hint=SILENT)] = (
        ""
    )
    """Transition: configure, activate, deactivate or cleanup."""

    def main(self) -> int:
        """0 when the node has done it; a refusal leaves it as it was."""
        if not self.node or self.transition not in TRANSITIONS:
            raise ConfigError(f"expected NODE and one of {', '.join(TRANSITIONS)}, such as blender deactivate")
        from roman_moe.nodes.bringup.graph_client import Refusal, graph_client
        from roman_moe.nodes.bringup.snapshot import GraphListener

        with graph_client(self.ros_arguments) as client:
            watch = GraphListener(client)
            try:
                client.change_state(self.node, self.transition)
            except Refusal as refusal:
                status = watch.look(REPORT).statuses.get(self.node)
                raise RomanError(f"{refusal}: {status.message}" if status else str(refusal)) from None
        print(f"{self.node}: {self.transition} done")
        return 0
