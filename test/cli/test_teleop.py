"""`roman-moe teleop`: refuses what there is not; at a terminal an operator takes over and hands back."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from bundles import write_tiny_bundle

from roman_moe.cli.teleop import Teleop
from roman_moe.core.errors import ConfigError, RomanError

pytest.importorskip("rclpy")
HANG = 600.0  # [s] of wall time, which only a hang reaches


@pytest.mark.parametrize(
    ("teleop", "complaint"),
    [
        (Teleop(device="mouse"), "--device mouse: there is only keyboard"),
        (Teleop(device_file="/dev/input/js0"), "--device-file is for another --device"),
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
    ours, theirs = pty.openpty()

    def in_terminal() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    command = [sys.executable, "-m", "roman_moe.cli.main", "teleop", "--arm", "mock", "--controller", str(bundle)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=in_terminal)
    os.close(theirs)
    os.set_blocking(ours, False)
    shown = ""

    def shows(text: str) -> None:
        nonlocal shown
        end = time.monotonic() + HANG
        while text not in shown:
            assert time.monotonic() < end, shown
            assert process.poll() is None, shown
            with contextlib.suppress(BlockingIOError):
                shown += os.read(ours, 65536).decode(errors="ignore")
            time.sleep(0.02)
        shown = ""  # what comes next is new

    try:
        shows("the policy drives")
        os.write(ours, b"t")
        shows("the operator drives, speed 50 %")
        os.write(ours, b"+ww")
        shows("the operator drives, speed 70 %")
        os.write(ours, b"h")
        shows("the policy drives")
        os.write(ours, b"q")
        end = time.monotonic() + HANG
        while process.poll() is None:
            assert time.monotonic() < end
            with contextlib.suppress(BlockingIOError, OSError):
                os.read(ours, 65536)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
