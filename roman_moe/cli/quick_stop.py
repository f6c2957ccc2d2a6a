"""The software stop, without importing the argument parser and rich: that would take as long as the stop itself."""

from __future__ import annotations

from collections.abc import Sequence

from roman_moe.cli.ros_args import ros_arguments, split


def stop(arguments: Sequence[str]) -> int | None:
    """Run `roman-moe stop` with these arguments; None if they are not the plain ones, and take more to read."""
    own, ros_args = split(arguments)
    rearm, namespace = False, ""
    words = iter(own)
    for word in words:
        if word == "--rearm":
            rearm = True
        elif word == "--namespace":
            namespace = next(words, "-")
        else:
            return None
        if namespace.startswith("-"):
            return None
    return command(rearm, ros_arguments(namespace, ros_args))


def command(rearm: bool, ros_arguments: Sequence[str]) -> int:
    """Stop or re-arm the graph, and print what its nodes answer; 0 when all have done it."""
    from roman_moe.nodes.bringup.graph_client import graph_client

    with graph_client(ros_arguments) as client:
        said = client.command("rearm" if rearm else "stop")
    print(*said, sep="\n")
    return 0
