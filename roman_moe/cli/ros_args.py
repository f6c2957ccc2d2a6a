"""ROS arguments of a verb, as every ROS node takes them, and its `--namespace`, which is one of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from roman_moe.core.errors import ConfigError

ROS_ARGS = "--ros-args"
QUIET = (ROS_ARGS, "--disable-stdout-logs")
"""For a verb that draws on the terminal, and tells warnings itself; ROS's log files have them all the same."""
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


def ros_arguments(namespace: str, given: Sequence[str]) -> tuple[str, ...]:
    """What rclpy is started with, of a namespace and other ROS arguments.

    Raises:
        ConfigError: if the namespace cannot be one, is given twice, or all nodes would get one name.
    """
    for argument in given:
        if _NAMES_EVERY_NODE.match(argument):
            raise ConfigError(f"--ros-args -r {argument}: gives all nodes one name: write NODE:{argument}")
    if not namespace:
        return (ROS_ARGS, *given) if given else ()
    if not _NAMESPACE.fullmatch(namespace.rstrip("/") or "/"):
        raise ConfigError(f"--namespace {namespace}: expected words of letters, digits and _, such as left")
    if any(argument.startswith("__ns:=") for argument in given):
        raise ConfigError("--namespace and --ros-args -r __ns:= both set the namespace: give one of them")
    return (ROS_ARGS, *given, "-r", f"__ns:=/{namespace.strip('/')}")
