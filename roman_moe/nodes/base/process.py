"""One node in a process of its own: start, spin, and leave cleanly on a signal or with the process that started it.

Nothing a DDS participant holds (shared memory, locks) survives: whatever ends the process, the context is shut down.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import rclpy
from rclpy.context import Context
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from roman_moe.core.errors import ConfigError, RomanError, one_line
from roman_moe.core.signals import SIGNALS
from roman_moe.nodes.base.environment import check_domain, ros_environment
from roman_moe.nodes.base.services import ParameterServices

PLACEHOLDER = "_UNKNOWN_"
"""In rclpy's name and namespace of the node of an endpoint whose node is not discovered yet."""
PARENT_VARIABLE = "ROMAN_MOE_PARENT"
"""Environment variable with the process id of the bring-up, whose end is the node's end too."""

EXECUTOR_VARIABLE = "ROMAN_MOE_EXECUTOR"
"""Environment variable that chooses `single` instead of the events executor, should that one give trouble."""

REFUSED = 2
"""Exit code of a node that refuses its configuration: another start would find the same."""

FORMER_NODES = {"manipulation_network": "gate"}
"""Present names of nodes by former ones. ROS silently ignores parameters and remaps for a name that no node has."""

SPIN_PERIOD = 0.05  # [s] within which a signal or the parent's end is noticed


class Terminated(BaseException):
    """One of `SIGNALS` came, its number is the argument: no `except Exception` may stop it on its way out."""


def remap_arguments(remaps: Mapping[str, str]) -> list[str]:
    """ROS arguments that give topics other names, by the usual ones."""
    rules = [part for old, new in remaps.items() for part in ("-r", f"{old}:={new}")]
    return ["--ros-args", *rules] if rules else []


def make_executor(context: Context) -> Executor:
    """The events executor where there is one: a quarter of the other's cost, and far less jitter.

    Only ever call its `spin_once` with a timeout: without one it spins without pause in some releases.
    """
    if os.environ.get(EXECUTOR_VARIABLE, "events") != "single":
        try:
            from rclpy.experimental import EventsExecutor

            executor: Executor = EventsExecutor(context=context)
            return executor
        except ImportError:  # Jazzy before 7.1.4
            pass
    return SingleThreadedExecutor(context=context)


def refuse_former_nodes(arguments: Sequence[str]) -> None:
    """Refuse ROS arguments and parameter files that name a node as an earlier version did.

    Raises:
        ConfigError: naming the argument, or the file and its key, and the present name.
    """
    for flag, argument in itertools.pairwise(("", *arguments)):
        if flag == "--params-file":
            for name in _nodes_in(Path(argument)):
                _refuse_former(argument, name)
        elif flag in ("-r", "--remap", "-p", "--param"):
            _refuse_former(f"{flag} {argument}", argument.partition(":=")[0].partition(":")[0])


def _refuse_former(where: str, name: str) -> None:
    space, _, last = name.rpartition("/")
    if last in FORMER_NODES:
        present = f"{space}/{FORMER_NODES[last]}" if space or name.startswith("/") else FORMER_NODES[last]
        raise ConfigError(f"{where}: names the node {name}, which is {present} now: write {present}")


def _nodes_in(file: Path) -> list[str]:
    """Names of nodes in a parameter file; keys may be nested namespaces. None if it cannot be read: ROS says why."""
    import yaml  # here: a stop needs none of it, and must be quick

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []
    names, spaces = [], [("", content)]
    while spaces:
        space, entries = spaces.pop()
        for key, value in entries.items() if isinstance(entries, dict) else ():
            name = f"{space}/{str(key).strip('/')}" if space else str(key)
            if isinstance(value, dict) and "ros__parameters" in value:
                names.append(name)
            else:
                spaces.append((name, value))
    return names


@contextlib.contextmanager
def ros_context(arguments: Sequence[str] = ()) -> Iterator[Context]:
    """A context of our own, shut down at the end; signals stay Python's.

    Args:
        arguments: of a command line, of which ROS takes what follows `--ros-args`; they hold for every node.
    """
    check_domain()
    refuse_former_nodes(arguments)
    context = Context()
    try:
        rclpy.init(args=list(arguments), context=context, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # noqa: BLE001 (rclpy's exceptions share no base class)
        reason = str(error).splitlines()[0]
        raise RomanError(f"ROS cannot start: {reason}: check ROS_LOG_DIR, ROS_DOMAIN_ID and --ros-args") from None
    try:
        yield context
    finally:
        rclpy.try_shutdown(context=context)


def try_ros() -> str:
    """Make a node as a graph of this terminal would, and take it away again; the name of the middleware that made it.

    Raises:
        RomanError: saying why there is none.
    """
    with ros_environment(separate=False, private=False), ros_context() as context:
        try:
            rclpy.create_node("roman_moe_doctor", context=context).destroy_node()
        except Exception as error:  # noqa: BLE001 (as above)
            raise RomanError(f"ROS cannot create a node: {one_line(error)}") from None
    return str(rclpy.get_rmw_implementation_identifier())


class StopSignals:
    """A context manager: within it the first of `SIGNALS` raises Terminated, and later ones wait for the clean-up.

    Inside `spin_once` it is raised after the executor has returned: an executor logs what comes out of a callback as
    fatal. Does nothing outside the main thread, where Python handles no signals.

    Attributes:
        number: of the signal that came; None so far. What it interrupts may answer with errors of its own, such as a
            node that is half-made.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._spinning = False
        self.number: int | None = None

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                    continue  # nohup: it is to outlive its terminal
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, previous in self._before.items():
            signal.signal(number, previous)

    def spin_once(self, executor: Executor, timeout: float) -> None:
        """Let an executor work for up to `timeout` [s].

        Raises:
            Terminated: if a signal came meanwhile.
        """
        self._spinning = True
        try:
            executor.spin_once(timeout_sec=timeout)
        finally:
            self._spinning = False
        if self.number is not None:
            raise Terminated(self.number)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        for other in self._before:
            signal.signal(other, signal.SIG_IGN)
        self.number = number
        if not self._spinning:
            raise Terminated(number)


def run_node(make: Callable[..., Any], arguments: Sequence[str] | None = None) -> int:
    """Run one node until a signal or the bring-up's end; returns the exit code."""
    parent, signals = os.environ.get(PARENT_VARIABLE), StopSignals()
    try:
        with signals, ros_context(sys.argv if arguments is None else arguments) as context:
            _spin(make, context, signals, parent)
    except BaseException as error:
        if signals.number is None:
            if not isinstance(error, RomanError):
                raise
            print(f"error: {error}", file=sys.stderr)
            return REFUSED
    return 0


def leave(code: int) -> NoReturn:
    """End this process at once.

    ROS is down by now. What is left is the interpreter's own teardown, ONNX Runtime above all. It holds nothing that
    counts, and takes longer than all before: too long for a dozen nodes to be gone within a second of Ctrl-C.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _spin(make: Callable[..., Any], context: Context, signals: StopSignals, parent: str | None) -> None:
    def wanted() -> bool:
        return parent is None or os.getppid() == int(parent)

    node = make(context=context)
    executor = make_executor(context)
    try:
        executor.add_node(node)
        with ParameterServices(context, make_executor(context)) as services:
            services.add(node)
            if parent is None:  # nobody has looked before
                from roman_moe.nodes.base.peers import (
                    refuse_namesakes,  # here: a stop needs none of it, and must be quick
                )

                refuse_namesakes(node, [node.get_name()], lambda: signals.spin_once(executor, SPIN_PERIOD))
            try:
                node.start()
                while context.ok() and wanted():
                    signals.spin_once(executor, SPIN_PERIOD)
            finally:  # before the services' thread ends, which may be loading a network
                node.protect(node.come_to_rest)
    finally:
        try:
            executor.shutdown()
        finally:
            node.destroy_node()
