"""`roman-moe teleop`: refuses what there is not; at a terminal an operator takes over and hands back."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundles import write_tiny_bundle

from roman_moe.cli.teleop import Teleop
from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.testing.terminal import Terminal

pytest.importorskip("rclpy")


@pytest.mark.parametrize(
    ("teleop", "complaint"),
    [
        (Teleop(device="mouse"), "--device mouse: expected one of keyboard"),
        (Teleop(device_file="/dev/input/js0"), "--device-file: this --device reads no file"),
        (Teleop(alone=True, join=True), "--alone, --join: expected one of them"),
        (Teleop(arm="mock", start="6"), "--start is for --arm lab"),
        (Teleop(arm="mock"), "--device keyboard: standard input is no terminal"),
    ],
)
def test_what_there_is_not_is_named(teleop: Teleop, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        teleop.main()


def test_a_device_that_is_not_there_is_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(RomanError, match="js7: cannot be read: No such file or directory: is it plugged in"):
        Teleop(arm="mock", device="gamepad", device_file=str(tmp_path / "js7")).main()


@pytest.mark.usefixtures("own_domain")
def test_an_operator_at_a_terminal_takes_over_hands_back_and_quits(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    with Terminal("teleop", "--arm", "mock", "--bundle", str(bundle)) as operator:
        operator.shows("the policy drives")
        operator.type("t")
        operator.shows("the operator drives, speed 50 %")
        operator.type("+ww")
        operator.shows("the operator drives, speed 70 %")
        operator.type("h")
        operator.shows("the policy drives")
        operator.type("q")
        assert operator.ends() == 0
