"""MuJoCo's viewer beside a running world: opens with a clear word if it cannot, and is gone when it is closed."""

from __future__ import annotations

import contextlib
import threading
import warnings

from roman_moe.core.errors import RomanError
from roman_moe.sim.world import World

END_TIMEOUT = 2.0  # [s]


class Viewer:
    """Shows a world's own model and data in a window, drawn by a thread of its own.

    Raises:
        RomanError: if there is no display.
    """

    def __init__(self, world: World) -> None:
        import glfw
        import mujoco.viewer

        # asked first: without a display the viewer ends the whole process
        with warnings.catch_warnings(record=True) as complaints:
            warnings.simplefilter("always")
            if not glfw.init():
                reason = str(complaints[-1].message) if complaints else "GLFW does not start"
                raise RomanError(f"MuJoCo's viewer cannot open: {reason}: it needs a display")
        before = set(threading.enumerate())
        self._handle = mujoco.viewer.launch_passive(world.model, world.data, show_left_ui=False, show_right_ui=False)
        self._threads = set(threading.enumerate()) - before

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Within, the window does not read the data."""
        return self._handle.lock()

    def update(self) -> None:
        """Show the data as they are now; nothing if the window has been closed."""
        if self._handle.is_running():
            self._handle.sync()

    def close(self) -> None:
        """Close the window and wait for its thread: the interpreter must not end under it."""
        self._handle.close()
        for thread in self._threads:
            thread.join(END_TIMEOUT)
