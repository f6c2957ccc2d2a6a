"""A node's report about itself, also while another thread is counting."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from ros_rig import Rig

from roman_moe.nodes.base.diagnostics import LAST_FAULT, Diagnostics


def test_a_report_with_a_new_count_has_what_was_counted(rig: Rig, monkeypatch: Any) -> None:
    node = rig.join(lambda context: Node("counting", context=context))
    diagnostics, told = Diagnostics(node), list[DiagnosticArray]()
    monkeypatch.setattr(diagnostics, "_publisher", SimpleNamespace(publish=told.append))
    # the timer's report, in the middle of a count
    monkeypatch.setattr(node, "get_logger", lambda: SimpleNamespace(warning=lambda _: diagnostics.tell()))
    diagnostics.count("refused_models", "no such file")
    said = {value.key: value.value for value in told[0].status[0].values}
    assert (said["refused_models"], said[LAST_FAULT]) == ("1", "refused_models: no such file")
