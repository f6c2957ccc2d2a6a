"""Demo recorder: keeps what an operator shows through a running graph as demonstrations of one network.

The operator is whoever answers each scene in a network's place, with its stamp: with a skill's action, which this node
gives the whole weight; or, to teach the gate, with weights and the actions of the skills that have one. The blender
makes guarded commands of it as of any network's answers. Episodes are started, kept and discarded by services.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.guard import GuardStatus
from roman_moe.core.errors import RomanError
from roman_moe.core.spec import GATE
from roman_moe.demos.recorder import Recorder
from roman_moe.nodes.base.diagnostics import OK, WAITING, WARN
from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.base.parameters import TaskParameters, declare, parameter
from roman_moe.nodes.base.process import leave, run_node
from roman_moe.nodes.base.topics import GATE_WEIGHTS, SCENE, TICK, action_of, expert_action, weights_of
from roman_moe.nodes.control.observation import Observation, observations
from roman_moe.wire.codec import BlenderTick, decode_tick

KEPT, RECORDING = "kept_episodes", "recording"


@dataclass(frozen=True)
class DemoRecorderParameters(TaskParameters):
    """Parameters of the demo recorder."""

    teach: str = parameter("skill that is taught, or gate", "")
    demos: str = parameter("folder of the demonstrations", "demos")
    source: str = parameter("who gives them", "operator")


class DemoRecorder(RomanNode):
    """Turns `scene`, the operator's answers and `blender/tick` into episodes."""

    NAME = "demo_recorder"
    PARAMETERS = DemoRecorderParameters

    _recorder: Recorder | None = None

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self._settings = declare(self, DemoRecorderParameters)
        self.trigger_service("start", self._start)
        self.trigger_service("stop", self._stop)
        self.trigger_service("discard", self._discard)

    def configure(self) -> None:
        """Find the dataset, or begin it."""
        settings, self._spec = self._settings, self._settings.spec()
        rate = settings.rates().control_rate
        self._recorder = Recorder(Path(settings.demos), self._spec, settings.teach, rate, settings.source)

    def clean_up(self) -> None:
        """Let go of it."""
        self._recorder = None

    def activate(self) -> None:
        """Begin to listen; with a skill to teach, in the gate's place."""
        spec, skill = self._spec, self._settings.teach
        self.listen(TICK, decode_tick, self._on_tick)
        if skill == GATE:
            self.listen_numbers(GATE_WEIGHTS, weights_of(spec.skill_names), self._on_answer)
        else:
            self._weights = [float(name == skill) for name in spec.skill_names]
            self._publish_weights = self.advertise_numbers(GATE_WEIGHTS, weights_of(spec.skill_names))
            self.listen_numbers(expert_action(skill), action_of(spec), self._on_answer)
        self.listen(SCENE, observations(spec), self._on_scene, serialized=True)
        self._tell()
        self.diagnostics.state(WARN, f"{WAITING}scene")

    def deactivate(self) -> None:
        """Drop the open episode: it is cut off."""
        if self._recorder is not None and self._recorder.path is not None:
            self._recorder.discard()

    def _on_scene(self, seen: Observation) -> None:
        if self._settings.teach != GATE:
            self._publish_weights(seen.scene.stamp_ns, self._weights)
        recorder = self._here
        recorder.scene(seen.scene)
        recording = f"recording {recorder.path}: {recorder.ticks} ticks"
        self.diagnostics.state(OK, recording if recorder.path else "ready to record")

    def _on_answer(self, stamped: tuple[int, NDArray[np.float64]]) -> None:
        self._here.answer(*stamped)

    def _on_tick(self, tick: BlenderTick) -> None:
        if tick.guard != GuardStatus.STOPPED:  # the operator has stopped the arm: nothing is shown
            self._here.command(tick.command)

    @property
    def _here(self) -> Recorder:
        if not self.active or self._recorder is None:
            raise RomanError(f"{self.get_name()} is not active: activate it first")
        return self._recorder

    def _start(self) -> str:
        return self._told(lambda: f"recording {self._here.start()}")

    def _stop(self) -> str:
        return self._told(lambda: f"kept {self._here.stop()}")

    def _discard(self) -> str:
        return self._told(lambda: f"discarded {self._here.discard()}")

    def _told(self, act: Callable[[], str]) -> str:
        """Do something with an episode, and report how many were kept, and which is open."""
        try:
            return act()
        finally:
            self._tell()

    def _tell(self) -> None:
        if self._recorder is not None:
            self.diagnostics.fact({KEPT: str(self._recorder.kept), RECORDING: str(self._recorder.path or "")})


if __name__ == "__main__":
    leave(run_node(DemoRecorder))
