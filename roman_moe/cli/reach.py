"""Which graph a verb talks to: its namespace, and the ROS arguments that every ROS node takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from roman_moe.cli.options import SILENT
from roman_moe.core.errors import ConfigError

ROS_ARGS = "--ros-args"
_NAMESPACE = re.compile(r"/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*|/", re.ASCII)
_NAMES_EVERY_NODE = re.compile(r"__(node|name):=")


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """A verb's own arguments, and ROS's: what stands between `--ros-args` and `--` or the end."""
    own: list[str] = []
    ros: list[str] = []
    target = own
    for argument in arguments:
        if argument == ROS_ARGS:
            target = ros
        elif argument == "--" and target is ros:
            target = own
        else:
            target.append(argument)
    return own, ros


@dataclass(frozen=True)
class Reach:
    """Base of the verbs that talk to a running graph, or bring one up."""

    namespace: Annotated[str, tyro.conf.arg(metavar="NAME", help_behavior_hint=SILENT)] = ""
    """Namespace of the graph, such as left; the root namespace if not given."""

    ros_args: Annotated[tuple[str, ...], tyro.conf.arg(metavar="...", help_behavior_hint=SILENT)] = ()
    """ROS arguments, up to the end or a --: remaps and parameters, such as -r __ns:=/left."""

    @property
    def ros_arguments(self) -> tuple[str, ...]:
        """What rclpy is started with.

        Raises:
            ConfigError: if the namespace cannot be one, is given twice, or all nodes would get one name.
        """
        for argument in self.ros_args:
            if _NAMES_EVERY_NODE.match(argument):
                raise ConfigError(f"--ros-args -r {argument}: names every node alike: write NODE:{argument}")
        if not self.namespace:
            return (ROS_ARGS, *self.ros_args) if self.ros_args else ()
        if not _NAMESPACE.fullmatch(self.namespace.rstrip("/") or "/"):
            raise ConfigError(f"--namespace {self.namespace}: expected words of letters, digits and _, such as left")
        if any(argument.startswith("__ns:=") for argument in self.ros_args):
            raise ConfigError("--namespace and --ros-args -r __ns:= say the same thing: give one of them")
        return (ROS_ARGS, *self.ros_args, "-r", f"__ns:=/{self.namespace.strip('/')}")
