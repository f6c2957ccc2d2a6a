"""The stop key: every key that was pressed is seen, and only where there is a terminal that is ours."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundles import write_tiny_bundle

from roman_moe.cli.keys import REARM, STOP, Keys
from roman_moe.core.signals import SIGNALS


class Graph:
    """What `Keys.obey` needs of a graph."""

    names = ("blender", "expert_push")

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def trigger(self, node: str, service: str) -> None:
        self.asked.append((node, service))


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal as standard input; answers the end that is typed on."""
    ours, theirs = pty.openpty()
    with open(theirs, encoding="utf-8", closefd=True) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield ours
    os.close(ours)


def test_keys_that_come_together_are_all_seen(keyboard: int) -> None:
    with Keys() as keys:
        assert keys.there
        assert keys.pressed() == ""
        os.write(keyboard, b"x r")
        seen = ""
        while len(seen) < 3:
            seen += keys.pressed()
        assert seen == "x r"


def test_space_stops_and_r_rearms_whatever_commands_this_graph(keyboard: int) -> None:
    pytest.importorskip("rclpy")
    graph = Graph()
    with Keys() as keys:
        os.write(keyboard, f"x{STOP}{REARM}".encode())
        while len(graph.asked) < 2:
            keys.obey(graph)  # type: ignore[arg-type]
    assert graph.asked == [("blender", "stop"), ("blender", "rearm")]


def test_ctrl_z_does_not_halt_the_keyboard_alone(keyboard: int) -> None:
    before = signal.getsignal(signal.SIGTSTP)
    with Keys():
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTSTP) is before


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with Keys() as keys:
            assert not keys.there
            assert keys.pressed() == ""


class Interrupting:
    """Where Python ignores exceptions, such as at the end of an import."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_ctrl_c_before_the_graph_is_not_lost_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, handler: signal.Handlers
) -> None:
    before = signal.signal(signal.SIGINT, handler)
    try:
        with open(os.devnull, encoding="utf-8") as nothing:
            monkeypatch.setattr(sys, "stdin", nothing)
            with Keys() as keys:
                Interrupting()
                with pytest.raises(KeyboardInterrupt):
                    keys.obey(Graph())  # type: ignore[arg-type]
        assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)


SESSION = """
import fcntl, os, signal, sys, termios

def child():  # as a shell starts `command &`: a group of its own, which is not the terminal's
    os.setpgid(0, 0)
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])

os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
mode = termios.tcgetattr(0)
mode[3] |= termios.TOSTOP
termios.tcsetattr(0, termios.TCSANOW, mode)
process = os.fork() or child()
_, status = os.waitpid(process, os.WUNTRACED)
same = termios.tcgetattr(0) == mode
if os.WIFSTOPPED(status):
    os.kill(process, signal.SIGKILL)
sys.exit(100 if os.WIFSTOPPED(status) else 101 if not same else os.WEXITSTATUS(status))
"""


@pytest.fixture
def session(tmp_path: Path) -> list[str]:
    """What starts a Python command in the background of a terminal that halts whoever writes to it."""
    file = tmp_path / "session.py"
    file.write_text(SESSION)
    return [sys.executable, str(file)]


def in_background(session: list[str], *command: str, environment: dict[str, str] | None = None) -> int:
    """Exit code; 100 if the kernel halted it, 101 if it changed the terminal's mode."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*session, *command], stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        with contextlib.suppress(OSError):  # the last one that had the terminal has gone
            while os.read(ours, 4096):
                pass
    os.close(ours)
    return process.returncode


def test_in_the_background_there_are_no_keys_and_nothing_halts_who_writes(session: list[str], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        from roman_moe.cli.keys import Keys
        with Keys() as keys:
            print("told", flush=True)
            assert not keys.there
            assert keys.pressed() == ""
        """)
    )
    assert in_background(session, str(script)) == 0


def test_the_session_of_these_tests_does_halt_who_writes_otherwise(session: list[str]) -> None:
    assert in_background(session, "-c", "print('told', flush=True)") == 100


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("ROS_DOMAIN_ID", "300", "ROS_DOMAIN_ID=300: expected a whole number from 0 to 101"),
        ("ROS_DOMAIN_ID", "junk", "ROS_DOMAIN_ID=junk: expected a whole number"),
        ("RMW_IMPLEMENTATION", "rmw_none_cpp", "RMW_IMPLEMENTATION=rmw_none_cpp: this ROS has only "),
    ],
)
def test_what_ros_cannot_start_with_is_one_line_and_leaves_the_terminal_as_it_was(
    name: str, value: str, complaint: str
) -> None:
    pytest.importorskip("rclpy")
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    finished = subprocess.run(
        [sys.executable, "-m", "roman_moe", "run", "--arm", "mock"],
        stdin=theirs,
        capture_output=True,
        text=True,
        env={**os.environ, name: value},
        check=False,
    )
    assert termios.tcgetattr(theirs) == before
    os.close(theirs)
    os.close(ours)
    assert finished.returncode == 2
    (line,) = finished.stderr.splitlines()
    assert line.startswith(f"roman-moe: {complaint}")


END = 600.0  # [s] for what takes a second: this machine may be busy


RUN, DEMO = ("run", "--arm", "mock"), ("demo", "--realtime", "--no-video")


@pytest.mark.parametrize(
    ("command", "moment", "name"),
    [
        *((RUN, "at once", number.name[3:]) for number in SIGNALS),
        *((RUN, "running", name) for name in ("HUP", "INT", "USR1")),
        (DEMO, "at once", "INT"),
    ],
)
def test_a_signal_leaves_the_terminal_as_it_was(
    own_domain: int, tmp_path: Path, command: list[str], moment: str, name: str
) -> None:
    """At once: as soon as keys come without Enter, before there is a graph."""
    pytest.importorskip("rclpy")
    number = signal.Signals[f"SIG{name}"]
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    controller = str(write_tiny_bundle(tmp_path / "tiny"))
    with subprocess.Popen(
        [sys.executable, "-m", "roman_moe", *command, "--bundle", controller],
        stdin=theirs,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # nohup pytest: it would stay ignored
    ) as process:
        try:
            end = time.monotonic() + END
            while termios.tcgetattr(theirs) == before:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.001)
            assert process.stdout is not None
            if moment == "running":
                assert any("Ctrl-C ends it" in line for line in process.stdout)
            process.send_signal(number)
            process.stdout.read()
            process.wait(END)
        finally:
            process.kill()
    assert termios.tcgetattr(theirs) == before
    assert process.returncode == 128 + number
    os.close(theirs)
    os.close(ours)
