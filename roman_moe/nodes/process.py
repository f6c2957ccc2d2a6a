"""One node in a process of its own: start, spin, and leave cleanly on a signal or with the process that started it.

Nothing a DDS participant holds (shared memory, locks) survives: whatever ends the process, the context is shut down.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from roman_moe.core.errors import RomanError

PARENT_VARIABLE = "ROMAN_MOE_PARENT"
"""Environment variable with the process id of the bring-up, whose end is the node's end too."""

EXECUTOR_VARIABLE = "ROMAN_MOE_EXECUTOR"
"""Environment variable that chooses `single` instead of the events executor, should that one give trouble."""

SPIN_PERIOD = 0.1  # [s] within which a signal or the parent's end is noticed


class Terminated(BaseException):
    """SIGINT or SIGTERM came, its number is the argument: no `except Exception` may stop it on its way out."""


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


@contextlib.contextmanager
def ros_context(arguments: Sequence[str] = ()) -> Iterator[Context]:
    """A context of our own, shut down at the end; signals stay Python's."""
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


@contextlib.contextmanager
def signals_raise() -> Iterator[None]:
    """Within, the first SIGINT or SIGTERM raises Terminated and later ones wait for the clean-up; main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, _: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        raise Terminated(number)

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def run_node(make: Callable[..., Any], arguments: Sequence[str] | None = None) -> int:
    """Run one node until SIGINT, SIGTERM or the bring-up's end; returns the exit code."""
    parent = os.environ.get(PARENT_VARIABLE)
    try:
        with signals_raise(), ros_context(sys.argv if arguments is None else arguments) as context:
            _spin(make, context, lambda: parent is None or os.getppid() == int(parent))
    except Terminated:
        return 0
    except RomanError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _spin(make: Callable[..., Any], context: Context, wanted: Callable[[], bool]) -> None:
    node = make(context=context)
    executor = make_executor(context)
    try:
        executor.add_node(node)
        while context.ok() and wanted():
            executor.spin_once(timeout_sec=SPIN_PERIOD)
    finally:
        executor.shutdown()
        node.destroy_node()
