"""`python -m roman_moe.nodes EXECUTABLE`: one node of the graph in a process of its own."""

from __future__ import annotations

import sys
from typing import Any

from roman_moe.nodes.base.process import leave, run_node
from roman_moe.nodes.bringup.graph import node_class


def make(**options: Any) -> Any:
    """The node that the command line names."""
    return node_class(sys.argv[1] if len(sys.argv) > 1 else "")(**options)


if __name__ == "__main__":
    leave(run_node(make))
