"""Parameter services on a thread of their own: what they set may take long, and the control loop must not wait for it.

rclpy serves a node's parameters in the executor that runs its callbacks. Loading and checking a network there would
hold up the tick that is due. So nodes are made without these services, and one hidden node per process offers them
under the usual names.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import Any

from rclpy.context import Context
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.parameter_service import ParameterService

SPIN_PERIOD = 0.1  # [s] within which the end is noticed
NICENESS = 5  # of that thread: the control loop comes first
SWITCH_INTERVAL = 0.00005  # [s] instead of Python's 5 ms: a tick comes back from ROS some forty times


class ParameterServices:
    """Serves the parameters of nodes; a context manager, which must end before the nodes do."""

    def __init__(self, context: Context, executor: Executor) -> None:
        """`executor`: for the thread that it makes, and for nothing else."""
        self._executor = executor
        self._context = context
        self._served: list[tuple[_Served, ParameterService]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._spin, name="parameter services")

    def __enter__(self) -> ParameterServices:
        # not before: a graph that is refused must leave no node behind
        # without the process's arguments: `-r __node:=blender` would give it that name, too
        self._node = Node(
            f"_parameters_{os.getpid()}",
            context=self._context,
            use_global_arguments=False,
            start_parameter_services=False,
            enable_rosout=False,
        )
        self._executor.add_node(self._node)
        # each time the control loop comes back from ROS it waits for so long while this thread is at work
        self._switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        sys.setswitchinterval(self._switch_interval)
        self._executor.shutdown()
        self._node.destroy_node()

    def add(self, node: Node) -> None:
        served = _Served(node, self._node)
        self._served.append((served, ParameterService(served)))  # type: ignore[arg-type]

    def _spin(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # Linux knows the niceness of a thread
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while not self._ended.is_set() and self._context.ok():
            try:
                self._executor.spin_once(timeout_sec=SPIN_PERIOD)
            except Exception as error:  # noqa: BLE001 (a request that cannot be served ends no service)
                self._node.get_logger().error(f"parameter services: {type(error).__name__}: {error}")


class _Served:
    """A node as rclpy's ParameterService wants it, whose services are made on another one."""

    def __init__(self, node: Node, host: Node) -> None:
        self._node, self._host = node, host

    def get_name(self) -> str:
        return self._node.get_fully_qualified_name()

    def create_service(self, *arguments: Any, **options: Any) -> Any:
        return self._host.create_service(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)
