"""Options of the verbs that use or start a graph: its namespace and ROS arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from roman_moe.cli.options import SILENT
from roman_moe.cli.ros_args import ros_arguments


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
