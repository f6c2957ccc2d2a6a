"""Every way out of a process that can be caught leaves a robot at rest: seen by the last twists that Servo gets."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from geometry_msgs.msg import TwistStamped
from ros_rig import Rig
from servo_bench import Bench

from roman_moe.core.paths import config_path, share_folder
from roman_moe.nodes.base.topics import Topic

SERVO = Topic("/servo_node/delta_twist_cmds", TwistStamped)
STAND_IN = Path(__file__).parents[1] / "servo_stand_in.py"
END = 600.0  # [s] for what takes a second: this machine may be busy
RAISES = """
import sys
from roman_moe.nodes.base import process
from roman_moe.nodes.arms.arm_bridge import ArmBridge
spin_once = process.StopSignals.spin_once
def failing(self, executor, timeout):
    spin_once(self, executor, timeout)
    if sys.stdin in process.select.select([sys.stdin], [], [], 0.0)[0]:
        raise ValueError("a mistake of ours")
import select
process.select = select
process.StopSignals.spin_once = failing
process.run_node(ArmBridge)
"""


def twists(rig: Rig) -> list[Any]:
    return [m.twist.linear for m in rig.heard[SERVO.name]]


def moves(twist: Any) -> bool:
    return any((twist.x, twist.y, twist.z))


@contextlib.contextmanager
def moving_bridge(rig: Rig, bundle: Path, *program: str) -> Iterator[subprocess.Popen[bytes]]:
    """A bridge's own process, in mid-motion."""
    bench = Bench(rig, bundle)
    rig.listen(SERVO)
    command = [sys.executable, *program, "--ros-args", "-p", f"bundle:={bundle}", "-p", f"config:={bench.file}"]
    command += ["-p", f"limits:={bench.limits}", "-p", "servo_timeout:=60.0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            rig.spin_until(lambda: rig.report("arm_bridge"), END)
            bench.command_until(lambda: bool(twists(rig)) and moves(twists(rig)[-1]), 0.05)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2"])
def test_a_signal_in_mid_motion_ends_at_rest(shared_rig: Rig, bundle: Path, name: str) -> None:
    with moving_bridge(shared_rig, bundle, "-m", "roman_moe.nodes", "arm_bridge") as process:
        process.send_signal(signal.Signals[f"SIG{name}"])
        shared_rig.spin_until(lambda: process.poll() is not None, END)
        shared_rig.spin_until(lambda: not moves(twists(shared_rig)[-1]), END)
    assert process.returncode == 0


def test_a_mistake_that_escapes_ends_at_rest(shared_rig: Rig, bundle: Path) -> None:
    with moving_bridge(shared_rig, bundle, "-c", RAISES) as process:
        assert process.stdin is not None
        process.stdin.close()
        shared_rig.spin_until(lambda: process.poll() is not None, END)
        shared_rig.spin_until(lambda: not moves(twists(shared_rig)[-1]), END)
    assert process.returncode == 1


def test_ctrl_c_ends_the_wait_for_a_servo(shared_rig: Rig, bundle: Path) -> None:
    command = [sys.executable, "-m", "roman_moe.nodes", "arm_bridge", "--ros-args", "-p", "servo_timeout:=600.0"]
    command += ["-p", f"bundle:={bundle}", "-p", f"config:={config_path('arms/ur.yaml')}"]
    with subprocess.Popen(command) as process:
        try:
            shared_rig.spin_until(lambda: shared_rig.said("arm_bridge", "waiting for"), END)
            process.send_signal(signal.SIGINT)
            shared_rig.spin_until(lambda: process.poll() is not None, END)
        finally:
            process.kill()
    assert process.returncode == 0


@pytest.mark.parametrize("separate", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_closed_terminal_ends_a_whole_graph_at_rest(shared_rig: Rig, separate: bool) -> None:
    """The terminal's end hangs up `roman-moe run`, which can write nothing more; all of it goes, the robot rests."""
    rig = shared_rig
    rig.listen(SERVO)
    robot = subprocess.Popen(
        [sys.executable, str(STAND_IN), "--scenario", "2"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    ours, theirs = pty.openpty()

    def in_terminal() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    try:
        assert robot.stdout is not None
        assert json.loads(robot.stdout.readline())["state"] == "ready"
        command = [sys.executable, "-m", "roman_moe.cli.main", "run", "--arm", "servo"]
        command += ["--config", "config/arms/franka.yaml", "--bundle", str(share_folder() / "models/roman")]
        command += ["--separate"] if separate else []
        graph = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=in_terminal)
        os.close(theirs)
        os.set_blocking(ours, False)

        def shown_and(condition: Any) -> bool:
            with contextlib.suppress(BlockingIOError, OSError):
                os.read(ours, 65536)
            return bool(condition())

        rig.spin_until(lambda: shown_and(lambda: bool(twists(rig)) and moves(twists(rig)[-1])), 2.0 * END)
        os.close(ours)
        rig.spin_until(lambda: graph.poll() is not None, END)
        rig.spin_until(lambda: not moves(twists(rig)[-1]), END)
        assert graph.returncode == 128 + signal.SIGHUP
    finally:
        for process in (robot, graph):
            process.kill()
            process.wait()
