"""Options of the verbs that use or start a graph: its namespace and ROS arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from roman_moe.cli.options import SILENT
from roman_moe.cli.ros_args import ros_arguments
from roman_moe.core.errors import ConfigError


@dataclass(frozen=True)
class GraphOptions:
    """Base of those verbs."""

    namespace: Annotated[str, tyro.conf.arg(metavar="NAME", help_behavior_hint=SILENT)] = ""
    """Namespace of the graph, such as left; the root namespace if not given."""

    ros_args: Annotated[tuple[str, ...], tyro.conf.arg(metavar="...", help_behavior_hint=SILENT)] = ()
    """ROS arguments, up to the end or a --: remaps and parameters, such as -r __ns:=/left."""

    @property
    def ros_arguments(self) -> tuple[str, ...]:
        """What rclpy is started with. Raises as `ros_args.ros_arguments`."""
        return ros_arguments(self.namespace, self.ros_args)

    def given(self, *names: str) -> dict[str, Any]:
        """Options as arguments of the graph's description that have their names: files as text, "" if not given."""
        values = {name: getattr(self, name) for name in names}
        return {name: str(each or "") if isinstance(each, Path | None) else each for name, each in values.items()}

    def refuse(self, names: Sequence[str], why: str) -> None:
        """Refuse options that differ from their defaults.

        Raises:
            ConfigError: naming the first one, and why.
        """
        for name in names:
            if getattr(self, name) != getattr(type(self), name):
                raise ConfigError(f"--{name.replace('_', '-')} {why}")
